"""Calico's host endpoints.

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


NODE = "hep n1 [role=node] {node: n1, interfaceName: eth0, expectedIPs: [172.18.0.2]}"
ON_NODE = "selector: \"role == 'node'\""
OPEN_HOST = NODE.replace("expectedIPs", "profiles: [projectcalico-default-allow], expectedIPs")

HOSTS = {
    "a host endpoint without policy or profile is closed but for fail-safe ports": (
        [NODE],
        [
            f"{OUT} -x node:n1:80",
            f"{OUT} -> node:n1:22",
            f"{OUT} -> node:n1:6443",
            f"{OUT} -> node:n1:68/udp",
            f"{OUT} -x node:n1:68",
            f"{OUT} -x node:n1:icmp",
            f"node:n1 -x {OUT}:80",
            f"node:n1 -x {OUT}:22",
            f"node:n1 -> {OUT}:53/udp",
            f"node:n1 -> {OUT}:2379",
        ],
    ),
    "its address is the node": ([NODE], ["ip:192.0.2.1 -x ip:172.18.0.2:80", "ip:192.0.2.1 -> ip:172.18.0.2:22"]),
    "a host without one is open": ([NODE], [f"{OUT} -> node:n2:80"]),
    "policies of hosts": (
        [NODE, f"gnp a {{{ON_NODE}, ingress: [{{action: Allow, protocol: TCP, destination: {{ports: [80]}}}}]}}"],
        [f"{OUT} -> node:n1:80", f"{OUT} -x node:n1:81", f"{OUT} -> node:n1:22"],
    ),
    "no policy closes a fail-safe port": (
        [NODE, f"gnp a {{{ON_NODE}, ingress: [{{action: Deny}}]}}"],
        [f"{OUT} -> node:n1:22"],
    ),
    "fail-safe ports are configured": (
        [NODE, "felix default {failsafeInboundHostPorts: [{protocol: tcp, port: 2222, net: 192.0.2.0/24}]}"],
        [f"{OUT} -> node:n1:2222", "ip:198.51.100.1 -x node:n1:2222", f"{OUT} -x node:n1:22"],
    ),
    "those for leaving traffic are configured apart": (
        [NODE, "felix default {failsafeOutboundHostPorts: [{protocol: udp, port: 5353}]}"],
        [
            f"node:n1 -> {OUT}:5353/udp",
            f"node:n1 -x {OUT}:53/udp",
            f"node:n1 -x {OUT}:5353",
            f"{OUT} -> node:n1:22",
            f"{OUT} -x node:n1:5353/udp",
        ],
    ),
    "fail-safe ports are of hosts, not of pods": (
        [NODE, f"gnp a {{{ON_DB}, types: [Ingress, Egress]}}"],
        [f"{OUT} -x {DB}:22", f"{OUT} -x {DB}:6443", f"{DB} -x {OUT}:53/udp"],
    ),
    "a host endpoint's profile is not the other one's": (
        [OPEN_HOST, "hep n2 {node: n2, interfaceName: eth0, expectedIPs: [172.18.0.3]}"],
        [f"{OUT} -> node:n1:80", f"{OUT} -x node:n2:80"],
    ),
    "a profile that does not exist allows nothing": (
        [NODE.replace("expectedIPs", "profiles: [gone], expectedIPs")],
        [f"{OUT} -x node:n1:80", f"node:n1 -x {OUT}:80", f"{OUT} -> node:n1:22"],
    ),
    "a host endpoint has the labels of its profiles, of several the first one's, and its own before them": (
        [
            NODE.replace("expectedIPs", "profiles: [p, q], expectedIPs"),
            "profile p {labelsToApply: {zone: p, role: x}}",
            "profile q {labelsToApply: {zone: q, more: q}}",
            "gnp a {selector: \"zone == 'p' && role == 'node' && more == 'q'\", ingress: [{action: Allow}]}",
        ],
        [f"{OUT} -> node:n1:80"],
    ),
    "an automatic host endpoint allows by default": (
        [OPEN_HOST],
        [f"{OUT} -> node:n1:80", f"node:n1 -> {OUT}:80", f"{OUT} -> node:n1:icmp"],
    ),
    "a host always reaches its own pods": ([NODE, "np shop/a {}"], [f"node:n1 -> {WEB}:1", f"node:n2 -x {WEB}:1"]),
    "the interface to the outside does not judge the node's own pods": (
        [NODE],
        [f"{WEB} -> node:n1:80", f"{GUEST} -x node:n1:80"],
    ),
    "an endpoint of every interface does": (
        [NODE.replace("eth0", "'*'"), f"gnp a {{{ON_NODE}, ingress: [{{action: Allow, protocol: UDP}}]}}"],
        [f"{WEB} -x node:n1:80", f"{WEB} -> node:n1:80/udp"],
    ),
    "its labels make the node a peer": (
        [
            OPEN_HOST,
            "gnp a {selector: \"app == 'db'\", ingress: [{action: Allow, source: {namespaceSelector: global()}}]}",
        ],
        [f"node:n1 -> {DB}:1", f"{WEB} -x {DB}:1"],
    ),
    "Kubernetes' policies do not select hosts": (
        [OPEN_HOST, "knp shop/k {podSelector: {}}"],
        [f"{OUT} -> node:n1:80"],
    ),
    "forwarded traffic passes without applyOnForward": (
        [NODE, f"gnp a {{{ON_NODE}, ingress: [{{action: Deny}}]}}"],
        [f"{OUT} -> {WEB}:8080", f"{WEB} -> {OUT}:80"],
    ),
    "applyOnForward judges it": (
        [
            OPEN_HOST,
            (
                f"gnp a {{{ON_NODE}, applyOnForward: true, ingress: "
                "[{action: Allow, protocol: TCP, destination: {ports: [8080]}}]}"
            ),
        ],
        [
            f"{OUT} -> {WEB}:8080",
            f"{OUT} -x {WEB}:8081",
            f"{WEB} -> {OUT}:80",
            f"{OUT} -> {DB}:1",
            f"{GUEST} -> {WEB}:1",
        ],
    ),
    "applyOnForward judges what leaves": (
        [OPEN_HOST, f"gnp a {{{ON_NODE}, applyOnForward: true, egress: [{{action: Allow, protocol: UDP}}]}}"],
        [f"{WEB} -x {OUT}:80", f"{WEB} -> {OUT}:80/udp", f"{WEB} -> {GUEST}:80", f"{DB} -> {OUT}:80"],
    ),
    "a NodePort is forwarded: applyOnForward sees the target's port": (
        [
            OPEN_HOST,
            (
                f"gnp a {{{ON_NODE}, applyOnForward: true, ingress: "
                "[{action: Allow, protocol: TCP, destination: {ports: [8080, 8081]}}]}"
            ),
        ],
        [f"{OUT} -> node:n1:30080", f"{OUT} -x node:n1:30081"],
    ),
    "preDNAT sees the node's port and drops nothing at its end": (
        [
            OPEN_HOST,
            (
                f"gnp a {{{ON_NODE}, applyOnForward: true, preDNAT: true, ingress: "
                "[{action: Deny, protocol: TCP, destination: {ports: [30080]}}]}"
            ),
        ],
        [f"{OUT} -x node:n1:30080", f"{OUT} -> {WEB}:8080", f"{OUT} -> node:n1:80"],
    ),
    "preDNAT does not close fail-safe ports": (
        [OPEN_HOST, f"gnp a {{{ON_NODE}, applyOnForward: true, preDNAT: true, ingress: [{{action: Deny}}]}}"],
        [f"{OUT} -x node:n1:80", f"{OUT} -> node:n1:22"],
    ),
    "doNotTrack comes first": (
        [
            OPEN_HOST,
            f"gnp a {{{ON_NODE}, applyOnForward: true, doNotTrack: true, ingress: [{{action: Deny, protocol: UDP}}]}}",
            f"gnp b {{{ON_NODE}, ingress: [{{action: Allow}}]}}",
        ],
        [f"{OUT} -x node:n1:80/udp", f"{OUT} -> node:n1:80"],
    ),
    "what preDNAT allows is not asked of applyOnForward": (
        [
            OPEN_HOST,
            (
                f"gnp a {{{ON_NODE}, applyOnForward: true, preDNAT: true, ingress: "
                "[{action: Allow, protocol: TCP, destination: {ports: [8080]}}]}"
            ),
            f"gnp b {{{ON_NODE}, applyOnForward: true, ingress: [{{action: Deny}}]}}",
        ],
        [f"{OUT} -> {WEB}:8080", f"{OUT} -x {WEB}:8081", f"{OUT} -x {WEB}:22"],
    ),
    "what doNotTrack allows is not asked of preDNAT": (
        [
            OPEN_HOST,
            (
                f"gnp a {{{ON_NODE}, applyOnForward: true, doNotTrack: true, ingress: "
                "[{action: Allow, protocol: UDP}, {action: Deny, protocol: TCP, destination: {ports: [9]}}]}"
            ),
            f"gnp b {{{ON_NODE}, applyOnForward: true, preDNAT: true, ingress: [{{action: Deny}}]}}",
        ],
        [f"{OUT} -> {WEB}:80/udp", f"{OUT} -x {WEB}:9", f"{OUT} -x {WEB}:80", f"{OUT} -> {WEB}:22"],
    ),
    "what doNotTrack says of leaving traffic is not for what is forwarded": (
        [
            OPEN_HOST,
            f"gnp a {{{ON_NODE}, applyOnForward: true, doNotTrack: true, egress: [{{action: Deny}}]}}",
        ],
        [f"{WEB} -> {OUT}:80", f"node:n1 -x {OUT}:80"],
    ),
    "policies for hosts only do nothing to pods": (
        ["gnp a {applyOnForward: true, preDNAT: true, ingress: [{action: Deny}]}"],
        [f"{OUT} -> {WEB}:80"],
    ),
    "a pod in its node's network is the node": (
        [NODE.replace("n1", "n2").replace("0.2]", "0.3]")],
        [f"{OUT} -x lobby/agent:80", f"{OUT} -> lobby/agent:22", f"{WEB} -x lobby/agent:80"],
    ),
}


TABLE = HOSTS


@pytest.mark.parametrize("name", TABLE)
def test_rule(cluster: Callable[..., World], agree: Callable[..., None], name: str) -> None:
    texts, arrows = TABLE[name]
    agree(cluster(*texts), arrows)


@pytest.mark.parametrize("name", TABLE)
def test_all_pairs_by_sets(cluster: Callable[..., World], sets_agree: Callable[..., None], name: str) -> None:
    sets_agree(cluster(*TABLE[name][0]))
