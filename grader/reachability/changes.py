"""One snapshot after another: what did not change is not worked out again."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

from grader.policy.model import HostRules, Rulebook, Tier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.kube.model import Objects
    from grader.policy.model import Policy

_POLICIES = frozenset({"policies", "cluster_policies", "calico_policies", "tiers", "felix", "passed_over"})
"""Fields of a snapshot that say nothing of endpoints."""


def same_endpoints(old: Objects, new: Objects) -> bool:
    """Tell whether two snapshots differ in policies only."""
    if old.is_calico is not new.is_calico:
        return False
    names = (each.name for each in fields(old) if each.name not in _POLICIES)
    return all(getattr(old, name) is getattr(new, name) or getattr(old, name) == getattr(new, name) for name in names)


def carried_over(old: Rulebook, new: Rulebook) -> Rulebook:
    """Return the new rulebook, its unchanged policies being the very objects of the old one."""
    known = {
        (direction, tier.name, policy.kind, policy.group, policy.namespace, policy.name): policy
        for direction, tier in _tiers(old)
        for policy in tier.policies
    }

    def kept(direction: str, tier: Tier) -> Tier:
        policies: list[Policy] = []
        for policy in tier.policies:
            before = known.get((direction, tier.name, policy.kind, policy.group, policy.namespace, policy.name))
            policies.append(before if before is not None and before == policy else policy)
        return replace(tier, policies=tuple(policies))

    def all_kept(direction: str, tiers: tuple[Tier, ...]) -> tuple[Tier, ...]:
        return tuple(kept(direction, tier) for tier in tiers)

    return replace(
        new,
        ingress=all_kept("ingress", new.ingress),
        egress=all_kept("egress", new.egress),
        host_ingress=HostRules(*(all_kept(f"ingress {n}", tiers) for n, tiers in _chains(new.host_ingress))),
        host_egress=HostRules(*(all_kept(f"egress {n}", tiers) for n, tiers in _chains(new.host_egress))),
    )


def _chains(host: HostRules) -> Iterator[tuple[int, tuple[Tier, ...]]]:
    yield from enumerate((host.untracked, host.before_nat, host.forwarded))


def _tiers(book: Rulebook) -> Iterator[tuple[str, Tier]]:
    for direction, tiers in (
        ("ingress", book.ingress),
        ("egress", book.egress),
        *((f"ingress {n}", tiers) for n, tiers in _chains(book.host_ingress)),
        *((f"egress {n}", tiers) for n, tiers in _chains(book.host_egress)),
    ):
        for tier in tiers:
            yield direction, tier
