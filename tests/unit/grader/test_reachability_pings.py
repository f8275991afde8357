"""Pings by classes against pings one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from grader.reachability.space import PING, Space
from grader.reachability.verdict import Flow

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.reachability.world import World

PLAIN = [
    [],
    ["{podSelector: {}}"],
    ["{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {}}]}]}"],
    ["{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {}}], ports: [{port: 5432}]}]}"],
    ["{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}"],
    ["{podSelector: {matchLabels: {app: db}}}", "{podSelector: {matchLabels: {app: web}}, ingress: [{}]}"],
    [
        "{podSelector: {matchLabels: {app: db}}, policyTypes: [Egress], egress: [{}]}",
        "{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}",
        "lobby|{podSelector: {}, policyTypes: [Egress]}",
    ],
    [
        "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}",
        "lobby|{podSelector: {}, policyTypes: [Egress]}",
    ],
]
CALICO = [
    ["gnp a {order: 1, ingress: [{action: Deny, protocol: ICMP}, {action: Allow}]}"],
    ["gnp a {order: 1, ingress: [{action: Allow, protocol: ICMP, icmp: {type: 8}}]}"],
    ["gnp a {order: 1, ingress: [{action: Allow, protocol: ICMP, icmp: {type: 3}}]}"],
    ["gnp a {order: 1, egress: [{action: Allow, notProtocol: ICMP}]}"],
    ["gnp a {order: 1, ingress: [{action: Allow, http: {methods: [GET]}}]}"],
    ["gnp a {order: 1, ingress: [{action: Allow, protocol: TCP, http: {methods: [GET]}}]}"],
    ["gnp a {order: 1, ingress: [{action: Allow, ipVersion: 6}]}"],
    [
        "tier t {order: 1}",
        "gnp a {tier: t, ingress: [{action: Pass, protocol: TCP}, {action: Pass, protocol: ICMPv6}]}",
    ],
    ["gnp a {order: 1, ingress: [{action: Allow, source: {selector: \"app == 'web'\"}}]}"],
    ["gnp a {order: 1, ingress: [{action: Allow, destination: {selector: \"app == 'web'\"}}]}"],
    ["gnp a {order: 1, ingress: [{action: Allow, protocol: TCP, source: {ports: ['1:9']}}]}"],
    [
        "cnp c {tier: Admin, priority: 1, subject: {}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}".replace(
            "subject: {}", "subject: {namespaces: {}}"
        )
    ],
]


def agree(world: World, family: int) -> None:
    space = Space((world,), family)
    assert space.intervals[-1] == PING
    for destination, row in zip(space.groups, space.open(0), strict=True):
        for source in space.groups:
            pair = space.pair(source, destination, 0)
            if pair is not None and not (source.outside and destination.outside):
                verdict = world.verdict(Flow(*pair, 0, "ICMP", family))
                assert verdict.allowed == bool(row[-1] >> source.number & 1), pair


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("specs", PLAIN, ids=str)
def test_under_networkpolicy(shop: Callable[..., World], specs: list[str], family: int) -> None:
    agree(shop(*specs), family)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("texts", CALICO, ids=str)
def test_under_calico(cluster: Callable[..., World], texts: list[str], family: int) -> None:
    agree(cluster(*texts), family)
