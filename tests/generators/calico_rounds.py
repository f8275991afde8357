"""Real Calico and the evaluator on the same random clusters: rounds, and what is done with a difference.

A round makes pods on all nodes of a cluster, then changes labels, policies and network sets several times; after each
change a sample of the matrix is probed and judged.
"""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cells import differing
from random_calico import random_accounts_of, random_calico
from random_kubernetes import addresses_in, random_homes, random_policies, services_of, with_labels
from real_pods import real_pods

from grader.kube.parse import read_objects
from grader.ports import Outcome, Probe
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from grader.ports import Cluster, Manifest, Observation

PODS = 10
_KUBELET = 10250


@dataclass(slots=True)
class Difference:
    """One cell that differs, and the least set of policies with which it does (empty: not looked for)."""

    said: str
    probe: Probe
    least: list[Manifest]


@dataclass(slots=True)
class Tally:
    """What rounds came to."""

    cells: int = 0
    denied: int = 0
    sets: int = 0
    unsteady: list[str] = field(default_factory=list)
    """Cells that differed once and not when they were probed again, with nothing changed: the machine was late."""
    differences: list[Difference] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take in another's."""
        self.cells += other.cells
        self.denied += other.denied
        self.sets += other.sets
        self.unsteady += other.unsteady
        self.differences += other.differences


def nodes_of(snapshot: Sequence[Manifest]) -> list[str]:
    """The names of the cluster's nodes, sorted."""
    return sorted(item["metadata"]["name"] for item in snapshot if item["kind"] == "Node")


def probes_of(
    rng: random.Random, pods: Sequence[Manifest], services: Sequence[Manifest], nodes: Sequence[str], count: int
) -> list[Probe]:
    """A sample of the matrix: pods and nodes to pods, Services and nodes; TCP, UDP and echo requests."""
    refs = [f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in pods]
    everybody = [*refs, *(f"node:{node}" for node in nodes)]
    cells: list[tuple[str, str, int, str]] = []
    for source in everybody:
        for pod, ref in zip(pods, refs, strict=True):
            served = [port for container in pod["spec"]["containers"] for port in container["ports"]]
            cells += [(source, ref, port["containerPort"], port["protocol"]) for port in served]
            cells += [(source, ref, 0, "ICMP"), (source, ref, 9999, "TCP")]
        if source.startswith("node:"):
            continue
        for service in services:
            ref = f"service:{service['metadata']['namespace']}/{service['metadata']['name']}"
            port = service["spec"]["ports"][0]
            cells.append((source, ref, port["port"], port["protocol"]))
        for node in nodes:
            cells += [(source, f"node:{node}", _KUBELET, "TCP"), (source, f"node:{node}", 0, "ICMP")]
    return [Probe(*cell) for cell in rng.sample(cells, min(count, len(cells)))]


async def play(
    cluster: Cluster, seed: int, *, sets: int, count: int, tell: Callable[[str], None], shrinking: bool = True
) -> Tally:
    """One round; leaves its namespaces, and nothing in them that decides traffic."""
    rng = random.Random(seed)
    tally = Tally()
    nodes = nodes_of(await cluster.snapshot())
    pods = real_pods(rng, f"r{seed}", nodes, PODS)
    services = services_of(rng, pods)
    await cluster.apply(random_homes(rng))
    await cluster.apply(random_accounts_of(rng))
    await cluster.apply([*pods, *services])
    placed: list[Manifest] = []
    try:
        for number in range(sets):
            labelled = with_labels(rng, pods)
            addresses = addresses_in(await cluster.snapshot())
            policies = _policies(rng, f"s{seed}-{number}", addresses, services)
            old, placed = placed, [*placed, *policies]
            await cluster.delete(old)
            placed = policies
            await cluster.apply([*random_homes(rng), *random_accounts_of(rng), *labelled, *policies])
            probes = probes_of(rng, labelled, services, nodes, count)
            seen = await cluster.probe(probes)
            world = World(read_objects(await cluster.snapshot()))
            tally.sets += 1
            tally.cells += len(seen)
            tally.denied += sum(each.outcome is Outcome.DROPPED for each in seen)
            wrong = differing(world, seen)
            tell(f"seed {seed}, set {number + 1}: {len(seen)} cells, {len(wrong)} differ")
            if wrong:
                again = differing(world, await cluster.probe([each.probe for each, _ in wrong]))
                stand = {each.probe for each, _ in again}
                tally.unsteady += [said for each, said in wrong if each.probe not in stand]
                await _keep(cluster, tally, again, policies, shrinking=shrinking)
    finally:
        await cluster.delete([*placed, *services, *pods])
    return tally


async def _keep(
    cluster: Cluster,
    tally: Tally,
    wrong: Sequence[tuple[Observation, str]],
    policies: Sequence[Manifest],
    *,
    shrinking: bool,
) -> None:
    """Note what differs; of the first of each set also the least that makes it differ."""
    for index, (observation, said) in enumerate(wrong):
        least = await shrink(cluster, policies, observation.probe) if shrinking and index == 0 else []
        tally.differences.append(Difference(said, observation.probe, least))


def _policies(rng: random.Random, prefix: str, addresses: list[str], services: Sequence[Manifest]) -> list[Manifest]:
    """Policies of one sort or of both, under names of their own."""
    sort = rng.random()
    plain = [] if sort < 0.5 else random_policies(rng, addresses)
    for number, policy in enumerate(plain):
        policy["metadata"]["name"] = f"k{prefix}-{number}"
    return [*plain, *(random_calico(rng, prefix, addresses, services) if sort < 0.8 else [])]


async def shrink(cluster: Cluster, policies: Sequence[Manifest], probe: Probe) -> list[Manifest]:
    """The least of some policies with which a cell still differs; they stand in the cluster afterwards.

    Nothing where it does not differ when it is probed again: then time was the cause.
    """
    least = list(policies)
    if not await _differs(cluster, probe):
        return []
    found = True
    while found:
        found = False
        for smaller in _smaller(least):
            await _replace(cluster, least, smaller)
            if await _differs(cluster, probe):
                least, found = smaller, True
                break
            await _replace(cluster, smaller, least)
    return least


async def _differs(cluster: Cluster, probe: Probe) -> bool:
    seen = await cluster.probe([probe])
    return bool(differing(World(read_objects(await cluster.snapshot())), seen))


async def _replace(cluster: Cluster, old: Sequence[Manifest], new: Sequence[Manifest]) -> None:
    kept = {_identity(item) for item in new}
    await cluster.delete([item for item in old if _identity(item) not in kept])
    await cluster.apply([item for item in new if item not in old])


def _smaller(objects: list[Manifest]) -> Iterator[list[Manifest]]:
    """Every way of leaving out an object, else a rule, else a field of a rule."""
    for index in range(len(objects)):
        yield objects[:index] + objects[index + 1 :]
    for index, item in enumerate(objects):
        for direction in ("ingress", "egress"):
            for number, rule in enumerate(item["spec"].get(direction, ())):
                without = copy.deepcopy(item)
                del without["spec"][direction][number]
                yield [*objects[:index], without, *objects[index + 1 :]]
                for key in rule.keys() - {"action", "protocol"}:
                    without = copy.deepcopy(item)
                    del without["spec"][direction][number][key]
                    yield [*objects[:index], without, *objects[index + 1 :]]


def _identity(item: Manifest) -> tuple[str, str, str]:
    metadata = item["metadata"]
    return item["kind"] + item["apiVersion"], metadata.get("namespace", ""), metadata["name"]
