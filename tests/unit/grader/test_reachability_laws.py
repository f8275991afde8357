"""Laws that hold for every cluster: checked on random small ones."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.kube.parse import read_objects
from grader.reachability.matrix import Column
from grader.reachability.verdict import Action, Flow
from grader.reachability.world import World

Manifest = dict[str, Any]
NAMESPACES = ("a", "b")
KEYS, VALUES = ("x", "y"), ("1", "2")
PORTS = (80, 81)
RANGES = {
    "10.0.0.0/29": ["10.0.0.2/32"],
    "10.0.0.4/30": ["10.0.0.4/31"],
    "10.0.0.2/32": [],
    "0.0.0.0/0": ["10.0.0.0/30"],
    "fd00::/125": ["fd00::2/128"],
    "::/0": ["fd00::/126"],
}
"""Ranges, each with exceptions inside it."""

labels = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=2)
expression = st.one_of(
    st.builds(
        lambda key, operator, values: {"key": key, "operator": operator, "values": values},
        st.sampled_from(KEYS),
        st.sampled_from(["In", "NotIn"]),
        st.lists(st.sampled_from(VALUES), min_size=1, max_size=2, unique=True),
    ),
    st.builds(
        lambda key, operator: {"key": key, "operator": operator},
        st.sampled_from(KEYS),
        st.sampled_from(["Exists", "DoesNotExist"]),
    ),
)
selector = st.one_of(
    st.just({}),
    st.builds(lambda value: {"matchLabels": value}, labels),
    st.builds(lambda value: {"matchExpressions": [value]}, expression),
)
block = st.sampled_from(sorted(RANGES)).flatmap(
    lambda cidr: st.lists(st.sampled_from(RANGES[cidr] or [cidr]), max_size=len(RANGES[cidr])).map(
        lambda excepted: {"ipBlock": {"cidr": cidr, **({"except": excepted} if excepted else {})}}
    )
)
peer = st.one_of(
    st.builds(lambda pods: {"podSelector": pods}, selector),
    st.builds(lambda namespaces: {"namespaceSelector": namespaces}, selector),
    st.builds(lambda pods, namespaces: {"podSelector": pods, "namespaceSelector": namespaces}, selector, selector),
    block,
)
port = st.one_of(
    st.builds(lambda number: {"port": number}, st.sampled_from(PORTS)),
    st.just({"port": 80, "endPort": 81}),
    st.builds(lambda name: {"port": name}, st.sampled_from(["http", "alt"])),
    st.just({"protocol": "UDP"}),
)


def rule(side: str) -> st.SearchStrategy[Manifest]:
    return st.fixed_dictionaries(
        {}, optional={side: st.lists(peer, min_size=1, max_size=2), "ports": st.lists(port, min_size=1, max_size=2)}
    )


spec = st.fixed_dictionaries(
    {"podSelector": selector, "policyTypes": st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]])},
    optional={"ingress": st.lists(rule("from"), max_size=2), "egress": st.lists(rule("to"), max_size=2)},
)
policy = st.builds(
    lambda namespace, content: {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"namespace": namespace},
        "spec": content,
    },
    st.sampled_from(NAMESPACES),
    spec,
)


@st.composite
def clusters(draw: st.DrawFn) -> list[Manifest]:
    objects: list[Manifest] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": draw(labels)}}
        for name in NAMESPACES
    ]
    for number in range(1, draw(st.integers(2, 5)) + 1):
        names = draw(st.permutations(["http", "alt"]))
        ports = [{"containerPort": number, "name": name} for number, name in zip(PORTS, names, strict=True)]
        addresses = draw(st.sampled_from([[f"10.0.0.{number}", f"fd00::{number}"], [f"10.0.0.{number}"], []]))
        objects.append(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": f"p{number}",
                    "namespace": draw(st.sampled_from(NAMESPACES)),
                    "labels": draw(labels),
                },
                "spec": {
                    "containers": [{"name": "c", "ports": ports}],
                    "nodeName": "n1",
                    "hostNetwork": draw(st.sampled_from([False, False, False, True])),
                },
                "status": {"podIPs": [{"ip": address} for address in addresses], "hostIP": "172.18.0.2"},
            }
        )
    for number, drawn in enumerate(draw(st.lists(policy, max_size=4))):
        manifest = copy.deepcopy(drawn)
        manifest["metadata"]["name"] = f"np{number}"
        objects.append(manifest)
    return objects


def world(objects: list[Manifest]) -> World:
    return World(read_objects(objects))


def flows(of: World) -> list[Flow]:
    ends = [*of.endpoints.pods, "ip:10.0.0.6", "ip:192.0.2.1"]
    return [
        Flow(source, destination, number, protocol, family)
        for source in ends
        for destination in ends
        for number, protocol in ((80, "TCP"), (81, "TCP"), (80, "UDP"), (0, "ICMP"))
        for family in (4, 6)
    ][:: 1 if len(ends) < 5 else 3]


law = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@law
@given(clusters(), st.randoms(use_true_random=False))
def test_the_order_of_manifests_does_not_matter(objects: list[Manifest], random: Any) -> None:
    shuffled = list(objects)
    random.shuffle(shuffled)
    assert read_objects(shuffled) == read_objects(objects)


@law
@given(clusters(), st.data())
def test_an_added_allow_rule_never_closes(objects: list[Manifest], data: st.DataObject) -> None:
    policies = [number for number, item in enumerate(objects) if item["kind"] == "NetworkPolicy"]
    if not policies:
        return
    wider = copy.deepcopy(objects)
    chosen = wider[data.draw(st.sampled_from(policies))]["spec"]
    side, key = data.draw(st.sampled_from([("from", "ingress"), ("to", "egress")]))
    chosen[key] = [*chosen.get(key, ()), data.draw(rule(side))]
    before, after = world(objects), world(wider)
    closed = [flow for flow in flows(before) if before.verdict(flow).allowed and not after.verdict(flow).allowed]
    assert closed == []


@law
@given(clusters(), policy)
def test_an_added_policy_only_closes_at_what_it_selects(objects: list[Manifest], added: Manifest) -> None:
    added = copy.deepcopy(added)
    added["metadata"]["name"] = "added"
    before, after = world(objects), world([*objects, added])
    name = "NetworkPolicy", added["metadata"]["namespace"], "added"
    for flow in flows(before):
        was, now = before.verdict(flow), after.verdict(flow)
        if was.allowed and not now.allowed:
            isolating = [*now.egress.isolating, *now.ingress.isolating]
            assert name in [(each.kind, each.namespace, each.name) for each in isolating]


@law
@given(clusters(), st.sampled_from([4, 6]))
def test_sets_of_endpoints_and_single_flows_agree(objects: list[Manifest], family: int) -> None:
    one = world(objects)
    ends = [*one.endpoints.pods, "ip:10.0.0.6"]
    columns = [Column(end, *port) for end in ends for port in ((80, "TCP"), (81, "TCP"), (80, "UDP"), (0, "ICMP"))]
    for rows in (ends, ends[::-1][:3], [*ends, *ends[:1]]):
        for flow, allowed, left_open in one.matrix(rows, columns, family).cells():
            verdict = one.verdict(flow)
            assert (allowed, left_open) == (verdict.allowed, verdict.action is Action.OPEN), flow


@law
@given(clusters())
def test_an_explanation_gives_the_verdict(objects: list[Manifest]) -> None:
    one = world(objects)
    for flow in flows(one)[::5]:
        explanation = one.explain(flow)
        assert explanation.verdict == one.verdict(flow)
        assert explanation.lines()
        if explanation.verdict.allowed:
            assert explanation.near_misses == ()
