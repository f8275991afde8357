"""A world with what all lints ask of it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from grader.policy.model import AllOf, AnyOf, Block, Labelled, Named, Not
from grader.reachability.bits import members
from grader.reachability.population import Population
from grader.reachability.space import policies_of
from grader.reachability.tiers import ref

if TYPE_CHECKING:
    from collections.abc import Iterable

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
        self.policed: Bits = sum(1 << i for i, each in enumerate(self.endpoints) if each.policed)

    @cached_property
    def policies(self) -> tuple[tuple[str, PolicyRef, Policy], ...]:
        """Every policy that somebody wrote, with its direction."""
        return tuple(
            (direction, ref(policy), policy)
            for direction, _, policy in policies_of(self.world.book)
            if policy.kind not in PROFILE_KINDS
        )

    def subjects(self, policy: Policy) -> Bits:
        """Return the endpoints to which a policy applies."""
        return self.population.matching(policy.subject) & self.policed

    def named(self, bits: Bits) -> list[str]:
        """Return the workloads of a set of endpoints, sorted."""
        owners = {pod.ref: f"{pod.namespace}/{pod.owner or pod.name}" for pod in self.world.objects.pods}
        refs = (self.endpoints[i].ref for i in members(bits))
        return sorted({owners.get(each, each) for each in refs})


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
