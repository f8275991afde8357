"""Ingresses and their classes from JSON to the model. Validation follows `pkg/apis/networking/validation`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grader.kube.fields import valid_name
from grader.kube.http_model import Backend, Ingress, IngressClass, IngressPath, IngressRule, PathMatch
from grader.kube.pods import read_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from grader.kube.fields import Problems
    from grader.kube.model import Address, Origin

PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_CLASS = "kubernetes.io/ingress.class"
_DEFAULT = "ingressclass.kubernetes.io/is-default-class"


def read_ingress(fields: Mapping[str, Any], namespace: str, name: str, origin: Origin, problems: Problems) -> Ingress:
    """Return the Ingress; the annotation that named its class before there were classes counts too."""
    spec = problems.mapping(fields.get("spec"), "spec")
    metadata = problems.mapping(fields.get("metadata"), "metadata")
    annotations = problems.mapping(metadata.get("annotations"), "metadata.annotations")
    default = spec.get("defaultBackend")
    rules = problems.sequence(spec.get("rules"), "spec.rules")
    if default is None and not rules:
        problems.invalid("spec", dict(spec), "either `defaultBackend` or `rules` must be specified")
    return Ingress(
        namespace=namespace,
        name=name,
        class_name=problems.text(spec.get("ingressClassName"), "spec.ingressClassName")
        or str(annotations.get(_CLASS) or ""),
        default=_backend(default, "spec.defaultBackend", problems) if default is not None else None,
        rules=tuple(_rule(rule, f"spec.rules[{index}]", problems) for index, rule in enumerate(rules)),
        tls=bool(problems.sequence(spec.get("tls"), "spec.tls")),
        addresses=tuple(balancer_addresses(fields, problems)),
        origin=origin,
    )


def read_ingress_class(fields: Mapping[str, Any], name: str, problems: Problems) -> IngressClass:
    """Return the class with its controller."""
    spec = problems.mapping(fields.get("spec"), "spec")
    metadata = problems.mapping(fields.get("metadata"), "metadata")
    annotations = problems.mapping(metadata.get("annotations"), "metadata.annotations")
    controller = problems.text(spec.get("controller"), "spec.controller")
    return IngressClass(name, controller, str(annotations.get(_DEFAULT)) == "true")


def balancer_addresses(fields: Mapping[str, Any], problems: Problems) -> Iterator[Address]:
    """Yield the addresses of `status.loadBalancer`."""
    path = "status.loadBalancer"
    status = problems.mapping(fields.get("status"), "status")
    balancer = problems.mapping(status.get("loadBalancer"), path)
    for index, value in enumerate(problems.sequence(balancer.get("ingress"), f"{path}.ingress")):
        place = f"{path}.ingress[{index}]"
        address = read_address(problems.mapping(value, place).get("ip"), f"{place}.ip", problems)
        if address is not None:
            yield address


def read_host(value: object, path: str, problems: Problems) -> str:
    """Return a host's name in small letters, exact or `*.suffix`; empty for none."""
    host = problems.text(value, path).lower()
    bare = host.removeprefix("*.")
    if host and not valid_name(bare):
        problems.invalid(path, host, "must be a DNS name, or *. and one")
    return host


def _rule(value: object, path: str, problems: Problems) -> IngressRule:
    fields = problems.mapping(value, path)
    http = problems.mapping(fields.get("http"), f"{path}.http")
    listed = problems.sequence(http.get("paths"), f"{path}.http.paths")
    if "http" in fields and not listed:
        problems.required(f"{path}.http.paths")
    host = read_host(fields.get("host"), f"{path}.host", problems)
    return IngressRule(host, tuple(_path(each, f"{path}.http.paths[{i}]", problems) for i, each in enumerate(listed)))


def _path(value: object, path: str, problems: Problems) -> IngressPath:
    fields = problems.mapping(value, path)
    kind = problems.text(fields.get("pathType"), f"{path}.pathType")
    if not kind:
        problems.required(f"{path}.pathType", "pathType must be specified")
    elif kind not in PATH_TYPES:
        problems.unsupported(f"{path}.pathType", kind, PATH_TYPES)
    text = problems.text(fields.get("path"), f"{path}.path")
    needed = kind in ("Exact", "Prefix") or bool(text)
    if needed and not text.startswith("/"):
        problems.invalid(f"{path}.path", text, "must be an absolute path")
    return IngressPath(PathMatch(kind, text or "/"), _backend(fields.get("backend"), f"{path}.backend", problems))


def _backend(value: object, path: str, problems: Problems) -> Backend:
    fields = problems.mapping(value, path)
    if fields.get("resource") is not None:
        if fields.get("service") is not None:
            problems.invalid(path, "", "cannot set both resource and service backends")
        resource = problems.mapping(fields["resource"], f"{path}.resource")
        kind = problems.text(resource.get("kind"), f"{path}.resource.kind")
        return Backend(problems.name(resource.get("name"), f"{path}.resource.name"), kind=kind or "resource")
    service = problems.mapping(fields.get("service"), f"{path}.service")
    if not service:
        problems.required(f"{path}.service", "a backend is a service or a resource")
        return Backend("")
    port = problems.mapping(service.get("port"), f"{path}.service.port")
    name = problems.name(service.get("name"), f"{path}.service.name")
    if port.get("name"):
        if port.get("number"):
            problems.invalid(f"{path}.service.port", dict(port), "cannot set both port name & port number")
        return Backend(name, problems.text(port["name"], f"{path}.service.port.name"))
    if port.get("number") is None:
        problems.required(f"{path}.service.port", "port name or number is required")
        return Backend(name)
    return Backend(name, problems.port(port["number"], f"{path}.service.port.number"))
