"""What host endpoints do: to traffic of the host itself, and to what it forwards.

Order at a host's interface: policies without connection tracking, those before address translation (ingress only), then
the ordinary tiers for the host's own traffic, or those for forwarded traffic. The first two never drop at a tier's end;
forwarded traffic passes where no policy for it applies. What one of the first two allows is not asked of those for
forwarded traffic, except for fail-safe ports: those leave no mark. Going out, only the latter see forwarded traffic.
Source: felix `rules/static.go` (StaticFilterForwardChains, StaticRawOutputChain), `rules/endpoints.go`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from grader.policy.compile import FAIL_SAFE_TIER
from grader.policy.model import EGRESS
from grader.reachability.tiers import first_match

if TYPE_CHECKING:
    from grader.policy.model import Endpoint, Rulebook
    from grader.reachability.packet import Packet
    from grader.reachability.verdict import Decision


def at_host(book: Rulebook, direction: str, packet: Packet) -> Decision:
    """Return what a host's own policies decide about a packet from or to it."""
    chains = book.host(direction)
    for tiers in (chains.untracked, chains.before_nat):
        decision = first_match(tiers, direction, packet)
        if decision.policy is not None:
            return decision
    return first_match(book.tiers(direction), direction, packet)


def forward(book: Rulebook, direction: str, packet: Packet, gate: Endpoint) -> Decision:
    """Return what a host endpoint decides about a packet that it forwards."""
    chains = book.host(direction)
    seen = replace(packet, source=gate) if direction == EGRESS else replace(packet, destination=gate)
    # Before translation the packet has the port of the node's own.
    entered = replace(seen, port=packet.entry[1]) if packet.entry is not None and direction != EGRESS else seen
    for tiers in (chains.untracked, chains.before_nat) if direction != EGRESS else ():
        decision = first_match(tiers, direction, entered)
        if decision.policy is not None and decision.tier != FAIL_SAFE_TIER:
            return _as_gate(decision, gate)
        if decision.policy is not None:
            break
    return _as_gate(first_match(chains.forwarded, direction, seen), gate)


def _as_gate(decision: Decision, gate: Endpoint) -> Decision:
    return replace(decision, reason=f"host endpoint {gate.host_endpoint} forwards it: {decision.reason}")
