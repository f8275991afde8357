"""Services, node ports, outside addresses and requests as ways in: which there are, who gets in, what a change does."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.kube.parse import read_objects
from grader.reachability.diff import difference
from grader.reachability.entries import Entry, entries
from grader.reachability.entry_changes import entry_changes, entry_rows
from grader.reachability.matrix import Column
from grader.reachability.verdict import Flow
from grader.reachability.world import World

if TYPE_CHECKING:
    from grader.reachability.entry_changes import EntryChange

OBJECTS = """
{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 172.18.0.2}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: n2}, status: {addresses: [{type: InternalIP, address: 172.18.0.3}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: n3}, status: {addresses: [{type: InternalIP, address: 172.18.0.4}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: a, labels: {app: web}}, spec: {nodeName: n1},
 status: {podIP: 10.0.1.1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: near, namespace: a}, spec: {nodeName: n1}, status: {podIP: 10.0.1.2}}
---
{apiVersion: v1, kind: Pod, metadata: {name: far, namespace: a}, spec: {nodeName: n2}, status: {podIP: 10.0.2.2}}
---
{apiVersion: v1, kind: Pod, metadata: {name: edge, namespace: b, labels:
 {app.kubernetes.io/name: traefik}}, spec: {nodeName: n2}, status: {podIP: 10.0.2.3}}
---
{apiVersion: v1, kind: Service, metadata: {name: s, namespace: a}, spec: {type: NodePort, clusterIP: 10.96.0.1,
 externalIPs: [203.0.113.1], selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: out, namespace: a}, spec: {type: ExternalName, externalName: x.example,
 ports: [{port: 1}]}}
---
{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: i, namespace: a}, spec: {ingressClassName: traefik,
 rules: [{host: '*.example', http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: s, port:
 {number: 80}}}}]}}]}}
"""
URL = "http://any.example/"
CLOSED = {"podSelector": {"matchLabels": {"app": "web"}}}


def policy(spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p", "namespace": "a"},
        "spec": spec,
    }


def world(*more: dict[str, Any], node: str = "n1", **service: Any) -> World:
    objects = [copy.deepcopy(each) for each in yaml.load_all(OBJECTS, yaml.CSafeLoader)]
    next(each for each in objects if each["metadata"]["name"] == "s")["spec"].update(service)
    next(each for each in objects if each["metadata"]["name"] == "web")["spec"]["nodeName"] = node
    return World(read_objects([*objects, *more]))


def names(found: dict[Entry, Entry]) -> set[tuple[str, int, str]]:
    return {(each.name, each.port, each.clients_on) for each in found}


def test_every_way_in() -> None:
    nodes = {(f"node:n{number}", 30080, "") for number in (1, 2, 3)}
    rest = {("ip:203.0.113.1", 80, ""), (URL, 80, "")}
    assert names(entries(world())) == {("service:a/s", 80, ""), *nodes, *rest}
    assert ("service:a/s", 80, "n1") in names(entries(world(internalTrafficPolicy="Local")))


def test_nodes_that_are_alike_are_asked_once() -> None:
    asked = entries(world())
    assert len({meant for entry, meant in asked.items() if entry.kind == "node-port"}) == 2


def told(changes: tuple[EntryChange, ...]) -> dict[str, tuple[bool, set[str]]]:
    return {
        f"{entry.name}:{entry.port}{entry.clients_on}": (
            change.opened,
            {member for group in change.sources for member in group.members},
        )
        for change in changes
        for entry in change.entries
    }


def test_a_policy_closes_every_way_to_its_pods() -> None:
    changes = entry_changes(difference(world(), world(policy(CLOSED))))
    found = told(changes)
    assert set(found) == {
        "service:a/s:80",
        "node:n1:30080",
        "node:n2:30080",
        "node:n3:30080",
        "ip:203.0.113.1:80",
        f"{URL}:80",
    }
    assert all(not opened for opened, _ in found.values())
    assert {"a/near", "a/far", "0.0.0.0/0"} & found["service:a/s:80"][1] >= {"a/near", "a/far"}
    assert all(change.before is not None and change.before.allowed for change in changes)
    assert all(change.after is not None and not change.after.allowed for change in changes)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({}, {"externalTrafficPolicy": "Local"}, {"node:n2:30080": False, "node:n3:30080": False}),
        (
            {"externalTrafficPolicy": "Local"},
            {"externalTrafficPolicy": "Local", "node": "n3"},
            {"node:n1:30080": False, "node:n3:30080": True},
        ),
        (
            {"internalTrafficPolicy": "Local"},
            {"internalTrafficPolicy": "Local", "node": "n2"},
            {"service:a/s:80n1": False, "service:a/s:80n2": True},
        ),
        ({}, {"type": "ClusterIP"}, {f"node:n{number}:30080": False for number in (1, 2, 3)}),
        ({}, {"externalIPs": ["203.0.113.9"]}, {"ip:203.0.113.1:80": False, "ip:203.0.113.9:80": True}),
        ({}, {"node": "n3"}, {}),
    ],
)
def test_traffic_policies(old: dict[str, Any], new: dict[str, Any], expected: dict[str, bool]) -> None:
    found = told(entry_changes(difference(world(**old), world(**new))))
    assert {name: opened for name, (opened, _) in found.items()} == expected


SPECS = st.fixed_dictionaries(
    {
        "podSelector": st.sampled_from([{}, {"matchLabels": {"app": "web"}}]),
        "ingress": st.lists(
            st.sampled_from(
                [
                    {"from": [{"podSelector": {}}]},
                    {"from": [{"namespaceSelector": {}}], "ports": [{"port": 8080}]},
                    {"from": [{"ipBlock": {"cidr": "172.18.0.0/16"}}]},
                    {"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]},
                    {"ports": [{"port": 80}]},
                ]
            ),
            max_size=2,
        ),
    },
    optional={"egress": st.sampled_from([[], [{"to": [{"podSelector": {}}]}], [{"ports": [{"port": 8080}]}]])},
)
SERVICES = st.fixed_dictionaries(
    {},
    optional={
        "internalTrafficPolicy": st.just("Local"),
        "externalTrafficPolicy": st.just("Local"),
        "node": st.sampled_from(["n1", "n2"]),
    },
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.tuples(SPECS, SERVICES), st.tuples(SPECS, SERVICES))
def test_a_difference_is_exactly_what_changed(
    old: tuple[dict[str, Any], dict[str, Any]], new: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    worlds = [world(policy(spec), **service) for spec, service in (old, new)]
    found = difference(*worlds)
    was, now = (entry_rows(each, found.space, number) for number, each in enumerate(worlds))
    for change in entry_changes(found):
        bits = sum(1 << group.number for group in change.sources)
        for entry in change.entries:
            rows = was if change.opened else now
            assert not rows.get(entry, 0) & bits
            rows[entry] = rows.get(entry, 0) | bits
    assert {entry: bits for entry, bits in was.items() if bits} == {entry: bits for entry, bits in now.items() if bits}
    # Every source of an entry that all clients may use is treated as the one that was asked.
    for entry, bits in entry_rows(worlds[0], found.space, 0).items():
        if entry.kind in ("service", "request") and not entry.clients_on:
            for group in found.space.groups:
                for member in group.members if group.kind == "pod" else ():
                    verdict = worlds[0].verdict(Flow(member, entry.name, entry.port))
                    assert verdict.allowed == bool(bits >> group.number & 1), (member, entry)


def test_the_address_of_a_host_that_is_no_node_object_reaches_its_pods() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "namespace": "a", "labels": {"app": "web"}}}
    hosted = {**pod, "status": {"podIP": "10.0.3.1", "hostIP": "172.18.0.9"}}
    made = World(read_objects([hosted, policy(CLOSED)]))
    matrix = made.matrix(["ip:172.18.0.9", "ip:172.18.0.8"], [Column("a/x", 80)])
    assert [allowed for _, allowed, _ in matrix.cells()] == [True, False]
