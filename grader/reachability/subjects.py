"""What each direction decides at each class of endpoints; host endpoints have a say in what their node forwards."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from grader.policy.compile import FAIL_SAFE_TIER
from grader.policy.model import EGRESS, Effect, Hosts, Policy, Tier
from grader.reachability.classes import POD
from grader.reachability.gates import crossed, on_node
from grader.reachability.portclasses import split
from grader.reachability.universe import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from grader.policy.model import Endpoint, Rulebook
    from grader.reachability.bits import Bits
    from grader.reachability.universe import Universe

    Gate = Callable[[Endpoint], Endpoint | None]

Peers = tuple["Bits", "Bits"]
"""Those to which something opens, and those for which it stands on a condition."""


def subjects(
    universe: Universe, book: Rulebook, direction: str, gate: Gate | None = None
) -> Sequence[tuple[Outcome, ...]]:
    """Return the outcomes of a direction at each class, in order; those of one class cover every port."""
    selecting = universe.selecting(book.tiers(direction))
    first_guest = len(universe.classes) - universe.guests
    found: list[tuple[Outcome, ...]] = []
    for place in range(len(universe.classes)):
        # A host-network pod is asked as the pod that some implementations take it for.
        asked = place + universe.guests if place >= first_guest else place
        found.append(universe.outcomes(selecting[asked], direction, asked, settled=book.settled))
    return found if gate is None else _Hosts(universe, book, direction, gate).applied(found)


class _Hosts:
    """Host endpoints of one direction: see `reachability.hosts` for the order of their chains.

    Where they are, Calico decides, and nothing is left open.
    """

    def __init__(self, universe: Universe, book: Rulebook, direction: str, gate: Gate) -> None:
        self._universe, self._book, self._direction, self._gate = universe, book, direction, gate
        self._places = {
            each.sample.ref: place for place, each in enumerate(universe.classes) if each.sample.host_endpoint
        }
        self._doors: dict[str, tuple[Outcome, ...]] = {}

    def applied(self, found: list[tuple[Outcome, ...]]) -> list[tuple[Outcome, ...]]:
        chains = self._book.host(self._direction)
        own = self._selecting((*chains.untracked, *chains.before_nat, *self._book.tiers(self._direction)))
        for ref, place in self._places.items():
            here = self._universe.classes[place].sample
            # Traffic of the host with its own pods does not cross an interface to the outside.
            near = 0 if here.every_interface else self._peers(partial(on_node, here))
            found[place] = self._with(self._outcomes(own, ref), near)
        for place, one in enumerate(self._universe.classes):
            door = self._gate(one.sample) if one.kind == POD else None
            if door is not None and door.ref in self._places:
                found[place] = self._combined(found[place], self._door(door), _both)
        return found

    def _door(self, door: Endpoint) -> tuple[Outcome, ...]:
        """What a host endpoint does to what it forwards; what does not cross it passes."""
        found = self._doors.get(door.ref)
        if found is None:
            chains = self._book.host(self._direction)
            free = self._peers(lambda peer: crossed(door, peer) is None)
            found = self._outcomes(self._selecting(chains.forwarded), door.ref)
            if self._direction != EGRESS:
                early = (*chains.untracked, *chains.before_nat)
                accepted = self._outcomes(self._selecting(_explicit(early)), door.ref)
                found = self._combined(accepted, found, _either)
                found = self._combined(self._outcomes(self._selecting(early), door.ref), found, _both)
            found = self._doors[door.ref] = self._with(found, free)
        return found

    def _selecting(self, tiers: Iterable[Tier]) -> Callable[[int], tuple[Outcome, ...]]:
        selecting = self._universe.selecting(tuple(tiers))
        return lambda place: self._universe.outcomes(selecting[place], self._direction, place, settled=True)

    def _outcomes(self, at: Callable[[int], tuple[Outcome, ...]], ref: str) -> tuple[Outcome, ...]:
        return at(self._places[ref])

    def _peers(self, wanted: Callable[[Endpoint], bool]) -> Bits:
        return sum(1 << place for place, each in enumerate(self._universe.classes) if wanted(each.sample))

    @staticmethod
    def _with(outcomes: tuple[Outcome, ...], peers: Bits) -> tuple[Outcome, ...]:
        return tuple(
            Outcome(each.ports, each.allowed | peers, conditional=each.conditional & ~peers) for each in outcomes
        )

    def _combined(
        self, first: tuple[Outcome, ...], second: tuple[Outcome, ...], how: Callable[[Outcome, Outcome], Peers]
    ) -> tuple[Outcome, ...]:
        """Two sets of outcomes as one, for the ports at which neither changes."""
        found = []
        for part in split(self._universe.ports.everything, [each.ports for each in (*first, *second)]):
            one, other = (next(o for o in outcomes if o.ports & part) for outcomes in (first, second))
            allowed, conditional = how(one, other)
            found.append(Outcome(part, allowed, conditional=conditional))
        return tuple(found)


def _both(one: Outcome, other: Outcome) -> Peers:
    """What passes both."""
    allowed = one.allowed & other.allowed
    return allowed, allowed & (one.conditional | other.conditional)


def _either(one: Outcome, other: Outcome) -> Peers:
    """What passes one of them; where both stand on a condition, on one of those."""
    sure = one.allowed & ~one.conditional | other.allowed & ~other.conditional
    return one.allowed | other.allowed, (one.conditional | other.conditional) & ~sure


def _explicit(tiers: Iterable[Tier]) -> tuple[Tier, ...]:
    """The same tiers, opening only what a policy of them allows: no fail-safe port, and nothing that passes them."""
    found = []
    for tier in tiers:
        if tier.name == FAIL_SAFE_TIER:
            closed = (
                replace(policy, rules=tuple(replace(rule, effect=Effect.DENY) for rule in policy.rules))
                for policy in tier.policies
            )
            found.append(replace(tier, policies=tuple(closed)))
        else:
            found.append(tier)
    return (*found, Tier("", (Policy("", "", "", Hosts()),), Effect.DENY))
