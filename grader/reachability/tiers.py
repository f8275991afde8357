"""First match through the tiers of one direction: which policy and rule decide (see `grader.policy.model`)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from grader.policy.model import Effect
from grader.reachability.verdict import Action, Decision, PolicyRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from grader.policy.model import Endpoint, Policy, Rule, Tier
    from grader.reachability.packet import Packet

_PLAIN = "NetworkPolicy"
"""The tier of a cluster that knows no other: explanations do not speak of tiers there."""


def first_match(tiers: Iterable[Tier], direction: str, packet: Packet) -> Decision:
    """Return what the tiers decide; a decision without a policy where nothing did, and the packet passes."""
    subject, peer = packet.ends(direction)
    isolating: tuple[PolicyRef, ...] = ()
    passed: tuple[str, ...] = ()
    under: list[Decision] = []
    for tier in tiers:
        selecting = selecting_policies(tier, subject)
        if not selecting:
            continue
        refs = tuple(ref(policy) for policy in selecting)
        isolating += refs if tier.end is Effect.DENY else ()
        for policy, rule in matching_rules(selecting, subject, peer, packet):
            if rule.effect is Effect.PASS:
                passed += (f"{ref(policy)} rule {rule.number} passes it on from tier {tier.name}",)
                break
            decided = _by_rule(direction, tier, policy, rule, isolating, passed)
            if not rule.condition:
                return _settled(decided, under)
            under.append(decided)
        else:
            if tier.end is not Effect.PASS:
                return _settled(_isolated(direction, tier, refs, isolating, passed), under)
    reason = "every tier passes it on" if isolating or passed else "no policy selects it"
    return Decision(direction, Action.ALLOW, isolating=isolating, reason=reason, passed=passed)


def _by_rule(
    direction: str, tier: Tier, policy: Policy, rule: Rule, isolating: tuple[PolicyRef, ...], passed: tuple[str, ...]
) -> Decision:
    action = Action.ALLOW if rule.effect is Effect.ALLOW else Action.DENY
    reason = f"{ref(policy)} rule {rule.number} {'allows' if action is Action.ALLOW else 'denies'} it"
    if tier.name != _PLAIN:
        reason += f" (tier {tier.name})"
    if rule.condition:
        reason += f", if it is {rule.condition}"
    if policy.superseded:
        reason += f"; {policy.kind} is superseded by ClusterNetworkPolicy, and current Calico ignores it"
    found = Decision(direction, action, ref(policy), rule.number, isolating, reason)
    return replace(found, tier=tier.name, condition=rule.condition, passed=passed)


def _settled(final: Decision, under: Sequence[Decision]) -> Decision:
    """What rules with conditions allowed stands on condition, unless what comes after them allows it anyhow."""
    if not under or final.allowed:
        return final
    return replace(under[0], condition=" or ".join(each.condition for each in under))


def _isolated(
    direction: str, tier: Tier, refs: tuple[PolicyRef, ...], isolating: tuple[PolicyRef, ...], passed: tuple[str, ...]
) -> Decision:
    listed = ", ".join(str(entry) for entry in refs[:3]) + (f" and {len(refs) - 3} more" if len(refs) > 3 else "")
    reason = f"isolated by {listed}, and no rule allows it"
    if tier.name != _PLAIN:
        reason += f": tier {tier.name} ends in deny"
    return Decision(direction, Action.DENY, refs[0], 0, isolating, reason, tier=tier.name, passed=passed)


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
    return PolicyRef(policy.kind, policy.namespace, policy.name, policy.origin.file, policy.origin.line, policy.group)
