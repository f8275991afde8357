"""Ports, protocols, ICMP and Services in Calico's rules, and what no rule changes.

A rule and its traps a row; `->` passes, `-x` is dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.reachability.world import World

WEB, DB, GUEST, OUT = "shop/web", "shop/db", "lobby/guest", "ip:192.0.2.1"
ON_DB = "selector: \"app == 'db'\""


def into(rules: str, more: str = "") -> str:
    """A global policy on the database's ingress."""
    return f"gnp a {{{ON_DB}, types: [Ingress], ingress: [{rules}]{more}}}"


def shop_into(rules: str) -> str:
    """A policy of namespace shop on the database's ingress."""
    return f"np shop/a {{{ON_DB}, types: [Ingress], ingress: [{rules}]}}"


def source(text: str) -> str:
    """A global policy that lets the database be reached from such a source."""
    return into(f"{{action: Allow, source: {{{text}}}}}")


def outgoing(rules: str) -> str:
    """A global policy on everybody's egress."""
    return f"gnp a {{types: [Egress], egress: [{rules}]}}"


PORTS = {
    "numbers, ranges and names": (
        [into("{action: Allow, protocol: TCP, destination: {ports: [1, '5:7', sql]}}")],
        [f"{GUEST} -> {DB}:{port}" for port in (1, 5, 7, 5432)] + [f"{GUEST} -x {DB}:{port}" for port in (2, 4, 8, 80)],
    ),
    "the protocol counts": (
        [into("{action: Allow, protocol: TCP, destination: {ports: [1, sql]}}")],
        [f"{GUEST} -x {DB}:1/udp", f"{GUEST} -x {DB}:5432/udp"],
    ),
    "init containers' names count": (
        ["gnp a {ingress: [{action: Allow, protocol: TCP, destination: {ports: [init]}}]}"],
        [f"{GUEST} -> {WEB}:9000", f"{GUEST} -x {DB}:9000"],
    ),
    "notPorts exclude numbers everywhere, names where they are declared": (
        ["gnp a {ingress: [{action: Allow, protocol: TCP, destination: {notPorts: [1, http]}}]}"],
        [
            f"{GUEST} -x {WEB}:1",
            f"{GUEST} -x {WEB}:8080",
            f"{GUEST} -> {WEB}:8081",
            f"{GUEST} -x {DB}:8081",
            f"{GUEST} -> {DB}:8080",
        ],
    ),
    "a set that covers a pod does not bring its names": (
        [
            (
                "gnp a {types: [Egress], egress: [{action: Allow, protocol: TCP, destination: "
                "{selector: \"kind == 'x'\", ports: [http, 9]}}]}"
            ),
            "gset g [kind=x] {nets: [10.0.2.1]}",
        ],
        [f"{WEB} -x {DB}:8081", f"{WEB} -> {DB}:9"],
    ),
    "nor takes names away": (
        [
            (
                "gnp a {types: [Egress], egress: [{action: Allow, protocol: TCP, destination: "
                "{selector: \"kind == 'x'\", notPorts: [http]}}]}"
            ),
            "gset g [kind=x] {nets: [10.0.2.1]}",
        ],
        [f"{WEB} -> {DB}:8081"],
    ),
    "the sender's ports": (
        [into("{action: Allow, protocol: TCP, source: {ports: ['1000:2000']}}")],
        [f"{GUEST} -> {DB}:1 sent=1500", f"{GUEST} -x {DB}:1 sent=999", f"{GUEST} -x {DB}:1"],
    ),
    "a sender's port that is not known is any of the system's": (
        [into("{action: Allow, protocol: TCP, source: {ports: ['32768:65535']}}")],
        [f"{GUEST} -> {DB}:1", f"{GUEST} -x {DB}:1 sent=80"],
    ),
    "ports that the sender may not have": (
        [into("{action: Allow, protocol: TCP, source: {notPorts: [40000]}}")],
        [f"{GUEST} -> {DB}:1 sent=1", f"{GUEST} -x {DB}:1 sent=40000", f"{GUEST} -x {DB}:1"],
    ),
    "protocols by name and number": (
        [into("{action: Allow, protocol: 132}, {action: Allow, protocol: 253}, {action: Allow, protocol: UDPLite}")],
        [f"{GUEST} -> {DB}:1/sctp", f"{GUEST} -> {DB}:0/253", f"{GUEST} -> {DB}:0/136", f"{GUEST} -x {DB}:0/254"],
    ),
    "notProtocol": ([into("{action: Allow, notProtocol: UDP}")], [f"{GUEST} -> {DB}:1", f"{GUEST} -x {DB}:1/udp"]),
}

ICMP = {
    "a rule without protocol matches ICMP": ([into("{action: Allow}")], [f"{GUEST} -> {DB}:icmp"]),
    "protocol TCP alone stops ping": ([into("{action: Allow, protocol: TCP}")], [f"{GUEST} -x {DB}:icmp"]),
    "type and code": (
        [into("{action: Allow, protocol: 1, icmp: {type: 8}}, {action: Allow, protocol: 1, icmp: {type: 3, code: 4}}")],
        [
            f"{GUEST} -> {DB}:icmp",
            f"{GUEST} -> {DB}:icmp icmp=8.7",
            f"{GUEST} -x {DB}:icmp icmp=0.0",
            f"{GUEST} -> {DB}:icmp icmp=3.4",
            f"{GUEST} -x {DB}:icmp icmp=3.1",
        ],
    ),
    "notICMP": (
        [into("{action: Allow, protocol: ICMP, notICMP: {type: 8}}")],
        [f"{GUEST} -x {DB}:icmp", f"{GUEST} -> {DB}:icmp icmp=0.0", f"{GUEST} -x {DB}:1"],
    ),
    "ICMP is IPv4's, ICMPv6 the other": (
        [into("{action: Allow, protocol: ICMPv6, icmp: {type: 128}}")],
        [f"{GUEST} -> {DB}:icmp @6", f"{GUEST} -x {DB}:icmp"],
    ),
}

SERVICES = {
    "as destination: address, port and protocol of the endpoints": (
        ["gnp a {types: [Egress], egress: [{action: Allow, destination: {services: {name: both, namespace: shop}}}]}"],
        [
            f"{GUEST} -> {WEB}:8080",
            f"{GUEST} -> {DB}:8081",
            f"{GUEST} -x {DB}:8080",
            f"{GUEST} -x {WEB}:8080/udp",
            f"{GUEST} -x {WEB}:icmp",
            f"{GUEST} -> service:shop/both:80",
            f"{WEB} -x {GUEST}:8080",
        ],
    ),
    "as source: addresses, any port": (
        [into("{action: Allow, source: {services: {name: web, namespace: shop}}}")],
        [f"{WEB} -> {DB}:1", f"{WEB} -> {DB}:icmp", f"{GUEST} -x {DB}:1"],
    ),
    "in a namespaced policy its namespace is meant": (
        [shop_into("{action: Allow, source: {services: {name: web}}}")],
        [f"{WEB} -> {DB}:1", f"{GUEST} -x {DB}:1"],
    ),
    "an unknown Service is nothing": (
        [into("{action: Allow, source: {services: {name: gone, namespace: shop}}}")],
        [f"{WEB} -x {DB}:1"],
    ),
}

NATURE = {
    "a pod reaches itself under any deny": (["gnp a {ingress: [{action: Deny}]}"], [f"{DB} -> {DB}:1"]),
    "a pod's way to its node is ordinary egress": (
        ["gnp a {types: [Egress], egress: [{action: Deny}]}"],
        [f"{WEB} -x node:n1:80"],
    ),
    "after translation: the Service's own port and address never match": (
        [outgoing("{action: Allow, protocol: TCP, destination: {ports: [80], nets: [10.96.0.7]}}")],
        [f"{GUEST} -x service:shop/web:80"],
    ),
    "hairpin passes the pod's own policies": (["np shop/a {}"], [f"{WEB} -x service:shop/web:80"]),
    "a host-network pod is the node": (
        [source("namespaceSelector: \"team == 'red'\"")],
        [f"lobby/agent -> {DB}:1", f"lobby/agent -> {WEB}:1", f"{GUEST} -> {DB}:1"],
    ),
    "no selector picks a host-network pod": (
        ["gnp a {selector: has(tier), ingress: [{action: Allow, source: {namespaceSelector: \"team == 'red'\"}}]}"],
        [f"lobby/agent -x {WEB}:1", f"{GUEST} -> {WEB}:1"],
    ),
}


TABLE = PORTS | ICMP | SERVICES | NATURE


@pytest.mark.parametrize("name", TABLE)
def test_rule(cluster: Callable[..., World], agree: Callable[..., None], name: str) -> None:
    texts, arrows = TABLE[name]
    agree(cluster(*texts), arrows)


@pytest.mark.parametrize("name", TABLE)
def test_all_pairs_by_sets(cluster: Callable[..., World], sets_agree: Callable[..., None], name: str) -> None:
    sets_agree(cluster(*TABLE[name][0]))


def test_a_name_without_a_protocol_is_tcp_where_it_was_let_in(
    cluster: Callable[..., World], agree: Callable[..., None], sets_agree: Callable[..., None]
) -> None:
    world = cluster("gnp a {ingress: [{action: Allow, destination: {ports: [http, dns]}}]}", lenient=True)
    agree(world, [f"{GUEST} -> {WEB}:8080", f"{GUEST} -> {DB}:8081", f"{GUEST} -x {WEB}:53/udp"])
    sets_agree(world)
