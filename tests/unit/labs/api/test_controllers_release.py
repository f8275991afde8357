"""A pod whose labels fit its ReplicaSet no more is let go, and replaced."""

from __future__ import annotations

import copy
from typing import Any

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: nginx}]}}
"""


def test_a_relabelled_pod_is_let_go_and_taken_back(cluster: Any) -> None:
    cluster.apply(DEPLOYMENT)
    (pod,) = cluster.pods()

    def relabel(app: str) -> None:
        now = copy.deepcopy(cluster.store.get("pods", "shop", pod["metadata"]["name"]))
        now["metadata"]["labels"]["app"] = app
        cluster.store.put("pods", now)
        cluster.settle()

    relabel("quarantine")
    owned = {item["metadata"]["name"]: "ownerReferences" in item["metadata"] for item in cluster.pods()}
    assert len(owned) == 2
    assert not owned[pod["metadata"]["name"]]
    relabel("web")
    (left,) = cluster.pods()
    assert left["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet"
