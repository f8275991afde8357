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

from dataclasses import replace
from typing import TYPE_CHECKING

from grader.kube.fields import PROTOCOLS
from grader.policy.model import EGRESS
from grader.reachability.gates import on_node
from grader.reachability.hosts import at_host, forward
from grader.reachability.tiers import first_match
from grader.reachability.verdict import Action, Decision

if TYPE_CHECKING:
    from grader.policy.model import Endpoint, Rulebook
    from grader.reachability.packet import Packet


def decide(book: Rulebook, direction: str, packet: Packet) -> Decision:
    """Return what a direction decides about a packet; a host endpoint that forwards it has a say too."""
    seen = packet.seen(direction)
    if exempt := _exemption(direction, seen):
        return Decision(direction, Action.ALLOW, reason=exempt)
    subject, _ = seen.ends(direction)
    if subject.host_endpoint:
        return at_host(book, direction, seen)
    gate = packet.leaving if direction == EGRESS else packet.entering
    forwarded = forward(book, direction, packet, gate) if gate is not None else None
    if forwarded is not None and direction != EGRESS and not forwarded.allowed:
        return forwarded
    own = _at_endpoint(book, direction, packet)
    if forwarded is None or not own.allowed:
        return own
    if not forwarded.allowed:
        return forwarded
    return replace(own, condition=" and ".join(filter(None, (forwarded.condition, own.condition))))


def _at_endpoint(book: Rulebook, direction: str, packet: Packet) -> Decision:
    sent, packet = packet, packet.seen(direction)
    subject, peer = packet.ends(direction)
    if subject.host_network:
        return _host_network_subject(book, direction, packet)
    tiers = book.tiers(direction)
    decision = first_match(tiers, direction, packet)
    doubt = ""
    if book.settled or not decision.isolating:
        return decision
    if packet.protocol not in PROTOCOLS:
        doubt = f"NetworkPolicy says nothing about {packet.protocol}"
    elif packet.hairpin:
        doubt = "a pod that reaches itself through a Service is left open"
    elif (
        peer.host_network
        and first_match(book.tiers(direction), direction, _as_pod(packet)).action is not decision.action
    ):
        doubt = f"whether selectors match {peer.ref}, which uses its node's network, is left open"
    elif packet is not sent and first_match(tiers, direction, sent).action is not decision.action:
        doubt = f"whether policies see {peer.ref} or the other side of its NodePort is left open"
    return _left_open(decision, doubt) if doubt else decision


def _exemption(direction: str, packet: Packet) -> str:
    """Say why no policy is asked at all; empty when they are."""
    source, destination = packet.source, packet.destination
    if source.ref == destination.ref and not packet.hairpin:
        return f"{source.ref} always reaches itself"
    subject, _ = packet.ends(direction)
    if not (subject.policed or subject.host_network):
        return "it is no pod, so no policy selects it"
    if subject.host_endpoint and not subject.every_interface and on_node(packet.ends(direction)[1], subject):
        return f"it does not cross the interface of host endpoint {subject.host_endpoint}"
    if direction != EGRESS and _is_own_node(source, destination, packet.family):
        return f"a node always reaches its own pods, and {destination.ref} runs on it"
    return ""


def _is_own_node(source: Endpoint, destination: Endpoint, family: int) -> bool:
    if source.selectable:
        return False
    if source.node and source.node == destination.node:
        return True
    return source.address(family) is not None and source.address(family) in destination.host_addresses


def _host_network_subject(book: Rulebook, direction: str, packet: Packet) -> Decision:
    """A policy on a pod in its node's network: implementations ignore it (Calico) or apply it."""
    applied = first_match(book.tiers(direction), direction, _as_pod(packet))
    subject, _ = packet.ends(direction)
    ignored = Decision(
        direction, Action.ALLOW, reason=f"{subject.ref} uses its node's network: policies on it do nothing"
    )
    if book.settled or applied.action is Action.ALLOW:
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
