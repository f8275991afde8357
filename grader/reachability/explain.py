"""Why a flow passes or not, hop by hop: name and Service, egress, ingress; then what came close."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.policy.model import BOTH_FAMILIES, EGRESS, INGRESS, Effect
from grader.reachability.judge import decide
from grader.reachability.near import near_misses
from grader.reachability.tiers import matching_rules, ref, selecting_policies
from grader.reachability.verdict import Action, Explanation, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.kube.model import Service
    from grader.policy.model import Endpoint, Rule, Rulebook
    from grader.reachability.packet import Packet
    from grader.reachability.verdict import Decision, Flow, NearMiss, PolicyRef, RuleLine


def explain_packet(
    book: Rulebook, flow: Flow, packet: Packet, before: tuple[str, ...] = (), rule_line: RuleLine | None = None
) -> Explanation:
    """Return the explanation of one packet; `before` are the hops on the way to it (name, Service, endpoint)."""
    egress = decide(book, EGRESS, packet)
    ingress = decide(book, INGRESS, packet)
    hops = list(before)
    misses: tuple[NearMiss, ...] = ()
    for decision in (egress, ingress):
        seen = packet.seen(decision.direction)
        subject, _ = seen.ends(decision.direction)
        hops.append(f"{decision.direction} of {subject.ref}: {_sentence(decision, rule_line)}")
        hops += (f"  {passed}" for passed in decision.passed)
        hops += _details(book, decision, seen)
        if not decision.allowed and decision.isolating:
            misses += near_misses(book.tiers(decision.direction), seen, decision)
    return Explanation(Verdict(flow, egress, ingress), tuple(hops), misses)


def service_hops(service: Service, packet: Packet, flow: Flow, backends: int) -> tuple[str, ...]:
    """Say where a Service sends the packet."""
    name = f"Service {service.namespace}/{service.name}"
    where = f"{packet.destination.ref} port {packet.port}"
    choice = f" (1 of {backends} endpoints)" if backends > 1 else ""
    if service.headless:
        return (f"{name} is headless: its name stands for {where}{choice}",)
    if flow.destination.startswith("node:"):
        masked = f"; its node sees {packet.masked.ref} as the sender" if packet.masked else ""
        return (f"port {flow.port} of {flow.destination} is a NodePort of {name}: it leads to {where}{choice}{masked}",)
    address = next((f" at {address}" for address in service.addresses if address.version == flow.family), "")
    return (f"{name}{address} port {flow.port} leads to {where}{choice}; policies see the pod's port",)


def _sentence(decision: Decision, rule_line: RuleLine | None) -> str:
    words = {Action.ALLOW: "allowed", Action.DENY: "dropped", Action.OPEN: "left open by the specification"}
    policy = decision.policy
    alone = policy is not None and (decision.rule > 0 or decision.isolating == (policy,))
    place = ""
    if policy is not None and policy.file and alone:
        line = policy.line
        if decision.rule and rule_line is not None:
            line = rule_line(policy, decision.direction, decision.rule)
        place = f" [{policy.file}:{line}]"
    return f"{words[decision.action]}: {decision.reason}{place}"


def _details(book: Rulebook, decision: Decision, packet: Packet) -> list[str]:
    """What the deciding rule says, and which others would allow the same (closing one would not be enough)."""
    if decision.policy is None or not decision.rule:
        return []
    subject, peer = packet.ends(decision.direction)
    lines: list[str] = []
    others: list[str] = []
    for policy, rule in _matching(book, decision, subject, peer, packet):
        if (policy, rule.number) == (decision.policy, decision.rule):
            lines = lines or [f"  rule {rule.number}: {describe(rule, decision.direction)}"]
        elif lines and rule.effect is not Effect.ALLOW:
            break
        elif lines and decision.allowed:
            others.append(f"{policy} rule {rule.number}")
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        lines.append(f"  also allowed by {', '.join(others[:3])}{more}")
    return lines


def _matching(
    book: Rulebook, decision: Decision, subject: Endpoint, peer: Endpoint, packet: Packet
) -> list[tuple[PolicyRef, Rule]]:
    """The rules of the deciding tier that match, in order."""
    return [
        (ref(policy), rule)
        for tier in book.tiers(decision.direction)
        if tier.name == decision.tier
        for policy, rule in matching_rules(selecting_policies(tier, subject), subject, peer, packet)
    ]


def describe(rule: Rule, direction: str) -> str:
    """Return a rule in words: `from pods app=web of every namespace, port 80/TCP`."""
    side = "to" if direction == EGRESS else "from"
    parts = [f"{side} {_listed(rule.peers, 3, ' or ') or 'anywhere'}"]
    parts.append(
        _listed(rule.ports, 4) or ("every other port and protocol" if rule.not_ports else "every port and protocol")
    )
    if rule.not_ports:
        parts.append(f"but {_listed(rule.not_ports, 4)}")
    if rule.subjects:
        parts.append(f"{'from' if direction == EGRESS else 'to'} {_listed(rule.subjects, 3, ' or ')}")
    if rule.source_ports:
        parts.append(f"sent from {_listed(rule.source_ports, 4)}")
    if rule.not_source_ports:
        parts.append(f"not sent from {_listed(rule.not_source_ports, 4)}")
    if rule.families != BOTH_FAMILIES:
        parts.append(f"IPv{rule.families[0]}")
    return ", ".join([*parts, rule.condition] if rule.condition else parts)


def _listed(things: Sequence[object], most: int, word: str = ", ") -> str:
    return word.join(map(str, things[:most])) + (f"{word}…" if len(things) > most else "")
