"""Host endpoints, by classes as flow by flow: conditions of rules, hosts known by an address, two of a node.

`->` passes, `-x` is dropped, `-if>` passes if an HTTP condition holds.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest

from grader.reachability.verdict import Flow

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.reachability.allpairs import Reach
    from grader.reachability.world import World

WEB, DB, GUEST, OUT = "shop/web", "shop/db", "lobby/guest", "ip:192.0.2.1"
NODE = "hep h [role=node] {node: n1, interfaceName: eth0, expectedIPs: [172.18.0.2]}"
ON_NODE = "selector: \"role == 'node'\""
GET = "{action: Allow, protocol: TCP, http: {methods: [GET]}}"
NEAR = "{action: Allow, source: {nets: [192.0.2.0/24]}}"
HTTP = f"gnp fw {{{ON_NODE}, applyOnForward: true, ingress: [{GET}]}}"
EARLY = f"gnp early {{{ON_NODE}, applyOnForward: true, FLAG: true, ingress: [{{action: Allow, protocol: TCP, RULE}}]}}"
FROM_OUT = "source: {nets: [192.0.2.0/24]}, destination: {ports: [80]}"
ON_WEB = "np shop/web {selector: app == 'web', ingress: [%s]}"
ELSEWHERE = "ip:198.51.100.1"

CONDITIONS = {
    "what a host endpoint lets through on a condition": (
        [NODE, HTTP],
        [f"{OUT} -if> {WEB}:80", f"{ELSEWHERE} -if> {WEB}:80", f"{DB} -> {WEB}:80", f"{OUT} -> {DB}:80"],
    ),
    "what preDNAT allows stands on no condition of applyOnForward": (
        [NODE, HTTP, EARLY.replace("FLAG", "preDNAT").replace("RULE", FROM_OUT)],
        [f"{OUT} -> {WEB}:80", f"{OUT} -if> {WEB}:81", f"{ELSEWHERE} -if> {WEB}:80"],
    ),
    "nor does what doNotTrack allows": (
        [NODE, HTTP, EARLY.replace("FLAG", "doNotTrack").replace("RULE", FROM_OUT)],
        [f"{OUT} -> {WEB}:80", f"{OUT} -if> {WEB}:81"],
    ),
    "a condition of the pod's own policy, behind a host endpoint that has none": (
        [
            NODE,
            f"gnp fw {{{ON_NODE}, applyOnForward: true, ingress: [{NEAR}]}}",
            ON_WEB % GET,
        ],
        [f"{OUT} -if> {WEB}:80", f"{ELSEWHERE} -x {WEB}:80", f"{DB} -if> {WEB}:80"],
    ),
    "a condition of the host endpoint, before a pod that has none": (
        [NODE, HTTP, ON_WEB % NEAR],
        [f"{OUT} -if> {WEB}:80", f"{ELSEWHERE} -x {WEB}:80", f"{DB} -x {WEB}:80"],
    ),
    "neither has one": (
        [NODE, f"gnp fw {{{ON_NODE}, applyOnForward: true, ingress: [{{action: Allow}}]}}", ON_WEB % "{action: Allow}"],
        [f"{OUT} -> {WEB}:80", f"{DB} -> {WEB}:80"],
    ),
    "what is allowed anyhow stands on no condition": (
        [ON_WEB % f"{GET}, {{action: Allow, source: {{selector: app == 'db'}}}}"],
        [f"{DB} -> {WEB}:80", f"{GUEST} -if> {WEB}:80", f"{OUT} -if> {WEB}:80", f"{OUT} -x {WEB}:53/udp"],
    ),
}


def place_of(reach: Reach, ref: str) -> int:
    """The class of an endpoint, or of the range that an address outside is in."""
    for place, one in enumerate(reach.classes):
        ranges = map(ip_network, one.members) if one.sample.ref.startswith("ip:") else ()
        if ref in one.members or (ref.startswith("ip:") and any(ip_address(ref[3:]) in net for net in ranges)):
            return place
    raise AssertionError(ref)


@pytest.mark.parametrize("name", CONDITIONS)
def test_conditions(cluster: Callable[..., World], name: str) -> None:
    texts, arrows = CONDITIONS[name]
    world = cluster(*texts)
    reach = world.reach()
    for arrow in arrows:
        source, sign, target = arrow.split()
        destination, _, asked = target.rpartition(":")
        number, _, protocol = asked.partition("/")
        flow = Flow(source, destination, int(number), protocol.upper() or "TCP")
        verdict = world.verdict(flow)
        means = "-x" if not verdict.allowed else "-if>" if verdict.condition else "->"
        assert means == sign, arrow
        port = reach.ports.at(flow.port, flow.protocol)
        part = next(part for part in reach.into[place_of(reach, destination)] if part.ports & port)
        who = place_of(reach, source)
        means = "-x" if not part.allowed >> who & 1 else "-if>" if part.conditional >> who & 1 else "->"
        assert means == sign, (arrow, "by classes")


EVERY = "hep h [role=node] {node: n1, interfaceName: '*'}"
HOSTS = "selector: \"role in {'node', 'one', 'two'}\""
CLOSED = f"gnp fw {{{HOSTS}, applyOnForward: true, ingress: [{{action: Deny}}], egress: [{{action: Deny}}]}}"
BY_ADDRESS = {
    "a pod whose node is known by its address alone is on that node": (
        [EVERY, CLOSED],
        [
            "a/web1 -> a/lone:80",
            "a/lone -> a/web1:80",
            "a/sql -x a/lone:80",
            "a/lone -x a/sql:80",
            f"{OUT} -x a/lone:80",
        ],
    ),
    "it does not cross the interface to the outside": (
        ["hep h [role=node] {node: n1, interfaceName: eth0}"],
        ["a/lone -> node:n1:80", "a/web1 -> node:n1:80", "a/sql -x node:n1:80", "node:n1 -> a/lone:80"],
    ),
    "a host endpoint of every interface judges what its node sends to its own pods": (
        [EVERY, f"gnp g {{{HOSTS}, egress: [{{action: Allow, protocol: UDP}}]}}"],
        [
            "node:n1 -x a/web1:80",
            "node:n1 -> a/web1:80/udp",
            "node:n1 -x a/lone:80",
            "node:n2 -> a/web2:80",
        ],
    ),
    "and what is sent to a pod in its node's network": (
        ["hep h [role=node] {node: n2, interfaceName: '*'}"],
        ["a/sql -x b/host:80", "a/sql -x node:n2:80", "a/sql -> b/host:22"],
    ),
    "without expectedIPs it has the addresses of its node": (
        [
            "hep h [role=node] {node: n1, interfaceName: eth0}",
            "gnp p {selector: app == 'sql', egress: [{action: Allow, destination: {nets: [172.18.0.1/32]}}]}",
        ],
        ["a/sql -> node:n1:22", "a/sql -x node:n2:22", "a/sql -x node:n1:80"],
    ),
    "with expectedIPs it has those": (
        [
            "hep h [role=node] {node: n1, interfaceName: eth0, expectedIPs: [192.0.2.77]}",
            "gnp p {selector: app == 'sql', egress: [{action: Allow, destination: {nets: [192.0.2.77/32]}}]}",
        ],
        ["a/sql -> node:n1:22", "a/sql -> ip:192.0.2.77:22", "a/sql -x ip:172.18.0.1:22"],
    ),
    "each of two host endpoints of a node has policies of its own": (
        [
            "hep one [role=one] {node: n1, interfaceName: eth0, expectedIPs: [172.18.0.1]}",
            "hep two [role=two] {node: n1, interfaceName: eth1, expectedIPs: [192.168.0.1]}",
            "gnp g {selector: role == 'two', ingress: [{action: Allow}]}",
        ],
        [
            f"{OUT} -> ip:192.168.0.1:80",
            f"{OUT} -x ip:172.18.0.1:80",
            f"{OUT} -x node:n1:80",
            f"{OUT} -> node:n1/two:80",
        ],
    ),
    "what a pod sends to a port of another node leaves by the interface": (
        ["hep h [role=node] {node: n1, interfaceName: eth0}", CLOSED],
        ["a/web1 -x node:n2:30080", "a/web1 -> a/web2:8080", "a/sql -> node:n2:30080"],
    ),
    "what a pod sends to another address of its node does not": (
        [
            "hep one [role=one] {node: n1, interfaceName: eth0, expectedIPs: [172.18.0.1]}",
            "hep two [role=two] {node: n1, interfaceName: eth1, expectedIPs: [192.168.0.1]}",
            CLOSED,
        ],
        ["a/web1 -> node:n1/two:80", "a/web1 -> node:n1:80", "a/web1 -x node:n2:80"],
    ),
    "ports of a host endpoint have names": (
        [
            "hep h [role=node] {node: n1, interfaceName: eth0, ports: [{name: kubelet, port: 10250, protocol: TCP}]}",
            (f"gnp g {{{HOSTS}, ingress: [{{action: Allow, protocol: TCP, destination: {{ports: [kubelet]}}}}]}}"),
        ],
        [f"{OUT} -> node:n1:10250", f"{OUT} -x node:n1:10251"],
    ),
    "selectors of nodes mean a host endpoint by its node's labels": (
        [
            "hep h [role=node] {node: n1, interfaceName: eth0}",
            (
                "cnp c {tier: Admin, priority: 1, subject: {namespaces: {}}, egress: "
                "[{action: Deny, name: d, to: [{nodes: {matchLabels: {zone: east}}}]}]}"
            ),
        ],
        ["a/sql -x node:n1:22", "a/sql -> node:n2:22"],
    ),
}


@pytest.mark.parametrize("name", BY_ADDRESS)
def test_hosts(cast: Callable[..., World], both_agree: Callable[[World, list[str]], None], name: str) -> None:
    texts, arrows = BY_ADDRESS[name]
    both_agree(cast(*texts), arrows)


def test_whose_word_comes_first(cluster: Callable[..., World]) -> None:
    """A packet enters by the host's interface, and leaves by that of the pod."""
    deny = "ingress: [{action: Deny}], egress: [{action: Deny}]"
    world = cluster(
        NODE, f"gnp host {{{ON_NODE}, applyOnForward: true, {deny}}}", f"np shop/pod {{selector: app == 'web', {deny}}}"
    )
    entering, leaving = world.verdict(Flow(OUT, WEB, 80)).ingress, world.verdict(Flow(WEB, OUT, 80)).egress
    assert [each.policy and each.policy.name for each in (entering, leaving)] == ["host", "pod"]


def test_a_pod_in_its_nodes_network(shop: Callable[..., World]) -> None:
    """Both directions name the pod that the policy is on, and the policy that may count."""
    world = shop("lobby|{podSelector: {matchLabels: {app: agent}}, policyTypes: [Ingress, Egress]}")
    ways = world.verdict(Flow(WEB, "lobby/agent", 80)).ingress, world.verdict(Flow("lobby/agent", WEB, 80)).egress
    for each in ways:
        assert each.allowed
        assert each.reason.startswith("policies on such a pod are left open")
        assert [ref.name for ref in each.isolating] == ["p1"]


def test_a_pod_in_its_nodes_network_without_policies(shop: Callable[..., World]) -> None:
    world = shop("{podSelector: {}, policyTypes: [Ingress], ingress: [{}]}")
    ways = world.verdict(Flow(WEB, "lobby/agent", 80)).ingress, world.verdict(Flow("lobby/agent", WEB, 80)).egress
    assert {each.reason for each in ways} == {"lobby/agent uses its node's network: policies on it do nothing"}


def test_a_policy_that_passes_everything_on_isolates_all_the_same(cluster: Callable[..., World]) -> None:
    """Its tier would have denied what it does not pass on."""
    world = cluster("tier t {order: 1}", "gnp p {tier: t, selector: app == 'db', ingress: [{action: Pass}]}")
    decision = world.verdict(Flow(WEB, DB, 80)).ingress
    assert decision.allowed
    assert [ref.name for ref in decision.isolating] == ["p"]
