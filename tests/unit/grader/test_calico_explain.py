"""What explanations say where tiers, passes, Calico's selectors, HTTP and host endpoints decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from grader.reachability.verdict import Flow

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.reachability.world import World

WEB, DB, GUEST, OUT = "shop/web", "shop/db", "lobby/guest", "ip:192.0.2.1"
TIER = "tier sec {order: 1}"


def gnp(rules: str, more: str = "") -> str:
    return f"gnp a {{selector: \"app == 'db'\", types: [Ingress], ingress: [{rules}]{more}}}"


def allow(source: str, more: str = "") -> str:
    return gnp(f"{{action: Allow, source: {{{source}}}{more}}}")


@pytest.mark.parametrize(
    ("texts", "flow", "line"),
    [
        (
            [gnp("{action: Deny}")],
            Flow(GUEST, DB, 1),
            "ingress of shop/db: dropped: GlobalNetworkPolicy a rule 1 denies it (tier default)",
        ),
        ([gnp("{action: Deny, protocol: TCP}")], Flow(GUEST, DB, 1), "  rule 1: from anywhere, every port/TCP"),
        (
            [gnp("")],
            Flow(GUEST, DB, 1),
            (
                "ingress of shop/db: dropped: isolated by GlobalNetworkPolicy a, and no rule allows it: "
                "tier default ends in deny"
            ),
        ),
        (
            [TIER, "gnp sec.b {tier: sec, ingress: [{action: Pass}]}", gnp("{action: Allow}")],
            Flow(GUEST, DB, 1),
            "  GlobalNetworkPolicy sec.b rule 1 passes it on from tier sec",
        ),
        (
            [TIER, "gnp sec.b {tier: sec, ingress: [{action: Pass}]}"],
            Flow(GUEST, DB, 1),
            "ingress of shop/db: allowed: every tier passes it on",
        ),
        (
            [gnp("{action: Allow, protocol: TCP, http: {methods: [GET, PUT], paths: [{prefix: /api}]}}")],
            Flow(GUEST, DB, 1),
            (
                "ingress of shop/db: allowed: GlobalNetworkPolicy a rule 1 allows it (tier default), "
                "if it is HTTP GET or PUT /api*"
            ),
        ),
        (
            ["hep n1 [role=node] {node: n1, interfaceName: eth0, expectedIPs: [172.18.0.2]}"],
            Flow(OUT, "node:n1", 80),
            (
                "ingress of node:n1: dropped: isolated by HostEndpoint n1, and no rule allows it: "
                "tier profiles ends in deny"
            ),
        ),
        (
            [
                "hep n1 [role=node] {node: n1, interfaceName: eth0, expectedIPs: [172.18.0.2]}",
                "gnp a {selector: has(role), applyOnForward: true, ingress: [{action: Deny}]}",
            ],
            Flow(OUT, WEB, 80),
            (
                "ingress of shop/web: dropped: host endpoint n1 forwards it: GlobalNetworkPolicy a rule 1 denies it "
                "(tier default)"
            ),
        ),
        (
            [gnp("{action: Allow, source: {notNets: [10.0.2.0/24], selector: has(tier)}, protocol: TCP}")],
            Flow(WEB, DB, 1),
            "  rule 1: from endpoints has(tier) and not (10.0.2.0/24), every port/TCP, IPv4",
        ),
        (
            [gnp("{action: Allow, protocol: 6, source: {ports: [1]}, destination: {notPorts: [2], nets: [10.0.2.1]}}")],
            Flow(WEB, DB, 1, source_port=1),
            "  rule 1: from anywhere, every port/TCP, but 2/TCP, to 10.0.2.1/32, sent from 1/TCP, IPv4",
        ),
    ],
)
def test_lines(cluster: Callable[..., World], texts: list[str], flow: Flow, line: str) -> None:
    assert line in cluster(*texts).explain(flow).lines()


@pytest.mark.parametrize(
    ("text", "flow", "missed"),
    [
        (allow("selector: \"app == 'front'\""), Flow(WEB, DB, 1), "if label app of shop/web were front (it is web)"),
        (
            allow("selector: \"role in {'x', 'y'}\""),
            Flow(WEB, DB, 1),
            "if label role of shop/web were x or y (it has none)",
        ),
        (allow("selector: \"app != 'web'\""), Flow(WEB, DB, 1), "if label app of shop/web were not web"),
        (allow("selector: has(role)"), Flow(WEB, DB, 1), "if shop/web had a label role"),
        (
            allow("selector: app ends with 'x'"),
            Flow(WEB, DB, 1),
            "if label app of shop/web ended with x (it is web)",
        ),
        (allow("selector: \"app == 'x' || has(y)\""), Flow(WEB, DB, 1), 'if (app == "x" || has(y)) held'),
        (
            allow("selector: \"app == 'web'\", namespaceSelector: \"team == 'red'\""),
            Flow(WEB, DB, 1),
            "if label team of namespace shop were red (it is blue)",
        ),
        (
            allow("serviceAccounts: {names: [robot]}"),
            Flow(WEB, DB, 1),
            "if shop/web had service account robot (it is default)",
        ),
        (allow("nets: [10.9.0.0/16]"), Flow(WEB, DB, 1), "if 10.0.1.1 were in 10.9.0.0/16"),
        (allow("notNets: [10.0.1.0/24]"), Flow(WEB, DB, 1), "if shop/web were none of 10.0.1.0/24"),
        (allow("selector: has(tier), nets: [10.9.0.0/16]"), Flow(WEB, DB, 1), "if 10.0.1.1 were in 10.9.0.0/16"),
        (allow("", ", protocol: UDP"), Flow(WEB, DB, 1), "if the port were every port/UDP (it is 1/TCP)"),
        (allow("", ", notProtocol: TCP"), Flow(WEB, DB, 1), "if the port were none of every port/TCP (it is 1/TCP)"),
        (allow("ports: ['1:9']", ", protocol: TCP"), Flow(WEB, DB, 1), "if the sender's port were 1-9/TCP"),
    ],
)
def test_near_misses(cluster: Callable[..., World], text: str, flow: Flow, missed: str) -> None:
    assert [miss.missed for miss in cluster(text).explain(flow).near_misses] == [f"would match {missed}"]


def test_a_subject_that_misses_by_one_label(cluster: Callable[..., World]) -> None:
    world = cluster(gnp(""), "gnp b {selector: \"app == 'dbx'\", ingress: [{action: Allow}]}")
    (miss,) = world.explain(Flow(WEB, DB, 1)).near_misses
    assert miss.missed == "would apply if label app of shop/db were dbx (it is db)"


def test_rules_behind_the_one_that_decided_are_no_near_misses(cluster: Callable[..., World]) -> None:
    world = cluster(
        gnp("{action: Allow, protocol: UDP}, {action: Deny}, {action: Allow, protocol: SCTP}", ", order: 1")
    )
    assert [miss.rule for miss in world.explain(Flow(WEB, DB, 1)).near_misses] == [1]


@pytest.mark.parametrize(
    ("rules", "condition"),
    [
        ("{action: Allow, protocol: TCP, http: {methods: [GET]}}", "HTTP GET"),
        (
            "{action: Allow, http: {methods: [GET]}}, {action: Allow, http: {paths: [{exact: /x}]}}, {action: Deny}",
            "HTTP GET or HTTP /x",
        ),
        ("{action: Allow, http: {methods: [GET]}}, {action: Allow}", ""),
        ("{action: Allow, http: {methods: [GET]}}, {action: Pass}", ""),
    ],
)
def test_http_is_kept_as_a_condition(cluster: Callable[..., World], rules: str, condition: str) -> None:
    verdict = cluster(gnp(rules)).verdict(Flow(WEB, DB, 1))
    assert (verdict.allowed, verdict.condition) == (True, condition)


def test_a_rule_with_http_does_not_let_other_protocols_pass(cluster: Callable[..., World]) -> None:
    world = cluster(gnp("{action: Allow, protocol: TCP, http: {methods: [GET]}}"))
    assert not world.verdict(Flow(WEB, DB, 1, "UDP")).allowed
    assert not world.verdict(Flow(WEB, DB, 0, "ICMP")).allowed


def test_without_a_protocol_it_does_for_no_proxy_sees_them(cluster: Callable[..., World]) -> None:
    verdict = cluster(gnp("{action: Allow, http: {methods: [GET]}}")).verdict(Flow(WEB, DB, 1, "UDP"))
    assert (verdict.allowed, verdict.condition) == (True, "")


def test_an_allowing_rule_is_not_said_to_have_twins_behind_a_deny(cluster: Callable[..., World]) -> None:
    world = cluster(gnp("{action: Allow, protocol: TCP}, {action: Deny}, {action: Allow}"))
    assert not any("also allowed" in line for line in world.explain(Flow(WEB, DB, 1)).lines())
    twins = cluster(gnp("{action: Allow, protocol: TCP}, {action: Allow}"))
    assert "  also allowed by GlobalNetworkPolicy a rule 2" in twins.explain(Flow(WEB, DB, 1)).lines()
