"""Laws that hold for every cluster with Calico's policies and the administrators': checked on random small ones."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.calico.selectors import Compare, Everything, Junction, Negation, parse_selector
from grader.kube.parse import read_objects
from grader.reachability.matrix import Column
from grader.reachability.verdict import Action, Flow
from grader.reachability.world import World

Manifest = dict[str, Any]
V3 = "projectcalico.org/v3"
NAMESPACES = ("a", "b")
VALUES = ("1", "2")
NETS = ("10.0.0.0/29", "10.0.0.4/30", "10.0.0.2", "0.0.0.0/0", "192.0.2.0/24")

labels = st.dictionaries(st.sampled_from(("x", "y")), st.sampled_from(VALUES), max_size=2)
key, value = st.sampled_from(("x", "y")), st.sampled_from(VALUES)
compare = st.one_of(
    st.builds(lambda k, op, v: Compare(k, op, (v,)), key, st.sampled_from(["==", "!=", "contains"]), value),
    st.builds(
        lambda k, op, vs: Compare(k, op, tuple(sorted(vs))),
        key,
        st.sampled_from(["in", "not in"]),
        st.sets(value, max_size=2),
    ),
    st.builds(lambda k: Compare(k, "has"), key),
    st.just(Everything()),
)
expressions = st.recursive(
    compare,
    lambda inner: st.one_of(
        st.builds(lambda e: e.operand if isinstance(e, Negation) else Negation(e), inner),
        st.builds(
            lambda word, operands: Junction(word, tuple(operands)),
            st.sampled_from(["&&", "||"]),
            st.lists(inner, min_size=2, max_size=3),
        ),
    ),
    max_leaves=4,
)
selector = expressions.map(str)
entity = st.fixed_dictionaries(
    {},
    optional={
        "selector": selector,
        "notSelector": selector,
        "namespaceSelector": st.one_of(selector, st.just("global()")),
        "nets": st.lists(st.sampled_from(NETS), min_size=1, max_size=2),
        "notNets": st.lists(st.sampled_from(NETS), min_size=1, max_size=1),
        "serviceAccounts": st.just({"names": ["s"]}),
    },
)
ports = st.lists(st.sampled_from([80, "80:81", "http", 443]), min_size=1, max_size=2)


@st.composite
def rules(draw: st.DrawFn) -> Manifest:
    rule: Manifest = {"action": draw(st.sampled_from(["Allow", "Deny", "Pass", "Log"]))}
    rule["source"], rule["destination"] = draw(entity), draw(entity)
    match draw(st.sampled_from(["", "ports", "protocol", "notProtocol"])):
        case "ports":
            rule["protocol"] = draw(st.sampled_from(["TCP", "UDP"]))
            rule["destination"][draw(st.sampled_from(["ports", "notPorts"]))] = draw(ports)
        case "":
            pass
        case field:
            rule[field] = draw(st.sampled_from(["TCP", "UDP", "ICMP"]))
    return rule


@st.composite
def policies(draw: st.DrawFn, number: int) -> Manifest:
    namespace = draw(st.sampled_from([None, *NAMESPACES]))
    staged = draw(st.sampled_from(["", "", "", "Staged"]))
    spec: Manifest = {
        "tier": draw(st.sampled_from(["default", "t1", "t2"])),
        "selector": draw(selector),
        "types": draw(st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]])),
        "ingress": draw(st.lists(rules(), max_size=2)),
        "egress": draw(st.lists(rules(), max_size=2)),
    }
    order = draw(st.sampled_from([None, 1, 2, 1000]))
    if order is not None:
        spec["order"] = order
    metadata: Manifest = {"name": f"p{number}"}
    if namespace:
        metadata["namespace"] = namespace
    kind = f"{staged}NetworkPolicy" if namespace else f"{staged}GlobalNetworkPolicy"
    return {"apiVersion": V3, "kind": kind, "metadata": metadata, "spec": spec}


@st.composite
def clusters(draw: st.DrawFn) -> list[Manifest]:
    objects: list[Manifest] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": draw(labels)}}
        for name in NAMESPACES
    ]
    for name, order in (("t1", 5), ("t2", draw(st.sampled_from([6, 2_000_000])))):
        action = draw(st.sampled_from(["Deny", "Pass"]))
        spec = {"order": order, "defaultAction": action}
        objects.append({"apiVersion": V3, "kind": "Tier", "metadata": {"name": name}, "spec": spec})
    for number in range(1, draw(st.integers(2, 4)) + 1):
        named = {"containerPort": draw(st.sampled_from([80, 81])), "name": "http"}
        spec = {
            "containers": [{"name": "c", "ports": [named]}],
            "serviceAccountName": draw(st.sampled_from(["s", "t"])),
        }
        metadata = {"name": f"p{number}", "namespace": draw(st.sampled_from(NAMESPACES)), "labels": draw(labels)}
        status = {"podIP": f"10.0.0.{number}"}
        objects.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status})
    for number in range(draw(st.integers(0, 2))):
        nets = draw(st.lists(st.sampled_from(NETS), max_size=2))
        metadata = {"name": f"s{number}", "labels": draw(labels)}
        objects.append({"apiVersion": V3, "kind": "GlobalNetworkSet", "metadata": metadata, "spec": {"nets": nets}})
    if draw(st.booleans()):
        spec = {"tier": "Admin", "priority": 1, "subject": {"namespaces": {}}}
        spec["ingress"] = [{"action": draw(st.sampled_from(["Accept", "Deny", "Pass"])), "from": [{"namespaces": {}}]}]
        version = "policy.networking.k8s.io/v1beta1"
        objects.append({"apiVersion": version, "kind": "ClusterNetworkPolicy", "metadata": {"name": "c"}, "spec": spec})
    if draw(st.booleans()):
        spec = {"podSelector": {"matchLabels": draw(labels)}, "ingress": [{}]}
        metadata = {"name": "k", "namespace": "a"}
        objects.append(
            {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}
        )
    return objects + [draw(policies(number)) for number in range(draw(st.integers(1, 3)))]


def world(objects: list[Manifest]) -> World:
    return World(read_objects(objects))


def flows(of: World) -> list[Flow]:
    ends = [*of.endpoints.pods, "ip:10.0.0.6", "ip:192.0.2.1"]
    asked = ((80, "TCP"), (81, "TCP"), (80, "UDP"), (0, "ICMP"))
    return [Flow(a, b, number, protocol) for a in ends for b in ends for number, protocol in asked]


law = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@law
@given(clusters())
def test_sets_of_endpoints_and_single_flows_agree(objects: list[Manifest]) -> None:
    one = world(objects)
    ends = [*one.endpoints.pods, "ip:10.0.0.6", "ip:192.0.2.1"]
    columns = [Column(end, *port) for end in ends for port in ((80, "TCP"), (81, "TCP"), (80, "UDP"), (0, "ICMP"))]
    for flow, allowed, left_open in one.matrix(ends, columns, 4).cells():
        verdict = one.verdict(flow)
        assert (allowed, left_open) == (verdict.allowed, verdict.action is Action.OPEN), flow


@law
@given(clusters(), st.randoms(use_true_random=False))
def test_the_order_of_manifests_does_not_matter(objects: list[Manifest], random: Any) -> None:
    shuffled = list(objects)
    random.shuffle(shuffled)
    assert read_objects(shuffled) == read_objects(objects)
    before, after = world(objects), world(shuffled)
    assert [before.verdict(flow) for flow in flows(before)[::3]] == [after.verdict(flow) for flow in flows(before)[::3]]


@law
@given(clusters())
def test_staged_policies_change_nothing(objects: list[Manifest]) -> None:
    without = [each for each in objects if not each["kind"].startswith("Staged")]
    assert [v.allowed for v in map(world(objects).verdict, flows(world(objects))[::3])] == [
        v.allowed for v in map(world(without).verdict, flows(world(objects))[::3])
    ]


@law
@given(clusters())
def test_an_allow_before_all_others_opens_and_a_deny_closes(objects: list[Manifest]) -> None:
    for action, allowed in (("Allow", True), ("Deny", False)):
        first: list[Manifest] = [
            {"apiVersion": V3, "kind": "Tier", "metadata": {"name": "first"}, "spec": {"order": 0}},
            {
                "apiVersion": V3,
                "kind": "GlobalNetworkPolicy",
                "metadata": {"name": "first.all"},
                "spec": {
                    "tier": "first",
                    "types": ["Ingress", "Egress"],
                    "ingress": [{"action": action}],
                    "egress": [{"action": action}],
                },
            },
        ]
        one = world(objects + first)
        for flow in flows(one)[::2]:
            if flow.source != flow.destination and (
                flow.source in one.endpoints.pods or flow.destination in one.endpoints.pods
            ):
                assert one.verdict(flow).allowed is allowed


@law
@given(clusters())
def test_both_versions_of_the_api_mean_the_same(objects: list[Manifest]) -> None:
    stored = copy.deepcopy(objects)
    for each in stored:
        if each["apiVersion"] == V3:
            each["apiVersion"] = "crd.projectcalico.org/v1"
            if each["spec"].get("tier") == "default":
                each["metadata"]["name"] = f"default.{each['metadata']['name']}"
    assert read_objects(stored) == read_objects(objects)


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


@law
@given(expressions)
def test_a_selector_is_read_as_it_is_written(expression: Any) -> None:
    assert str(parse_selector(str(expression))) == str(parse_selector(str(parse_selector(str(expression)))))
    for x in (None, "1", "2", "12"):
        for y in (None, "1"):
            seen = {key: value for key, value in (("x", x), ("y", y)) if value is not None}
            assert parse_selector(str(expression)).matches(seen) is expression.matches(seen)
