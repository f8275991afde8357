"""networking.k8s.io/v1 NetworkPolicy from JSON to the model.

Rules and wording: Kubernetes `pkg/apis/networking/validation`, defaults `pkg/apis/networking/v1/defaults.go`.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from grader.kube.fields import BAD_PORT, is_number
from grader.kube.model import IPBlock, NetworkPolicy, Peer, PolicyPort, PolicyRule
from grader.kube.selectors import read_selector

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.kube.fields import Problems
    from grader.kube.model import Network, Origin

_SPEC = frozenset({"podSelector", "policyTypes", "ingress", "egress"})
_PEER = frozenset({"podSelector", "namespaceSelector", "ipBlock"})
_BLOCK = frozenset({"cidr", "except"})
_PORT = frozenset({"protocol", "port", "endPort"})
_BAD_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def read_policy(
    manifest: Mapping[str, Any], namespace: str, name: str, origin: Origin, problems: Problems
) -> NetworkPolicy:
    """Return the policy with `policyTypes` worked out: Ingress always, Egress when there are egress rules."""
    spec = problems.mapping(manifest.get("spec"), "spec")
    problems.unknown("spec", spec, _SPEC)
    ingress = tuple(
        _read_rule(rule, f"spec.ingress[{i}]", "from", problems) for i, rule in _entries(spec, "ingress", problems)
    )
    egress = tuple(
        _read_rule(rule, f"spec.egress[{i}]", "to", problems) for i, rule in _entries(spec, "egress", problems)
    )
    types = _read_types(spec.get("policyTypes"), problems)
    return NetworkPolicy(
        namespace=namespace,
        name=name,
        selector=read_selector(spec.get("podSelector"), "spec.podSelector", problems),
        ingress=ingress,
        egress=egress,
        isolates_ingress="Ingress" in types if types else True,
        isolates_egress="Egress" in types if types else bool(egress),
        origin=origin,
    )


def _entries(spec: Mapping[str, Any], field: str, problems: Problems) -> enumerate[Any]:
    return enumerate(problems.sequence(spec.get(field), f"spec.{field}"))


def _read_types(value: object, problems: Problems) -> tuple[str, ...]:
    types = tuple(problems.sequence(value, "spec.policyTypes"))
    if len(types) > 2:
        problems.invalid("spec.policyTypes", list(types), "may not specify more than two policyTypes")
    for index, entry in enumerate(types):
        if entry not in ("Ingress", "Egress"):
            problems.unsupported(f"spec.policyTypes[{index}]", entry, ("Ingress", "Egress"))
    return types


def _read_rule(value: object, path: str, side: str, problems: Problems) -> PolicyRule:
    fields = problems.mapping(value, path)
    problems.unknown(path, fields, frozenset({side, "ports"}))
    peers = problems.sequence(fields.get(side), f"{path}.{side}")
    ports = problems.sequence(fields.get("ports"), f"{path}.ports")
    return PolicyRule(
        tuple(_read_peer(peer, f"{path}.{side}[{index}]", problems) for index, peer in enumerate(peers)),
        tuple(_read_port(port, f"{path}.ports[{index}]", problems) for index, port in enumerate(ports)),
    )


def _read_peer(value: object, path: str, problems: Problems) -> Peer:
    """Read one peer. A selector that is written without a value (`podSelector:`) is taken for an empty one."""
    fields = problems.mapping(value, path)
    problems.unknown(path, fields, _PEER)
    pods = namespaces = block = None
    if "podSelector" in fields:
        pods = read_selector(fields["podSelector"], f"{path}.podSelector", problems)
    if "namespaceSelector" in fields:
        namespaces = read_selector(fields["namespaceSelector"], f"{path}.namespaceSelector", problems)
    if fields.get("ipBlock") is not None:
        block = _read_block(fields["ipBlock"], f"{path}.ipBlock", problems)
        if pods or namespaces:
            problems.forbidden(path, "may not specify both ipBlock and another peer")
    if not fields:
        problems.required(path, "must specify a peer")
    return Peer(pods, namespaces, block)


def _read_block(value: object, path: str, problems: Problems) -> IPBlock | None:
    fields = problems.mapping(value, path)
    problems.unknown(path, fields, _BLOCK)
    if not fields.get("cidr"):
        problems.required(f"{path}.cidr")
        return None
    cidr = _read_cidr(fields["cidr"], f"{path}.cidr", problems)
    excepted: list[Network] = []
    for index, entry in enumerate(problems.sequence(fields.get("except"), f"{path}.except")):
        network = _read_cidr(entry, f"{path}.except[{index}]", problems)
        if network is None or cidr is None:
            continue
        if not _inside(network, cidr):
            problems.invalid(f"{path}.except[{index}]", entry, "must be a strict subset of `cidr`")
        excepted.append(network)
    return IPBlock(cidr, tuple(excepted)) if cidr is not None else None


def _inside(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and inner.prefixlen > outer.prefixlen and inner.network_address in outer


def _read_cidr(value: object, path: str, problems: Problems) -> Network | None:
    """Read a range. Bits after the prefix are ignored, as the API server does (it only warns)."""
    text = value if isinstance(value, str) else ""
    _, slash, prefix = text.partition("/")
    try:
        if not (slash and prefix.isascii() and prefix.isdigit()):
            raise ValueError(text)  # noqa: TRY301 - one way out for every kind of bad range
        return ip_network(text, strict=False)
    except ValueError:
        problems.invalid(path, value, _BAD_CIDR)
        return None


def _read_port(value: object, path: str, problems: Problems) -> PolicyPort:
    fields = problems.mapping(value, path)
    problems.unknown(path, fields, _PORT)
    protocol = problems.protocol(fields.get("protocol"), f"{path}.protocol")
    port = fields.get("port")
    end = fields.get("endPort")
    if isinstance(port, str):
        port = problems.port_name(port, f"{path}.port")
    elif port is not None:
        port = problems.port(port, f"{path}.port")
    if end is not None:
        _check_end(end, port, f"{path}.endPort", problems)
    return PolicyPort(protocol, port, end)


def _check_end(end: object, port: int | str | None, path: str, problems: Problems) -> None:
    if port is None:
        problems.invalid(path, end, "may not be specified when `port` is not specified")
    elif isinstance(port, str):
        problems.invalid(path, end, "may not be specified when `port` is non-numeric")
    elif not is_number(end) or not 1 <= end <= 65535:
        problems.invalid(path, end, BAD_PORT)
    elif end < port:
        problems.invalid(path, end, "must be greater than or equal to `port`")
