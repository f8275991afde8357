"""ClusterNetworkPolicy, AdminNetworkPolicy and BaselineAdminNetworkPolicy from JSON to the model.

Rules: the CRDs' schemas and validations in network-policy-api `apis/v1alpha2` and `apis/v1alpha1`.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from grader.kube.cluster_model import (
    ADMIN,
    BASELINE,
    ClusterPeer,
    ClusterPolicy,
    ClusterPort,
    ClusterRule,
    PodSet,
)
from grader.kube.fields import is_number
from grader.kube.model import LabelSelector
from grader.kube.selectors import read_selector

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from grader.kube.fields import Problems
    from grader.kube.model import Network, Origin

GROUP = "policy.networking.k8s.io"
KINDS = {
    f"{GROUP}/v1beta1/ClusterNetworkPolicy",
    f"{GROUP}/v1alpha2/ClusterNetworkPolicy",
    f"{GROUP}/v1alpha1/AdminNetworkPolicy",
    f"{GROUP}/v1alpha1/BaselineAdminNetworkPolicy",
}
MAX_RULES = 25
MAX_PRIORITY = 1000
_ACTIONS = {
    "ClusterNetworkPolicy": ("Accept", "Deny", "Pass"),
    "AdminNetworkPolicy": ("Allow", "Deny", "Pass"),
    "BaselineAdminNetworkPolicy": ("Allow", "Deny"),
}


def read_cluster_policy(
    kind: str, manifest: Mapping[str, Any], name: str, origin: Origin, problems: Problems
) -> ClusterPolicy:
    """Return the policy; the superseded kinds in the terms of ClusterNetworkPolicy."""
    spec = problems.mapping(manifest.get("spec"), "spec")
    fields = {"subject", "ingress", "egress"}
    tier = BASELINE if kind == "BaselineAdminNetworkPolicy" else ADMIN
    if kind == "ClusterNetworkPolicy":
        fields |= {"tier", "priority"}
        tier = problems.text(spec.get("tier"), "spec.tier")
        if tier not in (ADMIN, BASELINE):
            problems.unsupported("spec.tier", tier, (ADMIN, BASELINE))
            tier = ADMIN
    elif kind == "AdminNetworkPolicy":
        fields |= {"priority"}
    elif name != "default":
        problems.invalid(
            "metadata.name",
            name,
            'Only one baseline admin network policy with metadata.name="default" can be created in the cluster',
        )
    problems.unknown("spec", spec, frozenset(fields))
    return ClusterPolicy(
        kind=kind,
        name=name,
        tier=tier,
        priority=_priority(spec, problems) if "priority" in fields else 0,
        subject=_subject(spec.get("subject"), problems),
        ingress=_rules(spec, "ingress", kind, problems),
        egress=_rules(spec, "egress", kind, problems),
        origin=origin,
    )


def _priority(spec: Mapping[str, Any], problems: Problems) -> int:
    value = spec.get("priority")
    if value is None:
        problems.required("spec.priority")
    elif is_number(value) and 0 <= value <= MAX_PRIORITY:
        return value
    else:
        problems.invalid("spec.priority", value, f"must be a number from 0 to {MAX_PRIORITY}")
    return 0


def _subject(value: object, problems: Problems) -> PodSet:
    fields = problems.mapping(value, "spec.subject")
    problems.unknown("spec.subject", fields, frozenset({"namespaces", "pods"}))
    if len(fields) != 1:
        problems.invalid("spec.subject", sorted(map(str, fields)), "must have exactly one of namespaces and pods")
    return _pods(fields, "spec.subject", problems) or PodSet(LabelSelector())


def _pods(fields: Mapping[str, Any], path: str, problems: Problems) -> PodSet | None:
    if "namespaces" in fields:
        return PodSet(read_selector(fields["namespaces"], f"{path}.namespaces", problems))
    if "pods" not in fields:
        return None
    pods = problems.mapping(fields["pods"], f"{path}.pods")
    problems.unknown(f"{path}.pods", pods, frozenset({"namespaceSelector", "podSelector"}))
    return PodSet(
        read_selector(pods.get("namespaceSelector"), f"{path}.pods.namespaceSelector", problems),
        read_selector(pods.get("podSelector"), f"{path}.pods.podSelector", problems),
    )


def _rules(spec: Mapping[str, Any], direction: str, kind: str, problems: Problems) -> tuple[ClusterRule, ...]:
    listed = problems.sequence(spec.get(direction), f"spec.{direction}")
    most = MAX_RULES if kind == "ClusterNetworkPolicy" else 100
    if len(listed) > most:
        problems.invalid(f"spec.{direction}", len(listed), f"must have at most {most} items")
    return tuple(_rule(entry, f"spec.{direction}[{i}]", direction, kind, problems) for i, entry in enumerate(listed))


def _rule(value: object, path: str, direction: str, kind: str, problems: Problems) -> ClusterRule:
    fields = problems.mapping(value, path)
    side = "from" if direction == "ingress" else "to"
    ports = "protocols" if kind == "ClusterNetworkPolicy" else "ports"
    problems.unknown(path, fields, frozenset({"name", "action", side, ports}))
    action = problems.text(fields.get("action"), f"{path}.action")
    if action not in _ACTIONS[kind]:
        problems.unsupported(f"{path}.action", action, _ACTIONS[kind])
    peers = problems.sequence(fields.get(side), f"{path}.{side}")
    if not peers:
        problems.required(f"{path}.{side}", "must have at least one peer")
    read_port = _protocol if ports == "protocols" else _port
    listed = problems.sequence(fields.get(ports), f"{path}.{ports}")
    return ClusterRule(
        action="Accept" if action == "Allow" else action,
        name=problems.text(fields.get("name"), f"{path}.name"),
        peers=tuple(_peer(entry, f"{path}.{side}[{i}]", direction, problems) for i, entry in enumerate(peers)),
        ports=tuple(
            port for i, entry in enumerate(listed) for port in read_port(entry, f"{path}.{ports}[{i}]", problems)
        ),
    )


def _peer(value: object, path: str, direction: str, problems: Problems) -> ClusterPeer:
    fields = problems.mapping(value, path)
    known = {"namespaces", "pods"} | ({"nodes", "networks", "domainNames"} if direction == "egress" else set())
    problems.unknown(path, fields, frozenset(known))
    if len(fields) != 1:
        problems.invalid(path, sorted(map(str, fields)), "must have exactly one kind of peer")
    if "networks" in fields:
        listed = enumerate(problems.sequence(fields["networks"], f"{path}.networks"))
        found = (_network(entry, f"{path}.networks[{i}]", problems) for i, entry in listed)
        return ClusterPeer(networks=tuple(network for network in found if network is not None))
    if "nodes" in fields:
        return ClusterPeer(nodes=read_selector(fields["nodes"], f"{path}.nodes", problems))
    if "domainNames" in fields:
        listed = enumerate(problems.sequence(fields["domainNames"], f"{path}.domainNames"))
        return ClusterPeer(domains=tuple(problems.text(entry, f"{path}.domainNames[{i}]") for i, entry in listed))
    return ClusterPeer(pods=_pods(fields, path, problems))


def _network(value: object, path: str, problems: Problems) -> Network | None:
    try:
        return ip_network(value if isinstance(value, str) and "/" in value else "", strict=False)
    except ValueError:
        problems.invalid(path, value, "Invalid CIDR format provided")
        return None


def _protocol(value: object, path: str, problems: Problems) -> Iterator[ClusterPort]:
    """One entry of `protocols`: `{tcp: {destinationPort: …}}`, or `{destinationNamedPort: …}`."""
    fields = problems.mapping(value, path)
    problems.unknown(path, fields, frozenset({"tcp", "udp", "sctp", "destinationNamedPort"}))
    if len(fields) != 1:
        problems.invalid(path, sorted(map(str, fields)), "must have exactly one protocol")
    if "destinationNamedPort" in fields:
        yield ClusterPort(name=problems.text(fields["destinationNamedPort"], f"{path}.destinationNamedPort"))
    for key in ("tcp", "udp", "sctp"):
        if key in fields:
            inner = problems.mapping(fields[key], f"{path}.{key}")
            problems.unknown(f"{path}.{key}", inner, frozenset({"destinationPort"}))
            yield _numbers(inner.get("destinationPort"), key.upper(), f"{path}.{key}.destinationPort", problems)


def _numbers(value: object, protocol: str, path: str, problems: Problems) -> ClusterPort:
    if value is None:
        return ClusterPort(protocol)
    fields = problems.mapping(value, path)
    problems.unknown(path, fields, frozenset({"number", "range"}))
    if len(fields) != 1:
        problems.invalid(path, sorted(map(str, fields)), "must have exactly one of number and range")
    if "range" in fields:
        return _range(fields["range"], protocol, f"{path}.range", problems)
    number = problems.port(fields.get("number"), f"{path}.number")
    return ClusterPort(protocol, number, number)


def _range(value: object, protocol: str, path: str, problems: Problems) -> ClusterPort:
    fields = problems.mapping(value, path)
    low, high = (problems.port(fields.get(end), f"{path}.{end}") for end in ("start", "end"))
    if low and high and low >= high:
        problems.invalid(path, dict(fields), "Start port must be less than End port")
    return ClusterPort(protocol, low, high)


def _port(value: object, path: str, problems: Problems) -> Iterator[ClusterPort]:
    """One entry of `ports` of the superseded kinds."""
    fields = problems.mapping(value, path)
    problems.unknown(path, fields, frozenset({"portNumber", "portRange", "namedPort"}))
    if len(fields) != 1:
        problems.invalid(path, sorted(map(str, fields)), "must have exactly one kind of port")
    if "namedPort" in fields:
        yield ClusterPort(name=problems.text(fields["namedPort"], f"{path}.namedPort"))
    if "portNumber" in fields:
        inner = problems.mapping(fields["portNumber"], f"{path}.portNumber")
        number = problems.port(inner.get("port"), f"{path}.portNumber.port")
        yield ClusterPort(problems.protocol(inner.get("protocol"), f"{path}.portNumber.protocol"), number, number)
    if "portRange" in fields:
        inner = problems.mapping(fields["portRange"], f"{path}.portRange")
        protocol = problems.protocol(inner.get("protocol"), f"{path}.portRange.protocol")
        yield _range(inner, protocol, f"{path}.portRange", problems)
