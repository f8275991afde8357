"""Requests by host and path: which rule of which Ingress or route takes them, and what policies make of both hops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from content.errors import BrokenContentError, UsageError
from grader.kube.http_model import PathMatch
from grader.kube.parse import read_objects
from grader.reachability.matrix import Column
from grader.reachability.requests import one_label_fits, overlap, parse_request, path_fit, suffix_fits
from grader.reachability.verdict import Action, Flow
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

OUT = "host:outside"
SHOP = """
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {public: "yes"}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: edge}}
---
{apiVersion: v1, kind: Pod, metadata: {name: envoy, namespace: edge, labels:
  {app.kubernetes.io/name: ingress-nginx, app.kubernetes.io/component: controller, app: edge,
   gateway.networking.k8s.io/gateway-name: front}}}
---
{apiVersion: v1, kind: Service, metadata: {name: edge, namespace: edge}, spec: {type: LoadBalancer, selector:
  {app: edge}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}, {port: 443, targetPort: 8443}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: cart, namespace: shop, labels: {app: cart}}, spec:
  {containers: [{name: c, ports: [{containerPort: 9000, name: web}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: site, namespace: shop, labels: {app: site}}}
---
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {clusterIP: None, selector: {app: cart},
  ports: [{port: 80, name: http, targetPort: web}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: site, namespace: shop}, spec: {selector: {app: site},
  internalTrafficPolicy: Local, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: empty, namespace: shop}, spec: {selector: {app: none},
  ports: [{port: 80}]}}
"""
INGRESS = "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: %s, namespace: shop}, spec: %s}"
POLICY = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: %s, namespace: %s}, spec: %s}"
GATEWAY = (
    "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: front, namespace: edge}, "
    "spec: {gatewayClassName: any, listeners: [%s]}}"
)
ROUTE = (
    "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: %s, namespace: shop}, "
    "spec: {parentRefs: [{name: front, namespace: edge%s}], hostnames: [%s], rules: [%s]}}"
)
HTTP = "{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}"


def backend(name: str, port: str = "number: 80") -> str:
    return f"{{service: {{name: {name}, port: {{{port}}}}}}}"


def path(text: str, name: str, kind: str = "Prefix", port: str = "number: 80") -> str:
    return f"{{path: '{text}', pathType: {kind}, backend: {backend(name, port)}}}"


def ingress(name: str, host: str, *paths: str, more: str = "") -> str:
    hosts = f"host: '{host}', " if host else ""
    return INGRESS % (name, f"{{{more}rules: [{{{hosts}http: {{paths: [{', '.join(paths)}]}}}}]}}")


def rule(match: str, name: str = "cart", more: str = "") -> str:
    return f"{{matches: [{match}], backendRefs: [{{name: {name}, port: 80}}]{more}}}"


def route(name: str, hosts: str, *rules: str, parent: str = "") -> str:
    return ROUTE % (name, parent, hosts, ", ".join(rules))


@pytest.fixture(scope="session")
def world() -> Callable[..., World]:
    base = list(yaml.load_all(SHOP, yaml.CSafeLoader))
    return lambda *texts: World(read_objects([*base, *(yaml.load(text, yaml.CSafeLoader) for text in texts)]))


def ends(world: World, url: str, source: str = OUT) -> str:
    """The pod that a request ends at, a condition in brackets; or why it does not."""
    request = parse_request(url)
    verdict = world.verdict(Flow(source, str(request), request.port))
    if not verdict.allowed:
        return verdict.ingress.reason
    packet = world.packets(Flow(source, str(request), request.port))[-1]
    return f"{packet.destination.ref}:{packet.port}" + (f" ({verdict.condition})" if verdict.condition else "")


CART, SITE = "shop/cart:9000", "shop/site:80"
NOBODY = "nothing serves"
INGRESSES: dict[str, tuple[list[str], dict[str, str]]] = {
    "a prefix is read element by element": (
        [ingress("a", "x.example", path("/cart/", "cart"))],
        {"/cart": CART, "/cart/": CART, "/cart/1?a=b#c": CART, "/carton": NOBODY, "/": NOBODY},
    ),
    "exact comes before prefix, longer before shorter": (
        [
            ingress("a", "x.example", path("/", "site"), path("/a", "cart"), path("/a/b", "site")),
            ingress("b", "x.example", path("/a/b", "cart", "Exact")),
        ],
        {"/": SITE, "/a": CART, "/a/b": CART, "/a/b/": SITE, "/a/b/c": SITE},
    ),
    "the host that says most is asked alone": (
        [
            ingress("a", "x.example", path("/cart", "cart")),
            ingress("b", "*.example", path("/", "site")),
            ingress("c", "", path("/", "cart")),
        ],
        {
            "/cart": CART,
            "/": NOBODY,
            "http://y.example/": SITE,
            "http://z.y.example/": CART,
            "http://example/": CART,
        },
    ),
    "the default backend takes what is left": (
        [INGRESS % ("a", f"{{defaultBackend: {backend('site')}}}"), ingress("b", "x.example", path("/cart", "cart"))],
        {"/cart": CART, "/other": SITE, "http://y.example/cart": SITE},
    ),
    "a port by name, of a headless Service": (
        [ingress("a", "x.example", path("/", "cart", port="name: http"))],
        {"/": CART},
    ),
    "a backend that is not there": (
        [
            ingress("a", "x.example", path("/1", "gone"), path("/2", "cart", port="number: 81"), path("/3", "empty")),
            INGRESS % ("b", "{defaultBackend: {resource: {kind: Bucket, name: b}}}"),
        ],
        {
            "/1": "there is no Service shop/gone",
            "/2": "Service shop/cart has no port 81",
            "/3": "Service shop/empty port 80 has no endpoints",
            "/4": "Bucket shop/b is no Service",
        },
    ),
    "what is specific to the implementation": (
        [ingress("a", "x.example", path("/c", "cart", "ImplementationSpecific"), path("/", "site"))],
        {
            "/c/1": CART,
            "/d": SITE,
            "/cart": SITE,
        },
    ),
    "a path that only an implementation may mean": (
        [ingress("a", "x.example", path("/c", "cart", "ImplementationSpecific"))],
        {"/cart": f"{CART} (meant by the implementation-specific path /c (implementation-defined))", "/d": NOBODY},
    ),
}


@pytest.mark.parametrize("name", INGRESSES)
def test_ingresses(world: Callable[..., World], name: str) -> None:
    texts, expected = INGRESSES[name]
    made = world(*(text.replace("spec: {", "spec: {ingressClassName: nginx, ", 1) for text in texts))
    for url, end in expected.items():
        found = ends(made, url if url.startswith("http") else f"http://x.example{url}")
        assert found == end or (end not in (CART, SITE) and found.startswith(end)), url


ANY = "{path: {value: /}}"
ROUTES: dict[str, tuple[list[str], dict[str, str]]] = {
    "exact, the longest prefix, a method, headers, query parameters": (
        [
            GATEWAY % HTTP,
            route(
                "a",
                "x.example",
                rule(ANY, "site"),
                rule("{path: {value: /a}}", "site"),
                rule("{path: {value: /a}, headers: [{name: v, value: '2'}]}"),
                rule("{path: {value: /b}, method: POST, queryParams: [{name: q, value: '1'}]}", "empty"),
                rule("{path: {type: Exact, value: /a/b}}"),
            ),
        ],
        {"/": SITE, "/a": SITE, "/a/b": CART, "/a/b/c": SITE, "/b": SITE},
    ),
    "what no address shows is a condition": (
        [GATEWAY % HTTP, route("a", "x.example", rule("{method: GET, headers: [{name: v, value: '2'}]}"))],
        {"/": f"{CART} (GET with header v=2)"},
    ),
    "a regular expression is the implementation's": (
        [GATEWAY % HTTP, route("a", "x.example", rule("{path: {type: RegularExpression, value: /c.*}}"))],
        {"/": f"{CART} (meant by the regular expression /c.* (implementation-defined))"},
    ),
    "a wildcard stands for one label or more": (
        [GATEWAY % HTTP, route("a", "'*.example'", rule(ANY))],
        {"/": CART, "http://a.b.example/": CART, "http://example/": NOBODY},
    ),
    "a route without hostnames takes the listener's": (
        [GATEWAY % HTTP.replace("port: 80", "hostname: '*.example', port: 80"), route("a", "", rule(ANY))],
        {"/": CART, "http://x.test/": NOBODY},
    ),
    "hostnames of listener and route must meet": (
        [
            GATEWAY % HTTP.replace("port: 80", "hostname: 'a.example', port: 80"),
            route("a", "'*.example'", rule(ANY)),
            route("b", "b.example", rule(ANY, "site")),
        ],
        {"http://a.example/": CART, "http://b.example/": NOBODY},
    ),
    "the listener that says most takes the request alone": (
        [
            GATEWAY % f"{HTTP}, {HTTP.replace('name: http', 'name: x, hostname: x.example')}",
            route("a", "x.example", rule(ANY), parent=", sectionName: http"),
        ],
        {"/": NOBODY},
    ),
    "a narrower hostname comes first; falling through is the implementation's": (
        [
            GATEWAY % HTTP,
            route("a", "x.example", rule("{path: {value: /cart}}")),
            route("b", "'*.example'", rule(ANY, "site")),
        ],
        {
            "/cart": CART,
            "http://y.example/": SITE,
            "/": f"{SITE} (asked for *.example although a narrower hostname has rules (implementation-defined))",
        },
    ),
    "the older route wins": (
        [
            GATEWAY % HTTP,
            route("a", "x.example", rule(ANY, "site")).replace("name: a,", "name: a, creationTimestamp: '2026-02-02',"),
            route("b", "x.example", rule(ANY)).replace("name: b,", "name: b, creationTimestamp: '2026-01-01',"),
        ],
        {"/": CART},
    ),
    "a redirect, no backend, all weights 0": (
        [
            GATEWAY % HTTP,
            route(
                "a",
                "x.example",
                rule(
                    "{path: {value: /1}}", more=", filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]"
                ),
                "{matches: [{path: {value: /2}}]}",
                "{matches: [{path: {value: /3}}], backendRefs: [{name: cart, port: 80, weight: 0}]}",
                "{matches: [{path: {value: /4}}], backendRefs: [{name: cart, port: 80}, {name: gone, port: 80}]}",
                "{matches: [{path: {value: /5}}], backendRefs: [{name: cart, port: 80}, "
                "{name: gone, port: 80, weight: 0}]}",
            ),
        ],
        {
            "/1": "the Gateway edge/front answers with a redirect to https: no backend gets the request",
            "/2": "the rule has no backend",
            "/3": "the rule has no backend",
            "/4": "there is no Service shop/gone",
            "/5": CART,
        },
    ),
    "a listener takes routes of its own namespace unless it says more": (
        [GATEWAY % "{name: http, port: 80, protocol: HTTP}", route("a", "x.example", rule(ANY))],
        {"/": NOBODY},
    ),
    "or of namespaces by labels": (
        [
            GATEWAY % "{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: "
            "{matchLabels: {public: 'yes'}}}}}",
            route("a", "x.example", rule(ANY)),
        ],
        {"/": CART},
    ),
    "kinds, ports and schemes": (
        [
            GATEWAY % "{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}, "
            "kinds: [{kind: GRPCRoute}]}}, "
            "{name: https, port: 443, protocol: HTTPS, allowedRoutes: {namespaces: {from: All}}}",
            route("a", "x.example", rule(ANY)),
        ],
        {"/": NOBODY, "https://x.example/": CART, "http://x.example:443/": NOBODY},
    ),
    "a method of gRPC is a path": (
        [
            GATEWAY % HTTP,
            route(
                "a",
                "x.example",
                "{matches: [{method: {service: a.B, method: C}}], backendRefs: [{name: cart, port: 80}]}",
                "{matches: [{method: {service: a.D}}], backendRefs: [{name: site, port: 80}]}",
            ).replace("HTTPRoute", "GRPCRoute"),
        ],
        {"/a.B/C": CART, "/a.B/D": NOBODY, "/a.D/E": SITE},
    ),
}


@pytest.mark.parametrize("name", ROUTES)
def test_routes(world: Callable[..., World], name: str) -> None:
    texts, expected = ROUTES[name]
    made = world(*texts)
    for url, end in expected.items():
        found = ends(made, url if url.startswith("http") else f"http://x.example{url}")
        assert found == end or (end not in (CART, SITE) and found.startswith(end)), url


MATRIX = [texts for texts, _ in (*INGRESSES.values(), *ROUTES.values())]
FENCED = [
    [],
    ["shop", "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {public: 'yes'}}}]}]}"],
    ["shop", "{podSelector: {matchLabels: {app: cart}}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}"],
    ["edge", "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}"],
    ["edge", "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]}"],
    ["shop", "{podSelector: {matchLabels: {app: site}}, policyTypes: [Ingress, Egress]}"],
]


@pytest.mark.parametrize("policy", FENCED)
@pytest.mark.parametrize("texts", [*MATRIX, [MATRIX[0][0].replace("cart", "x", 1)]], ids=str)
def test_the_matrix_has_the_same_verdicts(world: Callable[..., World], texts: list[str], policy: list[str]) -> None:
    made = world(*texts, *([POLICY % ("p", *policy)] if policy else []))
    urls = ["http://x.example/cart", "http://x.example/a.B/C", "https://x.example/", "http://y.example/1"]
    columns = [Column(url, parse_request(url).port) for url in urls]
    sources = ["edge/envoy", "shop/cart", "shop/site", OUT, "ip:192.0.2.7", "ip:203.0.113.1"]
    for flow, allowed, left_open in made.matrix(sources, columns).cells():
        verdict = made.verdict(flow)
        assert (allowed, left_open) == (verdict.allowed, verdict.action is Action.OPEN), flow


GRANT = (
    "{apiVersion: gateway.networking.k8s.io/v1beta1, kind: ReferenceGrant, metadata: {name: g, namespace: shop}, spec: "
    "{from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: edge}], "
    "to: [{group: '', kind: Service%s}]}}"
)


@pytest.mark.parametrize(
    ("grants", "end"),
    [
        ([], "no ReferenceGrant of namespace shop lets HTTPRoutes of edge refer to it"),
        ([GRANT % ""], CART),
        ([GRANT % ", name: cart"], CART),
        ([GRANT % ", name: site"], "no ReferenceGrant"),
        ([GRANT.replace("namespace: edge", "namespace: other") % ""], "no ReferenceGrant"),
    ],
)
def test_backends_of_other_namespaces(world: Callable[..., World], grants: list[str], end: str) -> None:
    across = route("a", "x.example", "{backendRefs: [{name: cart, namespace: shop, port: 80}]}")
    made = world(GATEWAY % HTTP, across.replace("namespace: shop}, spec", "namespace: edge}, spec"), *grants)
    assert ends(made, "http://x.example/").startswith(end)


PLAIN = ingress("a", "x.example", path("/", "cart"), more="ingressClassName: nginx, ")
FROM_EDGE = (
    "{ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: edge}}}]}], podSelector: {}}"
)
CLOSED = "{podSelector: {}}"


@pytest.mark.parametrize(
    ("policies", "action"),
    [
        ([], Action.ALLOW),
        ([POLICY % ("p", "shop", FROM_EDGE)], Action.ALLOW),
        ([POLICY % ("p", "shop", CLOSED)], Action.DENY),
        ([POLICY % ("p", "edge", CLOSED)], Action.DENY),
        ([POLICY % ("p", "edge", "{podSelector: {}, ingress: [{ports: [{port: 8080}]}]}")], Action.ALLOW),
        ([POLICY % ("p", "edge", "{podSelector: {}, ingress: [{ports: [{port: 80}]}]}")], Action.DENY),
        ([POLICY % ("p", "edge", "{podSelector: {}, policyTypes: [Egress]}")], Action.DENY),
        (
            [POLICY % ("p", "edge", "{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 9000}]}]}")],
            Action.ALLOW,
        ),
    ],
)
def test_policies_see_both_connections(world: Callable[..., World], policies: list[str], action: Action) -> None:
    assert world(PLAIN, *policies).verdict(Flow(OUT, "http://x.example/", 80)).action is action


@pytest.mark.parametrize(
    ("policy", "action"),
    [
        (None, Action.ALLOW),
        ("{podSelector: {}, ingress: [{}]}", Action.ALLOW),
        (FROM_EDGE, Action.OPEN),
        (FROM_EDGE.replace("}]}],", "}], ports: [{port: 81}]}],"), Action.DENY),
        (CLOSED, Action.DENY),
    ],
)
def test_a_controller_that_is_not_there(world: Callable[..., World], policy: str | None, action: Action) -> None:
    unknown = PLAIN.replace("nginx", "other")
    made = world(unknown, *([POLICY % ("p", "shop", policy)] if policy else []))
    explained = made.explain(Flow(OUT, "http://x.example/", 80))
    assert explained.verdict.action is action
    assert explained.verdict.allowed is (action is Action.ALLOW)
    if action is Action.OPEN:
        assert "are not among the manifests" in "\n".join(explained.lines())


def test_the_controller_is_found_by_its_address(world: Callable[..., World]) -> None:
    status = ", status: {loadBalancer: {ingress: [{ip: 203.0.113.9}]}}}"
    service = (
        "{apiVersion: v1, kind: Service, metadata: {name: lb, namespace: edge}, spec: {type: LoadBalancer, selector: "
    )
    service += "{app: edge}, ports: [{port: 80, targetPort: 8080}]}" + status
    explained = world(service, PLAIN.replace("nginx", "other")[:-1] + status).explain(
        Flow(OUT, "http://x.example/", 80)
    )
    assert "edge/envoy (found behind Service edge/lb, which has 203.0.113.9)" in "\n".join(explained.lines())


def test_an_explanation_shows_both_hops(world: Callable[..., World]) -> None:
    lines = world(PLAIN, POLICY % ("p", "shop", CLOSED)).explain(Flow(OUT, "https://x.example/", 443)).lines()
    text = "\n".join(lines)
    assert lines[0] == "host:outside -> https://x.example/  dropped"
    assert "Ingress shop/a, host x.example, path / (Prefix): leads to Service shop/cart port 80" in text
    assert "it has no tls section" in text
    assert "connection 1: host:outside to the proxy, edge/envoy port 8443" in text
    assert "connection 2: edge/envoy to an endpoint, shop/cart port 9000" in text
    assert "isolated by NetworkPolicy shop/p" in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ingress("a", "x.example", "{path: /, backend: " + backend("cart") + "}"), "pathType: Required"),
        (ingress("a", "x.example", path("x", "cart")), "must be an absolute path"),
        (ingress("a", "x.example", path("/", "cart", "Regex")), "pathType: Unsupported"),
        (ingress("a", "*.*.example", path("/", "cart")), "must be a DNS name"),
        (INGRESS % ("a", "{}"), "either `defaultBackend` or `rules`"),
        (ingress("a", "x.example", path("/", "cart", port="number: 0")), "must be between 1 and 65535"),
        (GATEWAY % "", "spec.listeners: Required"),
        (route("a", "x.example", rule("{path: {type: Glob, value: /}}")), "path.type: Unsupported"),
        (route("a", "x.example", "{backendRefs: [{name: cart}]}"), "must have port for Service reference"),
    ],
)
def test_refused(world: Callable[..., World], text: str, words: str) -> None:
    with pytest.raises(BrokenContentError, match=words):
        world(text)


@pytest.mark.parametrize("text", ["http://", "http://a b/", "http://u@x.example/", "http://x.example:x/", "http://_/"])
def test_no_address_of_a_request(text: str) -> None:
    with pytest.raises(UsageError):
        parse_request(text)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("http://X.Example", "http://x.example/"),
        ("https://x.example:443/a?b#c", "https://x.example/a"),
        ("http://x.example:8080/a", "http://x.example:8080/a"),
        ("http://[2001:db8::1]/", "http://[2001:db8::1]/"),
    ],
)
def test_addresses_are_written_one_way(text: str, canonical: str) -> None:
    assert str(parse_request(text)) == canonical
    assert str(parse_request(canonical)) == canonical


@pytest.mark.parametrize(
    ("pattern", "host", "one", "more"),
    [
        ("", "a.example", True, True),
        ("a.example", "a.example", True, True),
        ("*.example", "a.example", True, True),
        ("*.example", "b.a.example", False, True),
        ("*.example", "example", False, False),
        ("*.example", "aexample", False, False),
    ],
)
def test_hosts(pattern: str, host: str, *, one: bool, more: bool) -> None:
    assert (one_label_fits(pattern, host), suffix_fits(pattern, host)) == (one, more)


@pytest.mark.parametrize(
    ("listener", "route_host", "both"),
    [
        ("", "a.example", "a.example"),
        ("a.example", "", "a.example"),
        ("*.example", "a.example", "a.example"),
        ("a.example", "*.example", "a.example"),
        ("*.example", "*.a.example", "*.a.example"),
        ("*.a.example", "*.example", "*.a.example"),
        ("*.example", "*.example", "*.example"),
        ("*.a.example", "b.example", None),
        ("a.example", "b.example", None),
    ],
)
def test_hostnames_that_meet(listener: str, route_host: str, both: str | None) -> None:
    assert overlap(listener, route_host) == both


def test_a_longer_path_fits_better() -> None:
    short, long = path_fit(PathMatch("Prefix", "/a/"), "/a/b"), path_fit(PathMatch("Prefix", "/a/b"), "/a/b")
    assert short is not None
    assert long is not None
    assert short.length < long.length
