"""A Kubernetes API in memory, with a dataplane that is as slow as a test wants it."""

from __future__ import annotations

import asyncio
import copy
import itertools
import queue
from typing import TYPE_CHECKING, Any

import pytest

from grader.errors import InfrastructureError
from labs.kube import canary, ready
from labs.kube.api import Change, Listing, Output, Refused, Resource
from labs.kube.canary import OPEN, TURN, Signal
from labs.kube.mirror import Mirror
from labs.kube.settle import Barrier

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_ALL = frozenset({"get", "list", "watch", "patch", "delete"})
KINDS = [
    ("", "v1", "nodes", "Node", False),
    ("", "v1", "namespaces", "Namespace", False),
    ("", "v1", "pods", "Pod", True),
    ("", "v1", "services", "Service", True),
    ("", "v1", "serviceaccounts", "ServiceAccount", True),
    ("", "v1", "configmaps", "ConfigMap", True),
    ("apps", "v1", "deployments", "Deployment", True),
    ("apps", "v1", "replicasets", "ReplicaSet", True),
    ("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", True),
    ("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", True),
    ("projectcalico.org", "v3", "networkpolicies", "NetworkPolicy", True),
    ("projectcalico.org", "v3", "globalnetworkpolicies", "GlobalNetworkPolicy", False),
    ("projectcalico.org", "v3", "networksets", "NetworkSet", True),
    ("projectcalico.org", "v3", "globalnetworksets", "GlobalNetworkSet", False),
    ("projectcalico.org", "v3", "ippools", "IPPool", False),
]


def ready_pod(node: str, address: str) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True"}]
    return {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": conditions, "node": node}


class FakeApi:
    """Objects in memory. Pods run at once unless `sleepy`; `lag` holds back what the dataplane takes up, by signal."""

    server = "https://fake.invalid:6443"

    def __init__(self) -> None:
        self.kinds = [Resource(*kind, verbs=_ALL) for kind in KINDS]
        self._every = tuple(self.kinds)
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.refusals: list[tuple[str, Refused]] = []
        """Words of paths, and how the next request about one of them is refused."""
        self.lag: set[Signal] = set()
        self.lax = False
        """Whether the dataplane lets everything through."""
        self.blind = False
        self.mute: set[str] = set()
        """Versions whose server does not answer."""
        self.down: Exception | None = None
        """What every list says while the API is away."""
        self.sleepy: set[str] = set()
        self.looks = 0
        self.talks: list[FakeTalk] = []
        self.deleted: list[tuple[str, int | None]] = []
        self.applied: list[str] = []
        self._revision = itertools.count(100)
        self._addresses = (f"10.0.0.{n}" for n in itertools.count(1))
        self._watches: list[tuple[Resource, queue.SimpleQueue[Change | Exception | None]]] = []
        self._enforced: dict[Signal, int] = {}
        for name in ("node-a", "node-b"):
            status = {"conditions": [{"type": "Ready", "status": "True"}]}
            self.put("nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": status})

    def kind(self, plural: str, group: str = "") -> Resource:
        return next(each for each in self.kinds if (each.plural, each.group) == (plural, group))

    def put(self, resource: Resource | str, manifest: dict[str, Any]) -> dict[str, Any]:
        """Write, and tell the watches."""
        found = self.kind(resource) if isinstance(resource, str) else resource
        metadata = manifest["metadata"]
        key = (str(found), metadata.get("namespace", ""), metadata["name"])
        before = self.objects.get(key)
        version = str(next(self._revision))
        uid = before["metadata"]["uid"] if before else f"uid-{version}"
        generation = int(version)
        made = copy.deepcopy(manifest)
        made["metadata"] |= {"uid": uid, "resourceVersion": version, "generation": generation}
        self.objects[key] = made
        self._tell(found, Change("MODIFIED" if before else "ADDED", made))
        return made

    def remove(self, resource: Resource | str, namespace: str, name: str) -> None:
        found = self.kind(resource) if isinstance(resource, str) else resource
        gone = self.objects.pop((str(found), namespace, name))
        gone["metadata"]["resourceVersion"] = str(next(self._revision))
        self._tell(found, Change("DELETED", gone))

    def fail_watches(self, error: Exception) -> None:
        """End every watch with an error."""
        for _, told in self._watches:
            told.put(error)

    def end_watches(self) -> None:
        for _, told in self._watches:
            told.put(None)

    def _tell(self, resource: Resource, change: Change) -> None:
        for watched, told in self._watches:
            if watched == resource:
                told.put(Change(change.type, copy.deepcopy(change.object)))

    def _refuse(self, words: str) -> None:
        for index, (part, refused) in enumerate(self.refusals):
            if part in words:
                del self.refusals[index]
                raise refused

    async def resources(self, *, again: bool = False) -> tuple[Resource, ...]:
        del again
        return tuple(self.kinds)

    async def stale(self) -> frozenset[str]:
        return frozenset(self.mute)

    async def silent(self) -> frozenset[str]:
        return frozenset(self.mute)

    async def list(self, resource: Resource, namespace: str = "", selector: str = "") -> Listing:
        del selector
        if self.down:
            raise self.down
        self._refuse(f"list {resource}")
        items = [
            copy.deepcopy(item)
            for (kind, home, _), item in sorted(self.objects.items())
            if kind == str(resource) and namespace in ("", home)
        ]
        return Listing(tuple(items), str(next(self._revision)))

    async def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        return copy.deepcopy(self.objects.get((str(resource), namespace, name)))

    async def apply(
        self, resource: Resource, namespace: str, manifest: dict[str, Any], manager: str = "netdojo"
    ) -> dict[str, Any]:
        name = manifest["metadata"]["name"]
        self._refuse(f"apply {resource}/{name}")
        before = self.objects.get((str(resource), namespace, name), {"metadata": {}})
        merged = {**before, **manifest} if manager == "netdojo-turn" else {**manifest, **_kept(before)}
        metadata = dict(manifest["metadata"])
        if manager == "netdojo-turn":
            metadata["labels"] = before["metadata"].get("labels", {}) | metadata.get("labels", {})
        merged["metadata"] = metadata
        if resource.kind == "Service":
            merged["spec"] = {**merged["spec"], "clusterIP": "10.96.0.9"}
        if resource.kind == "Pod" and "status" not in merged and name not in self.sleepy:
            merged["status"] = ready_pod("node-a", next(self._addresses))
        self.applied.append(f"{resource}/{name}")
        done = self.put(resource, merged)
        if resource.kind == "Namespace":
            account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": name, "name": "default"}}
            self.put("serviceaccounts", account)
        self._take_up()
        return copy.deepcopy(done)

    async def replace(self, resource: Resource, namespace: str, manifest: dict[str, Any]) -> dict[str, Any]:
        del namespace
        return self.put(resource, manifest)

    async def delete(self, resource: Resource, namespace: str, name: str, *, grace: int | None = None) -> bool:
        self._refuse(f"delete {resource}/{name}")
        self.deleted.append((f"{resource}/{name}", grace))
        if (str(resource), namespace, name) not in self.objects:
            return False
        self.remove(resource, namespace, name)
        return True

    def watch(self, resource: Resource, since: str) -> Iterator[Change]:
        told: queue.SimpleQueue[Change | Exception | None] = queue.SimpleQueue()
        for (kind, _, _), item in tuple(self.objects.items()):  # what was written between the list and the watch
            if kind == str(resource) and int(item["metadata"]["resourceVersion"]) > int(since):
                told.put(Change("MODIFIED", copy.deepcopy(item)))
        self._watches.append((resource, told))
        while (change := told.get()) is not None:
            if isinstance(change, Exception):
                raise change
            yield change

    async def exec(self, pod: str, argv: Sequence[str], stdin: bytes, seconds: float, container: str = "") -> Output:
        """A command that prints its words."""
        del stdin, container, seconds
        if argv[0] == "sleep":
            raise TimeoutError
        if pod.endswith("/nobody"):
            raise Refused(404, "NotFound", 'pods "nobody" not found')
        return Output(3, " ".join(argv).encode(), b"")

    def talk(self, pod: str, argv: Sequence[str]) -> FakeTalk:
        assert argv[-1] == "lookout"
        made = FakeTalk(self, pod)
        self.talks.append(made)
        return made

    async def look(self, line: str) -> tuple[str, ...]:
        """A look from a canary's client."""
        self.looks += 1
        if self.blind:
            raise InfrastructureError("a command ended: sh: not found")
        words = line.split()
        wanted = [words[n : n + 5] for n in range(0, len(words), 5)]
        return tuple([await self._look(*each[:3], patient=int(each[4]) > 1) for each in wanted])

    async def _look(self, state: str, address: str, what: str, *, patient: bool) -> str:
        port = int(address.rpartition(":")[2])
        for _ in range(40 if patient else 1):
            self._take_up()
            if self._is_open(port) is (state == "open"):
                return f"yes {what}"
            await asyncio.sleep(0)
        return f"no {what} {'TIMEOUT' if state == 'open' else 'OPEN'}"

    def _is_open(self, port: int) -> bool:
        if self.lax or port == OPEN:
            return True
        return any(port == canary.port(signal, side) for signal, side in self._enforced.items())

    def _take_up(self) -> None:
        """The dataplane takes up every kind that does not lag."""
        for signal in frozenset(Signal) - self.lag:
            homes = {signal: 0}
            for item in canary.turned(signal, 0, dict.fromkeys(self._servers(), "10.0.0.1")):
                kind = next(k for k in self._every if (k.api_version, k.kind) == (item["apiVersion"], item["kind"]))
                key = (str(kind), item["metadata"].get("namespace", ""), item["metadata"]["name"])
                labels = self.objects.get(key, {"metadata": {}})["metadata"].get("labels", {})
                if TURN in labels:
                    homes[signal] = int(labels[TURN])
                    self._enforced |= homes

    def _servers(self) -> list[str]:
        return [
            canary.name("server", name)
            for name in ("node-a", "node-b")
            if ready.node(self.objects.get(("nodes", "", name), {}))
        ]


class FakeTalk:
    """A command that looks, until somebody ends it."""

    def __init__(self, api: FakeApi, pod: str) -> None:
        self.api, self.pod = api, pod
        self.broken: Exception | None = None
        self.closed = False

    async def ask(self, line: str, until: str, seconds: float) -> tuple[str, ...]:
        del seconds
        assert (until, self.closed) == (".", False)
        if self.broken is not None:
            raise self.broken
        return await self.api.look(line)

    def close(self) -> None:
        self.closed = True


def _kept(before: dict[str, Any]) -> dict[str, Any]:
    return {"status": before["status"]} if "status" in before else {}


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "turn.lock"


@pytest.fixture
def barrier(api: Any, lock: Path) -> Iterator[Barrier]:
    mirror = Mirror(api)
    yield Barrier(api, mirror, lock=lock)
    mirror.close()
    api.end_watches()
