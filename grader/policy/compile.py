"""Every policy of a snapshot to one rulebook: which tiers there are, in which order, and how each ends.

Without Calico: Admin, NetworkPolicy, Baseline. With it: its tiers by order, Kubernetes' policies inside; then profiles.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

from grader.calico.model import DEFAULT_TIER, FAIL_SAFE_EGRESS, FAIL_SAFE_INGRESS, CalicoRule, CalicoTier
from grader.calico.selectors import Compare
from grader.kube.cluster_model import ADMIN, BASELINE
from grader.kube.model import Origin
from grader.policy.calico import CalicoCompiler
from grader.policy.cluster import cluster_policies
from grader.policy.kubernetes import compile_policies
from grader.policy.model import (
    EGRESS,
    INGRESS,
    AllOf,
    Block,
    Effect,
    HostRules,
    Hosts,
    Labelled,
    Policy,
    Ports,
    Rule,
    Rulebook,
    Selected,
    Tier,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from grader.calico.model import CalicoPolicy, FailSafe
    from grader.kube.model import Objects

KUBE_ADMIN = CalicoTier("kube-admin", 1_000, passes=True)
KUBE_BASELINE = CalicoTier("kube-baseline", 10_000_000, passes=True)
DEFAULT = CalicoTier(DEFAULT_TIER, 1_000_000)
KUBERNETES_ORDER = 1_000
KUBERNETES_KIND = "KubernetesNetworkPolicy"
FAIL_SAFE_TIER = "fail-safe ports"
PROFILES_TIER = "profiles"
ALLOW_PROFILE = "projectcalico-default-allow"


def compile_rulebook(objects: Objects) -> Rulebook:
    """Return the rulebook of every enforced policy; staged ones are not enforced."""
    kubernetes = compile_policies(objects.policies)
    if objects.is_calico:
        return _Calico(objects, kubernetes).rulebook()
    if not objects.cluster_policies:
        return kubernetes
    return Rulebook(
        _around(objects, INGRESS, kubernetes.ingress),
        _around(objects, EGRESS, kubernetes.egress),
    )


def unenforced(objects: Objects) -> tuple[CalicoPolicy, ...]:
    """Return the policies that nothing enforces because their tier does not exist."""
    known = {tier.name for tier in (*objects.tiers, KUBE_ADMIN, DEFAULT, KUBE_BASELINE)}
    return tuple(policy for policy in objects.calico_policies if not policy.staged and policy.tier not in known)


def _around(objects: Objects, direction: str, inner: tuple[Tier, ...]) -> tuple[Tier, ...]:
    admin, baseline = (cluster_policies(objects.cluster_policies, tier, direction) for tier in (ADMIN, BASELINE))
    return (Tier(ADMIN, admin, Effect.PASS), *inner, Tier(BASELINE, baseline, Effect.PASS))


class _Calico:
    """The rulebook of a cluster that Calico enforces."""

    def __init__(self, objects: Objects, kubernetes: Rulebook) -> None:
        self._objects = objects
        self._kubernetes = kubernetes
        self._compiler = CalicoCompiler(objects)
        known = {tier.name: tier for tier in (KUBE_ADMIN, DEFAULT, KUBE_BASELINE)}
        # Felix skips tiers that do not exist, with all that is in them.
        known.update((tier.name, tier) for tier in objects.tiers)
        self._tiers = sorted(known.values(), key=lambda tier: (inf if tier.order is None else tier.order, tier.name))
        self._policies: dict[str, list[CalicoPolicy]] = {}
        for policy in objects.calico_policies:
            if not policy.staged:
                self._policies.setdefault(policy.tier, []).append(policy)

    def rulebook(self) -> Rulebook:
        return Rulebook(
            self._ordinary(INGRESS), self._ordinary(EGRESS), self._host(INGRESS), self._host(EGRESS), settled=True
        )

    def _ordinary(self, direction: str) -> tuple[Tier, ...]:
        tiers = self._tiers_of(
            direction, lambda policy: not (policy.do_not_track or policy.pre_dnat), kubernetes=True, open_end=False
        )
        return (*self._fail_safes(direction), *tiers, self._profiles(direction))

    def _host(self, direction: str) -> HostRules:
        if not self._objects.host_endpoints:
            return HostRules()
        safe = self._fail_safes(direction)
        untracked = self._tiers_of(direction, lambda policy: policy.do_not_track, kubernetes=False, open_end=True)
        before = self._tiers_of(direction, lambda policy: policy.pre_dnat, kubernetes=False, open_end=True)
        forwarded = self._tiers_of(
            direction,
            lambda policy: policy.apply_on_forward and not (policy.do_not_track or policy.pre_dnat),
            kubernetes=False,
            open_end=False,
        )
        return HostRules((*safe, *untracked), (*safe, *before), forwarded)

    def _tiers_of(
        self,
        direction: str,
        wanted: Callable[[CalicoPolicy], bool],
        *,
        kubernetes: bool,
        open_end: bool,
    ) -> tuple[Tier, ...]:
        """The tiers in order with their wanted policies in order; chains with an open end never drop at a tier's."""
        found = []
        for tier in self._tiers:
            policies = [
                (
                    (inf if policy.order is None else policy.order, _tie(policy.name, policy.namespace, policy.kind)),
                    self._compiler.policy(policy, direction),
                )
                for policy in self._policies.get(tier.name, ())
                if wanted(policy) and (policy.applies_ingress if direction == INGRESS else policy.applies_egress)
            ]
            listed: tuple[Policy, ...] = ()
            if kubernetes and tier.name == DEFAULT_TIER:
                (inner,) = self._kubernetes.tiers(direction)
                policies += [
                    ((KUBERNETES_ORDER, _tie(policy.name, policy.namespace, KUBERNETES_KIND)), policy)
                    for policy in inner.policies
                ]
            elif kubernetes and tier.name in (KUBE_ADMIN.name, KUBE_BASELINE.name):
                kind = ADMIN if tier.name == KUBE_ADMIN.name else BASELINE
                listed = cluster_policies(self._objects.cluster_policies, kind, direction)
            policies.sort(key=lambda entry: entry[0])
            listed += tuple(policy for _, policy in policies)
            if listed:
                found.append(Tier(tier.name, listed, Effect.PASS if tier.passes or open_end else Effect.DENY))
        return tuple(found)

    def _fail_safes(self, direction: str) -> tuple[Tier, ...]:
        if not self._objects.host_endpoints:
            return ()
        configured = [
            found
            for felix in self._objects.felix
            if (found := felix.ingress if direction == INGRESS else felix.egress) is not None
        ]
        built_in = FAIL_SAFE_INGRESS if direction == INGRESS else FAIL_SAFE_EGRESS
        rules = tuple(_fail_safe(number, safe) for number, safe in enumerate((*configured, built_in)[0], start=1))
        policy = Policy("FelixConfiguration", "", FAIL_SAFE_TIER, Hosts(), rules)
        return (Tier(FAIL_SAFE_TIER, (policy,), Effect.PASS),)

    def _profiles(self, direction: str) -> Tier:
        """Profiles come after the tiers and end in deny. A namespace's own allows all, unless one is given for it."""
        known = {profile.name: profile for profile in self._objects.profiles}
        policies: list[Policy] = []

        def add(name: str, subject: Selected | Hosts | AllOf) -> None:
            profile = known.get(name)
            rules: Iterable[CalicoRule] = ()
            if profile is not None:
                rules = profile.ingress if direction == INGRESS else profile.egress
            elif name == ALLOW_PROFILE:
                rules = (CalicoRule("Allow"),)
            made = tuple(_no_pass(rule) for rule in self._compiler.rules(rules, direction, ""))
            policies.append(Policy("Profile", "", name, subject, made, profile.origin if profile else Origin()))

        for namespace in self._objects.namespaces:
            if f"kns.{namespace.name}" in known:
                add(f"kns.{namespace.name}", Selected(namespace.name))
                prefix = f"ksa.{namespace.name}."
                for name in sorted(name for name in known if name.startswith(prefix)):
                    account = Labelled(Compare("projectcalico.org/serviceaccount", "==", (name.removeprefix(prefix),)))
                    add(name, AllOf((Selected(namespace.name), account)))
        for host in self._objects.host_endpoints:
            for name in host.profiles:
                add(name, Hosts((host.name,)))
            policies.append(Policy("HostEndpoint", "", host.name, Hosts((host.name,)), origin=host.origin))
        return Tier(PROFILES_TIER, tuple(policies))


def _tie(name: str, namespace: str, kind: str) -> str:
    return f"{name}/{namespace}/{kind}"


def _fail_safe(number: int, safe: FailSafe) -> Rule:
    peers = (Block(safe.net),) if safe.net is not None else ()
    return Rule(number, Effect.ALLOW, peers, (Ports(safe.protocol, safe.port, safe.port),))


def _no_pass(rule: Rule) -> Rule:
    """A rule of a profile: there is nothing to pass to."""
    return rule if rule.effect is not Effect.PASS else replace(rule, effect=Effect.DENY)
