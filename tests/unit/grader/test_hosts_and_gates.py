"""Which traffic crosses a host endpoint where no Node object says its addresses, and what nodes' ports lead to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from grader.kube.parse import read_objects
from grader.reachability.matrix import Column
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

OBJECTS = """
{apiVersion: v1, kind: Pod, metadata: {name: x, namespace: a}, spec: {nodeName: n7}, status: {podIP: 10.0.0.1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: y, namespace: a}, spec: {nodeName: n7}, status: {podIP: 10.0.0.2}}
---
{apiVersion: v1, kind: Pod, metadata: {name: z, namespace: a}, spec: {nodeName: n8}, status: {podIP: 10.0.0.3}}
---
{apiVersion: projectcalico.org/v3, kind: HostEndpoint, metadata: {name: h, labels: {host: "yes"}},
 spec: {node: n7, interfaceName: INTERFACE}}
---
{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: g},
 spec: {selector: has(host), applyOnForward: true, ingress: [{action: Deny}], egress: [{action: Deny}]}}
"""


def objects(interface: str) -> list[dict[str, Any]]:
    return list(yaml.load_all(OBJECTS.replace("INTERFACE", interface), yaml.CSafeLoader))


@pytest.mark.parametrize(
    ("interface", "arrows"),
    [
        (
            "'*'",
            [
                "a/x -> a/y:80",
                "a/y -> a/x:80",
                "a/z -x a/x:80",
                "a/x -x a/z:80",
                "ip:192.0.2.1 -x a/x:80",
                "ip:192.0.2.1 -> a/z:80",
                "a/x -x ip:192.0.2.1:80",
                "a/z -> ip:192.0.2.1:80",
            ],
        ),
        (
            "eth0",
            [
                "a/x -> a/y:80",
                "a/z -> a/x:80",
                "a/x -> a/z:80",
                "ip:192.0.2.1 -x a/x:80",
                "a/x -x ip:192.0.2.1:80",
                "ip:192.0.2.1 -> a/z:80",
            ],
        ),
    ],
)
def test_what_crosses_a_host_endpoint(
    agree: Callable[[World, list[str]], None], interface: str, arrows: list[str]
) -> None:
    world = World(read_objects(objects(interface)))
    agree(world, arrows)
    ends = ["ip:192.0.2.1", "a/x", "a/y", "a/z"]
    for flow, allowed, _ in world.matrix(ends, [Column(end, 80) for end in ends[1:]]).cells():
        assert allowed is world.verdict(flow).allowed, flow


NODE_PORT = """
{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 172.18.0.2}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: x, namespace: a, labels: {app: x}}, status: {podIP: 10.0.0.1}}
---
{apiVersion: v1, kind: Service, metadata: {name: s, namespace: a}, spec: {type: KIND, selector: {app: x},
 ports: [{port: 80, nodePort: 30080}]}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: a},
 spec: {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}}
"""


@pytest.mark.parametrize(
    ("kind", "arrows"),
    [
        ("NodePort", ["ip:192.0.2.1 -x node:n1:30080", "ip:192.0.2.1 -> node:n1:30081"]),
        ("LoadBalancer", ["ip:192.0.2.1 -x node:n1:30080"]),
        ("ClusterIP", ["ip:192.0.2.1 -> node:n1:30080"]),
    ],
)
def test_only_some_types_of_service_have_node_ports(
    agree: Callable[[World, list[str]], None], kind: str, arrows: list[str]
) -> None:
    agree(World(read_objects(list(yaml.load_all(NODE_PORT.replace("KIND", kind), yaml.CSafeLoader)))), arrows)


SECOND_ADDRESS = """
{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 172.18.0.2},
 {type: InternalIP, address: 192.168.1.2}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: x, namespace: a}, status: {podIP: 10.0.0.1}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: a},
 spec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 192.168.1.2/32}}]}]}}
"""


def test_a_packet_carries_the_address_that_was_asked_for(agree: Callable[[World, list[str]], None]) -> None:
    world = World(read_objects(list(yaml.load_all(SECOND_ADDRESS, yaml.CSafeLoader))))
    agree(world, ["a/x -> ip:192.168.1.2:80", "a/x -x ip:172.18.0.2:80", "a/x -x node:n1:80"])


@pytest.mark.parametrize(
    ("without", "arrows"),
    [
        ("0.0.0.0/0", ["a/y -x a/x:80", "ip:192.0.2.1 -x a/x:80"]),
        ("128.0.0.0/1", ["a/y -> a/x:80", "ip:192.0.2.1 -x a/x:80"]),
    ],
)
def test_a_range_that_a_rule_leaves_out(
    agree: Callable[[World, list[str]], None], without: str, arrows: list[str]
) -> None:
    rule = {"action": "Allow", "source": {"notNets": [without]}}
    policy = {
        "apiVersion": "projectcalico.org/v3",
        "kind": "GlobalNetworkPolicy",
        "metadata": {"name": "g"},
        "spec": {"ingress": [rule]},
    }
    pods = [each for each in objects("eth0") if each["kind"] == "Pod"]
    agree(World(read_objects([*pods, policy])), arrows)
