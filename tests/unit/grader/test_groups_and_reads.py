"""Classes and groups of endpoints: their kinds, what is read anew after a change, who stands for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from grader.kube.parse import read_objects
from grader.reachability.matrix import Column
from grader.reachability.space import PING, Interval, Space
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

RANGE = "knp a/range {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: %s}}]}]}"


def test_columns_are_what_running_pods_declare(cluster: Callable[..., World]) -> None:
    ports = [("lobby/guest", 8080), ("shop/db", 5432), ("shop/db", 8081), ("shop/web", 8080)]
    expected = [
        *(Column(*each) for each in ports[:3]),
        Column("shop/web", 53, "UDP"),
        Column("shop/web", 8080),
        Column("shop/web", 9000),
    ]
    assert list(cluster().matrix().columns) == expected


def test_kinds(cast: Callable[..., World]) -> None:
    reach = cast(hosts={"out": []}).reach()
    kinds = {member: each.kind for each in reach.classes for member in each.members}
    asked = ("a/web1", "node:n1", "b/host", "host:out", "0.0.0.0/0")
    assert [kinds[name] for name in asked] == ["pod", "node", "host-network", "outside", "outside"]


@pytest.mark.parametrize(
    ("cidr", "samples"),
    [
        ("10.0.0.2/31", ["ip:0.0.0.0"]),  # both are pods'
        ("172.18.0.2/31", ["ip:0.0.0.0", "ip:172.18.0.3"]),  # the first is a node's
        ("198.51.100.0/24", ["ip:0.0.0.0", "ip:198.51.100.0"]),
    ],
)
def test_addresses_outside_are_no_endpoints(cast: Callable[..., World], cidr: str, samples: list[str]) -> None:
    classes = cast(RANGE % cidr).reach().classes
    assert sorted(each.sample.ref for each in classes if each.kind == "outside") == samples


READS = {
    "labels": "knp a/p {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}",
    "calico": "gnp p {selector: app == 'alt', ingress: [{action: Allow, source: {selector: has(role)}}]}",
    "nodes": "cnp p {tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, name: d, to: "
    "[{nodes: {matchLabels: {zone: west}}}]}]}",
    "networks": RANGE % "10.0.0.2/32",
    "names": "knp a/n {podSelector: {}, ingress: [{ports: [{port: http}]}]}",
    "ports": "knp a/o {podSelector: {}, ingress: [{ports: [{port: 81}]}]}",
}


@pytest.mark.parametrize("read", READS)
def test_what_a_change_reads_anew(cast: Callable[..., World], read: str) -> None:
    """The rules before it read everything but this."""
    others = ["gnp z {order: 9, selector: app == 'none', types: [Ingress]}"]
    others += [text for name, text in READS.items() if name != read]
    before, fresh = cast(*others), cast(*others, READS[read])
    before.reach()
    ends = [each.ref for each in fresh.endpoints.everyone()]
    columns = [Column(end, port) for end in ends for port in (80, 81, 8080, 8081)]
    assert before.changed(fresh.objects).matrix(ends, columns) == fresh.matrix(ends, columns)


def test_intervals_are_cut_where_rules_cut(cast: Callable[..., World]) -> None:
    space = Space([cast(READS["ports"])], 4)
    tcp = [Interval("TCP", 1, 80), Interval("TCP", 81, 81), Interval("TCP", 82, 65535)]
    assert space.intervals == (*tcp, Interval("UDP", 1, 65535), Interval("SCTP", 1, 65535), PING)


def test_who_stands_for_a_group(cast: Callable[..., World]) -> None:
    space = Space([cast("knp a/p {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}")], 4)
    webs = next(each for each in space.groups if "a/web1" in each.members)
    nodes = next(each for each in space.groups if "node:n1" in each.members)
    assert webs.kind == "pod"
    assert webs.asked == ("a/web1", "a/web2")  # on different nodes
    assert space.pair(webs, webs, 0) == ("a/web1", "a/web2")
    assert space.pair(nodes, webs, 0) == ("node:n1", "a/web2")
    outside = [each for each in space.groups if each.outside]
    assert [(each.asked, each.size) for each in outside] == [(("ip:198.51.100.1",), 1)]
    single = Space([cast(RANGE % "192.0.2.7/32")], 4)
    assert ("ip:192.0.2.7",) in [each.asked for each in single.groups]


def pods(count: int, *more: str) -> World:
    text = "{apiVersion: v1, kind: Pod, metadata: {name: p%d, labels: {x: v%d}}, status: {podIP: 10.0.%d.%d}}"
    made = [yaml.load(text % (i, i, i // 100, i % 100), yaml.CSafeLoader) for i in range(count)]
    calico = "{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: g}, spec: %s}"
    spec = "{selector: has(x), ingress: [{action: Deny, protocol: ICMP}, {action: Allow}]}"
    return World(
        read_objects(
            [*made, yaml.load(calico % spec, yaml.CSafeLoader), *(yaml.load(text, yaml.CSafeLoader) for text in more)]
        )
    )


HOST = (
    "{apiVersion: projectcalico.org/v3, kind: HostEndpoint, metadata: {name: h},"
    " spec: {node: n, interfaceName: eth0, expectedIPs: [172.18.0.9]}}"
)


@pytest.mark.parametrize(
    ("count", "more", "pinged"), [(2, [HOST], True), (40, [HOST], True), (150, [], True), (150, [HOST], False)]
)
def test_icmp_is_left_out_of_many_groups_behind_host_endpoints(count: int, more: list[str], pinged: bool) -> None:
    # Labels that a rule reads one by one make a class of each.
    each = (
        "{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: e},"
        " spec: {selector: x == 'none', ingress: [{action: Allow}]}}"
    )
    space = Space([pods(count, each, *more)], 4)
    assert len(space.groups) > count
    assert (space.intervals[-1] == PING) is pinged


def test_icmp_takes_no_other_protocols_place() -> None:
    """Before and after the first host endpoint of a cluster of many groups."""
    space = Space([pods(150), pods(150, HOST)], 4)
    before = space.open(0)
    one = next(each.number for each in space.groups if "default/p1" in each.members)
    other = next(each.number for each in space.groups if "default/p2" in each.members)
    assert space.intervals[-1].protocol == "SCTP"
    assert before[one][-1] >> other & 1
