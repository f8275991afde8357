"""Calico's objects as the cluster stores them (crd.projectcalico.org/v1): names, labels in an annotation, tiers."""

from __future__ import annotations

from typing import Any

import pytest

from content.errors import BrokenContentError
from grader.kube.parse import read_objects

ANNOTATION = "metadata.annotations.projectcalico.org/metadata"


def stored(kind: str, metadata: Any, spec: Any = None) -> dict[str, Any]:
    return {"apiVersion": "crd.projectcalico.org/v1", "kind": kind, "metadata": metadata, "spec": spec or {}}


def kept(annotation: object, **labels: str) -> dict[str, Any]:
    """A stored set with an annotation and labels of its own."""
    annotations = {"projectcalico.org/metadata": annotation}
    return stored("GlobalNetworkSet", {"name": "g", "labels": labels, "annotations": annotations})


@pytest.mark.parametrize(
    ("manifest", "labels"),
    [
        (kept('{"labels": {"kind": "partner"}}'), {"kind": "partner"}),
        (kept('{"labels": {"kind": "partner"}}', kind="x", more="y"), {"kind": "partner", "more": "y"}),
        (kept('{"labels": null, "uid": "1"}', kind="x"), {"kind": "x"}),
        (kept("null"), {}),
        (kept(None), {}),
        (stored("GlobalNetworkSet", {"name": "g", "annotations": None}), {}),
    ],
)
def test_labels(manifest: dict[str, Any], labels: dict[str, str]) -> None:
    assert read_objects([manifest]).network_sets[0].labels == labels


@pytest.mark.parametrize(
    ("manifest", "causes"),
    [
        (kept("{"), [f'GlobalNetworkSet g: {ANNOTATION}: Invalid value: "{{": must be JSON']),
        (kept("[]"), [f"GlobalNetworkSet g: {ANNOTATION}: Invalid value: []: must be a mapping of fields"]),
        (
            kept('{"labels": []}'),
            [f"GlobalNetworkSet g: {ANNOTATION}.labels: Invalid value: []: must be a mapping of fields"],
        ),
        (
            kept('{"labels": {"a": 1}}'),
            [f"GlobalNetworkSet g: {ANNOTATION}.labels.a: Invalid value: 1: must be a string (put it in quotes)"],
        ),
        (
            stored("GlobalNetworkSet", 5),
            [
                "GlobalNetworkSet: metadata: Invalid value: 5: must be a mapping of fields",
                "GlobalNetworkSet: metadata.name: Required value: name or generateName is required",
            ],
        ),
        (
            stored("NetworkSet", []),
            [
                "NetworkSet: metadata: Invalid value: []: must be a mapping of fields",
                "NetworkSet: metadata.name: Required value: name or generateName is required",
            ],
        ),
    ],
)
def test_what_is_refused_is_said_once(manifest: dict[str, Any], causes: list[str]) -> None:
    with pytest.raises(BrokenContentError) as caught:
        read_objects([manifest])
    assert [defect.cause for defect in caught.value.defects] == causes


def test_nesting_without_end_in_the_annotation_is_refused() -> None:
    with pytest.raises(BrokenContentError, match="must be JSON"):
        read_objects([kept("[" * 100_000)])


@pytest.mark.parametrize(
    ("version", "name", "spec", "read"),
    [
        ("crd.projectcalico.org/v1", "default.a", {}, ("a", "default")),
        ("crd.projectcalico.org/v1", "default.a", {"tier": "default"}, ("a", "default")),
        ("crd.projectcalico.org/v1", "default.default.a", {}, ("default.a", "default")),
        ("crd.projectcalico.org/v1", "sec.a", {"tier": "sec"}, ("sec.a", "sec")),
        ("crd.projectcalico.org/v1", "a", {}, ("a", "default")),
        ("projectcalico.org/v3", "a", {}, ("a", "default")),
        # Stored as `default.default.a` (libcalico-go `clientv3/globalnetworkpolicy.go`, v3.28).
        ("projectcalico.org/v3", "default.a", {}, ("default.a", "default")),
        ("projectcalico.org/v3", "sec.a", {"tier": "sec"}, ("sec.a", "sec")),
    ],
)
def test_names_and_tiers(version: str, name: str, spec: dict[str, Any], read: tuple[str, str]) -> None:
    manifest = {**stored("GlobalNetworkPolicy", {"name": name}, spec), "apiVersion": version}
    (policy,) = read_objects([manifest]).calico_policies
    assert (policy.name, policy.tier) == read
