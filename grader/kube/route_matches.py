"""What a rule of a route asks of a request, and what its filters do with it; what no address shows is kept in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grader.kube.http_model import PathMatch, RouteMatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.kube.fields import Problems

_PATHS = {"Exact": "Exact", "PathPrefix": "Prefix", "RegularExpression": "RegularExpression"}
_ANSWERS = {"RequestRedirect": "a redirect"}
"""Filters with which the gateway answers itself."""
_FILTERS = {
    "RequestHeaderModifier": "request headers are changed",
    "ResponseHeaderModifier": "response headers are changed",
    "RequestMirror": "a copy of the request is sent elsewhere",
    "URLRewrite": "host or path are rewritten",
    "CORS": "cross-origin requests are checked",
    "ExternalAuth": "an external service must allow it",
    "ExtensionRef": "an extension of the implementation decides too",
}


def read_http_match(value: object, path: str, problems: Problems) -> RouteMatch:
    """Return one match of an HTTPRoute."""
    fields = problems.mapping(value, path)
    place = problems.mapping(fields.get("path"), f"{path}.path")
    kind = problems.text(place.get("type"), f"{path}.path.type") or "PathPrefix"
    if kind not in _PATHS:
        problems.unsupported(f"{path}.path.type", kind, sorted(_PATHS))
    text = problems.text(place.get("value"), f"{path}.path.value") or "/"
    if kind in ("Exact", "PathPrefix") and not text.startswith("/"):
        problems.invalid(f"{path}.path.value", text, "value must be an absolute path and start with '/'")
    method = problems.text(fields.get("method"), f"{path}.method")
    headers = _pairs(fields.get("headers"), f"{path}.headers", "header", problems)
    queries = _pairs(fields.get("queryParams"), f"{path}.queryParams", "query parameter", problems)
    return RouteMatch(
        PathMatch(_PATHS.get(kind, kind), text),
        " with ".join(part for part in (method, " and ".join((*headers, *queries))) if part),
        (int(bool(method)), len(headers), len(queries)),
    )


def read_grpc_match(value: object, path: str, problems: Problems) -> RouteMatch:
    """Return one match of a GRPCRoute: a method is the path `/service/method` of a request."""
    fields = problems.mapping(value, path)
    method = problems.mapping(fields.get("method"), f"{path}.method")
    kind = problems.text(method.get("type"), f"{path}.method.type") or "Exact"
    if kind not in ("Exact", "RegularExpression"):
        problems.unsupported(f"{path}.method.type", kind, ("Exact", "RegularExpression"))
    service = problems.text(method.get("service"), f"{path}.method.service")
    name = problems.text(method.get("method"), f"{path}.method.method")
    headers = _pairs(fields.get("headers"), f"{path}.headers", "header", problems)
    place = PathMatch()
    if method and kind == "RegularExpression":
        place = PathMatch(kind, f"/{service or '.+'}/{name or '.+'}")
    elif service:
        place = PathMatch("Exact", f"/{service}/{name}") if name else PathMatch("Prefix", f"/{service}")
    elif name:
        place = PathMatch("RegularExpression", f"/.+/{name}")
    return RouteMatch(place, " and ".join(headers), (0, len(headers), 0))


def read_filters(value: object, path: str, problems: Problems) -> tuple[tuple[str, ...], str]:
    """Return what filters do, in words, and with what the gateway answers itself; empty where it does not."""
    words: list[str] = []
    answered = ""
    for index, entry in enumerate(problems.sequence(value, path)):
        fields = problems.mapping(entry, f"{path}[{index}]")
        kind = problems.text(fields.get("type"), f"{path}[{index}].type")
        if not kind:
            problems.required(f"{path}[{index}].type")
        if kind in _ANSWERS:
            answered = f"{_ANSWERS[kind]}{_target(fields)}"
        else:
            words.append(f"{kind}: {_FILTERS.get(kind, 'not known here')}")
    return tuple(words), answered


def _target(fields: Mapping[str, Any]) -> str:
    redirect = fields.get("requestRedirect")
    if not isinstance(redirect, dict):
        return ""
    parts = [str(redirect[key]) for key in ("scheme", "hostname") if redirect.get(key)]
    return f" to {' '.join(parts)}" if parts else ""


def _pairs(value: object, path: str, word: str, problems: Problems) -> tuple[str, ...]:
    found = []
    for index, entry in enumerate(problems.sequence(value, path)):
        fields = problems.mapping(entry, f"{path}[{index}]")
        name = problems.text(fields.get("name"), f"{path}[{index}].name")
        sign = "~" if fields.get("type") == "RegularExpression" else "="
        found.append(f"{word} {name}{sign}{problems.text(fields.get('value'), f'{path}[{index}].value')}")
    return tuple(found)
