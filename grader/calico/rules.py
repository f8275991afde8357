"""One rule of Calico's policies from JSON to the model, with what the API refuses (libcalico-go `validator/v3`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grader.calico.fields import (
    WITH_PORTS,
    read_accounts,
    read_expression,
    read_icmp,
    read_nets,
    read_ports,
    read_protocol,
)
from grader.calico.model import CalicoRule, Entity, ServiceMatch
from grader.calico.selectors import Everything, uses_global

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.kube.fields import Problems

ACTIONS = ("Allow", "Deny", "Log", "Pass")
_RULE = frozenset(
    {"action", "ipVersion", "protocol", "icmp", "notProtocol", "notICMP", "source", "destination", "http", "metadata"}
)
_ENTITY = frozenset(
    {"nets", "selector", "namespaceSelector", "services", "ports", "notNets", "notSelector", "notPorts"}
    | {"serviceAccounts"}
)
_HTTP = frozenset({"methods", "paths"})


def read_rules(
    spec: Mapping[str, Any], direction: str, problems: Problems, *, namespaced: bool
) -> tuple[CalicoRule, ...]:
    """Return the rules of `ingress` or `egress`."""
    listed = enumerate(problems.sequence(spec.get(direction), f"spec.{direction}"))
    return tuple(_read_rule(entry, f"spec.{direction}[{i}]", direction, problems, namespaced) for i, entry in listed)


def _read_rule(value: object, path: str, direction: str, problems: Problems, namespaced: bool) -> CalicoRule:
    fields = problems.mapping(value, path)
    problems.unknown(path, fields, _RULE)
    action = problems.text(fields.get("action"), f"{path}.action")
    if action not in ACTIONS:
        problems.unsupported(f"{path}.action", action, ACTIONS)
    version = fields.get("ipVersion")
    if version not in (None, 4, 6):
        problems.unsupported(f"{path}.ipVersion", version, ("4", "6"))
        version = None
    rule = CalicoRule(
        action=action,
        source=_read_entity(fields.get("source"), f"{path}.source", problems, namespaced),
        destination=_read_entity(fields.get("destination"), f"{path}.destination", problems, namespaced),
        protocol=read_protocol(fields.get("protocol"), f"{path}.protocol", problems),
        not_protocol=read_protocol(fields.get("notProtocol"), f"{path}.notProtocol", problems),
        icmp=read_icmp(fields.get("icmp"), f"{path}.icmp", problems),
        not_icmp=read_icmp(fields.get("notICMP"), f"{path}.notICMP", problems),
        ip_version=version or 0,
        http=_read_http(fields.get("http"), f"{path}.http", problems),
    )
    _check(rule, path, direction, problems)
    return rule


def _read_entity(value: object, path: str, problems: Problems, namespaced: bool) -> Entity:
    fields = problems.mapping(value, path)
    problems.unknown(path, fields, _ENTITY)
    entity = Entity(
        nets=read_nets(fields.get("nets"), f"{path}.nets", problems),
        not_nets=read_nets(fields.get("notNets"), f"{path}.notNets", problems),
        selector=read_expression(fields.get("selector"), f"{path}.selector", problems),
        not_selector=read_expression(fields.get("notSelector"), f"{path}.notSelector", problems),
        namespace_selector=read_expression(fields.get("namespaceSelector"), f"{path}.namespaceSelector", problems),
        accounts=read_accounts(fields.get("serviceAccounts"), f"{path}.serviceAccounts", problems),
        service=_read_service(fields.get("services"), f"{path}.services", problems, namespaced),
        ports=read_ports(fields.get("ports"), f"{path}.ports", problems),
        not_ports=read_ports(fields.get("notPorts"), f"{path}.notPorts", problems),
    )
    for name, selector in (("selector", entity.selector), ("notSelector", entity.not_selector)):
        if selector is not None and uses_global(selector):
            problems.forbidden(f"{path}.{name}", "global() can only be used in a rule's namespaceSelector")
    spaces = entity.namespace_selector
    if spaces is not None and uses_global(spaces) and not isinstance(spaces, Everything) and not problems.lenient:
        problems.forbidden(f"{path}.namespaceSelector", "global() must stand alone")
    if entity.service is not None:
        # A sender's ports are not the Service's, and may be given beside it; what is empty says nothing.
        beside = {"services", "ports", "notPorts"} if path.endswith(".source") else {"services"}
        others = sorted(str(key) for key, given in fields.items() if key not in beside and given not in (None, "", []))
        if others:
            problems.forbidden(path, f"cannot specify {', '.join(others)} and services on the same side of a rule")
    return entity


def _read_service(value: object, path: str, problems: Problems, namespaced: bool) -> ServiceMatch | None:
    if value is None:
        return None
    fields = problems.mapping(value, path)
    problems.unknown(path, fields, frozenset({"name", "namespace"}))
    service = ServiceMatch(
        problems.text(fields.get("name"), f"{path}.name"), problems.text(fields.get("namespace"), f"{path}.namespace")
    )
    if not service.name:
        problems.required(f"{path}.name", "must specify a service name")
    if not service.namespace and not namespaced:
        problems.required(f"{path}.namespace", "must specify a namespace")
    return service


def _read_http(value: object, path: str, problems: Problems) -> str:
    """Return an HTTP match in words: methods, then paths."""
    if value is None:
        return ""
    fields = problems.mapping(value, path)
    problems.unknown(path, fields, _HTTP)
    methods = [
        problems.text(entry, f"{path}.methods[{i}]")
        for i, entry in enumerate(problems.sequence(fields.get("methods"), f"{path}.methods"))
    ]
    paths = []
    for i, entry in enumerate(problems.sequence(fields.get("paths"), f"{path}.paths")):
        match = problems.mapping(entry, f"{path}.paths[{i}]")
        problems.unknown(f"{path}.paths[{i}]", match, frozenset({"exact", "prefix"}))
        if len(match) != 1:
            problems.invalid(f"{path}.paths[{i}]", dict(match), "must have exactly one of exact and prefix")
        for kind, text in match.items():
            paths.append(problems.text(text, f"{path}.paths[{i}].{kind}") + ("*" if kind == "prefix" else ""))
    words = " ".join(part for part in (" or ".join(methods), " or ".join(paths)) if part)
    return f"HTTP {words}" if words else ""


def _check(rule: CalicoRule, path: str, direction: str, problems: Problems) -> None:
    """Note what does not go together."""
    versions: dict[int, str] = {rule.ip_version: f"ipVersion {rule.ip_version}"} if rule.ip_version else {}
    for name, side in (("source", rule.source), ("destination", rule.destination)):
        _check_ports(rule, side, path, problems)
        if side.service is not None and name != ("source" if direction == "ingress" else "destination"):
            problems.forbidden(f"{path}.{name}.services", f"not allowed in {direction} rule {name}")
        for net in (*side.nets, *side.not_nets):
            versions.setdefault(net.version, str(net))
    if len(versions) > 1:
        problems.invalid(path, " and ".join(versions.values()), "rule mixes IPv4 and IPv6")
    _check_icmp(rule, path, problems)
    if rule.http:
        if direction != "ingress" or rule.action != "Allow":
            problems.forbidden(f"{path}.http", "only ingress rules that allow may match HTTP")
        if rule.protocol not in ("", "TCP"):
            problems.invalid(f"{path}.protocol", rule.protocol, "rules with an HTTP match must have protocol TCP")


def _check_icmp(rule: CalicoRule, path: str, problems: Problems) -> None:
    if (rule.icmp or rule.not_icmp) and rule.protocol not in ("ICMP", "ICMPv6"):
        problems.invalid(
            f"{path}.protocol", rule.protocol or None, "must be ICMP or ICMPv6 where icmp or notICMP is given"
        )
    for name, version in (("ICMP", 4), ("ICMPv6", 6)):
        if name in (rule.protocol, rule.not_protocol) and rule.ip_version not in (0, version) and not problems.lenient:
            problems.invalid(f"{path}.ipVersion", rule.ip_version, f"must be {version} with protocol {name}")


def _check_ports(rule: CalicoRule, side: Entity, path: str, problems: Problems) -> None:
    """Ports need a protocol, names too (libcalico-go `validator/v3` and, for what is stored, `validator/v1`).

    Felix alone would take a name without one for TCP (`calc/rule_scanner.go`): so it is meant where it was let in.
    """
    ports = (*side.ports, *side.not_ports)
    named_alone = problems.lenient and not rule.protocol
    needing = [port for port in ports if not port.name] if named_alone else ports
    if needing and rule.protocol not in WITH_PORTS:
        problems.invalid(
            f"{path}.protocol", rule.protocol or None, "rules that specify ports must set protocol to TCP, UDP or SCTP"
        )
