"""All pairs by classes against single flows, on random small clusters with every kind of policy and host endpoints."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.kube.parse import read_objects
from grader.reachability.bits import members, transposed
from grader.reachability.folding import fold
from grader.reachability.matrix import Column
from grader.reachability.verdict import Action, Flow
from grader.reachability.world import World

Manifest = dict[str, Any]
V3 = "projectcalico.org/v3"
PORTS = ((79, "TCP"), (80, "TCP"), (81, "TCP"), (90, "TCP"), (22, "TCP"), (53, "UDP"), (53, "SCTP"))
NETS = ("10.0.0.0/30", "10.0.0.4/30", "172.18.0.0/16", "0.0.0.0/0")

law = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
pick = st.sampled_from
selector = pick(["all()", "x == '1'", "x != '1'", "has(y)", "!has(x)", "x in {'1', '2'} || has(host)"])
labels = st.fixed_dictionaries({}, optional={"x": pick(["1", "2"]), "y": pick(["1", "2"])})
number = pick([80, "80:81", "web", 22])


def rule(ingress: bool) -> st.SearchStrategy[Manifest]:
    side = st.fixed_dictionaries(
        {},
        optional={
            "selector": selector,
            "notSelector": selector,
            "nets": st.lists(pick(NETS), min_size=1, max_size=2),
            "notNets": st.lists(pick(NETS[:3]), min_size=1, max_size=1),
        },
    )
    to = st.fixed_dictionaries(
        {},
        optional={
            "ports": st.lists(number, min_size=1, max_size=2),
            "notPorts": st.lists(number, min_size=1, max_size=1),
        },
    )
    return st.builds(
        lambda action, source, destination, ports, http: {
            "action": action,
            "protocol": "TCP",
            "source": source,
            "destination": {**destination, **ports},
            **({"http": {"methods": ["GET"]}} if http and action == "Allow" and ingress else {}),
        },
        pick(["Allow", "Allow", "Deny", "Pass", "Log"]),
        side,
        side,
        to,
        pick([False, False, False, True]),
    ) | st.just({"action": "Allow"})


@st.composite
def calico_policy(draw: st.DrawFn) -> Manifest:
    forward = draw(pick(["", "", "applyOnForward", "doNotTrack", "preDNAT"]))
    early = forward in ("doNotTrack", "preDNAT")
    types = ["Ingress"] if forward == "preDNAT" else draw(pick([["Ingress"], ["Egress"], ["Ingress", "Egress"]]))
    spec: Manifest = {"tier": draw(pick(["default", "t"])), "selector": draw(selector), "types": types}
    spec["order"] = draw(st.integers(1, 9))
    if forward:
        spec |= {"applyOnForward": True, forward: True}
    for direction in types:
        found = draw(st.lists(rule(direction == "Ingress"), max_size=2))
        # What is judged before connections are tracked sees no HTTP.
        spec[direction.lower()] = [{k: v for k, v in each.items() if not (early and k == "http")} for each in found]
    return {"apiVersion": V3, "kind": "GlobalNetworkPolicy", "metadata": {}, "spec": spec}


@st.composite
def plain_policy(draw: st.DrawFn) -> Manifest:
    peer = pick(
        [
            {"podSelector": {}},
            {"namespaceSelector": {}, "podSelector": {"matchLabels": {"x": "1"}}},
            {"ipBlock": {"cidr": "172.18.0.0/16"}},
            {"ipBlock": {"cidr": "10.0.0.0/29", "except": ["10.0.0.2/31"]}},
        ]
    )
    port = pick([{"port": 80}, {"port": "web"}, {"port": 80, "endPort": 90}, {"protocol": "UDP"}])
    side = st.fixed_dictionaries(
        {}, optional={"from": st.lists(peer, min_size=1), "ports": st.lists(port, min_size=1, max_size=2)}
    )
    spec: Manifest = {"podSelector": draw(pick([{}, {"matchLabels": {"x": "1"}}])), "policyTypes": []}
    for kind, peers in (("Ingress", "from"), ("Egress", "to")):
        if draw(st.booleans()):
            spec["policyTypes"].append(kind)
            found = draw(st.lists(side, max_size=2))
            spec[kind.lower()] = [{{"from": peers}.get(k, k): v for k, v in each.items()} for each in found]
    metadata = {"namespace": draw(pick(["a", "b"]))}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


@st.composite
def cluster_policy(draw: st.DrawFn) -> Manifest:
    rules = st.lists(
        st.builds(
            lambda action, key, value: {"action": action, "name": "r", key: [value]},
            pick(["Accept", "Deny", "Pass"]),
            st.just("to"),
            pick([{"namespaces": {}}, {"networks": ["10.0.0.0/30"]}, {"nodes": {}}]),
        ),
        max_size=2,
    )
    spec = {
        "tier": draw(pick(["Admin", "Baseline"])),
        "priority": draw(st.integers(0, 9)),
        "subject": {"namespaces": {}},
        "egress": draw(rules),
    }
    version = "policy.networking.k8s.io/v1beta1"
    return {"apiVersion": version, "kind": "ClusterNetworkPolicy", "metadata": {}, "spec": spec}


@st.composite
def endpoints(draw: st.DrawFn, calico: bool) -> list[Manifest]:
    objects: list[Manifest] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": draw(labels)}} for name in "ab"
    ]
    for node in (1, 2):
        addresses = [{"type": "InternalIP", "address": f"172.18.0.{node}"}]
        metadata: Manifest = {"name": f"n{node}"}
        objects.append({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": {"addresses": addresses}})
        if calico and draw(st.booleans()):
            spec: Manifest = {"node": f"n{node}", "interfaceName": draw(pick(["eth0", "*"]))}
            spec["expectedIPs"] = [f"172.18.0.{node}"]
            metadata = {"name": f"h{node}", "labels": {"host": "yes"}}
            objects.append({"apiVersion": V3, "kind": "HostEndpoint", "metadata": metadata, "spec": spec})
    for i in range(1, draw(st.integers(3, 5)) + 1):
        node, on_host = draw(pick([1, 2])), draw(pick([False, False, False, True]))
        ports = [{"containerPort": draw(pick([80, 81])), "name": "web"}]
        metadata = {"name": f"p{i}", "namespace": draw(pick(["a", "b"])), "labels": draw(labels)}
        spec = {"nodeName": f"n{node}", "hostNetwork": on_host, "containers": [{"name": "c", "ports": ports}]}
        status = {"podIP": f"172.18.0.{node}" if on_host else f"10.0.0.{i}", "hostIP": f"172.18.0.{node}"}
        objects.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status})
    return objects


def named(policies: list[Manifest]) -> list[Manifest]:
    found = copy.deepcopy(policies)
    for i, each in enumerate(found):
        each["metadata"]["name"] = f"{'t' if each['spec'].get('tier') == 't' else 'default'}.p{i}"
        if each["kind"] != "GlobalNetworkPolicy":
            each["metadata"]["name"] = f"p{i}"
    return found


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[Manifest], list[Manifest]]:
    calico = draw(st.booleans())
    kinds = [plain_policy(), cluster_policy(), *([calico_policy(), calico_policy()] if calico else [])]
    objects = draw(endpoints(calico))
    if calico:
        action = draw(pick(["Deny", "Pass"]))
        objects.append(
            {"apiVersion": V3, "kind": "Tier", "metadata": {"name": "t"}, "spec": {"order": 5, "defaultAction": action}}
        )
    return objects, named(draw(st.lists(st.one_of(kinds), max_size=4)))


def world(objects: list[Manifest]) -> World:
    return World(read_objects(objects))


def ends(of: World) -> list[str]:
    return [endpoint.ref for endpoint in of.endpoints.everyone()]


@law
@given(clusters())
def test_sets_and_single_flows_agree(cluster: tuple[list[Manifest], list[Manifest]]) -> None:
    one = world(cluster[0] + cluster[1])
    columns = [Column(end, *port) for end in ends(one) for port in PORTS]
    for flow, allowed, left_open in one.matrix(ends(one), columns).cells():
        verdict = one.verdict(flow)
        assert (allowed, left_open) == (verdict.allowed, verdict.action is Action.OPEN), (flow, verdict)


@law
@given(clusters())
def test_conditions_and_outside_addresses(cluster: tuple[list[Manifest], list[Manifest]]) -> None:
    one = world(cluster[0] + cluster[1])
    reach = one.reach()
    for place, parts in enumerate(reach.into):
        destination = reach.classes[place]
        for source_place, source in enumerate(reach.classes):
            if source.sample.ref == destination.sample.ref or source.sample.node == destination.sample.node:
                continue
            for port, protocol in PORTS:
                part = next(part for part in parts if part.ports & reach.ports.at(port, protocol))
                verdict = one.verdict(Flow(source.sample.ref, destination.sample.ref, port, protocol))
                assert bool(part.allowed >> source_place & 1) is verdict.allowed
                assert bool(part.conditional >> source_place & 1) is (bool(verdict.condition) and verdict.allowed)


@law
@given(clusters())
def test_folding_changes_no_cell(cluster: tuple[list[Manifest], list[Manifest]]) -> None:
    reach = world(cluster[0] + cluster[1]).reach()
    folded = fold(reach)
    assert len(folded.classes) <= len(reach.classes)
    place = {member: i for i, each in enumerate(folded.classes) for member in each.members}
    for i, parts in enumerate(reach.into):
        into = folded.into[place[reach.classes[i].members[0]]]
        assert [part.ports for part in into] == [part.ports for part in parts]
        for j, source in enumerate(reach.classes):
            k = place[source.members[0]]
            assert [(p.allowed >> k & 1, p.left_open >> k & 1) for p in into] == [
                (p.allowed >> j & 1, p.left_open >> j & 1) for p in parts
            ]


@law
@given(clusters(), st.lists(st.one_of(plain_policy(), cluster_policy()), min_size=1, max_size=3), st.data())
def test_what_is_carried_over_is_what_is_computed_anew(
    cluster: tuple[list[Manifest], list[Manifest]], others: list[Manifest], data: st.DataObject
) -> None:
    objects, policies = cluster
    one = world(objects + policies)
    one.reach()
    for _ in range(3):
        changed = named(data.draw(st.lists(st.sampled_from([*policies, *others]), max_size=5)))
        fresh = world(objects + changed)
        one = one.changed(read_objects(objects + changed))
        columns = [Column(end, *port) for end in ends(one) for port in PORTS]
        assert one.matrix(ends(one), columns) == fresh.matrix(ends(one), columns)


@law
@given(clusters(), st.randoms(use_true_random=False))
def test_the_order_of_manifests_does_not_matter(cluster: tuple[list[Manifest], list[Manifest]], random: Any) -> None:
    objects = cluster[0] + cluster[1]
    shuffled = random.sample(objects, len(objects))
    one, other = world(objects), world(shuffled)
    columns = [Column(end, *port) for end in ends(one) for port in PORTS]
    assert one.matrix(ends(one), columns) == other.matrix(ends(one), columns)


def test_a_change_of_one_policy_uses_what_is_known() -> None:
    objects = [
        *({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": f"p{i}", "labels": {"x": str(i)}}} for i in "12"),
        *(
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"name": f"np{i}"},
                "spec": {"podSelector": {"matchLabels": {"x": i}}},
            }
            for i in "12"
        ),
    ]
    one = world(objects)
    first = one.reach()
    fewer = one.changed(read_objects(objects[:-1]))
    assert fewer.reach().universe is first.universe
    assert fewer.reach().into != first.into
    assert one.changed(read_objects(objects[1:])).reach().universe is not first.universe


sets = st.integers(0, 2**70 - 1)


@given(st.lists(st.tuples(st.integers(0, 2**9 - 1), sets), max_size=9))
def test_turning_rows_round(rows: list[tuple[int, int]]) -> None:
    seen = 0
    for i, (sources, places) in enumerate(rows):  # every source stands in one row
        rows[i] = (sources & ~seen, places)
        seen |= sources
    found = transposed(rows, 70)
    for place in range(70):
        expected = 0
        for sources, places in rows:
            if places >> place & 1:
                expected |= sources
        assert found.get(place, 0) == expected


@given(sets)
def test_members(bits: int) -> None:
    assert list(members(bits)) == [place for place in range(70) if bits >> place & 1]
