"""Verdicts that the specification gives, pair by pair and from sets of endpoints at once.

The cast has what a set may get wrong: pods of one class and of several with the same named ports, pods in their node's
network, one whose node is known by its address alone, addresses outside next to each other.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.reachability.world import World

HOSTS = {"partner": [ip_address("198.51.100.7")], "other": [ip_address("192.0.2.9")]}
TABLE: dict[str, tuple[list[str], list[str]]] = {
    "who always gets in: itself, and what the node is": (
        ["knp a/p1 {podSelector: {}, policyTypes: [Ingress]}"],
        [
            "a/web1 -x a/lone:80",
            "a/web1 -> a/web1:8080",
            "a/web1 -> ip:10.0.0.1:8080",
            "ip:10.0.0.1 -> a/web1:8080",
            "ip:10.0.0.2 -x a/web1:8080",
            "node:n1 -> a/web1:80",
            "node:n2 -x a/web1:80",
            "node:n2 -> a/sql:80",
            "b/host -> a/web2:80",
            "b/host2 -> a/web2:80",
            "b/host -x a/web1:80",
            "node:n1 -> a/lone:80",
            "ip:172.18.0.1 -> a/lone:80",
            "node:n2 -x a/lone:80",
        ],
    ),
    "a named port of incoming packets": (
        ["knp a/p2 {podSelector: {}, ingress: [{ports: [{port: http}]}]}"],
        [
            "b/out -> a/web1:8080",
            "b/out -> a/web2:8080",
            "b/out -> a/alt:8080",
            "b/out -x a/alt:8081",
            "b/out -x a/sql:8080",
            "b/out -> a/sql:8081",
            "b/out -x a/lone:8080",
            "b/out -x a/web1:8080/udp",
        ],
    ),
    "a named port of outgoing packets": (
        [
            "knp b/p3 {podSelector: {matchLabels: {app: out}}, policyTypes: [Egress],"
            " egress: [{to: [{namespaceSelector: {}}], ports: [{port: http}]}]}"
        ],
        [
            "b/out -> a/web1:8080",
            "b/out -> a/web2:8080",
            "b/out -x a/web2:8081",
            "b/out -> a/alt:8080",
            "b/out -> a/sql:8081",
            "b/out -x a/sql:8080",
            "b/out -x a/lone:8080",
            "b/out -x ip:192.0.2.1:8080",
            "a/alt -> ip:192.0.2.1:8080",
        ],
    ),
    "every requirement of a selector; keys that are there or not": (
        [
            "knp a/p4 {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {}, podSelector:"
            " {matchExpressions: [{key: role, operator: Exists}, {key: app, operator: NotIn, values: [sql]}]}}]}]}",
            "knp a/p5 {podSelector: {matchLabels: {app: alt}}, ingress: [{from: [{podSelector:"
            " {matchExpressions: [{key: role, operator: DoesNotExist}]}},"
            " {podSelector: {matchExpressions: [{key: none, operator: Exists}]}}]}]}",
        ],
        [
            "a/web2 -x a/web1:80",
            "a/sql -x a/web1:80",
            "b/out -> a/web1:80",
            "a/web1 -> a/alt:80",
            "a/sql -x a/alt:80",
            "b/out -x a/alt:80",
        ],
    ),
    "a pod in its node's network is left open where labels would tell": (
        [
            "knp a/p6 {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {},"
            " podSelector: {matchLabels: {app: host}}}]}]}",
            "knp b/p7 {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}",
        ],
        [
            "a/web1 -?> b/host:80",
            "b/out -> b/host:80",
            "b/host -?x a/web1:80",
            "b/host -> a/web2:80",
            "b/host2 -x a/web1:80",
            "b/host -?x b/out:80",
            "b/host2 -?x b/out:80",
            "node:n2 -x b/out:80",
            "node:n1 -> b/out:80",
            "b/host -> b/host2:80",
        ],
    ),
    "nothing of it is left open to Calico": (
        [
            "knp a/p8 {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {},"
            " podSelector: {matchLabels: {app: host}}}]}]}",
            "knp b/p9 {podSelector: {}, policyTypes: [Ingress]}",
            "gnp p13 {selector: app == 'none', types: [Ingress]}",
        ],
        ["a/web1 -> b/host:80", "b/host -x a/web1:80", "b/host -> a/web2:80", "a/web2 -x b/out:80"],
    ),
    "ranges, and what they leave out": (
        [
            "knp a/p10 {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{ipBlock: {cidr: 198.51.100.0/24,"
            " except: [198.51.100.128/25]}}, {ipBlock: {cidr: 10.0.0.3/32}}, {ipBlock: {cidr: 192.168.0.1/32}},"
            " {ipBlock: {cidr: 198.51.100.255/32}}, {ipBlock: {cidr: '::/8'}}]}]}",
        ],
        [
            "ip:198.51.100.0 -> a/web1:80",
            "ip:198.51.100.5 -> a/web1:80",
            "ip:198.51.100.127 -> a/web1:80",
            "ip:198.51.100.128 -x a/web1:80",
            "ip:198.51.100.255 -> a/web1:80",
            "ip:198.51.101.0 -x a/web1:80",
            "ip:192.0.2.1 -x a/web1:80",
            "ip:0.0.0.0 -x a/web1:80",
            "host:partner -> a/web1:80",
            "host:other -x a/web1:80",
            "a/alt -> a/web1:80",
            "a/sql -x a/web1:80",
            # A node has several addresses; a packet carries one.
            "ip:192.168.0.1 -> a/web2:80",
            "node:n1 -x a/web2:80",
            "ip:172.18.0.1 -x a/web2:80",
            # Addresses of one family send no packets of the other.
            "ip:198.51.100.5 -x a/web1:80 @6",
            "ip:2001:db8::1 -x a/web1:80 @6",
            "ip:2001:db8::1 -x a/web1:80",
            "ip:64:ff9b::1 -> a/web1:80 @6",
        ],
    ),
    "the address of a node that is asked for": (
        [
            "knp b/p11 {podSelector: {matchLabels: {app: out}}, policyTypes: [Egress],"
            " egress: [{to: [{ipBlock: {cidr: 192.168.0.1/32}}]}]}"
        ],
        ["b/out -> ip:192.168.0.1:80", "b/out -x ip:172.18.0.1:80", "b/out -x node:n1:80", "b/out -x a/web1:80"],
    ),
    "nodes by labels; pods are none": (
        [
            "cnp p14 {tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, name: d, to:"
            " [{nodes: {matchLabels: {zone: west}}}]}]}",
        ],
        [
            "a/web1 -> a/web2:80",
            "a/web2 -> a/web1:80",
            "a/web1 -x node:n2:80",
            "a/web1 -> node:n1:80",
            "a/web2 -x node:n2:80",
            "a/web1 -x b/host:80",
            "b/host -> node:n2:80",
            "b/host2 -> node:n1:80",
        ],
    ),
    "administrators' policies never select pods in their node's network": (
        [
            "cnp p15 {tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Accept, name: d, from:"
            " [{namespaces: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: Exists}]}}]}]}",
            "knp a/p12 {podSelector: {}, policyTypes: [Ingress]}",
        ],
        ["a/web1 -> a/web2:80", "b/host -x a/web1:80", "b/out -> a/sql:80", "node:n1 -x a/sql:80"],
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_pairs_and_sets(cast: Callable[..., World], both_agree: Callable[[World, list[str]], None], name: str) -> None:
    texts, arrows = TABLE[name]
    both_agree(cast(*texts, hosts=HOSTS), arrows)
