"""`services` in Calico's rules: which endpoints are behind a Service, and at which ports."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
import yaml

from content.errors import UsageError
from grader.kube.parse import read_objects
from grader.policy.services import Backend, Services
from grader.reachability.names import resolve
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

OBJECTS = """
{apiVersion: v1, kind: Pod, metadata: {name: one, namespace: a, labels: {app: w, more: x}}, status: {podIP: 10.0.0.1},
 spec: {containers: [{name: c, ports: [{name: http, containerPort: 8080}, {name: dns, containerPort: 53}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: two, namespace: a, labels: {app: w}},
 status: {podIPs: [{ip: 10.0.0.2}, {ip: "fd00::2"}]}, spec: {containers: [{name: c, ports: [{name: http,
 containerPort: 8081}, {name: dns, containerPort: 5353, protocol: UDP}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: other, namespace: a, labels: {app: v}}, status: {podIP: 10.0.0.3}}
---
{apiVersion: v1, kind: Pod, metadata: {name: done, namespace: a, labels: {app: w}}, status: {phase: Failed}}
---
{apiVersion: v1, kind: Pod, metadata: {name: one, namespace: b, labels: {app: w}}, status: {podIP: 10.0.1.1}}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: a}, spec: {selector: {app: w}, ports: [
 {port: 80, targetPort: http}, {port: 53, targetPort: dns, protocol: UDP, name: u}, {port: 9, name: n}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: empty}, spec: {selector: {app: w}, ports: [{port: 1}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: out, namespace: a}, spec: {ports: [{port: 80}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: out-1, namespace: a,
 labels: {kubernetes.io/service-name: out}}, addressType: IPv4, ports: [{port: 80}, {port: 53, protocol: UDP}],
 endpoints: [{addresses: [192.0.2.1, 192.0.2.2]}, {addresses: [192.0.2.3]}]}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: out-2, namespace: a,
 labels: {kubernetes.io/service-name: out}}, addressType: IPv4, ports: [{}], endpoints: [{addresses: [192.0.2.9]}]}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: out-1, namespace: b,
 labels: {kubernetes.io/service-name: out}}, addressType: IPv4, ports: [{port: 1}], endpoints: [{addresses: [1.2.3.4]}]}
"""
POLICY = """
{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: g}, spec: {types: [Egress], egress: [
 {action: Allow, PROTOCOL destination: {services: {namespace: a, name: NAME}}}]}}
"""


def addresses(*texts: str) -> tuple[object, ...]:
    return tuple(map(ip_address, texts))


ONE = Backend("a/one", addresses("10.0.0.1"), frozenset({("TCP", 8080), ("TCP", 9)}))
TWO = Backend("a/two", addresses("10.0.0.2", "fd00::2"), frozenset({("TCP", 8081), ("UDP", 5353), ("TCP", 9)}))
SLICES = (
    Backend("", addresses("192.0.2.1", "192.0.2.2", "192.0.2.3"), frozenset({("TCP", 80), ("UDP", 53)})),
    Backend("", addresses("192.0.2.9"), frozenset({("TCP", 0)})),
)


@pytest.mark.parametrize(
    ("namespace", "name", "backends"),
    [
        ("a", "web", (ONE, TWO)),
        ("empty", "web", ()),
        ("a", "out", SLICES),
        ("a", "gone", ()),
        ("b", "web", ()),
    ],
)
def test_endpoints_behind_a_service(namespace: str, name: str, backends: tuple[Backend, ...]) -> None:
    services = Services(read_objects(list(yaml.load_all(OBJECTS, yaml.CSafeLoader))))
    assert services.behind(namespace, name) == backends


@pytest.mark.parametrize(
    ("name", "protocol", "arrows"),
    [
        (
            "web",
            "",
            [
                "a/other -> a/one:8080",
                "a/other -> a/two:8081",
                "a/other -> a/two:5353/udp",
                "a/other -> a/two:9",
                "a/other -x a/one:8081",
                "a/other -x a/one:53/udp",
                "a/other -x a/two:5353",
                "a/other -x b/one:8080",
            ],
        ),
        ("web", "protocol: UDP,", ["a/other -> a/two:5353/udp", "a/other -x a/two:8081", "a/other -x a/one:8080"]),
        (
            "out",
            "",
            [
                "a/one -> ip:192.0.2.1:80",
                "a/one -> ip:192.0.2.2:80",
                "a/one -> ip:192.0.2.3:53/udp",
                "a/one -x ip:192.0.2.3:53",
                "a/one -> ip:192.0.2.9:7777",
                "a/one -x ip:192.0.2.9:7777/udp",
                "a/one -x ip:1.2.3.4:1",
            ],
        ),
    ],
)
def test_what_a_rule_lets_out(
    agree: Callable[[World, list[str]], None], name: str, protocol: str, arrows: list[str]
) -> None:
    policy = POLICY.replace("NAME", name).replace("PROTOCOL", protocol)
    agree(World(read_objects([*yaml.load_all(OBJECTS, yaml.CSafeLoader), yaml.load(policy, yaml.CSafeLoader)])), arrows)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("one", "one could be any of one.a, one.b"),
        ("service:web", "web could be any of the Services a/web, empty/web"),
    ],
)
def test_a_name_of_several_things(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(World(read_objects(list(yaml.load_all(OBJECTS, yaml.CSafeLoader)))), text)
    assert (caught.value.message, caught.value.remedy) == (message, "add the namespace")
