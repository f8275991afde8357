"""What one set of endpoints is to one set of rules: classes of endpoints, classes of ports, and what rules mean there.

A universe outlives a change of policies as long as the new ones read nothing that the old ones did not: then only what
changed is computed again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from grader.policy.model import EGRESS, Effect
from grader.reachability.bits import members
from grader.reachability.classes import HOST_NETWORK, classify
from grader.reachability.population import Population
from grader.reachability.portclasses import PortClasses, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from grader.policy.model import Endpoint, Policy, Rule, Tier
    from grader.reachability.bits import Bits
    from grader.reachability.classes import Reads

Selecting = tuple[tuple["Tier", tuple["Policy", ...]], ...]
"""The tiers that count for an endpoint, each with its policies that select it."""

Rectangle = tuple["Bits", "Bits"]
"""A set of ports, and the peers to which a rule means them."""

Step = tuple[Effect, tuple[Rectangle, ...]]
"""Neighbouring rules of one effect: what any of them matches."""

Outcome = tuple["Bits", "Bits", "Bits"]
"""A set of ports, the peers to which a direction opens there, and those for which this is left open."""


class Universe:
    """Classes of endpoints and ports, and the sets that policies mean among them.

    Places are those of `classes`. Behind them stand the classes of host-network pods once more, as an implementation
    sees them that treats them like other pods.
    """

    def __init__(self, endpoints: Iterable[Endpoint], reads: Reads, family: int) -> None:
        self.reads, self.family = reads, family
        self.classes = classify(endpoints, reads, family)
        count = len(self.classes)
        guests = [each for each in self.classes if each.kind == HOST_NETWORK]
        self.guests = len(guests)
        """Classes of host-network pods: the last of `classes`."""
        self.everyone: Bits = (1 << count) - 1
        self.guest_bits: Bits = self.everyone & ~((1 << (count - self.guests)) - 1)
        samples = [each.sample for each in self.classes]
        samples += [replace(each.sample, selectable=True) for each in guests]
        self.samples = samples
        self.population = Population(samples, family)
        self.policed: Bits = sum(1 << i for i, each in enumerate(samples) if each.selectable)
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
            *(id(rectangles) for _, steps in tiers for _, rectangles in steps),
        )
        found = self._outcomes.get(key)
        if found is None:
            found = self._outcomes[key] = self._swept(tiers, guest=guest, settled=settled)
        return found

    def _swept(self, tiers: list[tuple[Effect, list[Step]]], *, guest: bool, settled: bool) -> tuple[Outcome, ...]:
        masks = {mask for _, steps in tiers for _, rectangles in steps for mask, _ in rectangles}
        merged: dict[tuple[Bits, Bits], Bits] = {}
        for part in split(self.ports.everything, masks):
            allowed, isolated = _sweep(tiers, self.population.everyone, part & -part)
            result = self._as_guest(allowed) if guest else self._judged(allowed, isolated)
            if settled:
                result = result[0], 0
            merged[result] = merged.get(result, 0) | part
        return tuple((part, *result) for result, part in merged.items())

    def _judged(self, allowed: Bits, isolated: Bits) -> tuple[Bits, Bits]:
        """Whether selectors mean host-network pods is left open, where it matters."""
        doubt = isolated & self.guest_bits & (allowed ^ allowed >> self.guests)
        return allowed & self.everyone, doubt

    def _as_guest(self, allowed: Bits) -> tuple[Bits, Bits]:
        """Policies on host-network pods do nothing, which is left open where they would."""
        as_pods = allowed & ~self.guest_bits | allowed >> self.guests & self.guest_bits
        return self.everyone, self.everyone & ~as_pods

    def _compiled(self, policy: Policy, direction: str, place: int) -> tuple[Step, ...]:
        named = any(entry.name for rule in policy.rules for entry in (*rule.ports, *rule.not_ports))
        bound = any(rule.subjects or rule.source_ports or rule.not_source_ports for rule in policy.rules)
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
        steps: list[tuple[Effect, dict[Bits, Bits]]] = []
        for rule in policy.rules:
            if self.family not in rule.families:
                continue
            if rule.subjects and not self.population.any_of(rule.subjects) >> place & 1:
                continue
            if not steps or steps[-1][0] is not rule.effect:
                steps.append((rule.effect, {}))
            merged = steps[-1][1]
            for mask, peers in self._rectangles(rule, direction, place):
                if mask and peers:
                    merged[mask] = merged.get(mask, 0) | peers
        return tuple((effect, tuple(merged.items())) for effect, merged in steps)

    def _rectangles(self, rule: Rule, direction: str, place: int) -> list[Rectangle]:
        peers = self.population.any_of(rule.peers)
        entries = (*rule.ports, *rule.not_ports)
        if direction != EGRESS:
            return [(self._ports(rule, place, None), peers)]
        if any(entry.only is not None for entry in entries):
            return [(self._ports(rule, peer, place), 1 << peer) for peer in members(peers)]
        if any(entry.name for entry in entries):
            groups = ((bits & peers) for bits in self._groups.values())
            return [(self._ports(rule, members(bits)[0], place), bits) for bits in groups if bits]
        return [(self._ports(rule, place, place), peers)]

    def _ports(self, rule: Rule, destination: int, source: int | None) -> Bits:
        """The ports that a rule means at a destination, from a source (None: any, which only egress knows)."""
        entries = (*rule.ports, *rule.not_ports)
        if not entries and not rule.source_ports and not rule.not_source_ports:
            return self.ports.everything
        bound = any(entry.only is not None for entry in entries)
        sender = (
            (rule.source_ports, rule.not_source_ports, source) if rule.source_ports or rule.not_source_ports else ()
        )
        names = self.names[destination] if any(entry.name for entry in entries) else ()
        key = (rule.ports, rule.not_ports, names, destination if bound else -1, sender)
        found = self._meant.get(key)
        if found is None:
            sent = self.samples[source] if source is not None else None
            found = self._meant[key] = self.ports.meant(rule, self.samples[destination], sent)
        return found


def _sweep(tiers: list[tuple[Effect, list[Step]]], everyone: Bits, port: Bits) -> tuple[Bits, Bits]:
    """Ask every rule once for all peers: to whom the direction opens at a port, and who met a tier that isolates."""
    allowed, remaining, isolated = 0, everyone, 0
    for end, steps in tiers:
        if end is Effect.DENY:
            isolated |= remaining
        passed = 0
        for effect, rectangles in steps:
            hit = 0
            for mask, peers in rectangles:
                if mask & port:
                    hit |= peers
            hit &= remaining
            remaining ^= hit
            if effect is Effect.ALLOW:
                allowed |= hit
            elif effect is Effect.PASS:
                passed |= hit
        if end is Effect.ALLOW:
            allowed |= remaining
        remaining = passed | (remaining if end is Effect.PASS else 0)
    return allowed | remaining, isolated
