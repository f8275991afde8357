"""What the compilers say, without a kernel: which chains a node gets, and that each rule names its origin."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest

from grader.kube.parse import read_objects
from labs.sandbox.dataplane.nftables.backends import Backends
from labs.sandbox.dataplane.nftables.compile import Placement, compile_policies
from labs.sandbox.dataplane.nftables.encode import replacement
from labs.sandbox.dataplane.nftables.ruleset import (
    Accept,
    Addresses,
    Balance,
    Chain,
    Drop,
    Family,
    Goto,
    Hook,
    Interface,
    Jump,
    Place,
    Ports,
    Protocol,
    Rule,
    Side,
    Table,
)
from labs.sandbox.dataplane.nftables.services import cluster_addresses, compile_services

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.ports import Manifest

WEB4, WEB6 = "10.244.0.2", "fd00:10:244::2"


def pod(name: str, *ips: str, node: str = "node-1") -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "shop", "name": name, "labels": {"app": name}},
        "spec": {"nodeName": node, "containers": [{"name": "c", "ports": [{"containerPort": 80, "name": "http"}]}]},
        "status": {"podIPs": [{"ip": ip} for ip in ips]},
    }


def policy(name: str, **spec: Any) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"namespace": "shop", "name": name},
        "spec": spec,
    }


PLACEMENTS = {
    "shop/web": Placement("node-1", "caliweb", (ip_address(WEB4), ip_address(WEB6))),
    "shop/far": Placement("node-2", "califar", (ip_address("10.244.0.66"),)),
}
PODS = [pod("web", WEB4, WEB6), pod("far", "10.244.0.66", node="node-2")]


def tables(*policies: Manifest, placements: Mapping[str, Placement] = PLACEMENTS) -> dict[str, Table]:
    return compile_policies(read_objects([*PODS, *policies]), placements, ("node-1", "node-2", "node-3"))


def chains(table: Table) -> dict[str, Chain]:
    return {chain.name: chain for chain in table.chains}


def test_every_node_gets_a_table_and_only_its_own_pods() -> None:
    found = tables()
    assert list(found) == ["node-1", "node-2", "node-3"]
    links = {
        node: {
            m.name for c in t.chains for r in c.rules for m in r.matches if isinstance(m, Interface) and not m.prefix
        }
        for node, t in found.items()
    }
    assert links == {"node-1": {"caliweb"}, "node-2": {"califar"}, "node-3": set()}


@pytest.mark.parametrize("name", ["egress-forward", "egress-node", "ingress-forward"])
def test_packets_of_unknown_links_are_dropped_last(name: str) -> None:
    last = chains(tables()["node-1"])[name].rules[-1]
    side = Side.DESTINATION if name.startswith("ingress") else Side.SOURCE
    assert last.matches == (Interface(side, "cali", prefix=True),)
    assert last.action == Drop()


def test_a_running_pod_that_the_snapshot_does_not_have_is_unknown() -> None:
    more = {**PLACEMENTS, "shop/ghost": Placement("node-1", "calighost", (ip_address("10.244.0.9"),))}
    assert tables(placements=more) == tables()


def test_chains_come_before_those_that_ask_them() -> None:
    table = tables(policy("a", podSelector={}, ingress=[{}], egress=[{}]), policy("b", podSelector={}))["node-1"]
    known: set[str] = set()
    for chain in table.chains:
        asked = {r.action.chain for r in chain.rules if isinstance(r.action, Jump | Goto)}
        assert asked <= known
        known.add(chain.name)


def test_every_rule_that_decides_names_where_it_comes_from() -> None:
    table = chains(tables(policy("front", podSelector={}, ingress=[{}, {"ports": [{"port": 80}]}]))["node-1"])
    assert [rule.comment for rule in table["ingress/shop/front"].rules] == [
        "NetworkPolicy shop/front ingress rule 1",
        "NetworkPolicy shop/front ingress rule 2",
    ]
    last = table["pod-ingress/shop/web"].rules[-1]
    assert last.action == Drop()
    assert last.comment == "ingress of shop/web isolated by shop/front: nothing allows it"
    assert all(rule.comment for chain in table.values() for rule in chain.rules)


def test_only_nodes_whose_pods_are_concerned_change() -> None:
    before = tables()
    after = tables(policy("web", podSelector={"matchLabels": {"app": "web"}}))
    assert after["node-1"] != before["node-1"]
    assert after["node-2"] == before["node-2"]


def test_a_rule_has_a_line_for_each_family_and_protocol() -> None:
    peers = [{"podSelector": {"matchLabels": {"app": "web"}}}]
    ports = [{"port": 80}, {"port": 81}, {"port": 90, "endPort": 95}, {"port": 53, "protocol": "UDP"}]
    wanted = policy("p", podSelector={}, ingress=[{"from": peers, "ports": ports}])
    rules = chains(tables(wanted)["node-1"])["ingress/shop/p"].rules
    four, six = int(ip_address(WEB4)), int(ip_address(WEB6))
    assert {rule.matches for rule in rules} == {
        (Family(version), Addresses(Side.SOURCE, version, ((address, address),)), Protocol(number), Ports(numbers))
        for version, address in ((4, four), (6, six))
        for number, numbers in ((6, ((80, 81), (90, 95))), (17, ((53, 53),)))
    }
    assert {rule.action for rule in rules} == {Accept()}


def test_the_same_snapshot_compiles_to_the_same_table() -> None:
    policies = [policy(name, podSelector={}, ingress=[{"ports": [{"port": "http"}]}]) for name in "abc"]
    assert tables(*policies) == tables(*reversed(policies))


def service(**more: Any) -> Manifest:
    spec = {"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7", "fd00:10:96::7"], "selector": {"app": "web"}}
    ports = [{"port": 8080, "targetPort": "http"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {**spec, "ports": ports, **more},
    }


def services(*manifests: Manifest) -> dict[str, Chain]:
    objects = read_objects(manifests)
    return chains(compile_services(objects, Backends(objects, manifests, {})))


def test_a_service_leads_to_its_pods_in_each_family() -> None:
    found = services(*PODS, service())
    assert [rule.action for rule in found["cluster-ips"].rules] == [
        Balance(4, ((int(ip_address(WEB4)), 80),)),
        Balance(6, ((int(ip_address(WEB6)), 80),)),
    ]
    assert {rule.comment for rule in found["cluster-ips"].rules} == {"Service shop/web port 8080"}
    assert found["node-ports"].rules == ()


def test_a_headless_service_has_no_address_to_translate() -> None:
    found = services(*PODS, service(clusterIP="None", clusterIPs=["None"]))
    assert found["cluster-ips"].rules == ()
    assert found["refused"].rules == ()


def test_cluster_addresses_are_those_of_all_services() -> None:
    objects = read_objects([service(), service(clusterIP="None", clusterIPs=["None"])])
    assert cluster_addresses(objects) == ()
    assert [str(a) for a in cluster_addresses(read_objects([service()]))] == ["10.96.0.7", "fd00:10:96::7"]


def test_equal_sets_are_made_once() -> None:
    ranges = ((1, 1), (5, 9))
    rules = tuple(Rule((Family(4), Addresses(side, 4, ranges)), Accept()) for side in Side)
    table = Table("t", (Chain("c", rules, Hook("filter", Place.FORWARD, 0)),))
    assert [m.what for m in replacement(table)].count("set of t") == 1


def test_a_long_name_becomes_a_chain_of_its_own() -> None:
    names = ["n" * 240 + end for end in ("a", "b")]
    found = chains(tables(*(policy(name, podSelector={}, ingress=[{}]) for name in names))["node-1"])
    long = [name for name in found if name.startswith("ingress/shop/nnn")]
    assert len(long) == 2
    assert all(len(name) <= 200 for name in long)
