"""A small bank, as a lab and as a running cluster whose network the test owns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from content.model import Check, Connectivity, Failure, Lab, LabSpec, Manifest, Mistake, Task, Topology
from grader.errors import NotEnforcedError
from grader.ports import Capabilities, Execution, Observation, Outcome, Probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Objects = list[dict[str, Any]]


def deployment(name: str, *ports: int | str, namespace: str = "bank", replicas: int = 1) -> dict[str, Any]:
    """A Deployment; a port is a number or `number/PROTOCOL`."""
    declared = []
    for port in ports:
        number, _, protocol = str(port).partition("/")
        declared.append({"containerPort": int(number), "protocol": protocol or "TCP"})
    labels = {"app": name}
    pod = {"containers": [{"name": "main", "image": "agnhost", "ports": declared}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def service(name: str, port: int, target: int, namespace: str = "bank", node_port: int = 0) -> dict[str, Any]:
    declared = {"port": port, "targetPort": target} | ({"nodePort": node_port} if node_port else {})
    spec = {
        "type": "NodePort" if node_port else "ClusterIP",
        "selector": {"app": name},
        "clusterIP": "10.96.0.9",
        "ports": [declared],
    }
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def policy(name: str, spec: dict[str, Any], namespace: str = "bank") -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def running(objects: Objects) -> Objects:
    """The objects as a cluster shows them: with a pod a replica, owned and addressed."""
    shown = list(objects)
    number = 1
    for owner in objects:
        if owner["kind"] != "Deployment":
            continue
        name, namespace = owner["metadata"]["name"], owner["metadata"]["namespace"]
        template = owner["spec"]["template"]
        for replica in range(owner["spec"]["replicas"]):
            number += 1
            addresses = [{"ip": f"10.244.0.{number}"}, {"ip": f"fd00::{number}"}]
            metadata = {
                "name": f"{name}-abc-{replica}",
                "namespace": namespace,
                "labels": {**template["metadata"]["labels"], "pod-template-hash": "abc"},
                "ownerReferences": [{"kind": "ReplicaSet", "name": f"{name}-abc", "controller": True}],
            }
            status = {"phase": "Running", "podIP": addresses[0]["ip"], "podIPs": addresses}
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"], "status": status}
            shown.append(pod)
    address = {"type": "InternalIP", "address": "172.18.0.2"}
    shown.append(
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}, "status": {"addresses": [address]}}
    )
    return shown


class FakeCluster:
    """A cluster that shows these objects and whose network does what `outcome` says."""

    def __init__(
        self,
        objects: Objects,
        outcome: Callable[[Probe], Outcome | Observation] = lambda _probe: Outcome.OPEN,
        *,
        enforces: bool = True,
        families: tuple[int, ...] = (4, 6),
    ) -> None:
        self.objects = objects
        self.outcome = outcome
        self.enforces = enforces
        self.batches: list[tuple[Probe, ...]] = []
        self.capabilities = Capabilities("fake", "none", simulated=False, families=families)

    async def snapshot(self) -> tuple[dict[str, Any], ...]:
        return tuple(self.objects)

    async def version(self) -> str:
        return "1"

    async def probe(self, probes: Sequence[Probe]) -> tuple[Observation, ...]:
        self.batches.append(tuple(probes))
        seen = ((probe, self.outcome(probe)) for probe in probes)
        return tuple(got if isinstance(got, Observation) else Observation(probe, got) for probe, got in seen)

    async def prove_enforcement(self) -> None:
        if not self.enforces:
            raise NotEnforcedError("the canary got through")

    async def apply(self, objects: Iterable[dict[str, Any]]) -> None:
        self.objects = [*self.objects, *objects]

    async def delete(self, objects: Iterable[dict[str, Any]]) -> None:
        gone = list(objects)
        self.objects = [item for item in self.objects if item not in gone]

    async def exec(self, pod: str, argv: Sequence[str], *, stdin: str = "", seconds: float = 30.0) -> Execution:
        del pod, argv, stdin, seconds
        return Execution(0, "", "")


BANK: Objects = [
    deployment("customer", 80, replicas=2),
    deployment("summary", 80),
    deployment("database", 2379),
    deployment("guest", 80, namespace="outside"),
    service("summary", 8080, 80),
    service("customer", 80, 80, node_port=30080),
]
SYSTEM: Objects = [deployment("coredns", "53/UDP", 53, namespace="kube-system")]


def lab_of(*tasks: Task, start: Objects | None = None, families: tuple[str, ...] = ("ipv4",)) -> Lab:
    """A lab in namespace `bank` with these tasks."""
    mistakes = {name: Mistake(title=name, fails={tasks[0].id: Failure()}) for name in ("one", "two")}
    spec = LabSpec(
        id="bank",
        title="Bank",
        summary="A bank",
        minutes=5,
        namespace="bank",
        topology=Topology(families=families),
        tasks=tasks,
        mistakes=mistakes,
    )
    file = Manifest(path=Path("start/bank.yaml"), text="", objects=tuple(BANK if start is None else start))
    return Lab(
        folder=Path("/labs/bank"), chapter=3, spec=spec, instructions="", start=(file,), solution=(), mistakes={}
    )


def task_of(*checks: dict[str, Any], name: str = "only", points: int = 10) -> Task:
    return Task(
        id=name,
        title=name.title(),
        points=points,
        checks=tuple(Check(connectivity=Connectivity(**check)) for check in checks),
    )


class Bank:
    """What tests of grading share, without importing one another."""

    objects = BANK
    system = SYSTEM
    running = staticmethod(running)
    deployment = staticmethod(deployment)
    service = staticmethod(service)
    policy = staticmethod(policy)
    lab = staticmethod(lab_of)
    task = staticmethod(task_of)


@pytest.fixture(scope="session")
def bank() -> type[Bank]:
    return Bank


@pytest.fixture(scope="session")
def fake_cluster() -> type[FakeCluster]:
    """Make one from objects and a function from a probe to its outcome."""
    return FakeCluster
