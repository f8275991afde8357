"""Whom a namespaced policy's rules mean, which policy is first in a tie, and which labels endpoints inherit.

A rule and its traps a row; `->` passes, `-x` is dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from grader.kube.parse import read_objects
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

POD = """{apiVersion: v1, kind: Pod, metadata: {name: %s, namespace: "%s", labels: {%s}}, status: {podIP: %s},
 spec: {containers: [{name: c, ports: [{name: http, containerPort: 80}]}]}}"""
PODS = [
    yaml.load(POD % (name, namespace, labels, address), yaml.CSafeLoader)
    for name, namespace, labels, address in (
        ("a", "shop", "kind: x", "10.0.0.1"),
        ("b", "lobby", "kind: x", "10.0.0.2"),
        ("c", "shop", "app: c", "10.0.0.3"),
        ("n", "0", "app: n", "10.0.0.4"),
    )
]
OF_X = "selector: \"kind == 'x'\""
EVERYBODY = "set shop/s [kind=x] {nets: [10.0.0.0/24]}"


def going(rule: str) -> str:
    """A policy of namespace shop on what c sends."""
    return f"np shop/p {{selector: \"app == 'c'\", types: [Egress], egress: [{{action: Allow, {rule}}}]}}"


def coming(rule: str) -> str:
    """A policy of namespace shop on what c receives."""
    return f"np shop/p {{selector: \"app == 'c'\", types: [Ingress], ingress: [{{action: Allow, {rule}}}]}}"


def tied(kind: str, name: str, action: str) -> str:
    """A policy of order 1000 on n, which is where those of Kubernetes stand too."""
    return f"{kind} {name} {{order: 1000, selector: \"app == 'n'\", ingress: [{{action: {action}}}]}}"


KUBERNETES = "knp 0/k {podSelector: {}, ingress: [{}]}"
SCOPES = {
    "a name of ports means those of the policy's namespace, whoever a set covers": (
        [going(f"protocol: TCP, destination: {{{OF_X}, ports: [http]}}"), EVERYBODY],
        ["shop/c -> shop/a:80", "shop/c -x lobby/b:80"],
    ),
    "so it does where it is left out": (
        [going(f"protocol: TCP, destination: {{{OF_X}, notPorts: [http]}}"), EVERYBODY],
        ["shop/c -x shop/a:80", "shop/c -> lobby/b:80", "shop/c -> shop/a:81"],
    ),
    "and where it is the sender's": (
        [coming(f"protocol: TCP, source: {{{OF_X}, ports: [http]}}"), EVERYBODY],
        ["shop/a -> shop/c:1 sent=80", "lobby/b -x shop/c:1 sent=80", "shop/a -x shop/c:1 sent=81"],
    ),
    "and the sender's left out": (
        [coming(f"protocol: TCP, source: {{{OF_X}, notPorts: [http]}}"), EVERYBODY],
        ["shop/a -x shop/c:1 sent=80", "lobby/b -> shop/c:1 sent=80", "shop/a -> shop/c:1 sent=81"],
    ),
    "the policy's own end is not meant by a set of another namespace": (
        [coming("destination: {selector: \"zone == 'y'\"}"), "set lobby/s [zone=y] {nets: [10.0.0.3]}"],
        ["shop/a -x shop/c:1"],
    ),
    "nor by a global one": (
        [coming("destination: {selector: \"zone == 'y'\"}"), "gset s [zone=y] {nets: [10.0.0.3]}"],
        ["shop/a -x shop/c:1"],
    ),
    "but by one of its own": (
        [coming("destination: {selector: \"zone == 'y'\"}"), "set shop/s [zone=y] {nets: [10.0.0.3]}"],
        ["shop/a -> shop/c:1"],
    ),
    "HTTP of no protocol is of the policy's namespace, in every protocol": (
        [coming(f"http: {{methods: [GET]}}, source: {{{OF_X}}}")],
        [
            "shop/a -> shop/c:80",
            "lobby/b -x shop/c:80",
            "shop/a -> shop/c:80/udp",
            "lobby/b -x shop/c:80/udp",
            "shop/a -> shop/c:icmp",
        ],
    ),
    "a range of every address left out takes the rule away": (
        [coming("source: {notNets: [0.0.0.0/0]}")],
        ["shop/a -x shop/c:1"],
    ),
}
TIES = {
    "of one name and namespace, Kubernetes' is before Calico's": (
        [KUBERNETES, tied("np", "0/k", "Deny")],
        ["shop/a -> 0/n:1"],
    ),
    "of one name, a global one is before those of a namespace": (
        [KUBERNETES, tied("gnp", "k", "Deny")],
        ["shop/a -x 0/n:1"],
    ),
    "of Calico's too": ([tied("np", "0/k", "Deny"), tied("gnp", "k", "Allow")], ["shop/a -> 0/n:1"]),
    "a name is before the longer one": ([KUBERNETES, tied("np", "0/kk", "Deny")], ["shop/a -> 0/n:1"]),
}
LABELS = {
    "pods have the label of who made them": (
        [coming("source: {namespaceSelector: all(), selector: \"projectcalico.org/orchestrator == 'k8s'\"}")],
        ["lobby/b -> shop/c:1", "ip:192.0.2.1 -x shop/c:1"],
    ),
    "labels of a service account's profile are inherited by the pods that use it": (
        [
            "profile ksa.shop.default {labelsToApply: {rank: high}}",
            "profile ksa.lobby.robot {labelsToApply: {rank: high}}",
            coming("source: {namespaceSelector: all(), selector: \"rank == 'high'\"}"),
        ],
        ["shop/a -> shop/c:1", "lobby/b -x shop/c:1"],
    ),
}
TIERS = {
    "cluster policies are in tiers of their own, and in no other": (
        [
            "tier sec {order: 1}",
            "gnp sec.a {tier: sec, ingress: [{action: Pass}]}",
            (
                "cnp b {tier: Baseline, priority: 1, subject: {namespaces: {}}, ingress: "
                "[{action: Deny, from: [{namespaces: {}}]}]}"
            ),
            "gnp a {selector: \"app == 'c'\", ingress: [{action: Allow}]}",
        ],
        ["shop/a -> shop/c:1", "shop/c -x shop/a:1"],
    ),
}
TABLE = SCOPES | TIES | LABELS | TIERS


@pytest.mark.parametrize("name", TABLE)
def test_rule(briefly: Callable[..., list[object]], agree: Callable[..., None], name: str) -> None:
    texts, arrows = TABLE[name]
    agree(World(read_objects([*PODS, *briefly(*texts)])), arrows)


def test_a_name_of_ports_without_a_protocol_is_of_tcp(
    briefly: Callable[..., list[object]], agree: Callable[..., None]
) -> None:
    policy = "gnp a {selector: \"app == 'c'\", ingress: [{action: Allow, destination: {ports: [http]}}]}"
    world = World(read_objects([*PODS, *briefly(policy)], lenient=True))
    agree(world, ["shop/a -> shop/c:80", "shop/a -x shop/c:80/udp", "shop/a -x shop/c:81"])


EVERY = "32768:60999"
SENT = [
    (f"ports: ['{EVERY}']", True),
    ("ports: ['32767:61000']", True),
    ("ports: ['32769:60999']", False),
    ("ports: ['32768:60998']", False),
    ("ports: ['32768:50000', '50001:60999']", False),
    ("ports: [http]", False),
    ("notPorts: ['1:32767', '61000:65535']", True),
    ("notPorts: ['1:32768']", False),
    ("notPorts: ['32768']", False),
    ("notPorts: ['60999']", False),
    ("notPorts: ['60999:65535']", False),
    ("notPorts: ['40000']", False),
    ("notPorts: [http]", True),
]


@pytest.mark.parametrize(("ports", "passes"), SENT)
def test_a_sender_whose_port_is_not_known_may_have_any_that_linux_gives_to_clients(
    briefly: Callable[..., list[object]], agree: Callable[..., None], ports: str, passes: bool
) -> None:
    world = World(read_objects([*PODS, *briefly(coming(f"protocol: TCP, source: {{{ports}}}"))]))
    agree(world, [f"shop/a -{'>' if passes else 'x'} shop/c:1"])


@pytest.mark.parametrize(
    ("protocol", "arrows"),
    [
        ("UDPLite", ["shop/a -> shop/c:1/udplite", "shop/a -> shop/c:1/136", "shop/a -x shop/c:1/udp"]),
        ("136", ["shop/a -> shop/c:1/udplite", "shop/a -x shop/c:1/17"]),
        ("ICMP", ["shop/a -> shop/c:1/icmp", "shop/a -> shop/c:1/icmpv6", "shop/a -> shop/c:1/1"]),
        ("'0001'", ["shop/a -> shop/c:1/icmp", "shop/a -x shop/c:1"]),
        ("ICMPv6", ["shop/a -x shop/c:1/icmp", "shop/a -> shop/c:1/58"]),
        ("47", ["shop/a -> shop/c:1/47", "shop/a -x shop/c:1/48"]),
    ],
)
def test_protocols_by_name_and_number(
    briefly: Callable[..., list[object]], agree: Callable[..., None], protocol: str, arrows: list[str]
) -> None:
    agree(World(read_objects([*PODS, *briefly(coming(f"protocol: {protocol}"))])), arrows)
