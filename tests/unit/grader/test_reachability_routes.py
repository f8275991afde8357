"""Where Services send packets: traffic policies, external addresses, endpoints without pods."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from content.errors import BrokenContentError
from grader.kube.parse import read_objects
from grader.reachability.verdict import Flow
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

OBJECTS = """
{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 172.18.0.2}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: n2}, status: {addresses: [{type: InternalIP, address: 172.18.0.3}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: a, labels: {app: web}}, spec: {nodeName: n1},
 status: {podIP: 10.0.1.1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: near, namespace: a}, spec: {nodeName: n1}, status: {podIP: 10.0.1.2}}
---
{apiVersion: v1, kind: Pod, metadata: {name: far, namespace: a}, spec: {nodeName: n2}, status: {podIP: 10.0.2.2}}
---
{apiVersion: v1, kind: Pod, metadata: {name: adrift, namespace: a, labels: {app: adrift}}}
---
{apiVersion: v1, kind: Service, metadata: {name: s, namespace: a}, spec: {type: NodePort, clusterIP: 10.96.0.1,
 externalIPs: [203.0.113.1], selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]},
 status: {loadBalancer: {ingress: [{ip: 203.0.113.2}, {hostname: x.example}]}}}
---
{apiVersion: v1, kind: Service, metadata: {name: db, namespace: a}, spec: {clusterIP: 10.96.0.2, ports: [{port: 5432}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: db-1, namespace: a,
 labels: {kubernetes.io/service-name: db}}, addressType: IPv4, ports: [{port: 5432}],
 endpoints: [{addresses: [192.0.2.9]}, {addresses: [10.0.2.2]}]}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: a}, spec: {podSelector: {},
 policyTypes: [Egress],
 egress: [{to: [{podSelector: {}}]}, {to: [{ipBlock: {cidr: 192.0.2.9/32}}], ports: [{port: 1}]}]}}
"""
OUT = "ip:198.51.100.1"


@pytest.fixture
def service() -> Callable[..., World]:
    def make(**spec: Any) -> World:
        objects = [copy.deepcopy(each) for each in yaml.load_all(OBJECTS, yaml.CSafeLoader)]
        next(each for each in objects if each["metadata"]["name"] == "s")["spec"].update(spec)
        return World(read_objects(objects))

    return make


@pytest.mark.parametrize(
    ("spec", "source", "destination", "port", "allowed"),
    [
        ({}, "a/far", "service:a/s", 80, True),
        ({"internalTrafficPolicy": "Local"}, "a/near", "service:a/s", 80, True),
        ({"internalTrafficPolicy": "Local"}, "a/far", "service:a/s", 80, False),
        ({"internalTrafficPolicy": "Local"}, "node:n2", "ip:10.96.0.1", 80, False),
        ({"internalTrafficPolicy": "Local"}, "a/adrift", "service:a/s", 80, True),
        ({"internalTrafficPolicy": "Local"}, "a/far", "ip:203.0.113.1", 80, True),
        ({"internalTrafficPolicy": "Local"}, "a/far", "node:n2", 30080, True),
        ({"externalTrafficPolicy": "Local"}, OUT, "node:n1", 30080, True),
        ({"externalTrafficPolicy": "Local"}, OUT, "node:n2", 30080, False),
        ({"externalTrafficPolicy": "Local"}, "node:n2", "node:n2", 30080, True),
        ({"externalTrafficPolicy": "Local"}, "a/far", "service:a/s", 80, True),
        ({}, OUT, "ip:203.0.113.2", 80, True),
        ({}, OUT, "ip:203.0.113.2", 81, False),
        ({"loadBalancerSourceRanges": ["192.0.2.0/24"]}, OUT, "ip:203.0.113.2", 80, False),
        ({"loadBalancerSourceRanges": ["192.0.2.0/24", "198.51.100.0/28"]}, OUT, "ip:203.0.113.2", 80, True),
        ({"loadBalancerSourceRanges": ["192.0.2.0/24"]}, OUT, "ip:203.0.113.1", 80, True),
        ({"loadBalancerSourceRanges": ["192.0.2.0/24"]}, OUT, "node:n1", 30080, True),
        ({"loadBalancerSourceRanges": ["192.0.2.0/24"]}, "a/far", "service:a/s", 80, True),
    ],
)
def test_traffic_policies(
    service: Callable[..., World], spec: dict[str, str], source: str, destination: str, port: int, allowed: bool
) -> None:
    assert service(**spec).verdict(Flow(source, destination, port)).allowed is allowed


def test_a_pod_of_an_unknown_node_is_in_the_cluster_all_the_same(service: Callable[..., World]) -> None:
    world = service(externalTrafficPolicy="Local")
    assert world.packets(Flow("a/adrift", "node:n2", 30080))
    assert not world.packets(Flow(OUT, "node:n2", 30080))


def test_an_endpoint_of_an_unknown_node_may_be_the_local_one(service: Callable[..., World]) -> None:
    world = service(internalTrafficPolicy="Local", selector={"app": "adrift"})
    assert [packet.destination.ref for packet in world.packets(Flow("a/far", "service:a/s", 80))] == ["a/adrift"]


def test_the_policy_is_named_where_it_leaves_nothing(service: Callable[..., World]) -> None:
    inside = service(internalTrafficPolicy="Local").explain(Flow("a/far", "service:a/s", 80)).lines()
    assert (
        inside[1]
        == "Service a/s has no endpoints for port 80/TCP: internalTrafficPolicy is Local, and node n2 has none"
    )
    outside = service(externalTrafficPolicy="Local").explain(Flow(OUT, "node:n2", 30080)).lines()
    assert outside[1].endswith(": externalTrafficPolicy is Local, and node n2 has none")


def test_local_keeps_the_clients_address(service: Callable[..., World]) -> None:
    (kept,) = service(externalTrafficPolicy="Local").packets(Flow(OUT, "node:n1", 30080))
    (masked,) = service().packets(Flow(OUT, "node:n2", 30080))
    assert (kept.masked, masked.masked and masked.masked.ref) == (None, "node:n2")


def test_a_service_without_selector_has_the_endpoints_of_its_slices(service: Callable[..., World]) -> None:
    world = service()
    packets = world.packets(Flow("a/near", "service:a/db", 5432))
    assert [packet.destination.ref for packet in packets] == ["ip:192.0.2.9", "a/far"]
    assert not world.verdict(Flow("a/near", "service:a/db", 5432)).allowed
    assert world.packets(Flow("a/near", "service:a/db", 5432, family=6))[0].destination.ref == "a/far"


@pytest.mark.parametrize(
    ("name", "target", "port"),
    [("", 5432, 5432), ("", "sql", 5432), ("pg", "sql", 7777), ("other", 5432, None)],
)
def test_slices_say_the_port_of_a_service_without_selector(name: str, target: int | str, port: int | None) -> None:
    objects = [copy.deepcopy(each) for each in yaml.load_all(OBJECTS, yaml.CSafeLoader)]
    entry = {"port": 80, "name": name, "targetPort": target}
    next(each for each in objects if each["metadata"]["name"] == "db")["spec"]["ports"] = [entry]
    slices = next(each for each in objects if each["metadata"]["name"] == "db-1")
    slices["ports"] = [{"port": 5432}, {"port": 7777, "name": "pg"}]
    world = World(read_objects(objects))
    packets = world.packets(Flow("a/near", "service:a/db", 80))
    assert {packet.port for packet in packets} == ({port} if port else set())
    if port is None:
        told = world.explain(Flow("a/near", "service:a/db", 80)).lines()[1]
        assert told.endswith(
            "no endpoints for port 80/TCP: it has no selector, and no EndpointSlice has a port of that name"
        )


def test_who_is_not_in_a_balancers_ranges_is_told(service: Callable[..., World]) -> None:
    world = service(loadBalancerSourceRanges=["192.0.2.0/24", "10.9.0.0/16"])
    told = world.explain(Flow(OUT, "ip:203.0.113.2", 80)).lines()[1]
    assert told.endswith(": loadBalancerSourceRanges (192.0.2.0/24, 10.9.0.0/16) do not hold ip:198.51.100.1")


def test_a_traffic_policy_that_is_none() -> None:
    manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}
    with pytest.raises(BrokenContentError, match='internalTrafficPolicy: Unsupported value: "Node"'):
        read_objects([{**manifest, "spec": {"internalTrafficPolicy": "Node"}}])
