"""Which kinds are asked for, and what becomes of their objects."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from grader.errors import InfrastructureError
from labs.kube.api import Refused
from labs.kube.fingerprint import fingerprint
from labs.kube.resources import deciding, read_discovery, resource_of
from labs.kube.snapshot import take


def group(name: str, version: str, *plurals: str, stale: bool = False, verbs: tuple[str, ...] = ("list",)) -> Any:
    resources = [
        {"resource": plural, "responseKind": {"kind": plural.title()}, "scope": "Namespaced", "verbs": list(verbs)}
        for plural in plurals
    ]
    found: dict[str, Any] = {"version": version, "resources": resources}
    return {"metadata": {"name": name}, "versions": [found | ({"freshness": "Stale"} if stale else {})]}


def names(*groups: Any) -> list[str]:
    return [f"{each}/{each.version}" for each in deciding(read_discovery({"items": []}, {"items": list(groups)}))]


V3 = ("projectcalico.org", "v3", "networkpolicies")
STORED = ("crd.projectcalico.org", "v1", "networkpolicies")


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([group("", "v1", "pods", "secrets", "events", "nodes")], ["nodes/v1", "pods/v1"]),
        ([group("coordination.k8s.io", "v1", "leases")], []),
        ([group(*STORED), group(*V3)], ["networkpolicies.projectcalico.org/v3"]),
        ([group(*STORED), group(*V3, stale=True)], ["networkpolicies.crd.projectcalico.org/v1"]),
        ([group("apps", "v1", "deployments", verbs=("get",))], []),
    ],
    ids=["deciding kinds only", "leases never", "v3 once", "v3 does not answer", "cannot be listed"],
)
def test_the_kinds_of_a_snapshot(groups: list[Any], expected: list[str]) -> None:
    assert names(*groups) == expected


def test_the_preferred_version_comes_first_and_each_version_is_known_by_its_name() -> None:
    both = group("gateway.networking.k8s.io", "v1", "gateways")
    both["versions"] += group("gateway.networking.k8s.io", "v1beta1", "gateways")["versions"]
    found = read_discovery({}, {"items": [both]})
    assert [each.version for each in deciding(found)] == ["v1"]
    old = resource_of({"apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "Gateways"}, found)
    assert old is not None
    assert old.version == "v1beta1"
    assert resource_of({"apiVersion": "v1", "kind": "Gateways"}, found) is None


async def test_a_snapshot_has_no_canary_nothing_derived_and_no_book_keeping(api: Any) -> None:
    api.put("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "netdojo-canary"}})
    home = {"name": "shop", "managedFields": [{"manager": "x"}]}
    api.put("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": home})
    api.put("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "netdojo-canary", "name": "x"}})
    api.put("configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop", "name": "x"}})
    found = await take(api)
    assert [(item["kind"], item["metadata"]["name"]) for item in found] == [
        ("Node", "node-a"),
        ("Node", "node-b"),
        ("Namespace", "shop"),
    ]
    assert "managedFields" not in found[2]["metadata"]


async def test_a_picture_with_a_hole_is_none(api: Any) -> None:
    api.refusals.append(("list pods", Refused(403, "Forbidden", 'pods is forbidden: User "x" cannot list')))
    with pytest.raises(InfrastructureError, match=r"may not list pods.*User \"x\"") as error:
        await take(api)
    assert "--on sandbox" in error.value.remedy


def changed(kind: str, path: str, value: Any) -> bool:
    """Whether a field of an object of some kind counts."""
    base: dict[str, Any] = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x", "uid": "1"}, "spec": {}}
    other = copy.deepcopy(base)
    at = other
    *way, last = path.split(".")
    for part in way:
        at = at.setdefault(part, {})
    at[last] = value
    return fingerprint(base) != fingerprint(other)


@pytest.mark.parametrize(
    ("kind", "path", "value", "counts"),
    [
        ("Pod", "metadata.labels", {"app": "web"}, True),
        ("Pod", "metadata.uid", "2", True),
        ("Pod", "metadata.deletionTimestamp", "2026-11-24T00:00:00Z", True),
        ("Pod", "status.podIPs", [{"ip": "10.0.0.1"}], True),
        ("Pod", "status.conditions", [{"type": "Ready", "status": "True"}], True),
        ("Pod", "status.conditions", [{"type": "PodScheduled", "status": "True"}], False),
        ("Pod", "metadata.resourceVersion", "7", False),
        ("Pod", "metadata.managedFields", [{}], False),
        ("Node", "status.addresses", [{"address": "10.0.0.1"}], True),
        ("Node", "status.images", [{"names": ["x"]}], False),
        ("Node", "metadata.labels", {"zone": "a"}, True),
        ("Namespace", "metadata.annotations", {"x": "y"}, True),
        ("EndpointSlice", "metadata.annotations", {"endpoints.kubernetes.io/last-change-trigger-time": "t"}, False),
        ("EndpointSlice", "endpoints", [{"addresses": ["10.0.0.1"]}], True),
        ("Deployment", "status.readyReplicas", 1, False),
        ("Deployment", "spec.replicas", 3, True),
        ("Service", "status.loadBalancer", {"ingress": [{"ip": "10.0.0.1"}]}, True),
        ("Profile", "spec.egress", [], True),
    ],
)
def test_what_counts_as_a_change(kind: str, path: str, value: Any, counts: bool) -> None:
    assert changed(kind, path, value) is counts


@pytest.mark.parametrize(
    "metadata",
    [
        {"namespace": "netdojo-canary", "name": "turn"},
        {"name": "netdojo-canary"},
        {"name": "default.netdojo-canary"},
    ],
)
def test_the_canary_never_counts(metadata: dict[str, str]) -> None:
    assert fingerprint({"kind": "NetworkPolicy", "metadata": metadata, "spec": {"x": 1}}) == 0
