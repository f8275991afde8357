"""Differences between two worlds: a table of changes, and the law that a difference is exactly what changed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.kube.parse import read_objects
from grader.reachability.diff import difference
from grader.reachability.verdict import Flow
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from grader.policy.model import Endpoint
    from grader.reachability.diff import Change

Manifest = dict[str, Any]
OPEN_TO_SHOP = "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {}}], ports: [{port: 5432}]}]}"
CLOSED = "{podSelector: {matchLabels: {app: db}}}"
RANGE = "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}"
NAMED = "{podSelector: {}, ingress: [{ports: [{port: http}]}]}"
MUTE = "{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{ports: [{port: 53, protocol: UDP}]}]}"


def told(changes: tuple[Change, ...]) -> set[tuple[tuple[str, ...], tuple[str, ...], str]]:
    def names(groups: Any) -> tuple[str, ...]:
        return tuple(sorted(member for group in groups for member in group.members))

    return {(names(c.where.sources), names(c.where.destinations), " ".join(map(str, c.where.ports))) for c in changes}


def test_of_equal_worlds_is_empty(shop: Callable[..., World]) -> None:
    found = difference(shop(OPEN_TO_SHOP), shop(OPEN_TO_SHOP))
    assert (found.changes, found.added, found.removed) == ((), (), ())


def test_one_more_policy_opens_one_rectangle(shop: Callable[..., World]) -> None:
    found = difference(shop(CLOSED), shop(CLOSED, OPEN_TO_SHOP))
    assert told(found.opened) == {(("shop/new", "shop/web"), ("shop/db",), "TCP/5432")}
    assert found.closed == ()
    (change,) = found.opened
    assert (change.where.pairs, change.where.flows) == (2, 2)
    assert (change.before.allowed, change.after.allowed) == (False, True)  # type: ignore[union-attr]
    assert change.where.witness.port == 5432


def test_what_opens_one_way_closes_the_other(shop: Callable[..., World]) -> None:
    there, back = (difference(*worlds) for worlds in ((shop(RANGE), shop(NAMED)), (shop(NAMED), shop(RANGE))))
    assert told(there.opened) == told(back.closed) != set()
    assert told(there.closed) == told(back.opened) != set()


def test_a_range_is_told_from_the_rest(shop: Callable[..., World]) -> None:
    (change,) = difference(shop(CLOSED), shop(RANGE)).opened
    (source,) = change.where.sources
    assert (source.members, source.outside, change.where.pairs) == (("192.0.2.0/24",), True, 1)
    assert change.where.witness == Flow("ip:192.0.2.1", "shop/db", 5432, "TCP", 4)


def test_pods_that_come_and_go() -> None:
    def pods(*names: str) -> World:
        manifests = [
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "a"}} for name in names
        ]
        return World(read_objects(manifests))

    found = difference(pods("x", "y"), pods("y", "z"))
    assert (found.added, found.removed) == (("a/z",), ("a/x",))
    assert ("a/z",) in {group[0] for group in told(found.opened)}
    assert ("a/x",) in {group[0] for group in told(found.closed)}
    gone = next(change for change in found.closed if change.where.sources[0].members == ("a/x",))
    assert gone.after is None
    assert gone.before is not None


@pytest.mark.parametrize("family", [4, 6])
def test_a_changed_label_moves_a_pod(shop: Callable[..., World], family: int) -> None:
    old = shop(MUTE)
    pods = tuple(p if p.name != "guest" else type(p)(p.namespace, p.name, {"app": "x"}) for p in old.objects.pods)
    new = World(type(old.objects)(**{**_fields(old.objects), "pods": pods}))
    assert difference(old, new, family).closed == ()


def _fields(objects: Any) -> dict[str, Any]:
    return {name: getattr(objects, name) for name in objects.__slots__}


labels = st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"), max_size=2)
selector = st.one_of(st.just({}), labels.map(lambda found: {"matchLabels": found}))
peer = st.one_of(
    selector.map(lambda found: {"podSelector": found}),
    selector.map(lambda found: {"namespaceSelector": found}),
    st.sampled_from(["10.0.0.0/30", "10.0.0.2/32", "192.0.2.0/24", "0.0.0.0/0"]).map(
        lambda cidr: {"ipBlock": {"cidr": cidr}}
    ),
)
port = st.sampled_from([{"port": 80}, {"port": "http"}, {"port": 79, "endPort": 81}, {"protocol": "UDP"}])


def rule(side: str) -> st.SearchStrategy[Manifest]:
    parts = {side: st.lists(peer, min_size=1, max_size=2), "ports": st.lists(port, min_size=1, max_size=2)}
    return st.fixed_dictionaries({}, optional=parts)


policy = st.builds(
    lambda namespace, chosen, types, ingress, egress: {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"namespace": namespace},
        "spec": {"podSelector": chosen, "policyTypes": types, "ingress": ingress, "egress": egress},
    },
    st.sampled_from("ab"),
    selector,
    st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]]),
    st.lists(rule("from"), max_size=2),
    st.lists(rule("to"), max_size=2),
)


@st.composite
def clusters(draw: st.DrawFn) -> list[Manifest]:
    objects: list[Manifest] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": draw(labels)}} for name in "ab"
    ]
    for number in range(1, draw(st.integers(2, 5))):
        ports = [{"containerPort": draw(st.sampled_from([80, 81])), "name": "http"}]
        metadata = {"name": f"p{number}", "namespace": draw(st.sampled_from("ab")), "labels": draw(labels)}
        host = draw(st.sampled_from([False, False, False, True]))
        spec = {"nodeName": draw(st.sampled_from(["n1", "n2"])), "hostNetwork": host}
        status = {"podIP": f"10.0.0.{number}"} if not host else {}
        spec["containers"] = [{"name": "c", "ports": ports}]
        objects.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status})
    for number, node in enumerate(["n1", "n2"], start=1):
        status = {"addresses": [{"type": "InternalIP", "address": f"172.18.0.{number}"}]}
        objects.append({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}, "status": status})
    return objects


def with_policies(objects: list[Manifest], policies: list[Manifest]) -> World:
    named = [{**each, "metadata": {**each["metadata"], "name": f"np{number}"}} for number, each in enumerate(policies)]
    return World(read_objects([*objects, *named]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_difference_applied_to_the_old_matrix_gives_the_new_one(data: st.DataObject) -> None:
    objects = data.draw(clusters())
    some, others = (st.lists(policy, max_size=3) for _ in "ab")
    other = data.draw(clusters()) if data.draw(st.booleans()) else objects
    old, new = with_policies(objects, data.draw(some)), with_policies(other, data.draw(others))
    applied(old, new)


def applied(old: World, new: World) -> None:
    """Assert that the difference turns exactly the cells that differ."""
    found = difference(old, new, 4)
    turned: dict[Flow, bool] = {}
    for change in found.changes:
        for source in _ends(change.where.sources):
            for destination in _ends(change.where.destinations):
                for each in change.where.ports:
                    if source != destination:
                        turned[Flow(source, destination, each.low, each.protocol)] = change.opened
    before, after = ({each.ref: each for each in world.endpoints.everyone()} for world in (old, new))
    both = {*before, *after, "ip:192.0.2.7", "ip:203.0.113.9"}
    for source in both:
        for destination in both:
            if any(_always(ends, source, destination) for ends in (before, after)):
                continue
            for each in found.space.intervals:
                flow = Flow(source, destination, each.low, each.protocol)
                was, now = _allowed(old, before, flow), _allowed(new, after, flow)
                assert turned.get(flow, was) is now, flow


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_with_tiers_and_network_sets_too(data: st.DataObject) -> None:
    objects = data.draw(CALICO.clusters())
    policies = [item for item in objects if item["kind"].endswith("Policy")]
    gone = data.draw(st.lists(st.sampled_from(range(len(policies))), unique=True))
    kept = [item for item in objects if not any(item is policies[number] for number in gone)]
    applied(World(read_objects(objects)), World(read_objects(kept)))


def _beside(name: str) -> Any:
    """A module of this folder, for its strategies."""
    spec = importlib.util.spec_from_file_location(f"{name}_strategies", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CALICO = _beside("test_calico_laws")

HOSTS = """
{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 172.18.0.2}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: n2}, status: {addresses: [{type: InternalIP, address: 172.18.0.3}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: x, namespace: a, labels: {app: x}}, spec: {nodeName: n1},
  status: {podIP: 10.0.0.1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: y, namespace: a, labels: {app: y}}, spec: {nodeName: n2},
  status: {podIP: 10.0.0.2}}
---
{apiVersion: projectcalico.org/v3, kind: HostEndpoint, metadata: {name: h, labels: {host: "yes"}},
  spec: {node: n1, interfaceName: "*", expectedIPs: [172.18.0.2]}}
"""


@pytest.mark.parametrize(
    "spec",
    [
        "selector: has(host), ingress: [{action: Allow, protocol: TCP, destination: {ports: [80]}}]",
        "selector: has(host), applyOnForward: true, ingress: [{action: Deny}], egress: [{action: Deny}]",
        "selector: has(host), applyOnForward: true, preDNAT: true, ingress: [{action: Deny, protocol: UDP}]",
        "selector: has(host), applyOnForward: true, doNotTrack: true, ingress: [{action: Deny}]",
        "selector: app == 'y', ingress: [{action: Deny, source: {selector: has(host)}}, {action: Allow}]",
    ],
)
def test_with_host_endpoints_too(spec: str) -> None:
    base = list(yaml.load_all(HOSTS, yaml.CSafeLoader))
    policy = "{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: g}, spec: {SPEC}}"
    given = yaml.load(policy.replace("SPEC", spec), yaml.CSafeLoader)
    old, new = World(read_objects(base)), World(read_objects([*base, given]))
    applied(old, new)
    assert difference(old, new).changes != ()


def _always(ends: Mapping[str, Endpoint], source: str, destination: str) -> bool:
    """An endpoint and itself, a node and its own pods; two outside addresses are nobody's business."""
    if source == destination or (source.startswith("ip:") and destination.startswith("ip:")):
        return True
    if source not in ends or destination not in ends or ends[source].selectable:
        return False
    return ends[source].node == ends[destination].node


def _allowed(world: World, known: Mapping[str, Endpoint], flow: Flow) -> bool:
    ends = (flow.source, flow.destination)
    return all(ref in known or ref.startswith("ip:") for ref in ends) and world.verdict(flow).allowed


def _ends(groups: Any) -> list[str]:
    from ipaddress import ip_address, ip_network

    found: list[str] = []
    for group in groups:
        if group.outside:
            found += [
                f"ip:{text}"
                for text in ("192.0.2.7", "203.0.113.9")
                if any(ip_address(text) in ip_network(member) for member in group.members)
            ]
        else:
            found += group.members
    return found
