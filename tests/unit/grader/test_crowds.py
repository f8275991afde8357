"""Replicas of one template are one crowd; whatever else differs between pods makes another."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from grader.kube.parse import read_objects
from grader.reachability.alike import alone, crowds
from grader.reachability.endpoints import Endpoints
from grader.reachability.matrix import Column
from grader.reachability.verdict import Flow
from grader.reachability.world import World

LABELS, CONTAINERS = {"app": "web"}, [{"name": "c", "ports": [{"containerPort": 80, "name": "http"}]}]
NODE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "n1"},
    "status": {"addresses": [{"type": "InternalIP", "address": "172.18.0.2"}]},
}


def pod(name: str, address: str = "", labels: object = LABELS, containers: object = CONTAINERS, **spec: Any) -> Any:
    """One whose labels and containers are the very objects of the others, as those of one template are."""
    status: dict[str, Any] = {"phase": spec.pop("phase", "Running")}
    if address:
        status["podIP"] = address
    metadata = {"name": name, "namespace": spec.pop("namespace", "shop"), "labels": labels}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": containers, **spec},
        "status": status,
    }


@pytest.mark.parametrize(
    ("pods", "refs"),
    [
        ([pod("a", "10.0.0.1"), pod("b", "10.0.0.2")], [["shop/a", "shop/b"]]),
        ([pod("a"), pod("b", nodeName="n1")], [["shop/a", "shop/b"]]),
        ([pod("a"), pod("b", phase="Succeeded")], [["shop/a"]]),
        ([pod("a"), pod("b", namespace="zoo")], [["shop/a"], ["zoo/b"]]),
        ([pod("a"), pod("b", labels={"app": "db"})], [["shop/a"], ["shop/b"]]),
        ([pod("a"), pod("b", containers=[{"name": "c", "ports": [{"containerPort": 81}]}])], [["shop/a"], ["shop/b"]]),
        ([pod("a"), pod("b", serviceAccountName="other")], [["shop/a"], ["shop/b"]]),
        ([pod("a", hostNetwork=True), pod("b", hostNetwork=True), pod("c")], [["shop/a"], ["shop/b"], ["shop/c"]]),
    ],
)
def test_who_is_of_one_crowd(pods: list[Any], refs: list[list[str]]) -> None:
    found = crowds(read_objects([NODE, *pods]), {"bastion": [ip_address("192.0.2.1")]})
    named = [[ref for ref, _ in each.members] for each in found]
    assert sorted(named) == sorted([*refs, ["node:n1"], ["host:bastion"]])


def test_what_policies_see_of_a_member_is_its_own_name_and_addresses_and_the_rest_of_the_sample() -> None:
    objects = read_objects(
        [NODE, pod("a", "10.0.0.1"), pod("b", "10.0.0.2"), pod("h", hostNetwork=True, nodeName="n1")]
    )
    known = Endpoints(objects, {}).pods
    replicas, guest, _node = crowds(objects, {})
    assert [replicas.member(ref, addresses) for ref, addresses in replicas.members] == [
        known["shop/a"],
        known["shop/b"],
    ]
    assert replicas.member("shop/a", ()) is replicas.sample  # which is not made again
    # In its node's network a pod has its node's addresses.
    assert guest == alone(known["shop/h"])


def test_addresses_that_rules_read_split_a_crowd() -> None:
    fence = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p", "namespace": "shop"},
        "spec": {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.2/32"}}]}]},
    }
    world = World(read_objects([pod("a", "10.0.0.1"), pod("b", "10.0.0.2"), pod("c", "10.0.0.3"), fence]))
    assert [each.members for each in world.reach().classes[:2]] == [["shop/a", "shop/c"], ["shop/b"]]
    assert [each.sample.ref for each in world.reach().classes[:2]] == ["shop/a", "shop/b"]
    refs = ["shop/a", "shop/b", "shop/c"]
    allowed = {
        (f.source, f.destination) for f, ok, _ in world.matrix(refs, [Column(ref, 80) for ref in refs]).cells() if ok
    }
    expected = {(one, other) for one in refs for other in refs if one in ("shop/b", other)}
    assert allowed == expected == {(a, b) for a in refs for b in refs if world.verdict(Flow(a, b, 80)).allowed}
