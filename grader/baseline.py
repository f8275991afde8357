"""What is open at the untouched start of a lab: computed, so that it is the same whatever the learner did since."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from grader.matrix import build, pods_by_workload, start_objects
from grader.plan import plan
from grader.ports import Outcome
from grader.reachability.world import World
from grader.simulate import answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from content.model import Lab
    from grader.kube.model import Objects, Pod
    from grader.matrix import Workload
    from grader.report import CellKey


def baseline(
    lab: Lab, now: Objects, keys: Iterable[CellKey], hosts: Mapping[str, tuple[str, ...]] | None = None
) -> dict[CellKey, bool]:
    """Tell for each cell whether it is open at the untouched start, between all pods of both workloads.

    Args:
        lab: the lab.
        now: the objects as they are, for what only a running cluster has.
        keys: the cells.
        hosts: addresses of outside hosts.
    """
    start = as_at_start(lab, now)
    world = world_of(start, hosts)
    planned = plan(build(lab, start), keys)
    return {
        key: bool(item.probes) and all(answer(world, probe).outcome is Outcome.OPEN for probe in item.probes)
        for key, item in planned.items()
    }


def world_of(objects: Objects, hosts: Mapping[str, tuple[str, ...]] | None) -> World:
    """The evaluator on these objects, with the addresses of outside hosts as a cluster gives them."""
    known = {name: tuple(map(ip_address, addresses)) for name, addresses in (hosts or {}).items()}
    return World(objects, hosts=known)


def as_at_start(lab: Lab, now: Objects) -> Objects:
    """The objects of the start, completed with what only a running cluster has.

    That is: addresses of pods and nodes (address ranges of policies match them), and the namespaces that are not the
    lab's (cluster DNS lives in one).
    """
    start = start_objects(lab)
    named = {namespace.name for namespace in start.namespaces}
    own = {pod.namespace for pod in start.pods} | {lab.spec.namespace}
    live = pods_by_workload(now)
    pods = tuple(
        pod for workload, group in pods_by_workload(start).items() for pod in _with_addresses(workload, group, live)
    )
    return replace(
        start,
        namespaces=(*start.namespaces, *(item for item in now.namespaces if item.name not in named)),
        pods=(*pods, *(pod for pod in now.pods if pod.namespace not in own)),
        services=(*start.services, *(item for item in now.services if item.namespace not in own)),
        nodes=now.nodes,
    )


def _with_addresses(workload: Workload, group: Iterable[Pod], live: Mapping[Workload, tuple[Pod, ...]]) -> list[Pod]:
    """Pods of the start with the addresses and nodes of the running ones; those that run no more have none."""
    pods = list(group)
    running = live.get(workload, ())
    return [
        replace(pod, addresses=other.addresses, node=other.node, host_address=other.host_address)
        for pod, other in zip(pods, running, strict=False)
    ] + pods[len(running) :]
