"""A Kubernetes API in memory, and a port over it that applies at once."""

from __future__ import annotations

import copy
import itertools
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from labs.kube.api import Change, Listing, Output, Refused, Resource
from labs.kube.resources import resource_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from grader.ports import Manifest

_VERBS = frozenset({"list", "watch"})


def _resource(group: str, version: str, plural: str, kind: str, *, namespaced: bool = True) -> Resource:
    return Resource(group, version, plural, kind, namespaced=namespaced, verbs=_VERBS)


RESOURCES = (
    _resource("", "v1", "namespaces", "Namespace", namespaced=False),
    _resource("", "v1", "nodes", "Node", namespaced=False),
    _resource("", "v1", "pods", "Pod"),
    _resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
    _resource("projectcalico.org", "v3", "globalnetworkpolicies", "GlobalNetworkPolicy", namespaced=False),
    _resource("projectcalico.org", "v3", "globalnetworksets", "GlobalNetworkSet", namespaced=False),
    _resource("crd.projectcalico.org", "v1", "globalnetworkpolicies", "GlobalNetworkPolicy", namespaced=False),
    _resource("crd.projectcalico.org", "v1", "globalnetworksets", "GlobalNetworkSet", namespaced=False),
)


def node(name: str, address: str, cidr: str = "10.244.0.0/24") -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True"}]
    status = {"addresses": [{"type": "InternalIP", "address": address}], "conditions": conditions}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "spec": {"podCIDRs": [cidr]},
        "status": status,
    }


def namespace(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


class MemoryApi:
    """What is asked of an API, answered from a dictionary. Namespaces take with them what they hold.

    Attributes:
        denied: what the user may not do, as `verb resource[/part]`.
        hidden: names of objects that the user may not get.
        before_write: called with each object before it is made or changed.
        answers: what commands in pods print.
    """

    def __init__(self, *objects: Manifest) -> None:
        self.kept: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.denied: set[str] = set()
        self.mute: set[str] = set()
        self.hidden: set[str] = set()
        self.before_write: Callable[[Manifest], None] = lambda _: None
        self.executed: list[tuple[str, str, tuple[str, ...]]] = []
        self.gone: Exception | None = None
        self._numbers = itertools.count(1)
        self._events: list[tuple[Resource, Change]] = []
        self._turn = threading.Condition()
        for each in (namespace("kube-system"), node("one", "172.18.0.2"), *objects):
            self._put(each)

    def names(self, kind: str) -> list[str]:
        return sorted(f"{space}/{name}".strip("/") for (of, space, name) in self.kept if of == kind)

    def _put(self, item: Manifest) -> dict[str, Any]:
        metadata = item["metadata"]
        key = item["kind"], metadata.get("namespace", ""), metadata["name"]
        old = self.kept.get(key, {"metadata": {"uid": f"uid-{next(self._numbers)}"}})
        kept = {**copy.deepcopy(item), "metadata": {**copy.deepcopy(metadata), "uid": old["metadata"]["uid"]}}
        kept["metadata"]["resourceVersion"] = str(len(self._events) + 1)
        self.kept[key] = kept
        self._tell("MODIFIED" if "kind" in old else "ADDED", kept)
        return kept

    def _tell(self, kind: str, item: Manifest) -> None:
        resource = resource_of(item, RESOURCES)
        assert resource is not None
        with self._turn:
            self._events.append((resource, Change(kind, item)))
            self._turn.notify_all()

    async def resources(self, *, again: bool = False) -> tuple[Resource, ...]:
        del again
        if self.gone is not None:
            raise self.gone
        return tuple(each for each in RESOURCES if each.api_version not in self.mute)

    async def stale(self) -> frozenset[str]:
        return frozenset(self.mute)

    async def silent(self) -> frozenset[str]:
        return frozenset(self.mute)

    async def list(self, resource: Resource, namespace: str = "", selector: str = "") -> Listing:
        del selector
        items = [
            item for (kind, space, _), item in self.kept.items() if kind == resource.kind and namespace in {"", space}
        ]
        return Listing(tuple(copy.deepcopy(items)), str(len(self._events)))

    async def get(self, resource: Resource, namespace: str, name: str) -> Manifest | None:
        if name in self.hidden:
            raise Refused(403, "Forbidden", f'{resource} "{name}" is forbidden: User "me" cannot get it')
        return copy.deepcopy(self.kept.get((resource.kind, namespace if resource.namespaced else "", name)))

    async def apply(self, resource: Resource, namespace: str, manifest: Manifest, manager: str = "netdojo") -> Manifest:
        del manager
        item = copy.deepcopy(manifest)
        if resource.namespaced:
            item["metadata"]["namespace"] = namespace
            if ("Namespace", "", namespace) not in self.kept:
                raise Refused(404, "NotFound", f'namespaces "{namespace}" not found')
        self.before_write(item)
        return self._put(item)

    async def delete(self, resource: Resource, namespace: str, name: str, *, grace: int | None = None) -> bool:
        del grace
        doomed = [key for key in self.kept if key == (resource.kind, namespace, name)]
        if resource.kind == "Namespace" and doomed:
            doomed += [key for key in self.kept if key[1] == name]
        for key in doomed:
            item = self.kept.pop(key)
            item["metadata"]["resourceVersion"] = str(len(self._events) + 1)
            self._tell("DELETED", item)
        return bool(doomed)

    async def post(self, path: str, body: Manifest) -> Manifest:
        assert path.endswith("selfsubjectaccessreviews")
        asked = body["spec"]["resourceAttributes"]
        named = f"{asked['verb']} {asked['resource']}" + (f"/{asked['subresource']}" if "subresource" in asked else "")
        return {"status": {"allowed": named not in self.denied}}

    async def patch(self, path: str, body: Manifest) -> Manifest:
        *_, space, _, name, part = path.split("/")
        assert part == "ephemeralcontainers"
        pod = self.kept["Pod", space, name]
        for container in body["spec"]["ephemeralContainers"]:
            pod["spec"].setdefault("ephemeralContainers", []).append(container)
            state = {"name": container["name"], "state": {"running": {}}}
            pod.setdefault("status", {}).setdefault("ephemeralContainerStatuses", []).append(state)
        return copy.deepcopy(pod)

    def watch(self, resource: Resource, since: str) -> Iterator[Change]:
        position = int(since)  # a resource version is the number of events until then
        with self._turn:
            self._turn.wait_for(lambda: len(self._events) > position, 0.05)
            new = self._events[position:]
        yield from (change for of, change in new if of == resource)

    async def exec(self, pod: str, argv: Sequence[str], stdin: bytes, seconds: float, container: str = "") -> Output:
        del seconds
        self.executed.append((pod, container, tuple(argv)))
        return Output(0, stdin, b"")


class MemoryPort:
    """A cluster's port that applies by the API, and waits for nothing."""

    def __init__(self, api: MemoryApi, prober: Any, capabilities: Any, *, namespace: str, image: str) -> None:
        del prober, image
        self.api, self.capabilities, self.namespace = api, capabilities, namespace

    async def apply(self, objects: Iterable[Manifest]) -> None:
        for item in sorted(objects, key=lambda each: each["kind"] != "Namespace"):
            resource = resource_of(item, RESOURCES)
            assert resource is not None
            await self.api.apply(resource, item["metadata"].get("namespace", self.namespace), item)

    async def delete(self, objects: Iterable[Manifest]) -> None:
        for item in objects:
            resource = resource_of(item, RESOURCES)
            assert resource is not None
            await self.api.delete(resource, item["metadata"].get("namespace", ""), item["metadata"]["name"])

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def memory_api() -> type[MemoryApi]:
    return MemoryApi


@pytest.fixture
def memory_port() -> type[MemoryPort]:
    return MemoryPort


@pytest.fixture
def make_node() -> Callable[..., dict[str, Any]]:
    return node


@pytest.fixture
def make_namespace() -> Callable[..., dict[str, Any]]:
    return namespace


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    """Two contexts, the dangerous one current."""
    path = tmp_path / "kubeconfig"
    entries = {
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}.example"}} for name in ("prod", "play")],
        "users": [{"name": "me", "user": {"token": "t"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "me"}} for name in ("prod", "play")],
        "current-context": "prod",
    }
    path.write_text(json.dumps(entries), encoding="utf-8")
    return path
