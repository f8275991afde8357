"""Endpoints in crowds: replicas of one template, of which all but name, address and node is looked at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from grader.reachability.endpoints import Endpoints

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from grader.kube.model import Address, Objects, Pod
    from grader.policy.model import Endpoint


@dataclass(frozen=True, slots=True)
class Crowd:
    """Endpoints that differ in name, address and node only.

    Attributes:
        sample: one of them.
        members: name and addresses of each.
    """

    sample: Endpoint
    members: Sequence[tuple[str, tuple[Address, ...]]]

    def member(self, ref: str, addresses: tuple[Address, ...]) -> Endpoint:
        """Return what policies see of one of them, the node apart."""
        return self.sample if ref == self.sample.ref else replace(self.sample, ref=ref, addresses=addresses)


def alone(endpoint: Endpoint) -> Crowd:
    """Return the crowd of one."""
    return Crowd(endpoint, ((endpoint.ref, endpoint.addresses),))


def crowds(objects: Objects, hosts: Mapping[str, Iterable[Address]]) -> tuple[Crowd, ...]:
    """Return every pod with traffic, node and host of a snapshot, in crowds."""
    groups: dict[tuple[object, ...], list[Pod]] = {}
    for pod in objects.pods:
        if pod.finished:
            continue
        if pod.host_network:
            key: tuple[object, ...] = (pod.namespace, pod.name)
        else:
            # By identity: the snapshot keeps labels and ports alive, and those of one template are one object.
            key = pod.namespace, id(pod.labels), id(pod.ports), pod.service_account
        groups.setdefault(key, []).append(pod)
    known = Endpoints(replace(objects, pods=tuple(pods[0] for pods in groups.values())), hosts)
    found = []
    for pods in groups.values():
        sample = known.pods[pods[0].ref]
        found.append(
            Crowd(sample, [(pod.ref, pod.addresses) for pod in pods]) if not pods[0].host_network else alone(sample)
        )
    return (*found, *(alone(each) for each in known.everyone() if each.ref not in known.pods))
