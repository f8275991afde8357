"""Policies of the model as manifests: what `grader.kube.policies` reads back unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grader.kube.model import LabelSelector, NetworkPolicy, Peer, PolicyPort, PolicyRule


def dump_policy(policy: NetworkPolicy) -> dict[str, Any]:
    """Return the manifest of a NetworkPolicy, with `policyTypes` written out."""
    spec: dict[str, Any] = {"podSelector": dump_selector(policy.selector), "policyTypes": []}
    for direction, isolates, rules, side in (
        ("Ingress", policy.isolates_ingress, policy.ingress, "from"),
        ("Egress", policy.isolates_egress, policy.egress, "to"),
    ):
        if isolates:
            spec["policyTypes"].append(direction)
        if rules:
            spec[direction.lower()] = [dump_rule(rule, side) for rule in rules]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": policy.name, "namespace": policy.namespace},
        "spec": spec,
    }


def dump_selector(selector: LabelSelector) -> dict[str, Any]:
    """Return a selector; what `matchLabels` can say is said there, unless the order of requirements would be lost."""
    exact = [each for each in selector.requirements if each.operator == "In" and len(each.values) == 1]
    labels = {each.key: each.values[0] for each in exact}
    if len(labels) != len(exact) or list(selector.requirements[: len(exact)]) != sorted(exact, key=lambda r: r.key):
        labels, exact = {}, []
    found: dict[str, Any] = {"matchLabels": labels} if labels else {}
    others = selector.requirements[len(exact) :]
    if others:
        found["matchExpressions"] = [
            {"key": each.key, "operator": each.operator, **({"values": list(each.values)} if each.values else {})}
            for each in others
        ]
    return found


def dump_rule(rule: PolicyRule, side: str) -> dict[str, Any]:
    """Return a rule; `side` is `from` or `to`."""
    found: dict[str, Any] = {}
    if rule.peers:
        found[side] = [dump_peer(peer) for peer in rule.peers]
    if rule.ports:
        found["ports"] = [dump_port(port) for port in rule.ports]
    return found


def dump_peer(peer: Peer) -> dict[str, Any]:
    """Return one entry of `from` or `to`."""
    if peer.block is not None:
        excepted = [str(network) for network in peer.block.excepted]
        return {"ipBlock": {"cidr": str(peer.block.cidr), **({"except": excepted} if excepted else {})}}
    found: dict[str, Any] = {}
    if peer.namespaces is not None:
        found["namespaceSelector"] = dump_selector(peer.namespaces)
    if peer.pods is not None:
        found["podSelector"] = dump_selector(peer.pods)
    return found


def dump_port(port: PolicyPort) -> dict[str, Any]:
    """Return one entry of `ports`."""
    found: dict[str, Any] = {"protocol": port.protocol}
    if port.port is not None:
        found["port"] = port.port
    if port.end is not None:
        found["endPort"] = port.end
    return found
