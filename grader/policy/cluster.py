"""ClusterNetworkPolicy and its predecessors in the normal form: Admin before all NetworkPolicies, Baseline after them.

Order is by priority, then by name (the specification leaves equal priorities open; Calico sorts so). What no rule
matches goes on. Source: network-policy-api `apis/v1alpha2`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.kube.fields import PROTOCOLS
from grader.policy.model import INGRESS, Block, Effect, Named, Nodes, Policy, Ports, Rule, Selected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from grader.kube.cluster_model import ClusterPeer, ClusterPolicy, ClusterPort, ClusterRule, PodSet
    from grader.policy.model import Match

_EFFECTS = {"Accept": Effect.ALLOW, "Deny": Effect.DENY, "Pass": Effect.PASS}


def cluster_policies(policies: Iterable[ClusterPolicy], tier: str, direction: str) -> tuple[Policy, ...]:
    """Return the policies of `Admin` or `Baseline` that have rules in a direction, in order."""
    chosen = sorted(
        (policy for policy in policies if policy.tier == tier), key=lambda policy: (policy.priority, policy.name)
    )
    made = (_policy(policy, policy.ingress if direction == INGRESS else policy.egress) for policy in chosen)
    return tuple(policy for policy in made if policy.rules)


def _policy(policy: ClusterPolicy, rules: tuple[ClusterRule, ...]) -> Policy:
    return Policy(
        kind=policy.kind,
        namespace="",
        name=policy.name,
        subject=_pods(policy.subject),
        rules=tuple(_rule(number, rule) for number, rule in enumerate(rules, start=1)),
        origin=policy.origin,
        superseded=policy.superseded,
    )


def _rule(number: int, rule: ClusterRule) -> Rule:
    return Rule(
        number,
        _EFFECTS[rule.action],
        tuple(match for peer in rule.peers for match in _peer(peer)),
        tuple(ports for port in rule.ports for ports in _ports(port)),
    )


def _pods(pods: PodSet) -> Selected:
    return Selected(namespaces=pods.namespaces, pods=pods.pods, own_network=True)


def _peer(peer: ClusterPeer) -> Iterator[Match]:
    if peer.pods is not None:
        yield _pods(peer.pods)
    if peer.nodes is not None:
        yield Nodes(peer.nodes)
    if peer.domains:
        yield Named(tuple(f"host:{name}" for name in peer.domains), words=f"domains {', '.join(peer.domains)}")
    yield from (Block(network) for network in peer.networks)


def _ports(port: ClusterPort) -> Iterator[Ports]:
    """A named port is of whatever protocol the container port of that name is."""
    if port.name:
        yield from (Ports(protocol, name=port.name) for protocol in PROTOCOLS)
    else:
        yield Ports(port.protocol, port.low, port.high)
