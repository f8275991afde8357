"""An empty cluster: store, controllers, and a runtime that remembers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from labs.sandbox.api import kinds
from labs.sandbox.api.apply import apply_object, delete_object
from labs.sandbox.api.resources import Resources, kind_of
from labs.sandbox.controllers.manager import Controllers, Topology
from labs.sandbox.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Cluster:
    """What a test needs of a cluster, in few words."""

    store: Store
    controllers: Controllers
    runtime: Any

    @property
    def resources(self) -> Resources:
        return self.controllers.resources

    def settle(self) -> None:
        self.controllers.reconcile()

    def apply(self, text: str | dict[str, Any], namespace: str = "shop") -> dict[str, Any]:
        documents = list(yaml.safe_load_all(text)) if isinstance(text, str) else [text]
        for document in documents:
            made = apply_object(self.store, document, namespace).object
        self.settle()
        return self.store.get(kind_of(made).resource, made["metadata"].get("namespace", ""), made["metadata"]["name"])  # type: ignore[return-value]

    def delete(self, kind: str, name: str, namespace: str = "shop") -> None:
        entry = next(item for item in kinds.KINDS if item.kind == kind)
        metadata = {"name": name, "namespace": namespace}
        delete_object(self.store, {"apiVersion": entry.api_version, "kind": kind, "metadata": metadata}, namespace)
        self.settle()

    def pods(self, namespace: str = "shop") -> list[dict[str, Any]]:
        return self.store.list("pods", namespace)

    def names(self, resource: str, namespace: str = "shop") -> list[str]:
        return [item["metadata"]["name"] for item in self.store.list(resource, namespace)]


@pytest.fixture
def make_cluster(recording_runtime: type[Any]) -> Callable[..., Cluster]:
    def make(
        nodes: int = 2,
        families: tuple[int, ...] = (4,),
        hosts: tuple[str, ...] = (),
        carried: tuple[int, ...] = (4, 6),
    ) -> Cluster:
        store, runtime = Store(), recording_runtime(carried)
        controllers = Controllers(store, runtime, Topology(nodes, families, hosts))
        controllers.reconcile()
        cluster = Cluster(store, controllers, runtime)
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        return cluster

    return make


@pytest.fixture
def cluster(make_cluster: Callable[..., Cluster]) -> Cluster:
    return make_cluster()
