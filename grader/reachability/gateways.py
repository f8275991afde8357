"""What Gateways and their routes make of a request.

The listener whose hostname says most takes it. Of the routes attached to that listener, the rules for the hostname that
says most come first; then Exact paths, the longest prefix, a method, the most headers, the most query parameters; then
the oldest route, its name, and the order of its rules. Source: `gateway.networking.k8s.io/v1` API types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.kube.http_model import GATEWAY_GROUP
from grader.reachability.ingresses import service_send
from grader.reachability.leads import Lead, Send
from grader.reachability.requests import overlap, path_fit, specific, suffix_fits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from grader.kube.http_model import Backend, Gateway, Listener, ParentRef, Route, RouteMatch, RouteRule
    from grader.kube.model import Objects
    from grader.reachability.endpoints import Endpoints
    from grader.reachability.leads import Proxy
    from grader.reachability.proxies import Proxies
    from grader.reachability.requests import Fit, Request

_SCHEMES = {"http": ("HTTP",), "https": ("HTTPS",)}
_LAST = "9999"
"""After every timestamp: a route that was not created yet is the youngest."""


def gateway_leads(
    objects: Objects, endpoints: Endpoints, proxies: Proxies, request: Request
) -> Iterator[tuple[Lead, ...]]:
    """Yield for each Gateway the ways of a request, in the order in which they are asked."""
    labels = {each.name: each.labels for each in objects.namespaces}
    for gateway in objects.gateways:
        taking = [
            each
            for each in gateway.listeners
            if each.port == request.port
            and each.protocol in _SCHEMES[request.scheme]
            and suffix_fits(each.hostname, request.host)
        ]
        if not taking:
            continue
        listener = max(taking, key=lambda each: specific(each.hostname))
        proxy = proxies.of_gateway(gateway)
        found = tuple(_of_listener(objects, endpoints, proxy, (gateway, listener), request, labels))
        if found:
            yield found


def _of_listener(
    objects: Objects,
    endpoints: Endpoints,
    proxy: Proxy,
    at: tuple[Gateway, Listener],
    request: Request,
    labels: Mapping[str, Mapping[str, str]],
) -> Iterator[Lead]:
    gateway, listener = at
    ranked: list[tuple[tuple[object, ...], str, Route, int, RouteRule, RouteMatch, Fit]] = []
    hosts: set[str] = set()
    for route in objects.routes:
        if not attaches(route, gateway, listener, labels):
            continue
        for host in _hosts(route, listener, request):
            hosts.add(host)
            for number, rule in enumerate(route.rules, start=1):
                for match in rule.matches:
                    fit = path_fit(match.path, request.path)
                    if fit is not None:
                        ranked.append((_order(host, route, match, fit), host, route, number, rule, match, fit))
    most = max(map(specific, hosts), default=None)
    for _, host, route, number, rule, match, fit in sorted(ranked, key=lambda each: each[0]):
        fallen = ""
        if specific(host) != most:
            fallen = f"asked for {host or 'every host'} although a narrower hostname has rules (implementation-defined)"
        condition = " and ".join(part for part in (fit.condition, match.condition, fallen) if part)
        yield _lead(objects, endpoints, proxy, at, (route, number, rule, match, host), condition)
        if not condition:
            return


def attaches(route: Route, gateway: Gateway, listener: Listener, labels: Mapping[str, Mapping[str, str]]) -> bool:
    """Tell whether a route names a listener, and the listener takes it."""
    if not any(_names(parent, gateway, listener) for parent in route.parents):
        return False
    if listener.kinds and route.kind not in listener.kinds:
        return False
    if listener.allowed == "Selector":
        return listener.selector.matches(labels[route.namespace])
    return listener.allowed == "All" or (listener.allowed == "Same" and route.namespace == gateway.namespace)


def _names(parent: ParentRef, gateway: Gateway, listener: Listener) -> bool:
    return (
        (parent.kind, parent.namespace, parent.name) == ("Gateway", gateway.namespace, gateway.name)
        and parent.section in ("", listener.name)
        and parent.port in (0, listener.port)
    )


def _hosts(route: Route, listener: Listener, request: Request) -> list[str]:
    """The route's hostnames that mean the request at this listener; the listener's own where it has none."""
    if not route.hostnames:
        return [listener.hostname]
    return [
        host
        for host in route.hostnames
        if overlap(listener.hostname, host) is not None and suffix_fits(host, request.host)
    ]


def _order(host: str, route: Route, match: RouteMatch, fit: Fit) -> tuple[object, ...]:
    """What comes before what; rules of one route, and matches of one rule, are in their order already."""
    exact, length = specific(host)
    method, headers, queries = match.weights
    return (
        # What a regular expression means, and before what, the implementation decides.
        not fit.condition,
        not exact,
        -length,
        not fit.exact,
        -fit.length,
        -method,
        -headers,
        -queries,
        route.created or _LAST,
        route.namespace,
        route.name,
    )


def _lead(
    objects: Objects,
    endpoints: Endpoints,
    proxy: Proxy,
    at: tuple[Gateway, Listener],
    what: tuple[Route, int, RouteRule, RouteMatch, str],
    condition: str,
) -> Lead:
    route, number, rule, match, host = what
    gateway, listener = at
    place = f" [{route.origin.file}:{route.origin.line}]" if route.origin.file else ""
    words = f"host {host or '*'}, path {match.path.path} ({match.path.kind})"
    weights = sum(each.weight for each in rule.backends)
    notes = [f"listener {listener.name} of Gateway {gateway.namespace}/{gateway.name}", *rule.filters]
    used = [each for each in rule.backends if each.weight]
    if len(used) > 1:
        shares = ", ".join(f"{each.name} {each.weight} of {weights}" for each in used)
        notes.append(f"weights: {shares}")
    return Lead(
        proxy,
        f"{route.ref} rule {number}, {words}{place}",
        condition,
        tuple(_send(objects, endpoints, route, each) for each in used),
        tuple(notes),
        rule.answered,
    )


def _send(objects: Objects, endpoints: Endpoints, route: Route, backend: Backend) -> Send:
    namespace = backend.namespace or route.namespace
    if backend.kind != "Service":
        words = f"{backend.kind} {namespace}/{backend.name}"
        return Send(words, problem=f"{words} is no Service: the implementation decides where it leads")
    if namespace != route.namespace and not granted(objects, route, namespace, backend.name):
        words = f"Service {namespace}/{backend.name}"
        return Send(
            words,
            problem=f"no ReferenceGrant of namespace {namespace} lets {route.kind}s of {route.namespace} refer to it",
        )
    return service_send(endpoints, namespace, backend)


def granted(objects: Objects, route: Route, namespace: str, name: str) -> bool:
    """Tell whether a namespace lets a route of another one refer to its Service."""
    return any(
        (GATEWAY_GROUP, route.kind, route.namespace) in grant.sources
        and any((group, kind) == ("", "Service") and target in ("", name) for group, kind, target in grant.targets)
        for grant in objects.grants
        if grant.namespace == namespace
    )
