"""What one set of endpoints is to one set of rules: classes of endpoints, classes of ports, and what rules mean there.

A universe outlives a change of policies as long as the new ones read nothing that the old ones did not: then only what
changed is computed again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from grader.policy.model import EGRESS, Effect
from grader.reachability.bits import members
from grader.reachability.classes import HOST_NETWORK, NODE, classify
from grader.reachability.population import Population
from grader.reachability.portclasses import PortClasses, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from grader.policy.model import Policy, Rule, Tier
    from grader.reachability.alike import Crowd
    from grader.reachability.bits import Bits
    from grader.reachability.classes import Reads

MOST_REMEMBERED = 100_000

Selecting = tuple[tuple["Tier", tuple["Policy", ...]], ...]
"""The tiers that count for an endpoint, each with its policies that select it."""

Rectangle = tuple["Bits", "Bits"]
"""A set of ports, and the peers to which a rule means them."""

Step = tuple[Effect, bool, tuple[Rectangle, ...]]
"""Neighbouring rules of one effect: whether they stand on a condition, and what any of them matches."""

Tiers = list[tuple[Effect, list[Step]]]
"""What counts at one subject: for each tier its end and its steps."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a direction decides at some ports.

    Attributes:
        ports: which, as classes of ports.
        allowed: the peers to which it opens; what is left open as Calico does, conditions taken to hold.
        left_open: those for which the specification leaves it open.
        conditional: those for which it stands on a condition that no packet shows.
    """

    ports: Bits
    allowed: Bits
    left_open: Bits = 0
    conditional: Bits = 0


class Universe:
    """Classes of endpoints and ports, and the sets that policies mean among them.

    Places are those of `classes`. Behind them stand the classes of host-network pods once more, as an implementation
    sees them that treats them like other pods.
    """

    def __init__(self, crowds: Iterable[Crowd], reads: Reads, family: int, *, by_node: bool = False) -> None:
        self.reads, self.family = reads, family
        self.classes = classify(crowds, reads, family, by_node=by_node)
        count = len(self.classes)
        guests = [each for each in self.classes if each.kind == HOST_NETWORK]
        self.guests = len(guests)
        """Classes of host-network pods: the last of `classes`."""
        self.everyone: Bits = (1 << count) - 1
        self.guest_bits: Bits = self.everyone & ~((1 << (count - self.guests)) - 1)
        self.host_bits: Bits = sum(1 << i for i, c in enumerate(self.classes) if c.kind in (NODE, HOST_NETWORK))
        """Nodes, and what uses their network."""
        samples = [each.sample for each in self.classes]
        samples += [replace(each.sample, selectable=True) for each in guests]
        self.samples = samples
        self.population = Population(samples, family)
        self.policed: Bits = sum(1 << i for i, each in enumerate(samples) if each.policed)
        named = {(protocol, number) for c in self.classes for _, protocol, numbers in c.names for number in numbers}
        self.ports = PortClasses(reads.ports, named)
        self._groups: dict[object, Bits] = {}
        for place, each in enumerate([*self.classes, *guests]):
            self._groups[each.names] = self._groups.get(each.names, 0) | 1 << place
        self.names = [each.names for each in [*self.classes, *guests]]
        self._meant: dict[tuple[object, ...], Bits] = {}
        self._steps: dict[tuple[object, ...], tuple[Step, ...]] = {}
        self._outcomes: dict[tuple[object, ...], tuple[Outcome, ...]] = {}
        self._policies: dict[int, Policy] = {}  # keeps alive what is known by its identity

    @property
    def worn(self) -> bool:
        """Whether so much of policies that are gone is remembered that beginning anew is better."""
        return len(self._steps) > MOST_REMEMBERED

    def selecting(self, tiers: Sequence[Tier]) -> list[Selecting]:
        """Return for each place the tiers that count there; equal ones are one object."""
        by_place: list[list[tuple[Tier, tuple[Policy, ...]]]] = [[] for _ in self.samples]
        for tier in tiers:
            policies: dict[int, list[Policy]] = {}
            for policy in tier.policies:
                for place in members(self.population.matching(policy.subject) & self.policed):
                    policies.setdefault(place, []).append(policy)
            for place, listed in policies.items():
                by_place[place].append((tier, tuple(listed)))
        known: dict[tuple[object, ...], Selecting] = {}
        return [
            known.setdefault(tuple((id(tier), *map(id, policies)) for tier, policies in listed), tuple(listed))
            for listed in by_place
        ]

    def outcomes(self, selecting: Selecting, direction: str, place: int, *, settled: bool) -> tuple[Outcome, ...]:
        """Return what a direction decides at a subject, for every port and every peer (see `policy.model`)."""
        tiers = [
            (tier.end, [step for policy in policies for step in self._compiled(policy, direction, place)])
            for tier, policies in selecting
        ]
        guest = place >= len(self.classes)
        key = (
            guest,
            settled,
            *((end, *map(id, policies)) for (end, _), (_, policies) in zip(tiers, selecting, strict=True)),
            *(id(rectangles) for _, steps in tiers for _, _, rectangles in steps),
        )
        found = self._outcomes.get(key)
        if found is None:
            found = self._outcomes[key] = self._swept(tiers, guest=guest, settled=settled)
        return found

    def _swept(self, tiers: Tiers, *, guest: bool, settled: bool) -> tuple[Outcome, ...]:
        masks = {mask for _, steps in tiers for _, _, rectangles in steps for mask, _ in rectangles}
        merged: dict[tuple[Bits, Bits, Bits], Bits] = {}
        for part in split(self.ports.everything, masks):
            allowed, isolated, conditional = sweep(tiers, self.population.everyone, part & -part)
            opened, doubt = self._as_guest(allowed) if guest else self._judged(allowed, isolated)
            conditional = 0 if guest else conditional & self.everyone
            result = opened, 0 if settled else doubt, conditional
            merged[result] = merged.get(result, 0) | part
        return tuple(Outcome(part, *result) for result, part in merged.items())

    def _judged(self, allowed: Bits, isolated: Bits) -> tuple[Bits, Bits]:
        """Whether selectors mean host-network pods is left open, where it matters."""
        doubt = isolated & self.guest_bits & (allowed ^ allowed >> self.guests)
        return allowed & self.everyone, doubt

    def _as_guest(self, allowed: Bits) -> tuple[Bits, Bits]:
        """Policies on host-network pods do nothing, which is left open where they would."""
        as_pods = allowed & ~self.guest_bits | allowed >> self.guests & self.guest_bits
        return self.everyone, self.everyone & ~as_pods

    def _compiled(self, policy: Policy, direction: str, place: int) -> tuple[Step, ...]:
        entries = [entry for rule in policy.rules for entry in (*rule.ports, *rule.not_ports)]
        named = any(entry.name for entry in entries)
        # Where names count on some endpoints only, rules of incoming packets name those as subjects, too.
        bound = any(rule.subjects for rule in policy.rules)
        key = (
            id(policy),
            direction,
            self.names[place] if named and direction != EGRESS else None,
            place if bound else -1,
        )
        found = self._steps.get(key)
        if found is None:
            self._policies[id(policy)] = policy
            found = self._steps[key] = self._steps_of(policy, direction, place)
        return found

    def _steps_of(self, policy: Policy, direction: str, place: int) -> tuple[Step, ...]:
        steps: list[tuple[Effect, bool, dict[Bits, Bits]]] = []
        for rule in policy.rules:
            if self.family not in rule.families:
                continue
            if rule.subjects and not self.population.any_of(rule.subjects) >> place & 1:
                continue
            conditional = bool(rule.condition)
            if not steps or steps[-1][:2] != (rule.effect, conditional):
                steps.append((rule.effect, conditional, {}))
            merged = steps[-1][2]
            for mask, peers in self.rectangles(rule, direction, place):
                if mask and peers:
                    merged[mask] = merged.get(mask, 0) | peers
        return tuple((effect, conditional, tuple(merged.items())) for effect, conditional, merged in steps)

    def rectangles(self, rule: Rule, direction: str, place: int) -> list[Rectangle]:
        """Return what a rule matches at a subject: sets of ports, each with the peers to which it means them."""
        peers = self.population.any_of(rule.peers)
        entries = (*rule.ports, *rule.not_ports)
        if direction != EGRESS:
            return [(self._ports(rule, place), peers)]
        if any(entry.only is not None for entry in entries):
            return [(self._ports(rule, peer), 1 << peer) for peer in members(peers)]
        if any(entry.name for entry in entries):
            groups = ((bits & peers) for bits in self._groups.values())
            return [(self._ports(rule, members(bits)[0]), bits) for bits in groups if bits]
        return [(self._ports(rule, place), peers)]

    def _ports(self, rule: Rule, destination: int) -> Bits:
        """The ports that a rule means at a destination."""
        entries = (*rule.ports, *rule.not_ports)
        if not entries and not rule.source_ports and not rule.not_source_ports:
            return self.ports.everything
        key = (
            rule.ports,
            rule.not_ports,
            rule.source_ports,
            rule.not_source_ports,
            self.names[destination] if any(entry.name for entry in entries) else (),
            destination if any(entry.only is not None for entry in entries) else -1,
        )
        found = self._meant.get(key)
        if found is None:
            found = self._meant[key] = self.ports.meant(rule, self.samples[destination])
        return found


def sweep(tiers: Tiers, everyone: Bits, port: Bits) -> tuple[Bits, Bits, Bits]:
    """Ask every rule once for all peers: whom a port opens to, who met a tier that isolates, who needs a condition."""
    allowed, remaining, isolated, conditional = 0, everyone, 0, 0
    for end, steps in tiers:
        if end is Effect.DENY:
            isolated |= remaining
        passed = 0
        for effect, conditioned, rectangles in steps:
            hit = 0
            for mask, peers in rectangles:
                if mask & port:
                    hit |= peers
            hit &= remaining
            if conditioned:
                # Only rules that allow have conditions. What comes later may open it anyhow; else it stands on them.
                conditional |= hit
                continue
            remaining ^= hit
            if effect is Effect.ALLOW:
                allowed |= hit
            elif effect is Effect.PASS:
                passed |= hit
        remaining = passed | (remaining if end is Effect.PASS else 0)
    allowed |= remaining
    return allowed | conditional, isolated, conditional & ~allowed
