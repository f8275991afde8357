"""Who is said to have decided, where that stands, and what the rule is said to mean: Calico's and cluster policies."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING

import pytest

from grader.kube.model import Origin
from grader.reachability.verdict import Flow

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.reachability.world import World

WEB, DB, GUEST, OUT = "shop/web", "shop/db", "lobby/guest", "ip:192.0.2.1"
NODE = "hep h1 {node: n1, interfaceName: eth0, expectedIPs: [172.18.0.2]%s}"
OTHER_NODE = "hep h2 {node: n2, interfaceName: eth0, expectedIPs: [172.18.0.3]}"
ON_DB = "selector: \"app == 'db'\""
PLACE = ("a.yaml", 3)
NO_PLACE = ("", 0)
FAIL_SAFE = ("FelixConfiguration", "", "fail-safe ports", *NO_PLACE)
EVERY = "{namespaces: {}}"


def egress_of_all(to: str) -> str:
    return f"gnp a {{types: [Egress], egress: [{{action: Allow, {to}}}]}}"


def into_db(rule: str, kind: str = "gnp a") -> str:
    return f"{kind} {{{ON_DB}, types: [Ingress], ingress: [{rule}]}}"


INGRESS = [
    ([into_db("{action: Deny}")], Flow(GUEST, DB, 1), ("GlobalNetworkPolicy", "", "a", *PLACE), 1),
    ([into_db("{action: Deny}", "np shop/a")], Flow(GUEST, DB, 1), ("NetworkPolicy", "shop", "a", *PLACE), 1),
    (
        [f"cnp a {{tier: Admin, priority: 1, subject: {EVERY}, ingress: [{{action: Deny, from: [{EVERY}]}}]}}"],
        Flow(GUEST, DB, 1),
        ("ClusterNetworkPolicy", "", "a", *PLACE),
        1,
    ),
    (["profile kns.shop {}"], Flow(GUEST, DB, 1), ("Profile", "", "kns.shop", *PLACE), 0),
    (
        ["profile kns.shop {ingress: [{action: Allow, protocol: UDP}, {action: Pass}]}"],
        Flow(GUEST, DB, 1),
        ("Profile", "", "kns.shop", *PLACE),
        2,
    ),
    (
        ["profile kns.shop {}", "profile ksa.shop.default {ingress: [{action: Deny}]}"],
        Flow(GUEST, DB, 1),
        ("Profile", "", "ksa.shop.default", *PLACE),
        1,
    ),
    ([NODE % "", OTHER_NODE], Flow(OUT, "node:n1", 80), ("HostEndpoint", "", "h1", *PLACE), 0),
    ([NODE % "", OTHER_NODE], Flow(OUT, "node:n2", 80), ("HostEndpoint", "", "h2", *PLACE), 0),
    ([NODE % "", OTHER_NODE], Flow(OUT, "node:n2", 6443), FAIL_SAFE, 7),
    (
        [NODE % ", profiles: [projectcalico-default-allow]"],
        Flow(OUT, "node:n1", 80),
        ("Profile", "", "projectcalico-default-allow", *NO_PLACE),
        1,
    ),
    (
        [NODE % ", profiles: [p]", "profile p {ingress: [{action: Deny}]}"],
        Flow(OUT, "node:n1", 80),
        ("Profile", "", "p", *PLACE),
        1,
    ),
    (
        [into_db("{action: Deny, protocol: SCTP}, {action: Allow, http: {methods: [GET]}}")],
        Flow(GUEST, DB, 1),
        ("GlobalNetworkPolicy", "", "a", *PLACE),
        2,
    ),
    (
        [into_db("{action: Deny, protocol: SCTP}, {action: Allow, http: {methods: [GET]}}")],
        Flow(GUEST, DB, 1, "UDP"),
        ("GlobalNetworkPolicy", "", "a", *PLACE),
        2,
    ),
]


@pytest.mark.parametrize(("texts", "flow", "who", "rule"), INGRESS)
def test_who_decides_what_comes_in(
    cluster: Callable[..., World], texts: list[str], flow: Flow, who: tuple[str, str, str, str, int], rule: int
) -> None:
    decision = cluster(*texts, origins=repeat(Origin(*PLACE))).verdict(flow).ingress
    assert decision.policy is not None
    named = decision.policy
    assert (named.kind, named.namespace, named.name, named.file, named.line) == who
    assert decision.rule == rule


def test_a_rule_with_http_is_of_no_condition_for_what_no_proxy_sees(cluster: Callable[..., World]) -> None:
    world = cluster(into_db("{action: Allow, http: {methods: [GET]}}"))
    assert world.verdict(Flow(GUEST, DB, 1, "UDP")).ingress.condition == ""
    assert world.verdict(Flow(GUEST, DB, 1)).ingress.condition == "HTTP GET"


@pytest.mark.parametrize(
    ("texts", "flow", "line"),
    [
        (
            [into_db("{action: Allow, source: {services: {name: web, namespace: shop}}}")],
            Flow(WEB, DB, 1),
            "  rule 1: from endpoints of Service shop/web, every port and protocol",
        ),
        (
            [into_db("{action: Allow, source: {services: {name: web}}}", "np shop/a")],
            Flow(WEB, DB, 1),
            "  rule 1: from endpoints of Service shop/web, every port and protocol",
        ),
        (
            [into_db("{action: Allow, source: {services: {name: door, namespace: lobby}}}", "np shop/a")],
            Flow(GUEST, DB, 1),
            "  rule 1: from endpoints of Service lobby/door, every port and protocol",
        ),
        (
            [egress_of_all("destination: {services: {name: both, namespace: shop}}")],
            Flow(GUEST, WEB, 8080),
            "  rule 1: to endpoints of Service shop/both, 8080/TCP",
        ),
        (
            [into_db("{action: Allow, source: {selector: \"app == 'web'\"}}", "np shop/a")],
            Flow(WEB, DB, 1),
            (
                '  rule 1: from endpoints (projectcalico.org/namespace == "shop" && app == "web"), '
                "every port and protocol"
            ),
        ),
        (
            [into_db("{action: Allow, source: {serviceAccounts: {selector: has(a)}, notNets: [10.9.0.0/16]}}")],
            Flow(WEB, DB, 1),
            (
                "ingress of shop/db: dropped: isolated by GlobalNetworkPolicy a, and no rule allows it: "
                "tier default ends in deny"
            ),
        ),
        (
            [
                (
                    f"cnp a {{tier: Admin, priority: 1, subject: {EVERY}, egress: "
                    "[{action: Deny, to: [{domainNames: [example.com, example.org]}]}]}"
                )
            ],
            Flow(WEB, "host:example.org", 443),
            "  rule 1: to domains example.com, example.org, every port and protocol",
        ),
        (
            ["profile kns.shop {ingress: [{action: Pass, protocol: TCP}]}"],
            Flow(GUEST, DB, 1),
            "ingress of shop/db: dropped: Profile kns.shop rule 1 denies it (tier profiles)",
        ),
        ([NODE % ""], Flow(OUT, "node:n1", 22), "  rule 1: from anywhere, 22/TCP"),
        ([NODE % ""], Flow("node:n1", OUT, 53, "UDP"), "  rule 1: to anywhere, 53/UDP"),
        (
            ["knp shop/k {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 80}]}]}"],
            Flow(WEB, OUT, 80),
            "egress of shop/web: allowed: NetworkPolicy shop/k rule 1 allows it",
        ),
        (
            ["knp shop/k {podSelector: {}, policyTypes: [Egress]}"],
            Flow(WEB, OUT, 80),
            "egress of shop/web: dropped: isolated by NetworkPolicy shop/k, and no rule allows it",
        ),
    ],
)
def test_what_is_said_of_the_rule(cluster: Callable[..., World], texts: list[str], flow: Flow, line: str) -> None:
    assert line in cluster(*texts).explain(flow).lines()


@pytest.mark.parametrize(
    ("texts", "flow", "missed"),
    [
        (
            [into_db("{action: Allow, source: {selector: \"app == 'web'\"}}", "np shop/a")],
            Flow(GUEST, DB, 1),
            ["would match if lobby/guest were in namespace shop"],
        ),
        (
            ["profile kns.shop {}", "profile ksa.shop.robot {ingress: [{action: Allow}]}"],
            Flow(GUEST, DB, 1),
            ["would apply if shop/db had service account robot (it is default)"],
        ),
        # Nothing is outside of every range: such a rule is never there, so that nothing would make it match.
        ([into_db("{action: Allow, source: {notNets: [0.0.0.0/0]}}")], Flow(WEB, DB, 1), []),
        (
            [into_db("{action: Allow, source: {notNets: [10.0.1.0/24]}}")],
            Flow(WEB, DB, 1),
            ["would match if shop/web were none of 10.0.1.0/24"],
        ),
    ],
)
def test_what_came_near(cluster: Callable[..., World], texts: list[str], flow: Flow, missed: list[str]) -> None:
    assert [miss.missed for miss in cluster(*texts).explain(flow).near_misses] == missed
