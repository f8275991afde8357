"""Groups of alike endpoints: which two stand for all, how many they count as, and what their pings do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from grader.kube.parse import read_objects
from grader.reachability.space import PING, Space
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

POD = (
    "{apiVersion: v1, kind: Pod, metadata: {name: p%d, namespace: a, labels: {app: x}}, spec: {nodeName: n%d},"
    " status: {podIP: 10.0.0.%d}}"
)
NODE = (
    "{apiVersion: v1, kind: Node, metadata: {name: n%d},"
    " status: {addresses: [{type: InternalIP, address: 172.18.0.%d}]}}"
)
HOST = (
    "{apiVersion: projectcalico.org/v3, kind: HostEndpoint, metadata: {name: h},"
    " spec: {node: n1, interfaceName: eth0, expectedIPs: [172.18.0.1]}}"
)
NO_PINGS = (
    "{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: g}, spec:"
    " {selector: app == 'x', ingress: [{action: Deny, protocol: ICMP}, {action: Allow}]}}"
)


def world(nodes: tuple[int, ...], *more: str) -> World:
    """Pods p1, p2, … of one kind on these nodes."""
    texts = [POD % (i, node, i) for i, node in enumerate(nodes, 1)] + [NODE % (n, n) for n in sorted(set(nodes))]
    return World(read_objects([yaml.load(text, yaml.CSafeLoader) for text in (*texts, *more)]))


@pytest.mark.parametrize(
    ("nodes", "asked"),
    [
        ((1,), ("a/p1",)),
        ((1, 1), ("a/p1", "a/p2")),  # a pair of two pods is wanted
        ((1, 2), ("a/p1", "a/p2")),
        ((1, 1, 2), ("a/p1", "a/p3")),  # so that a node has one that it does not run
        ((1, 2, 2), ("a/p1", "a/p2")),
    ],
)
def test_two_stand_for_all(nodes: tuple[int, ...], asked: tuple[str, ...]) -> None:
    space = Space([world(nodes)], 4)
    pods = next(each for each in space.groups if "a/p1" in each.members)
    assert (pods.kind, pods.asked, pods.size) == ("pod", asked, len(nodes))
    assert space.pair(pods, pods, 0) == (asked if len(nodes) > 1 else None)
    assert [each.kind for each in space.groups] == ["pod", "node", "outside"]


def test_addresses_outside_that_are_alike_count_as_one(cluster: Callable[..., World]) -> None:
    made = cluster("knp shop/p {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 198.51.100.0/24}}]}]}")
    outside = [each for each in Space([made], 4).groups if each.outside]
    assert len(outside) == 2
    assert [each.size for each in outside] == [1, 1]
    assert max(len(each.members) for each in outside) > 1  # all that lies before and behind the range


@pytest.mark.parametrize("gated", [(False,), (False, True), (True, False), (True,)])
@pytest.mark.parametrize("most", [1, 10_000])
def test_pings_have_a_place_of_their_own(monkeypatch: pytest.MonkeyPatch, gated: tuple[bool, ...], most: int) -> None:
    """Whether host endpoints come or go, and whether pings are judged at all."""
    monkeypatch.setattr("grader.reachability.space.MOST_PINGS", most)
    space = Space([world((1, 2), NO_PINGS, *([HOST] if host else [])) for host in gated], 4)
    assert (space.intervals[-1] == PING) is (most > 1 or not any(gated))
    one, other = (next(each for each in space.groups if name in each.members) for name in ("a/p1", "a/p2"))
    for number in range(len(gated)):
        found = space.open(number)
        assert {len(row) for row in found} == {len(space.intervals)}
        row = zip(space.intervals, found[one.number], strict=True)
        assert {each.protocol for each, sources in row if sources >> other.number & 1} == {"TCP", "UDP", "SCTP"}


@pytest.mark.parametrize(("family", "passes"), [(4, True), (6, False)])
def test_pings_of_a_family_behind_host_endpoints(cluster: Callable[..., World], family: int, passes: bool) -> None:
    host = "hep h {node: n1, interfaceName: eth0, expectedIPs: [172.18.0.2]}"
    made = cluster(host, "gnp a {selector: app == 'db', ingress: [{action: Allow, ipVersion: 4}]}")
    space = Space([made], family)
    db, guest = (next(g.number for g in space.groups if name in g.members) for name in ("shop/db", "lobby/guest"))
    assert space.intervals[-1] == PING
    assert bool(space.open(0)[db][-1] >> guest & 1) is passes
