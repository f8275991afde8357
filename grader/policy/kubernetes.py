"""networking.k8s.io NetworkPolicy in the normal form: one tier of allow rules that ends in deny.

Order does not matter to the verdict (every rule allows); by namespace and name it makes explanations stable.
Source: the Kubernetes API types `networking/v1` and https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.policy.model import Block, Effect, Policy, Ports, Rule, Rulebook, Selected, Tier

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grader.kube.model import NetworkPolicy, Peer, PolicyPort, PolicyRule
    from grader.policy.model import Match

KIND = "NetworkPolicy"


def compile_policies(policies: Iterable[NetworkPolicy]) -> Rulebook:
    """Return the rulebook of these policies alone."""
    listed = tuple(policies)
    ingress = tuple(_policy(policy, policy.ingress) for policy in listed if policy.isolates_ingress)
    egress = tuple(_policy(policy, policy.egress) for policy in listed if policy.isolates_egress)
    return Rulebook((Tier(KIND, ingress),), (Tier(KIND, egress),))


def _policy(policy: NetworkPolicy, rules: tuple[PolicyRule, ...]) -> Policy:
    return Policy(
        kind=KIND,
        namespace=policy.namespace,
        name=policy.name,
        subject=Selected(policy.namespace, pods=policy.selector),
        rules=tuple(_rule(policy.namespace, number, rule) for number, rule in enumerate(rules, start=1)),
        origin=policy.origin,
    )


def _rule(namespace: str, number: int, rule: PolicyRule) -> Rule:
    return Rule(
        number,
        Effect.ALLOW,
        tuple(_peer(namespace, peer) for peer in rule.peers),
        tuple(_ports(port) for port in rule.ports),
    )


def _peer(namespace: str, peer: Peer) -> Match:
    """A pod selector alone means pods of the policy's own namespace; both selectors must hold together."""
    if peer.block is not None:
        return Block(peer.block.cidr, peer.block.excepted)
    return Selected("" if peer.namespaces is not None else namespace, peer.namespaces, peer.pods)


def _ports(port: PolicyPort) -> Ports:
    if port.port is None:
        return Ports(port.protocol)
    if isinstance(port.port, str):
        return Ports(port.protocol, name=port.port)
    return Ports(port.protocol, port.port, port.end if port.end is not None else port.port)
