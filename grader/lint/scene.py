"""A world with what all lints ask of it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from grader.policy.model import AllOf, AnyOf, Block, Labelled, Named, Not
from grader.reachability.population import Population
from grader.reachability.space import policies_of
from grader.reachability.tiers import ref

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grader.kube.model import Address, Pod, Service
    from grader.policy.model import Endpoint, Match, Policy
    from grader.reachability.bits import Bits
    from grader.reachability.verdict import PolicyRef
    from grader.reachability.world import World

PROFILE_KINDS = ("Profile", "HostEndpoint", "FelixConfiguration")
"""Kinds in the normal form that nobody wrote as a policy."""


class Scene:
    """Endpoints in a fixed order, and what matches mean among them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.endpoints: tuple[Endpoint, ...] = world.endpoints.everyone()
        self.population = Population(self.endpoints, world.family)
        self._populations = {world.family: self.population}
        self.policed: Bits = sum(1 << i for i, each in enumerate(self.endpoints) if each.policed)

    @cached_property
    def policies(self) -> tuple[tuple[str, PolicyRef, Policy], ...]:
        """Every policy that somebody wrote, with its direction."""
        return tuple(
            (direction, ref(policy), policy)
            for direction, _, policy in policies_of(self.world.book)
            if policy.kind not in PROFILE_KINDS
        )

    def holding(self, block: Block) -> Bits:
        """Return the endpoints whose address a range holds."""
        version = block.cidr.version
        if version not in self._populations:
            self._populations[version] = Population(self.endpoints, version)
        return self._populations[version].matching(block)

    @cached_property
    def addresses(self) -> tuple[tuple[Service, Address], ...]:
        """Every address that a Service has of its own."""
        return tuple((each, address) for each in self.world.objects.services for address in each.addresses)

    @cached_property
    def owners(self) -> dict[str, tuple[str, str]]:
        """Each pod's namespace and workload."""
        return {pod.ref: (pod.namespace, pod.owner or pod.name) for pod in self.world.objects.pods}

    @cached_property
    def workloads(self) -> dict[tuple[str, str], list[Pod]]:
        """The pods with known addresses of their own, by namespace and workload."""
        found: dict[tuple[str, str], list[Pod]] = {}
        for pod in self.world.objects.pods:
            if pod.owner and pod.addresses and not pod.host_network and not pod.finished:
                found.setdefault((pod.namespace, pod.owner), []).append(pod)
        return found

    def subjects(self, policy: Policy) -> Bits:
        """Return the endpoints to which a policy applies."""
        return self.population.matching(policy.subject) & self.policed


def listed(names: Iterable[str], most: int = 3) -> str:
    """Return the first names, and how many there are besides."""
    found = list(names)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def means_addresses(match: Match) -> bool:
    """Tell whether a match can mean addresses that nothing of the cluster has."""
    match match:
        case Block() | Not():
            return True
        case Labelled():
            return bool(match.networks)
        case Named():
            return bool(match.addresses)
        case AnyOf():
            return any(map(means_addresses, match.operands))
        case AllOf():
            return all(map(means_addresses, match.operands))
        case _:
            return False
