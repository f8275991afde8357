"""One direction of one packet against the normal form: which policy and rule decide.

What the specification of NetworkPolicy leaves open becomes `Action.OPEN`, with what Calico does in `Decision.measured`
(measured on v3.28.5 with iptables-nft, and what the sandbox's own dataplane follows):

- ICMP: matched by rules without ports, stopped by all others;
- a pod in its node's network is the node: no selector picks it, policies on it do nothing, only ranges match it;
- hairpin through a Service: the pod's own egress and ingress policies are asked;
- a NodePort: egress sees the node, unless it is the sender's own; ingress sees the sender where its pod runs on that
  node, else that node.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from grader.kube.fields import PROTOCOLS
from grader.policy.model import EGRESS, Effect
from grader.reachability.verdict import Action, Decision, PolicyRef

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.policy.model import Endpoint, Policy, Rule, Rulebook, Tier


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a flow, after a Service's address was translated.

    Attributes:
        source: who sends it.
        destination: the pod, node or address that it arrives at.
        port: at the destination.
        protocol: TCP, UDP, SCTP, ICMP, …
        family: 4 or 6.
        hairpin: it comes back to its sender.
        entry: the node whose NodePort was addressed, and that port, where the sender's own node does not translate it.
        masked: whom the destination's node sees as the sender, where that is the entry node.
        source_port: of the sender; None where it is any that the system gives.
        icmp: type and code of an ICMP packet; None for other protocols.
    """

    source: Endpoint
    destination: Endpoint
    port: int
    protocol: str
    family: int
    hairpin: bool = False
    entry: tuple[Endpoint, int] | None = None
    masked: Endpoint | None = None
    source_port: int | None = None
    icmp: tuple[int, int] | None = None

    def seen(self, direction: str) -> Packet:
        """Return the packet as it is where a direction is judged."""
        if direction == EGRESS and self.entry is not None:
            return replace(self, destination=self.entry[0], port=self.entry[1], hairpin=False, entry=None)
        if direction != EGRESS and self.masked is not None:
            return replace(self, source=self.masked, masked=None)
        return self

    def ends(self, direction: str) -> tuple[Endpoint, Endpoint]:
        """Return the subject of a direction, then its peer."""
        if direction == EGRESS:
            return self.source, self.destination
        return self.destination, self.source


def decide(book: Rulebook, direction: str, packet: Packet) -> Decision:
    """Return what a direction decides about a packet."""
    sent, packet = packet, packet.seen(direction)
    subject, peer = packet.ends(direction)
    if exempt := _exemption(direction, packet):
        return Decision(direction, Action.ALLOW, reason=exempt)
    if subject.host_network:
        return _host_network_subject(book, direction, packet)
    decision = _first_match(book, direction, packet)
    doubt = ""
    if not decision.isolating:
        return decision
    if packet.protocol not in PROTOCOLS:
        doubt = f"NetworkPolicy says nothing about {packet.protocol}"
    elif packet.hairpin:
        doubt = "a pod that reaches itself through a Service is left open"
    elif peer.host_network and _first_match(book, direction, _as_pod(packet)).action is not decision.action:
        doubt = f"whether selectors match {peer.ref}, which uses its node's network, is left open"
    elif packet is not sent and _first_match(book, direction, sent).action is not decision.action:
        doubt = f"whether policies see {peer.ref} or the other side of its NodePort is left open"
    return _left_open(decision, doubt) if doubt else decision


def _exemption(direction: str, packet: Packet) -> str:
    """Say why no policy is asked at all; empty when they are."""
    source, destination = packet.source, packet.destination
    if source.ref == destination.ref and not packet.hairpin:
        return f"{source.ref} always reaches itself"
    subject, _ = packet.ends(direction)
    if not (subject.selectable or subject.host_network):
        return "it is no pod, so no policy selects it"
    if direction != EGRESS and _is_own_node(source, destination, packet.family):
        return f"a node always reaches its own pods, and {destination.ref} runs on it"
    return ""


def _is_own_node(source: Endpoint, destination: Endpoint, family: int) -> bool:
    if source.selectable:
        return False
    if source.node:
        return source.node == destination.node
    return source.address(family) is not None and source.address(family) in destination.host_addresses


def _host_network_subject(book: Rulebook, direction: str, packet: Packet) -> Decision:
    """A policy on a pod in its node's network: implementations ignore it (Calico) or apply it."""
    applied = _first_match(book, direction, _as_pod(packet))
    subject, _ = packet.ends(direction)
    ignored = Decision(
        direction, Action.ALLOW, reason=f"{subject.ref} uses its node's network: policies on it do nothing"
    )
    if applied.action is Action.ALLOW:
        return ignored
    return _left_open(replace(ignored, isolating=applied.isolating), "policies on such a pod are left open")


def _as_pod(packet: Packet) -> Packet:
    """The packet as an implementation sees it that treats host-network pods like the others."""
    return replace(
        packet,
        source=replace(packet.source, selectable=packet.source.selectable or packet.source.host_network),
        destination=replace(
            packet.destination, selectable=packet.destination.selectable or packet.destination.host_network
        ),
    )


def _left_open(decision: Decision, why: str) -> Decision:
    done = "lets it pass" if decision.action is Action.ALLOW else "drops it"
    return replace(decision, action=Action.OPEN, measured=decision.action, reason=f"{why}; Calico {done}")


def _first_match(book: Rulebook, direction: str, packet: Packet) -> Decision:
    subject, peer = packet.ends(direction)
    isolating: tuple[PolicyRef, ...] = ()
    for tier in book.tiers(direction):
        selecting = selecting_policies(tier, subject)
        if not selecting:
            continue
        refs = tuple(ref(policy) for policy in selecting)
        isolating += refs if tier.end is Effect.DENY else ()
        for policy, rule in matching_rules(selecting, subject, peer, packet):
            if rule.effect is Effect.PASS:
                break
            action = Action.ALLOW if rule.effect is Effect.ALLOW else Action.DENY
            reason = f"{ref(policy)} rule {rule.number} {'allows' if action is Action.ALLOW else 'denies'} it"
            return Decision(direction, action, ref(policy), rule.number, isolating, reason)
        else:
            if tier.end is not Effect.PASS:
                return _end_of_tier(direction, tier, refs, isolating)
    reason = "no policy selects it" if not isolating else "every tier passes it on"
    return Decision(direction, Action.ALLOW, isolating=isolating, reason=reason)


def _end_of_tier(direction: str, tier: Tier, refs: tuple[PolicyRef, ...], isolating: tuple[PolicyRef, ...]) -> Decision:
    if tier.end is Effect.ALLOW:
        return Decision(direction, Action.ALLOW, refs[-1], 0, isolating, f"the end of tier {tier.name} allows it")
    listed = ", ".join(str(entry) for entry in refs[:3]) + (f" and {len(refs) - 3} more" if len(refs) > 3 else "")
    reason = f"isolated by {listed}, and no rule allows it"
    return Decision(direction, Action.DENY, refs[0], 0, isolating, reason)


def selecting_policies(tier: Tier, subject: Endpoint) -> tuple[Policy, ...]:
    """Return the tier's policies that apply to an endpoint, in order."""
    return tuple(policy for policy in tier.policies if policy.subject.matches(subject, 0))


def matching_rules(
    policies: tuple[Policy, ...], subject: Endpoint, peer: Endpoint, packet: Packet
) -> Iterator[tuple[Policy, Rule]]:
    """Yield every rule that matches the packet, in order."""
    for policy in policies:
        for rule in policy.rules:
            if (
                rule.matches_port(packet.destination, packet.port, packet.protocol, packet.icmp)
                and rule.matches_peer(peer, packet.family)
                and rule.matches_subject(subject, packet.family)
                and rule.matches_source_port(packet.source, packet.source_port, packet.protocol)
            ):
                yield policy, rule


def ref(policy: Policy) -> PolicyRef:
    """Name a policy the way people do, with its place in a file."""
    return PolicyRef(policy.kind, policy.namespace, policy.name, policy.origin.file, policy.origin.line)
