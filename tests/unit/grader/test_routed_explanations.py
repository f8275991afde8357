"""What an explanation of a request says, word for word: the rule, its conditions, the proxy, both connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from routed_objects import CART, SITE, gateway, policy, route

from grader.kube.model import Origin
from grader.kube.parse import read_objects
from grader.reachability.verdict import Flow
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

OUT = "host:outside"
URL = "http://x.example/"
BASE = """
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: blue}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: gw, namespace: edge, labels: {
  gateway.networking.k8s.io/gateway-name: front}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: cart, namespace: shop, labels: {app: cart}}, spec:
  {containers: [{name: c, ports: [{containerPort: 9000, name: web}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: site, namespace: shop, labels: {app: site}}}
---
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {selector: {app: cart},
  ports: [{port: 80, targetPort: web}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: site, namespace: shop}, spec: {selector: {app: site},
  ports: [{port: 80}]}}
"""


@pytest.fixture(scope="session")
def world() -> Callable[..., World]:
    """A World of the base and these texts, the first of which stands in `routes.yaml` at line 7."""
    base = list(yaml.load_all(BASE, yaml.CSafeLoader))

    def made(*texts: str, **options: Any) -> World:
        origins = [*(Origin() for _ in base), Origin("routes.yaml", 7)]
        return World(
            read_objects([*base, *(yaml.load(text, yaml.CSafeLoader) for text in texts)], origins=origins), **options
        )

    return made


RULE = f"{{matches: [{{path: {{value: /}}}}], {CART}}}"
FRONT = "the Gateway edge/front is edge/gw (found by the label of its name)"
UNKNOWN = "the pods of the Gateway edge/back are not among the manifests"
FREE = "allowed: no policy selects it"
OUTSIDE = f"  egress of {OUT}: allowed: it is no pod, so no policy selects it"
FIRST = [f"connection 1: {OUT} to the proxy, edge/gw port 80", OUTSIDE, f"  ingress of edge/gw: {FREE}"]


def second(end: str, port: int, choice: str = "") -> list[str]:
    return [
        f"connection 2: edge/gw to an endpoint, {end} port {port}{choice}",
        f"  egress of edge/gw: {FREE}",
        f"  ingress of {end}: {FREE}",
    ]


TEXTS: dict[str, tuple[list[str], list[str]]] = {
    "one rule": (
        [route(RULE), gateway()],
        [
            f"{OUT} -> {URL}  open",
            (
                "HTTPRoute shop/a rule 1, host x.example, path / (Prefix) [routes.yaml:7]: "
                "leads to Service shop/cart port 80"
            ),
            "  listener http of Gateway edge/front",
            FRONT,
            *FIRST,
            *second("shop/cart", 9000),
        ],
    ),
    "conditions, filters, weights, every host": (
        [
            gateway(),
            route(
                "{backendRefs: [{name: site, port: 80}], matches: [{path: {value: /never}}]}, "
                "{matches: [{path: {type: RegularExpression, value: '/.*'}, method: GET}], "
                "filters: [{type: CORS}, {type: URLRewrite}], backendRefs: [{name: cart, port: 80, weight: 1}, "
                "{name: site, port: 80, weight: 2}]}",
                hosts="",
            ),
        ],
        [
            f"{OUT} -> {URL}  open",
            (
                "HTTPRoute shop/a rule 2, host *, path /.* (RegularExpression), if it is meant by the regular "
                "expression /.* (implementation-defined) and GET: "
                "leads to Service shop/cart port 80 and Service shop/site port 80"
            ),
            "  listener http of Gateway edge/front",
            "  CORS: cross-origin requests are checked",
            "  URLRewrite: host or path are rewritten",
            "  weights: cart 1 of 3, site 2 of 3",
            FRONT,
            *FIRST,
            *second("shop/cart", 9000, " (1 of 2)"),
        ],
    ),
    "a rule that falls through to every host": (
        [gateway(), route(RULE, "every", hosts=""), route(f"{{matches: [{{path: {{value: /b}}}}], {SITE}}}", "b")],
        [
            f"{OUT} -> {URL}  open",
            (
                "HTTPRoute shop/every rule 1, host *, path / (Prefix), if it is asked for every host although a "
                "narrower hostname has rules (implementation-defined): leads to Service shop/cart port 80"
            ),
            "  listener http of Gateway edge/front",
            FRONT,
            *FIRST,
            *second("shop/cart", 9000),
        ],
    ),
    "the proxy answers itself": (
        [gateway(), route("{filters: [{type: RequestRedirect, requestRedirect: {hostname: y.example}}]}")],
        [
            f"{OUT} -> {URL}  dropped",
            "HTTPRoute shop/a rule 1, host x.example, path / (Prefix)",
            "  listener http of Gateway edge/front",
            FRONT,
            "the Gateway edge/front answers with a redirect to y.example: no backend gets the request",
        ],
    ),
    "a backend of another kind": (
        [gateway(), route("{backendRefs: [{group: example.org, kind: Bucket, name: b}]}")],
        [
            f"{OUT} -> {URL}  dropped",
            "HTTPRoute shop/a rule 1, host x.example, path / (Prefix): leads to Bucket.example.org shop/b",
            "  listener http of Gateway edge/front",
            FRONT,
            (
                "Bucket.example.org shop/b is no Service: the implementation decides where it leads: "
                "the Gateway edge/front answers with an error"
            ),
        ],
    ),
    "a backend of a namespace that does not grant it": (
        [gateway(), route("{backendRefs: [{name: api, namespace: bank, port: 80}]}")],
        [
            f"{OUT} -> {URL}  dropped",
            "HTTPRoute shop/a rule 1, host x.example, path / (Prefix): leads to Service bank/api",
            "  listener http of Gateway edge/front",
            FRONT,
            (
                "no ReferenceGrant of namespace bank lets HTTPRoutes of shop refer to it: "
                "the Gateway edge/front answers with an error"
            ),
        ],
    ),
    "nothing is there": (
        [],
        [f"{OUT} -> {URL}  dropped", "nothing serves x.example/ at port 80: there is no Ingress and no route"],
    ),
    "of several endpoints, one that is not reached": (
        [
            gateway(),
            route("{backendRefs: [{name: site, port: 80}, {name: cart, port: 80}]}"),
            policy("p", "shop", "{podSelector: {matchLabels: {app: cart}}}"),
        ],
        [
            f"{OUT} -> {URL}  dropped",
            (
                "HTTPRoute shop/a rule 1, host x.example, path / (Prefix): "
                "leads to Service shop/site port 80 and Service shop/cart port 80"
            ),
            "  listener http of Gateway edge/front",
            "  weights: site 1 of 2, cart 1 of 2",
            FRONT,
            *FIRST,
            "connection 2: edge/gw to an endpoint, shop/cart port 9000 (1 of 2)",
            f"  egress of edge/gw: {FREE}",
            "  ingress of shop/cart: dropped: isolated by NetworkPolicy shop/p, and no rule allows it",
        ],
    ),
    "a Gateway whose pods are not known": (
        [
            gateway("back"),
            route(RULE, parent="back"),
            policy("p", "shop", "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {a: b}}}]}]}"),
        ],
        [
            f"{OUT} -> {URL}  implementation-defined",
            "HTTPRoute shop/a rule 1, host x.example, path / (Prefix): leads to Service shop/cart port 80",
            "  listener http of Gateway edge/back",
            f"{UNKNOWN}: judged as an end that only rules for everybody mean",
            f"connection 1: {OUT} to the proxy, Gateway edge/back port 80",
            OUTSIDE,
            "  ingress of Gateway edge/back: allowed: it is no pod, so no policy selects it",
            "connection 2: Gateway edge/back to an endpoint, shop/cart port 9000",
            "  egress of Gateway edge/back: allowed: it is no pod, so no policy selects it",
            "  ingress of shop/cart: dropped: isolated by NetworkPolicy shop/p, and no rule allows it",
            f"left open: {UNKNOWN}, and rules may mean them; isolated by NetworkPolicy shop/p, and no rule allows it",
        ],
    ),
    "a policy on the way, and what nearly meets it": (
        [
            gateway(),
            route(RULE),
            policy("p", "shop", "{podSelector: {matchLabels: {app: cart}}, ingress: [{ports: [{port: 80}]}]}"),
        ],
        [
            f"{OUT} -> {URL}  dropped",
            "HTTPRoute shop/a rule 1, host x.example, path / (Prefix): leads to Service shop/cart port 80",
            "  listener http of Gateway edge/front",
            FRONT,
            *FIRST,
            "connection 2: edge/gw to an endpoint, shop/cart port 9000",
            f"  egress of edge/gw: {FREE}",
            "  ingress of shop/cart: dropped: isolated by NetworkPolicy shop/p, and no rule allows it",
            "near miss: NetworkPolicy shop/p ingress rule 1: would match if the port were 80/TCP (it is 9000/TCP)",
        ],
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_an_explanation_word_for_word(world: Callable[..., World], name: str) -> None:
    texts, lines = TEXTS[name]
    assert list(world(*texts).explain(Flow(OUT, URL, 80)).lines()) == lines


def test_a_rule_is_shown_at_its_own_line(world: Callable[..., World]) -> None:
    fence = policy("p", "edge", "{podSelector: {}, ingress: [{ports: [{port: 80}]}]}")
    made = world(fence, gateway(), route(RULE), rule_line=lambda _ref, direction, rule: 100 * rule + len(direction))
    told = "\n".join(made.explain(Flow(OUT, URL, 80)).lines())
    assert "  ingress of edge/gw: allowed: NetworkPolicy edge/p rule 1 allows it [routes.yaml:107]" in told
    assert "(Prefix): leads to" in told  # what has no file is shown without one


@pytest.mark.parametrize(
    ("pods", "listed"), [(3, "edge/gw, edge/gw1, edge/gw2"), (5, "edge/gw, edge/gw1, edge/gw2 and 2 more")]
)
def test_pods_of_a_proxy_are_counted_after_three(world: Callable[..., World], pods: int, listed: str) -> None:
    more = (
        f"{{apiVersion: v1, kind: Pod, metadata: {{name: gw{n}, namespace: edge, labels: "
        "{gateway.networking.k8s.io/gateway-name: front}}}"
        for n in range(1, pods)
    )
    told = world(route(RULE), gateway(), *more).explain(Flow(OUT, URL, 80)).lines()
    assert f"the Gateway edge/front is {listed} (found by the label of its name)" in told
    assert f"connection 1: {OUT} to the proxy, edge/gw port 80 (1 of {pods})" in told


def test_the_proxy_itself_sends_no_first_connection(world: Callable[..., World]) -> None:
    made = world(route(RULE), gateway())
    flow = Flow("edge/gw", URL, 80)
    assert [(each.source.ref, each.destination.ref) for each in made.packets(flow)] == [("edge/gw", "shop/cart")]
    assert list(made.explain(flow).lines())[3:] == [FRONT, *second("shop/cart", 9000)]


def test_no_packets_where_nothing_is_served(world: Callable[..., World]) -> None:
    assert world().packets(Flow(OUT, URL, 80)) == ()
