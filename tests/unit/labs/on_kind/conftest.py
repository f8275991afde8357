"""A container engine, a kind program and clusters' APIs that are only remembered: the world of the kind backend."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from content.model import Topology
from grader.dataplane import DataplaneFacts, NodeFacts
from grader.errors import ClusterGoneError, InfrastructureError
from grader.ports import Observation, Outcome
from labs.base import Request
from labs.kind.backend import KindBackend
from labs.kind.binary import Ended
from labs.kind.engine import KIND_CLUSTER, Container
from labs.kind.settings import KindSettings
from labs.kube.api import Change, Listing, Refused, Resource
from labs.kube.mirror import Mirror
from labs.kube.probing import Finished
from labs.kube.resources import resource_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from grader.ports import Manifest, Probe
    from labs.kind.engine import Wanted
    from labs.kind.port import Parts

VERBS = frozenset({"list", "watch", "get"})
CORE = (
    "namespaces Namespace",
    "nodes Node",
    "pods Pod",
    "configmaps ConfigMap",
    "services Service",
    "events Event",
    "serviceaccounts ServiceAccount",
)
APIS = Resource("apiregistration.k8s.io", "v1", "apiservices", "APIService", namespaced=False, verbs=VERBS)
TIERS = Resource("projectcalico.org", "v3", "tiers", "Tier", namespaced=False, verbs=VERBS)
KINDS = (
    APIS,
    TIERS,
    *(Resource("", "v1", *word.split(), namespaced=word[0] != "n", verbs=VERBS) for word in CORE),
    Resource("apps", "v1", "deployments", "Deployment", namespaced=True, verbs=VERBS),
    Resource("apps", "v1", "daemonsets", "DaemonSet", namespaced=True, verbs=VERBS),
    Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", namespaced=True, verbs=VERBS),
    Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False, verbs=VERBS),
    Resource(
        "admissionregistration.k8s.io",
        "v1",
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
        namespaced=False,
        verbs=VERBS,
    ),
    *(
        Resource("crd.projectcalico.org", "v1", plural, kind, namespaced=False, verbs=VERBS)
        for plural, kind in (
            ("felixconfigurations", "FelixConfiguration"),
            ("globalnetworkpolicies", "GlobalNetworkPolicy"),
        )
    ),
)
MANIFEST = """\
apiVersion: v1
kind: ServiceAccount
metadata: {name: calico-apiserver, namespace: calico-apiserver}
---
apiVersion: v1
kind: Namespace
metadata: {name: calico-apiserver}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: calico-config, namespace: kube-system}
data: {cni_network_config: '{"plugins": [{"type": "calico", "mtu": __CNI_MTU__, "ipam": {"type": "calico-ipam"}}]}'}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: calico-node, namespace: kube-system}
spec:
  template:
    spec:
      containers:
      - name: calico-node
        image: calico/node:v3.28.5
        env: [{name: IP, value: autodetect}, {name: CALICO_IPV4POOL_CIDR, value: 192.168.0.0/16}]
"""


def thing(version: str, kind: str, name: str, namespace: str = "", **more: Any) -> Manifest:
    metadata: dict[str, Any] = {"name": name} | ({"namespace": namespace} if namespace else {})
    metadata |= {key: more.pop(key) for key in ("labels", "annotations", "ownerReferences") if key in more}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


def owned_by(kind: str, name: str) -> list[dict[str, Any]]:
    return [{"kind": kind, "name": name, "controller": True}]


class MemoryApi:
    """An API that keeps what it is given. Nothing runs behind it but what a namespace takes with it."""

    def __init__(self) -> None:
        self.objects: dict[tuple[Resource, str, str], Manifest] = {}
        self.refuses: dict[str, Refused] = {}
        """By kind: what it answers to everything that would change one."""
        self.gone = False
        self.kinds: tuple[Resource, ...] = KINDS
        self.known = self.kinds
        """What was served when somebody asked `again` last."""
        self.mute: set[str] = set()
        self.calls: list[str] = []
        self._numbers = itertools.count(1)
        self._log: list[tuple[int, Resource, Change]] = []
        self._changed = threading.Condition()
        self.server = "memory"

    async def resources(self, *, again: bool = False) -> tuple[Resource, ...]:
        self._here()
        if again:
            self.known = self.kinds
        return self.known

    async def stale(self) -> frozenset[str]:
        return frozenset(self.mute)

    async def silent(self) -> frozenset[str]:
        return frozenset(self.mute)

    async def list(self, resource: Resource, namespace: str = "", selector: str = "") -> Listing:
        del namespace, selector
        self._here()
        items = [copy.deepcopy(item) for (kind, _, _), item in self.objects.items() if kind == resource]
        return Listing(tuple(items), str(self._log[-1][0] if self._log else 0))

    async def get(self, resource: Resource, namespace: str, name: str) -> Manifest | None:
        self._here()
        return copy.deepcopy(self.objects.get((resource, namespace, name)))

    async def apply(self, resource: Resource, namespace: str, manifest: Manifest, manager: str = "") -> Manifest:
        del manager
        if resource.namespaced and not any(k.kind == "Namespace" and n == namespace for k, _, n in self.objects):
            raise Refused(404, "NotFound", f"namespaces {namespace!r} not found")
        there = self.objects.get((resource, namespace, manifest["metadata"]["name"]), {})
        return self._write(resource, namespace, {**copy.deepcopy(there), **copy.deepcopy(manifest)}, "apply")

    async def replace(self, resource: Resource, namespace: str, manifest: Manifest) -> Manifest:
        there = self.objects[resource, namespace, manifest["metadata"]["name"]]
        if manifest["metadata"].get("resourceVersion") != there["metadata"]["resourceVersion"]:
            raise Refused(409, "Conflict", "it was changed")
        return self._write(resource, namespace, copy.deepcopy(manifest), "replace")

    async def delete(self, resource: Resource, namespace: str, name: str, *, grace: int | None = None) -> bool:
        self._allowed(resource)
        item = self.objects.pop((resource, namespace, name), None)
        if item is None:
            return False
        self.calls.append(f"delete {resource.kind} {namespace}/{name}{'' if grace is None else ' at once'}")
        self._tell(resource, "DELETED", item)
        if resource.kind == "Namespace":
            for kind, home, inner in [key for key in self.objects if key[1] == name]:
                self._tell(kind, "DELETED", self.objects.pop((kind, home, inner)))
        return True

    def watch(self, resource: Resource, since: str) -> Iterator[Change]:
        with self._changed:
            new = [(n, c) for n, kind, c in self._log if kind == resource and n > int(since)]
            if not new:
                self._changed.wait(0.05)
        yield from (change for _, change in new)

    def put(self, manifest: Manifest) -> None:
        """What somebody else does: no rule of ours applies."""
        resource = resource_of(manifest, self.kinds)
        assert resource is not None, manifest
        self._write(resource, str(manifest["metadata"].get("namespace", "")), copy.deepcopy(manifest), "put")

    def there(self, kind: str, name: str) -> Manifest:
        return next(i for (k, _, _), i in self.objects.items() if k.kind == kind and i["metadata"]["name"] == name)

    def _here(self) -> None:
        if self.gone:
            raise ClusterGoneError("the cluster's API does not answer", remedy="start the lab again")

    def _allowed(self, resource: Resource) -> None:
        self._here()
        if resource.kind in self.refuses:
            raise self.refuses[resource.kind]

    def _write(self, resource: Resource, namespace: str, item: Manifest, how: str) -> Manifest:
        if how != "put":
            self._allowed(resource)
            self.calls.append(f"{how} {resource.kind} {namespace}/{item['metadata']['name']}")
        number = next(self._numbers)
        item["metadata"] |= {"resourceVersion": str(number), "uid": item["metadata"].get("uid", f"uid-{number}")}
        self.objects[resource, namespace, item["metadata"]["name"]] = item
        self._tell(resource, "MODIFIED", item, number)
        return copy.deepcopy(item)

    def _tell(self, resource: Resource, word: str, item: Manifest, number: int = 0) -> None:
        with self._changed:
            number = number or next(self._numbers)
            item = copy.deepcopy(item)
            item["metadata"]["resourceVersion"] = str(number)
            self._log.append((number, resource, Change(word, item)))
            self._changed.notify_all()


def new_cluster(nodes: Sequence[str]) -> MemoryApi:
    """A cluster as it is after kind has made it."""
    api = MemoryApi()
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    for name in ("default", "kube-system"):
        api.put(thing("v1", "Namespace", name))
    for node in nodes:
        api.put(thing("v1", "Node", node, labels={"kubernetes.io/hostname": node}, spec={}, status=ready))
        pod = thing("v1", "Pod", f"etcd-{node}", "kube-system", ownerReferences=owned_by("Node", node), status=ready)
        api.put(pod)
    owner = owned_by("ReplicaSet", "coredns-5d")
    labels = {"k8s-app": "kube-dns"}
    api.put(thing("v1", "Pod", "coredns-5d-a", "kube-system", labels=labels, ownerReferences=owner, status=ready))
    api.put(thing("apps/v1", "Deployment", "coredns", "kube-system", spec={"replicas": 0}, status={}))
    api.put(thing("v1", "ConfigMap", "coredns", "kube-system", data={"Corefile": ".:53"}))
    api.put(thing("rbac.authorization.k8s.io/v1", "ClusterRole", "admin", rules=[]))
    api.put(thing("crd.projectcalico.org/v1", "FelixConfiguration", "default", spec={"bpfEnabled": False}))
    available = {"conditions": [{"type": "Available", "status": "True"}]}
    calico = {"group": "projectcalico.org", "version": "v3", "service": {"name": "calico-api"}}
    api.put(thing("apiregistration.k8s.io/v1", "APIService", "v3.projectcalico.org", spec=calico, status=available))
    return api


def write_kubeconfig(target: Path, name: str) -> None:
    found = {"contexts": [{"name": f"kind-{name}", "context": {"cluster": "c"}}], "current-context": f"kind-{name}"}
    target.write_text(json.dumps(found), encoding="utf-8")


@dataclass
class World:
    """Everything outside of the backend."""

    folder: Path
    containers_known: dict[str, Container] = field(default_factory=dict)
    apis: dict[str, MemoryApi] = field(default_factory=dict)
    loaded: list[tuple[str, str]] = field(default_factory=list)
    pulled: list[str] = field(default_factory=list)
    has: set[str] = field(default_factory=lambda: {"node:1", "agnhost:1"})
    runs: list[tuple[str, ...]] = field(default_factory=list)
    closed: set[str] = field(default_factory=set)
    """Destinations that nobody reaches."""
    pause: dict[str, asyncio.Event] = field(default_factory=dict)
    """By what is being done ("create", "pull", "import", "remember", "apply"): waits for this."""
    reached: dict[str, asyncio.Event] = field(default_factory=dict)
    fails: dict[str, Exception] = field(default_factory=dict)
    engine_gone: bool = False
    ebpf: bool = False
    rules: tuple[str, ...] = ()
    ports: list[FakePort] = field(default_factory=list)
    name: str = "engine-a"
    """Whether nodes' kernels hold programs."""

    async def at(self, step: str) -> None:
        if step in self.reached:
            self.reached[step].set()
        if step in self.pause:
            await self.pause[step].wait()
        if step in self.fails:
            raise self.fails[step]

    def stop_at(self, step: str) -> asyncio.Event:
        self.pause[step] = asyncio.Event()
        self.reached[step] = asyncio.Event()
        return self.reached[step]

    # The engine.

    async def info(self) -> dict[str, Any]:
        self._answers()
        return {"ID": self.name}

    async def containers(self, labels: Mapping[str, str | None]) -> tuple[Container, ...]:
        self._answers()
        return tuple(
            one
            for one in self.containers_known.values()
            if all(key in one.labels and value in {None, one.labels[key]} for key, value in labels.items())
        )

    async def exec(self, container: str, argv: Sequence[str], stdin: bytes = b"", seconds: float = 60.0) -> Finished:
        del container, stdin, seconds
        self._answers()
        await self.at(f"exec {argv[0]}")
        listed = "\n".join(sorted(name for _, name in self.loaded)) if argv[0] == "ctr" else ""
        return Finished(0, listed.encode(), b"")

    async def images(self, references: Iterable[str]) -> dict[str, str]:
        self._answers()
        return {name: f"id-{name}" for name in references if name in self.has}

    async def pull(self, reference: str, progress: Callable[[str], None]) -> None:
        progress("Downloading")
        await self.at("pull")
        self.pulled.append(reference)
        self.has.add(reference)

    async def import_image(self, reference: str, node: str) -> Finished:
        from labs.kind.loading import full

        await self.at("import")
        self.loaded.append((node, full(reference)))
        return Finished(0, b"", b"")

    async def run_container(self, wanted: Wanted) -> Container:
        made = Container(wanted.name, wanted.name, "running", wanted.image, dict(wanted.labels), ("172.18.0.99",))
        self.containers_known[made.id] = made
        return made

    async def remove(self, container: str) -> None:
        self._answers()
        self.containers_known.pop(container, None)

    def _answers(self) -> None:
        if self.engine_gone:
            raise InfrastructureError("no Docker engine answers", remedy="start Docker")

    # The kind program.

    async def version(self) -> tuple[int, ...]:
        return (0, 33, 0)

    async def run(
        self, arguments: Any, progress: Callable[[str], None] = print, stdin: str = "", lock: Path | None = None
    ) -> Any:
        if not isinstance(arguments, tuple):
            return await self.run_container(arguments)
        del lock
        self.runs.append(arguments)
        name = arguments[arguments.index("--name") + 1]
        if arguments[0] == "delete":
            for one in await self.containers({KIND_CLUSTER: name}):
                del self.containers_known[one.id]
            if name in self.apis:
                self.apis.pop(name).gone = True
            return Ended(0, "", "")
        progress(" • Preparing nodes 📦  ...")
        count = stdin.count("role:")
        nodes = [f"{name}-control-plane", *[f"{name}-worker{n or ''}" for n in range(count - 1)]]
        for node in nodes:
            number = len(self.containers_known)
            one = Container(f"id-{node}-{len(self.runs)}", node, "running", "node:1", {KIND_CLUSTER: name})
            self.containers_known[one.id] = replace(one, addresses=(f"172.18.0.{10 + number}",))
        await self.at("create")
        self.apis[name] = new_cluster(nodes)
        write_kubeconfig(Path(arguments[arguments.index("--kubeconfig") + 1]), name)
        return Ended(0, "", "")

    # The API and the port.

    def connect(self, kubeconfig: Path) -> Any:
        api = self.apis.get(kubeconfig.parent.name)
        if api is None or not any(
            one.runs for one in self.containers_known.values() if kubeconfig.parent.name in one.name
        ):
            raise ClusterGoneError("the cluster's API does not answer", remedy="start the lab again")
        return api

    def port(self, parts: Parts) -> Any:
        self.ports.append(FakePort(self, parts))
        return self.ports[-1]

    def backend(self) -> KindBackend:
        chosen = KindSettings(node_image="node:1", calico=str(self.folder / "calico"), workload_image="agnhost:1")
        made: Any = KindBackend
        return made(
            chosen, engine=self, program=self, pool=self.folder / "pool", connect=self.connect, make_port=self.port
        )

    def request(self, name: str = "first", **more: Any) -> Request:
        objects = more.pop("objects", (thing("v1", "Namespace", "shop"), thing("v1", "ConfigMap", "c", "shop")))
        return Request(name, Topology(nodes=more.pop("nodes", 2)), objects, **more)

    def lab(self, name: str = "first") -> Path:
        return self.folder / "labs" / name

    def clusters(self) -> set[str]:
        return {one.labels[KIND_CLUSTER] for one in self.containers_known.values() if KIND_CLUSTER in one.labels}


class FakePort:
    """The port to a cluster in memory: traffic passes but to what is closed."""

    def __init__(self, world: World, parts: Parts) -> None:
        self._world = world
        self.is_closed = False
        self.parts = parts
        self.capabilities = parts.capabilities

    async def prove_enforcement(self) -> None:
        await self._world.at("remember")

    async def sample_enforcement(self) -> None:
        await self._world.at("glance")

    async def places(self) -> list[Manifest]:
        return [item for (kind, _, _), item in self.parts.api.objects.items() if kind.kind in {"Node", "Pod"}]

    async def probe(self, probes: Sequence[Probe]) -> tuple[Observation, ...]:
        return tuple(
            Observation(each, Outcome.DROPPED if each.destination in self._world.closed else Outcome.OPEN)
            for each in probes
        )

    look = probe

    async def begin(self, objects: Iterable[Manifest]) -> None:
        await self._world.at("begin")
        for item in objects:
            self.parts.api.put(item)

    async def apply(self, objects: Iterable[Manifest]) -> None:
        await self._world.at("apply")
        for item in objects:
            self.parts.api.put(item)

    async def dataplane(self) -> DataplaneFacts:
        return DataplaneFacts(await self.glance())

    async def glance(self) -> tuple[NodeFacts, ...]:
        names = [item["metadata"]["name"] for item in await self.places() if item["kind"] == "Node"]
        programs = ("cali_tc_preambl",) if self._world.ebpf else ()
        return tuple(NodeFacts(name, programs=programs, chains=9, foreign=self._world.rules) for name in names)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    for name in ("_LATE_SECONDS", "_REST_SECONDS", "_AGAIN_SECONDS"):  # an engine in memory is never late by more
        monkeypatch.setattr(f"labs.kind.create.{name}", 0.02)
    monkeypatch.setattr("labs.kind.backend._PATIENCE_SECONDS", 1.0)
    calico = tmp_path / "calico"
    calico.mkdir()
    (calico / "10-calico.yaml").write_text(MANIFEST, encoding="utf-8")
    return World(tmp_path)


@pytest.fixture
def memory_api() -> MemoryApi:
    return MemoryApi()


@pytest.fixture
def mirror(api: Any) -> Iterator[Mirror]:
    """Follows the `api` of the module that asks."""
    made = Mirror(api)
    yield made
    made.close()
