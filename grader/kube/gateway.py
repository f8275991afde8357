"""Gateways, routes and reference grants from JSON to the model.

Defaults and enumerations are those of the API types of gateway.networking.k8s.io/v1 (`apis/v1/*_types.go`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grader.kube.fields import is_number
from grader.kube.http_model import (
    GATEWAY_GROUP,
    Backend,
    Gateway,
    GatewayClass,
    Listener,
    ParentRef,
    ReferenceGrant,
    Route,
    RouteRule,
)
from grader.kube.ingress import read_host
from grader.kube.model import LabelSelector
from grader.kube.pods import read_address
from grader.kube.route_matches import read_filters, read_grpc_match, read_http_match
from grader.kube.selectors import read_selector

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.kube.fields import Problems
    from grader.kube.model import Origin

_FROM = ("All", "None", "Same", "Selector")


def read_gateway_class(fields: Mapping[str, Any], name: str, problems: Problems) -> GatewayClass:
    """Return the class with its controller."""
    spec = problems.mapping(fields.get("spec"), "spec")
    return GatewayClass(name, problems.text(spec.get("controllerName"), "spec.controllerName"))


def read_gateway(fields: Mapping[str, Any], namespace: str, name: str, origin: Origin, problems: Problems) -> Gateway:
    """Return the Gateway with its listeners."""
    metadata = problems.mapping(fields.get("metadata"), "metadata")
    spec = problems.mapping(fields.get("spec"), "spec")
    status = problems.mapping(fields.get("status"), "status")
    addresses = []
    for index, value in enumerate(problems.sequence(status.get("addresses"), "status.addresses")):
        entry = problems.mapping(value, f"status.addresses[{index}]")
        if entry.get("type", "IPAddress") == "IPAddress":
            addresses.append(read_address(entry.get("value"), f"status.addresses[{index}].value", problems))
    listeners = problems.sequence(spec.get("listeners"), "spec.listeners")
    if not listeners:
        problems.required("spec.listeners", "a Gateway has at least one listener")
    return Gateway(
        namespace=namespace,
        name=name,
        class_name=problems.text(spec.get("gatewayClassName"), "spec.gatewayClassName"),
        listeners=tuple(_listener(each, f"spec.listeners[{i}]", problems) for i, each in enumerate(listeners)),
        addresses=tuple(address for address in addresses if address is not None),
        labels=problems.labels(metadata.get("labels"), "metadata.labels"),
        origin=origin,
    )


def _listener(value: object, path: str, problems: Problems) -> Listener:
    fields = problems.mapping(value, path)
    routes = problems.mapping(fields.get("allowedRoutes"), f"{path}.allowedRoutes")
    namespaces = problems.mapping(routes.get("namespaces"), f"{path}.allowedRoutes.namespaces")
    allowed = problems.text(namespaces.get("from"), f"{path}.allowedRoutes.namespaces.from") or "Same"
    if allowed not in _FROM:
        problems.unsupported(f"{path}.allowedRoutes.namespaces.from", allowed, _FROM)
    selector = LabelSelector()
    if allowed == "Selector":
        selector = read_selector(namespaces.get("selector"), f"{path}.allowedRoutes.namespaces.selector", problems)
    kinds = problems.sequence(routes.get("kinds"), f"{path}.allowedRoutes.kinds")
    return Listener(
        name=problems.name(fields.get("name"), f"{path}.name"),
        port=problems.port(fields.get("port"), f"{path}.port"),
        protocol=problems.text(fields.get("protocol"), f"{path}.protocol"),
        hostname=read_host(fields.get("hostname"), f"{path}.hostname", problems),
        allowed=allowed,
        selector=selector,
        kinds=tuple(
            problems.text(problems.mapping(each, f"{path}.allowedRoutes.kinds[{i}]").get("kind"), f"{path}.kind")
            for i, each in enumerate(kinds)
        ),
    )


def read_route(
    kind: str, fields: Mapping[str, Any], namespace: str, name: str, origin: Origin, problems: Problems
) -> Route:
    """Return an HTTPRoute or a GRPCRoute; without rules it has one, which matches everything and has no backend."""
    metadata = problems.mapping(fields.get("metadata"), "metadata")
    spec = problems.mapping(fields.get("spec"), "spec")
    hosts = problems.sequence(spec.get("hostnames"), "spec.hostnames")
    parents = problems.sequence(spec.get("parentRefs"), "spec.parentRefs")
    rules = problems.sequence(spec.get("rules"), "spec.rules")
    created = metadata.get("creationTimestamp")
    return Route(
        kind=kind,
        namespace=namespace,
        name=name,
        parents=tuple(_parent(each, f"spec.parentRefs[{i}]", namespace, problems) for i, each in enumerate(parents)),
        hostnames=tuple(read_host(each, f"spec.hostnames[{i}]", problems) for i, each in enumerate(hosts)),
        rules=tuple(_rule(kind, each, f"spec.rules[{i}]", problems) for i, each in enumerate(rules)) or (RouteRule(),),
        created="" if created is None else str(created),
        origin=origin,
    )


def _parent(value: object, path: str, namespace: str, problems: Problems) -> ParentRef:
    fields = problems.mapping(value, path)
    port = fields.get("port")
    return ParentRef(
        namespace=problems.text(fields.get("namespace"), f"{path}.namespace") or namespace,
        name=problems.name(fields.get("name"), f"{path}.name"),
        kind=problems.text(fields.get("kind"), f"{path}.kind") or "Gateway",
        section=problems.text(fields.get("sectionName"), f"{path}.sectionName"),
        port=problems.port(port, f"{path}.port") if port is not None else 0,
    )


def _rule(kind: str, value: object, path: str, problems: Problems) -> RouteRule:
    fields = problems.mapping(value, path)
    matches = problems.sequence(fields.get("matches"), f"{path}.matches")
    read_match = read_http_match if kind == "HTTPRoute" else read_grpc_match
    filters, answered = read_filters(fields.get("filters"), f"{path}.filters", problems)
    found = tuple(read_match(each, f"{path}.matches[{i}]", problems) for i, each in enumerate(matches))
    listed = problems.sequence(fields.get("backendRefs"), f"{path}.backendRefs")
    backends = tuple(_backend(each, f"{path}.backendRefs[{i}]", problems) for i, each in enumerate(listed))
    return RouteRule(found or RouteRule().matches, backends, filters, answered)


def _backend(value: object, path: str, problems: Problems) -> Backend:
    fields = problems.mapping(value, path)
    weight, port = fields.get("weight"), fields.get("port")
    kind = problems.text(fields.get("kind"), f"{path}.kind") or "Service"
    if kind == "Service" and port is None:
        problems.required(f"{path}.port", "must have port for Service reference")
    return Backend(
        name=problems.name(fields.get("name"), f"{path}.name"),
        port=problems.port(port, f"{path}.port") if port is not None else 0,
        namespace=problems.text(fields.get("namespace"), f"{path}.namespace"),
        kind=kind if not fields.get("group") else f"{kind}.{fields['group']}",
        weight=weight if is_number(weight) else problems.count(weight, f"{path}.weight", 1),
    )


def read_grant(fields: Mapping[str, Any], namespace: str, name: str, problems: Problems) -> ReferenceGrant:
    """Return the grant."""
    spec = problems.mapping(fields.get("spec"), "spec")
    sources, targets = [], []
    for index, value in enumerate(problems.sequence(spec.get("from"), "spec.from")):
        path = f"spec.from[{index}]"
        entry = problems.mapping(value, path)
        texts = (problems.text(entry.get(each), f"{path}.{each}") for each in ("group", "kind", "namespace"))
        group, kind, source = texts
        sources.append((group or GATEWAY_GROUP, kind, source) if "group" not in entry else (group, kind, source))
    for index, value in enumerate(problems.sequence(spec.get("to"), "spec.to")):
        path = f"spec.to[{index}]"
        entry = problems.mapping(value, path)
        group, kind, target = (problems.text(entry.get(each), f"{path}.{each}") for each in ("group", "kind", "name"))
        targets.append((group, kind, target))
    return ReferenceGrant(namespace, name, tuple(sources), tuple(targets))
