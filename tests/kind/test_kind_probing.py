"""Probes on a real cluster of two nodes and an outside host: every way and outcome, machines that do not answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from content.model import Topology
from grader.ports import Observation, Outcome, Probe
from labs.base import Phase, Request
from labs.kind import dockersdk
from labs.kind.backend import KindBackend
from labs.kube.probing import Prober

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.ports import Cluster, Manifest

pytestmark = [pytest.mark.kind, pytest.mark.slow, pytest.mark.timeout(600)]

IMAGE = "registry.k8s.io/e2e-test-images/agnhost:2.53"
SPACE = "probing"
OPEN, DROPPED, REFUSED, UNREACHABLE, ERROR = (
    Outcome.OPEN,
    Outcome.DROPPED,
    Outcome.REFUSED,
    Outcome.UNREACHABLE,
    Outcome.ERROR,
)


def pod(name: str, node: str, *args: str, **spec: Any) -> Manifest:
    container = {"name": "main", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "args": list(args)}
    metadata = {"name": name, "namespace": SPACE, "labels": {"app": name}}
    spec = {"containers": [container], "nodeName": node, "terminationGracePeriodSeconds": 0, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def objects(first: str, second: str) -> tuple[Manifest, ...]:
    speaks = ("netexec", "--http-port=80", "--udp-port=90")
    service = {"selector": {"app": "web"}, "type": "NodePort"}
    ports = [{"name": "http", "port": 8000, "targetPort": 80, "nodePort": 30123}]
    ports.append({"name": "udp", "port": 9000, "targetPort": 90, "protocol": "UDP", "nodePort": 30124})
    closed = {"podSelector": {"matchLabels": {"app": "closed"}}, "policyTypes": ["Ingress"]}
    return (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}},
        pod("web", second, *speaks),
        pod("closed", second, *speaks),
        pod("near", second, "pause"),
        pod("far", first, "pause"),
        pod("on-node", second, "netexec", "--http-port=8123", "--udp-port=8124", hostNetwork=True),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": SPACE},
            "spec": {**service, "ports": ports},
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "closed", "namespace": SPACE},
            "spec": closed,
        },
    )


@pytest.fixture(scope="module")
def cluster(kind_bed: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    del kind_bed
    home = tmp_path_factory.mktemp("kind-probing")
    backend, folder = KindBackend(pool=home / "pool"), home / "labs" / "probing"

    async def start() -> Cluster:
        request = Request("probing", Topology(nodes=2), (), hosts=("bastion",), namespace=SPACE)
        running = await backend.start(request, folder, lambda _: None)
        assert running.phase is Phase.READY
        made = await backend.connect(running)
        first, second = await nodes(made)
        await made.apply(objects(first, second))
        return made

    try:
        yield asyncio.run(start())
    finally:
        asyncio.run(backend.stop("probing", folder, delete=True))


async def nodes(cluster: Cluster) -> tuple[str, str]:
    """The names of the control plane and of the other node."""
    names = sorted(one["metadata"]["name"] for one in await cluster.snapshot() if one["kind"] == "Node")
    assert len(names) == 2
    assert names[0].endswith("control-plane")
    return names[0], names[1]


WEB, CLOSED, SERVICE = f"{SPACE}/web", f"{SPACE}/closed", f"service:{SPACE}/web"
NEAR, FAR, HOST = f"{SPACE}/near", f"{SPACE}/far", "host:bastion"
WAYS = [
    (WEB, 80, "TCP", OPEN, WEB),
    (WEB, 90, "UDP", OPEN, WEB),
    (WEB, 0, "ICMP", OPEN, WEB),
    (WEB, 81, "TCP", REFUSED, ""),
    (WEB, 81, "UDP", REFUSED, ""),
    (CLOSED, 80, "TCP", DROPPED, ""),
    (CLOSED, 90, "UDP", DROPPED, ""),
    (CLOSED, 0, "ICMP", DROPPED, ""),
    (CLOSED, 81, "TCP", DROPPED, ""),
    (SERVICE, 8000, "TCP", OPEN, WEB),
    (SERVICE, 9000, "UDP", OPEN, WEB),
    ("node:node-1", 30123, "TCP", OPEN, WEB),
    ("node:node-2", 30123, "TCP", OPEN, WEB),
    ("node:node-1", 30124, "UDP", OPEN, WEB),
    ("node:node-2", 8123, "TCP", OPEN, None),
    (f"{SPACE}/on-node", 8123, "TCP", OPEN, f"{SPACE}/on-node"),
    (HOST, 80, "TCP", OPEN, HOST),
    (HOST, 443, "TCP", OPEN, HOST),
    (HOST, 81, "TCP", REFUSED, ""),
]


@pytest.mark.parametrize("source", [NEAR, FAR, "node:node-1", HOST])
async def test_every_way_and_outcome(cluster: Cluster, source: str) -> None:
    asked = [(Probe(source, to, port, protocol), outcome, who) for to, port, protocol, outcome, who in WAYS]
    seen = await cluster.probe([probe for probe, _, _ in asked])
    for one, (probe, outcome, who) in zip(seen, asked, strict=True):
        assert (one.probe, one.outcome) == (probe, outcome), one
        assert who is None or one.answered_by == who, one


async def test_servers_see_pods_and_hosts_by_their_own_addresses(cluster: Cluster) -> None:
    snapshot = await cluster.snapshot()
    addresses = {
        f"{one['metadata']['namespace']}/{one['metadata']['name']}": one["status"]["podIP"]
        for one in snapshot
        if one["kind"] == "Pod"
    }
    seen = await cluster.probe([Probe(source, WEB, 80) for source in (NEAR, FAR, HOST)])
    assert [one.seen_as for one in seen] == [addresses[NEAR], addresses[FAR], "203.0.113.10"]


async def test_closed_ports_are_told_from_denied_ones_however_many_are_asked(cluster: Cluster) -> None:
    asked = [Probe(NEAR, WEB, 2000 + number, "UDP") for number in range(9)]
    asked += [Probe(NEAR, WEB, 2000 + number, "TCP") for number in range(500)]
    seen = await cluster.probe(asked)
    assert {one.outcome for one in seen} == {REFUSED}


async def test_what_is_not_there_any_more_is_an_error(cluster: Cluster) -> None:
    found = [*await cluster.snapshot()]
    lost = next(one for one in found if one["kind"] == "Pod" and one["metadata"]["name"] == "near")
    lost = {
        **lost,
        "metadata": {**lost["metadata"], "name": "lost", "uid": "0" * 8},
        "status": {"podIP": "10.244.0.250"},
    }

    async def with_a_ghost() -> list[Manifest]:
        return [*found, lost]

    (seen,) = await prober(await nodes(cluster), with_a_ghost).probe([Probe(f"{SPACE}/lost", WEB, 80)])
    assert seen.outcome is ERROR
    assert "no network namespace" in seen.detail


async def test_a_paused_node_costs_its_own_probes_only(cluster: Cluster) -> None:
    found = await cluster.snapshot()
    names = await nodes(cluster)

    async def as_before() -> tuple[Manifest, ...]:
        return found

    engine = dockersdk.connect()
    worker = engine._client.containers.get(names[1])
    worker.pause()
    try:
        seen: tuple[Observation, ...] = await prober(names, as_before).probe(
            [Probe(NEAR, FAR, 80), Probe(FAR, NEAR, 80), Probe(FAR, "node:node-1", 0, "ICMP")]
        )
    finally:
        worker.unpause()
        engine.close()
    assert [one.outcome for one in seen] == [ERROR, REFUSED, OPEN], "the kernel answers for a paused pod"
    assert names[1] in seen[0].detail


def prober(names: tuple[str, str], given: Any) -> Prober:
    from labs.kind.runner import EngineRunner

    return Prober(EngineRunner(dockersdk.connect(), names[0].removesuffix("-control-plane")), given)
