"""What becomes of a request that has several ways, an unknown proxy, doors of its own; and what comes before what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml
from routed_objects import CART, LISTENER, SITE, gateway, ingress, policy, route

from grader.kube.parse import read_objects
from grader.reachability.verdict import Action, Flow
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

OUT = "host:outside"
URL = "http://x.example/"
BASE = """
{apiVersion: v1, kind: Pod, metadata: {name: gw, namespace: edge, labels: {
  gateway.networking.k8s.io/gateway-name: front}}, spec: {containers: [{name: c, ports:
  [{containerPort: 8443, name: tls}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: cart, namespace: shop, labels: {app: cart}}, spec:
  {containers: [{name: c, ports: [{containerPort: 9000, name: web}]}]}, status: {podIP: 10.0.0.1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: site, namespace: shop, labels: {app: site}}}
---
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {selector: {app: cart},
  ports: [{port: 80, targetPort: web}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: site, namespace: shop}, spec: {selector: {app: site},
  ports: [{port: 80}]}}
"""
RULE = f"{{matches: [{{path: {{value: /}}}}], {CART}}}"


@pytest.fixture(scope="session")
def world() -> Callable[..., World]:
    base = list(yaml.load_all(BASE, yaml.CSafeLoader))
    return lambda *texts: World(read_objects([*base, *(yaml.load(text, yaml.CSafeLoader) for text in texts)]))


SERVED = [
    (
        [ingress("a", "b.example"), route(RULE, hosts="d.example"), route(RULE, "e", hosts="")],
        "*, b.example, d.example",
    ),
    (
        [route(RULE, hosts="b.example, c.example, d.example, e.example, a.example")],
        "a.example, b.example, c.example and 2 more",
    ),
    ([ingress("a", "''", more="ingressClassName: x, ").replace("/, pathType", "/elsewhere, pathType")], "*"),
]


@pytest.mark.parametrize(("texts", "served"), SERVED)
def test_hosts_that_are_served_are_listed(world: Callable[..., World], texts: list[str], served: str) -> None:
    verdict = world(*texts).verdict(Flow(OUT, URL, 80))
    assert verdict.ingress.reason == f"nothing serves x.example/ at port 80; served are {served}"


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ([], "nothing serves x.example/ at port 80: there is no Ingress and no route"),
        ([gateway(), route("{matches: []}")], "the rule has no backend: the Gateway edge/front answers with an error"),
        (
            [
                gateway(),
                route("{backendRefs: [{name: empty, port: 1}]}"),
                (
                    "{apiVersion: v1, kind: Service, metadata: "
                    "{name: empty, namespace: shop}, spec: {selector: {app: none}, ports: [{port: 1}]}}"
                ),
            ],
            "Service shop/empty port 1 has no endpoints: the Gateway edge/front answers 503",
        ),
    ],
)
def test_a_request_that_no_backend_gets_is_denied_both_ways(
    world: Callable[..., World], texts: list[str], reason: str
) -> None:
    flow = Flow(OUT, URL, 80)
    verdict = world(*texts).verdict(flow)
    assert verdict.flow == flow
    assert [(each.direction, each.action, each.reason) for each in (verdict.egress, verdict.ingress)] == [
        ("egress", Action.DENY, reason),
        ("ingress", Action.DENY, reason),
    ]


SHUT_CART = policy("c", "shop", "{podSelector: {matchLabels: {app: cart}}}")
SHUT_SITE = policy("s", "shop", "{podSelector: {matchLabels: {app: site}}}")
MAYBE_SITE = policy("s", "shop", "{podSelector: {matchLabels: {app: site}}, ingress: [{from: [{podSelector: {}}]}]}")
GET_CART, ALL_SITE = f"{{matches: [{{method: GET}}], {CART}}}", f"{{{SITE}}}"
POST_SITE = f"{{matches: [{{method: POST}}], {SITE}}}"


@pytest.mark.parametrize(
    ("rules", "fences", "parent", "action", "condition", "reason"),
    [
        ([GET_CART, ALL_SITE], [], "front", Action.ALLOW, "", ""),
        ([GET_CART, ALL_SITE], [SHUT_CART], "front", Action.ALLOW, "", ""),
        ([GET_CART, ALL_SITE], [SHUT_SITE], "front", Action.ALLOW, "GET", ""),
        ([GET_CART, ALL_SITE], [SHUT_CART, SHUT_SITE], "front", Action.DENY, "", "NetworkPolicy shop/s"),
        ([GET_CART, POST_SITE], [], "front", Action.ALLOW, "GET", ""),
        ([GET_CART, POST_SITE], [SHUT_CART], "front", Action.ALLOW, "POST", ""),
        ([GET_CART, POST_SITE], [SHUT_CART, SHUT_SITE], "front", Action.DENY, "", "NetworkPolicy shop/c"),
        # Of which a rule may open the one way, and none the other.
        ([GET_CART, POST_SITE], [SHUT_CART, MAYBE_SITE], "unknown", Action.OPEN, "", "NetworkPolicy shop/s"),
        ([GET_CART, ALL_SITE], [SHUT_CART, MAYBE_SITE], "unknown", Action.OPEN, "", "NetworkPolicy shop/s"),
    ],
)
def test_the_way_of_every_request_counts_unless_only_some_pass(
    world: Callable[..., World],
    rules: list[str],
    fences: list[str],
    parent: str,
    action: Action,
    condition: str,
    reason: str,
) -> None:
    made = world(gateway(parent), route(", ".join(rules), parent=parent), *fences)
    verdict = made.verdict(Flow(OUT, URL, 80))
    assert (verdict.action, verdict.condition) == (action, condition)
    assert reason in verdict.ingress.reason


def test_conditions_of_a_policy_and_of_a_route_add_up(world: Callable[..., World]) -> None:
    fence = (
        "{apiVersion: projectcalico.org/v3, kind: NetworkPolicy, metadata: {name: c, namespace: shop}, spec: "
        "{selector: app == 'cart', ingress: [{action: Allow, http: {methods: [GET]}}]}}"
    )
    made = world(gateway(), route(f"{{matches: [{{headers: [{{name: v, value: '2'}}]}}], {CART}}}"), fence)
    assert made.verdict(Flow(OUT, URL, 80)).condition == "HTTP GET and header v=2"


@pytest.mark.parametrize(
    ("shut", "reason"),
    [([], ""), ([SHUT_SITE], "shop/s"), ([SHUT_CART, SHUT_SITE], "shop/c"), ([SHUT_CART], "shop/c")],
)
def test_of_two_gateways_one_that_does_not_let_it_pass(
    world: Callable[..., World], shut: list[str], reason: str
) -> None:
    ways = [gateway("front"), route(f"{{{CART}}}"), gateway("last"), route(f"{{{SITE}}}", "b", parent="last")]
    verdict = world(*ways, *shut).verdict(Flow(OUT, URL, 80))
    assert verdict.allowed is not bool(reason)
    assert reason in verdict.ingress.reason


CALICO = (
    "{{apiVersion: projectcalico.org/v3, kind: NetworkPolicy, metadata: {{name: p, namespace: shop}}, spec: "
    "{{selector: all(), ingress: [{{action: {}, protocol: TCP, source: {{selector: x == 'y'}}, destination: {}}}]}}}}"
)
OTHERS = "from: [{namespaceSelector: {matchLabels: {a: b}}}]"
UNKNOWN = "left open: the pods of the Gateway edge/unknown are not among the manifests, and rules may mean them; "


@pytest.mark.parametrize(
    ("fence", "action"),
    [
        (policy("p", "shop", f"{{podSelector: {{}}, ingress: [{{{OTHERS}, ports: [{{port: web}}]}}]}}"), Action.OPEN),
        (policy("p", "shop", f"{{podSelector: {{}}, ingress: [{{{OTHERS}, ports: [{{port: 9000}}]}}]}}"), Action.OPEN),
        (policy("p", "shop", f"{{podSelector: {{}}, ingress: [{{{OTHERS}, ports: [{{port: 80}}]}}]}}"), Action.DENY),
        (
            policy(
                "p", "shop", f"{{podSelector: {{}}, ingress: [{{{OTHERS}, ports: [{{port: 9000, protocol: UDP}}]}}]}}"
            ),
            Action.DENY,
        ),
        (CALICO.format("Allow", "{selector: app == 'cart'}"), Action.OPEN),
        (CALICO.format("Allow", "{selector: app == 'site'}"), Action.DENY),
        (CALICO.format("Allow", "{nets: [10.0.0.0/8]}"), Action.OPEN),
        (CALICO.format("Allow", "{nets: [10.1.0.0/16]}"), Action.DENY),
        (CALICO.format("Deny", "{}"), Action.DENY),
    ],
)
def test_an_unknown_proxy_may_be_whom_a_rule_of_the_backend_means(
    world: Callable[..., World], fence: str, action: Action
) -> None:
    verdict = world(gateway("unknown"), route(RULE, parent="unknown"), fence).verdict(Flow(OUT, URL, 80))
    assert verdict.action is action
    assert not verdict.allowed
    assert verdict.ingress.measured is (Action.DENY if action is Action.OPEN else None)
    assert verdict.ingress.reason.startswith(UNKNOWN) is (action is Action.OPEN)


@pytest.mark.parametrize(("port", "action"), [(80, Action.OPEN), (81, Action.DENY)])
def test_an_unknown_proxy_may_be_whom_a_rule_of_the_client_means(
    world: Callable[..., World], port: int, action: Action
) -> None:
    rule = f"{{to: [{{namespaceSelector: {{matchLabels: {{a: b}}}}}}], ports: [{{port: {port}}}]}}"
    fence = policy(
        "p", "shop", f"{{podSelector: {{matchLabels: {{app: site}}}}, egress: [{rule}], policyTypes: [Egress]}}"
    )
    made = world(gateway("unknown"), route(RULE, parent="unknown"), fence)
    verdict = made.verdict(Flow("shop/site", URL, 80))
    assert (verdict.egress.action, verdict.ingress.action) == (action, Action.ALLOW)
    assert verdict.egress.reason.startswith(UNKNOWN) is (action is Action.OPEN)


NAMED = "{gateway.networking.k8s.io/gateway-name: front}"


def service(name: str, namespace: str, spec: str) -> str:
    return f"{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: {namespace}}}, spec: {spec}}}"


PORTS = "[{port: 80, targetPort: 8080, nodePort: 30080}, {port: 443, targetPort: tls, nodePort: 30443}]"
DOORS = {
    "the same without a Service": ([], {80: 80, 443: 443}),
    "behind the Service that selects it": (
        [service("a", "edge", f"{{type: NodePort, selector: {NAMED}, ports: {PORTS}}}")],
        {80: 8080, 443: 8443, 30080: 8080, 30443: 8443, 31000: 31000},
    ),
    "not behind one of another namespace": ([service("a", "shop", f"{{selector: {NAMED}, ports: {PORTS}}}")], {80: 80}),
    "not behind one that selects others": ([service("a", "edge", f"{{selector: {{a: b}}, ports: {PORTS}}}")], {80: 80}),
    "not behind one without a selector": ([service("a", "edge", f"{{ports: {PORTS}}}")], {80: 80}),
    "by the Service that has the port": (
        [
            service(
                "a", "edge", f"{{selector: {NAMED}, ports: [{{port: 81}}, {{port: 80, protocol: UDP, targetPort: 1}}]}}"
            ),
            service("b", "edge", f"{{selector: {NAMED}, ports: [{{port: 80, targetPort: 8080}}]}}"),
        ],
        {80: 8080},
    ),
}


@pytest.mark.parametrize("name", DOORS)
def test_the_door_of_a_proxy(world: Callable[..., World], name: str) -> None:
    services, doors = DOORS[name]
    for port, door in doors.items():
        made = world(gateway(listeners=LISTENER.replace("port: 80", f"port: {port}")), route(RULE), *services)
        first, second = made.packets(Flow(OUT, f"http://x.example:{port}/", port))
        assert (first.destination.ref, first.port) == ("edge/gw", door)
        assert (second.destination.ref, second.port) == ("shop/cart", 9000)
