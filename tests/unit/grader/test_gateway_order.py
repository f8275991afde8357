"""Which rule of which route is asked before which, which listener takes a route, and which pods serve what."""

from __future__ import annotations

import pytest
import yaml

from grader.kube.parse import read_objects
from grader.reachability.world import World

URL = "http://x.example/a/b"
BASE = """
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: blue}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: cart, namespace: shop, labels: {app: cart}}}
---
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {selector: {app: cart},
  ports: [{port: 80}]}}
"""
LISTENER = "{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}"
TO_CART = "backendRefs: [{name: cart, namespace: shop, port: 80}]"


def world(*texts: str) -> World:
    return World(
        read_objects([*yaml.load_all(BASE, yaml.CSafeLoader), *(yaml.load(text, yaml.CSafeLoader) for text in texts)])
    )


def gateway(name: str = "front", listeners: str = LISTENER, more: str = "") -> str:
    return (
        f"{{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {{name: {name}, namespace: edge}}, "
        f"spec: {{gatewayClassName: any, listeners: [{listeners}]}}{more}}}"
    )


def route(rules: str, name: str = "a", hosts: str = "x.example", namespace: str = "shop", more: str = "") -> str:
    return (
        f"{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: {name}, namespace: {namespace}"
        f"{more}}}, spec: {{parentRefs: [{{name: front, namespace: edge}}], hostnames: [{hosts}], rules: [{rules}]}}}}"
    )


def asked(made: World, url: str = URL) -> list[str]:
    """Routes and rules in the order of asking."""
    return [" ".join(lead.rule.split(",")[0].split()[1:]) for leads in made.requests.leads(url) for lead in leads]


def match(path: str, *headers: str, kind: str = "PathPrefix", method: str = "", queries: int = 0) -> str:
    listed = ", ".join(f"{{name: {header}, value: '1'}}" for header in headers)
    asks = ", ".join(f"{{name: q{n}, value: '1'}}" for n in range(queries))
    return f"{{path: {{type: {kind}, value: '{path}'}}, headers: [{listed}], queryParams: [{asks}]" + (
        f", method: {method}}}" if method else "}"
    )


@pytest.mark.parametrize(
    ("last", "first"),
    [
        (match("/a/b", "h", "i", method="GET"), match("/a/b", "h", kind="Exact")),
        (match("/a", "h", "i", method="GET"), match("/a/b", "h")),
        (match("/a", "h", "i", queries=2), match("/a", method="GET")),
        (match("/a", "h", queries=3), match("/a", "h", "i")),
        (match("/a", "h", queries=1), match("/a", "h", queries=2)),
        # What it means is the implementation's, and so is before what.
        (match("/a/b", "h", kind="Exact"), match("/.", kind="RegularExpression")),
        (match("/a/b", "h", kind="Exact"), match("/.", "h", kind="RegularExpression")),
    ],
)
def test_rules_of_one_route_are_asked_by_what_they_say(last: str, first: str) -> None:
    made = world(gateway(), route(f"{{matches: [{last}], {TO_CART}}}, {{matches: [{first}], {TO_CART}}}"))
    assert asked(made) == ["shop/a rule 2", "shop/a rule 1"]


SAME = f"{{matches: [{match('/', 'h')}], {TO_CART}}}"
MORE = f"{{matches: [{match('/a/b', 'h', 'i', kind='Exact', method='GET')}], {TO_CART}}}"
OLD, NEW = ", creationTimestamp: '2026-01-01T00:00:00Z'", ", creationTimestamp: '2026-02-01T00:00:00Z'"


@pytest.mark.parametrize(
    ("routes", "order"),
    [
        ([route(f"{SAME}, {SAME}")], ["shop/a rule 1", "shop/a rule 2"]),
        (
            [route(f"{{matches: [{match('/', 'h')}, {match('/', 'i')}], {TO_CART}}}")],
            ["shop/a rule 1", "shop/a rule 1"],
        ),
        ([route(SAME, "b"), route(SAME, "a")], ["shop/a rule 1", "shop/b rule 1"]),
        ([route(SAME, "a", namespace="zoo"), route(SAME, "b")], ["shop/b rule 1", "zoo/a rule 1"]),
        ([route(SAME, "a", more=NEW), route(SAME, "b", more=OLD)], ["shop/b rule 1", "shop/a rule 1"]),
        ([route(SAME, "a"), route(SAME, "b", more=OLD)], ["shop/b rule 1", "shop/a rule 1"]),
        ([route(MORE, "a", more=OLD), route(MORE, "b", more=NEW)], ["shop/a rule 1", "shop/b rule 1"]),
        # Of two kinds, with the same name.
        ([route(SAME), route(SAME.replace("path: ", "x: ")).replace("HTTPRoute", "GRPCRoute")], ["shop/a rule 1"] * 2),
    ],
)
def test_equal_rules_are_asked_by_age_then_by_name_then_as_they_stand(routes: list[str], order: list[str]) -> None:
    assert asked(world(gateway(), *routes)) == order


@pytest.mark.parametrize(
    ("least", "most"), [("", "'*.example'"), ("'*.example'", "'*.y.example'"), ("'*.y.example'", "x.y.example")]
)
def test_the_hostname_that_says_more_is_asked_first(least: str, most: str) -> None:
    made = world(gateway(), route(MORE, "a", hosts=least), route(SAME, "b", hosts=most))
    assert asked(made, "http://x.y.example/a/b") == ["shop/b rule 1", "shop/a rule 1"]


def test_after_what_every_request_meets_nothing_is_asked() -> None:
    plain = f"{{matches: [{match('/')}, {match('/', 'h')}], {TO_CART}}}"
    made = world(gateway(), route(f"{plain}, {SAME}, {plain}"))
    assert asked(made) == ["shop/a rule 1", "shop/a rule 2", "shop/a rule 3", "shop/a rule 1"]
    assert [lead.condition for leads in made.requests.leads(URL) for lead in leads] == [*["header h=1"] * 3, ""]


def test_gateways_and_routes_that_do_not_take_the_request_are_passed_over() -> None:
    elsewhere = route(SAME, "a").replace("name: front", "name: elsewhere")
    made = world(gateway("a", LISTENER.replace("port: 80", "port: 81")), gateway(), elsewhere, route(SAME, "b"))
    assert asked(made) == ["shop/b rule 1"]


NAMESPACES = "{from: Selector, selector: {matchExpressions: [{key: team, operator: DoesNotExist}]}}"


@pytest.mark.parametrize(
    ("allowed", "namespaces"),
    [
        ("namespaces: {from: All}", ["edge", "shop", "zoo"]),
        ("namespaces: {from: Same}", ["edge"]),
        ("", ["edge"]),
        ("namespaces: {from: None}", []),
        ("namespaces: {from: Selector, selector: {matchLabels: {team: blue}}}", ["shop"]),
        (f"namespaces: {NAMESPACES}", ["edge", "zoo"]),
        ("namespaces: {from: Selector, selector: {matchLabels: {kubernetes.io/metadata.name: zoo}}}", ["zoo"]),
        ("namespaces: {from: All}, kinds: [{kind: HTTPRoute}]", ["edge", "shop", "zoo"]),
        ("namespaces: {from: All}, kinds: [{kind: GRPCRoute}]", []),
    ],
)
def test_namespaces_whose_routes_a_listener_takes(allowed: str, namespaces: list[str]) -> None:
    listener = f"{{name: http, port: 80, protocol: HTTP, allowedRoutes: {{{allowed}}}}}"
    made = world(gateway(listeners=listener), *(route(SAME, namespace=each) for each in ("edge", "shop", "zoo")))
    assert asked(made) == [f"{each}/a rule 1" for each in namespaces]


def pod(name: str, namespace: str, labels: str) -> str:
    return f"{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: {namespace}, labels: {{{labels}}}}}}}"


def envoy(gateway_name: str, namespace: str) -> str:
    prefix = "gateway.envoyproxy.io/owning-gateway-"
    return pod("envoy", "system", f"{prefix}name: {gateway_name}, {prefix}namespace: {namespace}")


def kind_of(kind: str, name: str, controller: str, more: str = "") -> str:
    group, field = (
        ("gateway.networking.k8s.io", "controllerName")
        if kind == "GatewayClass"
        else ("networking.k8s.io", "controller")
    )
    return (
        f"{{apiVersion: {group}/v1, kind: {kind}, metadata: {{name: {name}{more}}}, spec: {{{field}: {controller}}}}}"
    )


BALANCER = (
    "{apiVersion: v1, kind: Service, metadata: {name: lb, namespace: system}, spec: {type: LoadBalancer, "
    "selector: {app: proxy}, ports: [{port: 80}]}, status: {loadBalancer: {ingress: [{ip: 203.0.113.9}]}}}"
)
HAS_ADDRESS = ", status: {addresses: [{value: 203.0.113.9}]}"
NAME = "gateway.networking.k8s.io/gateway-name"
NAMED = f"{NAME}: front"
CONTOUR = "app.kubernetes.io/name: contour, app.kubernetes.io/component: envoy"
NOT_THERE = "are not among the manifests"


@pytest.mark.parametrize(
    ("texts", "more", "refs", "why"),
    [
        ([], "", [], f"the pods of the Gateway edge/front {NOT_THERE}"),
        ([pod("gw", "edge", NAMED)], "", ["edge/gw"], "by the label of its name"),
        ([pod("gw", "edge", f"{NAMED}, a: b"), envoy("front", "edge")], "", ["edge/gw"], "by the label of its name"),
        ([pod("gw", "shop", NAMED)], "", [], f"the pods of the Gateway edge/front {NOT_THERE}"),
        ([envoy("front", "edge")], "", ["system/envoy"], "by the labels of Envoy Gateway"),
        ([envoy("front", "shop")], "", [], f"the pods of the Gateway edge/front {NOT_THERE}"),
        ([envoy("back", "edge")], "", [], f"the pods of the Gateway edge/front {NOT_THERE}"),
        (
            [BALANCER, pod("p", "system", "app: proxy"), kind_of("GatewayClass", "any", "projectcontour.io/x")],
            HAS_ADDRESS,
            ["system/p"],
            "behind Service system/lb, which has 203.0.113.9",
        ),
        (
            [pod("c", "system", CONTOUR), kind_of("GatewayClass", "any", "projectcontour.io/x")],
            HAS_ADDRESS,
            ["system/c"],
            "by the labels app.kubernetes.io/name=contour,app.kubernetes.io/component=envoy",
        ),
        (
            [pod("c", "system", CONTOUR), kind_of("GatewayClass", "other", "projectcontour.io/x")],
            "",
            [],
            f"the pods of the Gateway edge/front {NOT_THERE}",
        ),
        (
            [kind_of("GatewayClass", "any", "example.org/x")],
            "",
            [],
            f"the pods of the Gateway edge/front (example.org/x) {NOT_THERE}",
        ),
    ],
)
def test_the_pods_of_a_gateway(texts: list[str], more: str, refs: list[str], why: str) -> None:
    ((lead, *_), *_) = world(gateway(more=more), route(SAME), *texts).requests.leads(URL)
    proxy = lead.proxy
    assert (proxy.name, [each.ref for each in proxy.pods], proxy.why) == ("Gateway edge/front", refs, why)


TRAEFIK = pod("t", "system", "app.kubernetes.io/name: traefik")
DEFAULT = ", annotations: {ingressclass.kubernetes.io/is-default-class: 'true'}"


@pytest.mark.parametrize(
    ("named", "texts", "name", "why"),
    [
        ("", [], "ingress controller", f"the pods of the ingress controller {NOT_THERE}"),
        ("", [TRAEFIK], "ingress controller", f"the pods of the ingress controller {NOT_THERE}"),
        ("own", [], "controller of class own", f"the pods of the controller of class own {NOT_THERE}"),
        (
            "kong",
            [],
            "controller of class kong",
            f"the pods of the controller of class kong (ingress-controllers.konghq.com/kong) {NOT_THERE}",
        ),
        (
            "kong",
            [kind_of("IngressClass", "kong", "example.org/x")],
            "controller of class kong",
            f"the pods of the controller of class kong (example.org/x) {NOT_THERE}",
        ),
        ("traefik", [TRAEFIK], "controller of class traefik", "by the labels app.kubernetes.io/name=traefik"),
        (
            "own",
            [TRAEFIK, kind_of("IngressClass", "own", "traefik.io/x")],
            "controller of class own",
            "by the labels app.kubernetes.io/name=traefik",
        ),
        (
            "",
            [TRAEFIK, kind_of("IngressClass", "own", "traefik.io/x", DEFAULT)],
            "controller of class own",
            "by the labels app.kubernetes.io/name=traefik",
        ),
        (
            "",
            [TRAEFIK, kind_of("IngressClass", "own", "traefik.io/x")],
            "ingress controller",
            f"the pods of the ingress controller {NOT_THERE}",
        ),
    ],
)
def test_the_controller_of_an_ingress(named: str, texts: list[str], name: str, why: str) -> None:
    backend = "{service: {name: cart, port: {number: 80}}}"
    ingress = (
        "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: a, namespace: shop}, spec: "
        f"{{ingressClassName: '{named}', defaultBackend: {backend}}}}}"
    )
    ((lead,),) = world(ingress, *texts).requests.leads(URL)
    assert (lead.proxy.name, lead.proxy.why) == (name, why)
    assert [each.ref for each in lead.proxy.pods] == (["system/t"] if why.startswith("by") else [])
