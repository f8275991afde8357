"""Every claim of every shipped lab, by the evaluator: in a second what `netdojo author test` shows by packets."""

from __future__ import annotations

from typing import Any

import pytest

from content.load import shipped_courses
from grader.simulate import SimulatedCluster
from labs.author import answers, examine
from labs.session import in_namespace, objects_of

LABS = [
    lab
    for course in shipped_courses()
    for chapter in course.chapters
    for lab in chapter.labs
    if "sandbox" in lab.spec.backends  # what needs a node's kernel is proven on one
]
CLAIMS = [(lab, name, objects) for lab in LABS for name, objects in answers(lab)]


def cluster_dns() -> list[dict[str, Any]]:
    labels = {"k8s-app": "kube-dns"}
    ports = [{"containerPort": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
    pod = {"containers": [{"name": "coredns", "image": "coredns", "ports": ports}]}
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": "kube-system", "labels": {"kubernetes.io/metadata.name": "kube-system"}},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "coredns", "namespace": "kube-system"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
    ]


@pytest.mark.parametrize(("lab", "name", "objects"), CLAIMS, ids=[f"{lab.id}-{name}" for lab, name, _ in CLAIMS])
async def test_a_claim_holds(lab: Any, name: str, objects: Any) -> None:
    families = tuple(int(family.removeprefix("ipv")) for family in lab.spec.topology.families)
    cluster = SimulatedCluster([*cluster_dns(), *objects_of(lab.start)], families=families)
    await cluster.apply(in_namespace(objects, lab.spec.namespace))
    claim = await examine(lab, cluster, name, 1)
    assert claim.problems == ()
