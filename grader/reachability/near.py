"""Near misses: rules that would have let a packet pass but for one thing, in the words of who wrote them."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from grader.kube.fields import PROTOCOLS
from grader.policy.model import Block, Effect, Selected
from grader.reachability.misses import match_misses
from grader.reachability.tiers import ref
from grader.reachability.verdict import NearMiss

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grader.policy.model import Endpoint, Match, Policy, Rule, Tier
    from grader.reachability.packet import Packet
    from grader.reachability.verdict import Decision

LIMIT = 5


def near_misses(tiers: Sequence[Tier], packet: Packet, decision: Decision) -> tuple[NearMiss, ...]:
    """Return at most `LIMIT` allow rules that miss the packet by exactly one thing, rules of isolating policies first.

    Only rules that are asked before the one that decided count. A policy that misses the subject itself by one label
    counts too: its rule must then match the packet in full.
    """
    direction = decision.direction
    subject, peer = packet.ends(direction)
    selecting: list[NearMiss] = []
    others: list[NearMiss] = []
    for policy, rules in _before(tiers, decision):
        selected = policy.subject.matches(subject, packet.family)
        if not selected and _misses_twice(policy.subject, subject):
            continue
        lacking = () if selected else match_misses(policy.subject, subject, packet.family)
        if not selected and len(lacking) != 1:
            continue
        for rule, missed in _rule_misses(rules, subject, peer, packet):
            if selected and len(missed) == 1:
                selecting.append(NearMiss(ref(policy), direction, rule.number, missed[0]))
            elif not selected and not missed:
                others.append(NearMiss(ref(policy), direction, rule.number, f"would apply {lacking[0]}"))
    return tuple(selecting + others)[:LIMIT]


def _misses_twice(match: Match, subject: Endpoint) -> bool:
    """Tell early of most policies that they are no near miss: those of other namespaces that select other labels."""
    return (
        isinstance(match, Selected)
        and bool(match.namespace)
        and match.namespace != subject.namespace
        and match.pods is not None
        and not match.pods.matches(subject.labels)
    )


def _before(tiers: Sequence[Tier], decision: Decision) -> Iterator[tuple[Policy, Sequence[Rule]]]:
    """Every policy with its rules up to the one that decided; all of the tier at whose end it was decided."""
    for tier in tiers:
        for policy in tier.policies:
            if decision.rule and tier.name == decision.tier and ref(policy) == decision.policy:
                yield policy, tuple(takewhile(lambda rule: rule.number < decision.rule, policy.rules))
                return
            yield policy, policy.rules
        if tier.name == decision.tier:
            return


def _rule_misses(
    rules: Sequence[Rule], subject: Endpoint, peer: Endpoint, packet: Packet
) -> Iterator[tuple[Rule, tuple[str, ...]]]:
    for rule in rules:
        if rule.effect is not Effect.ALLOW or packet.family not in rule.families:
            continue
        missed: tuple[str, ...] = ()
        if not rule.matches_port(packet.destination, packet.port, packet.protocol, packet.icmp):
            missed = (_port_miss(rule, packet),)
        if not rule.matches_source_port(packet.source, packet.source_port, packet.protocol):
            missed += (f"if the sender's port were {', '.join(map(str, rule.source_ports))}",)
        if not rule.matches_subject(subject, packet.family):
            missed += tuple(clause for match in rule.subjects for clause in match_misses(match, subject, packet.family))
        if not rule.matches_peer(peer, packet.family):
            # Of equally near alternatives the kind that can mean this peer: labels for pods, ranges for others.
            likely = sorted(rule.peers, key=lambda match: isinstance(match, Block) is peer.selectable)
            alternatives = [found for match in likely if (found := match_misses(match, peer, packet.family))]
            if not alternatives:
                continue
            missed += min(alternatives, key=len)
        yield rule, tuple(f"would match {clause}" for clause in missed)


def _port_miss(rule: Rule, packet: Packet) -> str:
    listed = ", ".join(str(ports) for ports in rule.ports[:4]) + (", …" if len(rule.ports) > 4 else "")
    if not rule.ports or any(p.matches(packet.destination, packet.port, packet.protocol) for p in rule.ports):
        listed = f"none of {', '.join(map(str, rule.not_ports[:4]))}"
    if packet.protocol not in PROTOCOLS:
        return f"if it named no ports ({listed}): with ports it stops {packet.protocol}"
    unresolved = [ports.name for ports in rule.ports if ports.name and ports.protocol == packet.protocol]
    if unresolved and not packet.destination.ports.get((unresolved[0], packet.protocol)):
        return f'if {packet.destination.ref} had a {packet.protocol} port named "{unresolved[0]}"'
    return f"if the port were {listed} (it is {packet.port}/{packet.protocol})"
