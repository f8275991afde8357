"""A slip of `--replicas` does not keep a cluster busy for minutes."""

from __future__ import annotations

import pytest

from labs.sandbox.api import resources
from labs.sandbox.api.apply import apply_object
from labs.sandbox.api.status import ApiError
from labs.sandbox.controllers.manager import Controllers, Topology
from labs.sandbox.dataplane.model import ModelRuntime
from labs.sandbox.store import Store

TEMPLATE = {"metadata": {"labels": {"app": "many"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
MANY = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "many", "namespace": "default"},
    "spec": {"replicas": 100_000, "selector": {"matchLabels": {"app": "many"}}, "template": TEMPLATE},
}
ONE = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "namespace": "default"}, "spec": TEMPLATE["spec"]}


async def test_a_cluster_takes_no_more_pods_than_it_can_carry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "MOST_PODS", 12)
    store = Store()
    controllers = Controllers(store, ModelRuntime("a test", (4,)), Topology(1, (4,), ()))
    await controllers.settle()
    apply_object(store, MANY)
    await controllers.settle()
    assert store.count("pods") == 12
    told = [event["message"] for event in store.list("events", "default") if event["reason"] == "FailedCreate"]
    assert told
    assert all("at most 12 pods" in message for message in told)
    with pytest.raises(ApiError, match='pods "one" is forbidden'):
        apply_object(store, ONE)
