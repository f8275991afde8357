"""What an explanation says: the way, who decided, and what came close."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from grader.kube.model import Origin
from grader.kube.parse import read_objects
from grader.reachability.verdict import Flow
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

WEB, DB, GUEST = "shop/web", "shop/db", "lobby/guest"


def ingress(rule: str, subject: str = "matchLabels: {app: web}") -> str:
    return f"{{podSelector: {{{subject}}}, ingress: [{rule}]}}"


def misses(world: World, flow: Flow) -> list[str]:
    return [f"{miss.policy.name} {miss.rule}: {miss.missed}" for miss in world.explain(flow).near_misses]


@pytest.mark.parametrize(
    ("rule", "flow", "missed"),
    [
        ("{ports: [{port: 80}]}", Flow(DB, WEB, 8080), "would match if the port were 80/TCP (it is 8080/TCP)"),
        ("{ports: [{port: 1, endPort: 9}]}", Flow(DB, WEB, 80), "would match if the port were 1-9/TCP (it is 80/TCP)"),
        ("{ports: [{protocol: UDP}]}", Flow(DB, WEB, 80), "would match if the port were every port/UDP (it is 80/TCP)"),
        ("{ports: [{port: none}]}", Flow(DB, WEB, 80), 'would match if shop/web had a TCP port named "none"'),
        ("{ports: [{port: 80}]}", Flow(DB, WEB, 0, "ICMP"), "would match if it named no ports (80/TCP): with ports it"),
        (
            "{from: [{podSelector: {matchLabels: {app: front}}}]}",
            Flow(DB, WEB, 80),
            "would match if label app of shop/db were front (it is db)",
        ),
        (
            "{from: [{podSelector: {matchLabels: {role: front}}}]}",
            Flow(DB, WEB, 80),
            "would match if label role of shop/db were front (it has none)",
        ),
        (
            "{from: [{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [db, x]}]}}]}",
            Flow(DB, WEB, 80),
            "would match if label app of shop/db were not db or x",
        ),
        (
            "{from: [{podSelector: {matchExpressions: [{key: tier, operator: Exists}]}}]}",
            Flow(DB, WEB, 80),
            "would match if shop/db had a label tier",
        ),
        (
            "{from: [{podSelector: {matchExpressions: [{key: app, operator: DoesNotExist}]}}]}",
            Flow(DB, WEB, 80),
            "would match if shop/db had no label app (it is db)",
        ),
        (
            "{from: [{podSelector: {}}]}",
            Flow(GUEST, WEB, 80),
            "would match if lobby/guest were in namespace shop (it has no namespaceSelector)",
        ),
        (
            "{from: [{namespaceSelector: {matchLabels: {team: blue}}}]}",
            Flow(GUEST, WEB, 80),
            "would match if label team of namespace lobby were blue (it is red)",
        ),
        (
            "{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}",
            Flow(DB, WEB, 80),
            "would match if 10.0.2.1 were in 192.0.2.0/24",
        ),
        (
            "{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.2.0/24]}}]}",
            Flow(DB, WEB, 80),
            "would match if 10.0.2.1 were not in the exception 10.0.2.0/24 of 10.0.0.0/8",
        ),
        (
            "{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}",
            Flow("host:bastion", WEB, 80),
            "would match if host:bastion had an IPv4 address in 10.0.0.0/8 (none is known)",
        ),
        (
            "{from: [{ipBlock: {cidr: 10.9.0.0/16}}, {podSelector: {matchLabels: {app: x}}}]}",
            Flow(DB, WEB, 80),
            "would match if label app of shop/db were x (it is db)",
        ),
        (
            "{from: [{podSelector: {matchLabels: {app: x}}}, {ipBlock: {cidr: 10.9.0.0/16}}]}",
            Flow("ip:192.0.2.1", WEB, 80),
            "would match if 192.0.2.1 were in 10.9.0.0/16",
        ),
    ],
)
def test_a_near_miss_names_the_one_thing(shop: Callable[..., World], rule: str, flow: Flow, missed: str) -> None:
    (found,) = misses(shop(ingress(rule)), flow)
    assert found.startswith(f"p1 1: {missed}")


@pytest.mark.parametrize(
    ("rule", "flow"),
    [
        ("{from: [{podSelector: {}}]}", Flow("ip:192.0.2.1", WEB, 80)),
        ("{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}", Flow("shop/new", WEB, 80)),
        ("{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}", Flow(DB, WEB, 80, family=6)),
    ],
)
def test_what_can_never_mean_the_peer_is_not_near(shop: Callable[..., World], rule: str, flow: Flow) -> None:
    assert misses(shop(ingress(rule)), flow) == []


def test_two_things_missing_are_not_near(shop: Callable[..., World]) -> None:
    world = shop(ingress("{from: [{podSelector: {matchLabels: {app: x}}}], ports: [{port: 1}]}"))
    assert misses(world, Flow(DB, WEB, 80)) == []


def test_a_policy_that_misses_the_subject_by_one_label_is_near(shop: Callable[..., World]) -> None:
    """The commonest mistake: the allowing policy selects other pods than the denying one."""
    world = shop("{podSelector: {}}", ingress("{from: [{podSelector: {}}]}", "matchLabels: {app: front}"))
    assert misses(world, Flow(DB, WEB, 80)) == ["p2 1: would apply if label app of shop/web were front (it is web)"]


def test_the_lines_of_a_denied_flow(shop: Callable[..., World]) -> None:
    world = shop(ingress("{from: [{podSelector: {matchLabels: {app: front}}}]}"), "{podSelector: {}}")
    assert world.explain(Flow(DB, "service:shop/web", 80)).lines() == (
        "shop/db -> service:shop/web:80/TCP  dropped",
        "Service shop/web at 10.96.0.7 port 80 leads to shop/web port 8080; policies see the pod's port",
        "egress of shop/db: allowed: no policy selects it",
        "ingress of shop/web: dropped: isolated by NetworkPolicy shop/p1, NetworkPolicy shop/p2, and no rule allows it",
        "near miss: NetworkPolicy shop/p1 ingress rule 1: would match if label app of shop/db were front (it is db)",
    )


def test_the_lines_of_an_allowed_flow_name_every_rule_that_opens_it(shop: Callable[..., World]) -> None:
    world = shop(ingress("{from: [{podSelector: {}}], ports: [{port: http}]}, {}"), ingress("{}"))
    assert world.explain(Flow(DB, WEB, 8080)).lines()[2:] == (
        "ingress of shop/web: allowed: NetworkPolicy shop/p1 rule 1 allows it",
        '  rule 1: from all pods of namespace shop, "http"/TCP',
        "  also allowed by NetworkPolicy shop/p1 rule 2, NetworkPolicy shop/p2 rule 1",
    )


def test_what_is_left_open_says_what_calico_does(shop: Callable[..., World]) -> None:
    lines = shop("{podSelector: {}}").explain(Flow(DB, WEB, 0, "ICMP")).lines()
    assert lines[0] == "shop/db -> shop/web:icmp  implementation-defined"
    assert "NetworkPolicy says nothing about ICMP; Calico drops it" in lines[2]


@pytest.mark.parametrize(
    ("flow", "line"),
    [
        (Flow(DB, "ip:10.0.1.1", 80), "ip:10.0.1.1 is the address of shop/web"),
        (Flow(DB, "service:shop/pods", 80), "Service shop/pods is headless: its name stands for shop/db port 80"),
        (Flow(DB, "service:shop/nobody", 80), "Service shop/nobody has no endpoints for port 80/TCP"),
        (Flow(DB, "service:shop/web", 81), "Service shop/web has no port 81/TCP"),
        (
            Flow(WEB, "node:n1", 30090),
            "port 30090 of node:n1 is a NodePort of Service lobby/door: it leads to lobby/guest port 8080; its",
        ),
        (Flow(WEB, "ip:172.18.0.3", 30090), "port 30090 of node:n2 is a NodePort of Service lobby/door"),
        (
            Flow(GUEST, "service:shop/both", 80),
            "Service shop/both at 10.96.0.9 port 80 leads to shop/db port 8081 (1 of 2",
        ),
    ],
)
def test_the_way_comes_first(shop: Callable[..., World], flow: Flow, line: str) -> None:
    assert shop().explain(flow).lines()[1].startswith(line)


def test_the_place_in_a_file_is_named() -> None:
    manifests = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop"}} for name in ("a", "b")
    ]
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p", "namespace": "shop"},
    }
    world = World(read_objects([*manifests, policy], origins=[Origin(), Origin(), Origin("deny.yaml", 7)]))
    assert world.explain(Flow("shop/a", "shop/b", 80)).lines()[2].endswith("[deny.yaml:7]")
