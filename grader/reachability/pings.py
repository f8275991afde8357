"""Who may ping whom, by classes: ICMP has no ports, and a rule means every echo request of its peers or none.

As in `allpairs`, what the specification leaves open counts as Calico does, and neither an endpoint and itself nor a
node and its own pods are in it. Host endpoints are judged flow by flow (`space`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.policy.model import EGRESS, INGRESS
from grader.reachability.bits import transposed
from grader.reachability.universe import sweep

if TYPE_CHECKING:
    from grader.policy.model import Policy, Rule, Rulebook
    from grader.reachability.bits import Bits
    from grader.reachability.universe import Selecting, Step, Universe

ECHO = {4: ("ICMP", (8, 0)), 6: ("ICMPv6", (128, 0))}
"""Protocol, type and code of an echo request, by IP family."""


def pings(universe: Universe, book: Rulebook) -> list[Bits]:
    """Return for each class the classes of sources whose echo requests reach it."""
    out, into = (_Direction(universe, book, direction).allowed() for direction in (EGRESS, INGRESS))
    let_out = transposed(((1 << place, reached) for place, reached in enumerate(out)), len(out))
    # Nothing is let out from nowhere: addresses outside reach every place as far as the sender's end is asked.
    return [let_out[place] & allowed for place, allowed in enumerate(into)]


class _Direction:
    """Whom a direction of each class lets pass."""

    def __init__(self, universe: Universe, book: Rulebook, direction: str) -> None:
        self._universe = universe
        self._selecting = universe.selecting(book.tiers(direction))
        self._known: dict[tuple[int, int], Bits] = {}

    def allowed(self) -> list[Bits]:
        return [self._at(place) for place in range(len(self._universe.classes))]

    def _at(self, place: int) -> Bits:
        selecting = self._selecting[place]
        bound = any(rule.subjects for _, policies in selecting for policy in policies for rule in policy.rules)
        key = id(selecting), place if bound else -1
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._swept(selecting, place)
        return found

    def _swept(self, selecting: Selecting, place: int) -> Bits:
        tiers = [
            (tier.end, [step for policy in policies for step in self._steps(policy, place)])
            for tier, policies in selecting
        ]
        allowed, _, _ = sweep(tiers, self._universe.population.everyone, 1)
        return allowed & self._universe.everyone

    def _steps(self, policy: Policy, place: int) -> list[Step]:
        population = self._universe.population
        return [
            # Conditions are those of HTTP, which no ping meets.
            (rule.effect, False, ((1, population.any_of(rule.peers)),))
            for rule in policy.rules
            if self._means_pings(rule) and (not rule.subjects or population.any_of(rule.subjects) >> place & 1)
        ]

    def _means_pings(self, rule: Rule) -> bool:
        protocol, kind = ECHO[self._universe.family]
        # No name stands for a port of ICMP, so that any endpoint may be asked about.
        anyone = self._universe.samples[0]
        return (
            self._universe.family in rule.families
            and rule.matches_port(anyone, 0, protocol, kind)
            and rule.matches_source_port(anyone, None, protocol)
        )
