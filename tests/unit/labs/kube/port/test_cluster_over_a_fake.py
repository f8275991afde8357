"""The port over an API in memory: what is written in which order, what is waited for, what is said."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from content.errors import BrokenContentError, UsageError
from grader.errors import ClusterGoneError, InfrastructureError
from grader.ports import Capabilities, Observation, Outcome, Probe
from labs.kube import waiting
from labs.kube.api import Refused, Resource
from labs.kube.canary import Signal
from labs.kube.cluster import KubeCluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path


class FakeProber:
    def __init__(self, objects: Callable[[], Awaitable[Sequence[Any]]]) -> None:
        self._objects = objects
        self.places: list[str] = []

    async def probe(self, probes: Sequence[Probe]) -> tuple[Observation, ...]:
        self.places = sorted(f"{item['kind']}/{item['metadata']['name']}" for item in await self._objects())
        return tuple(Observation(probe, Outcome.OPEN) for probe in probes)


@pytest.fixture
async def cluster(api: Any, lock: Path) -> AsyncIterator[KubeCluster]:
    capabilities = Capabilities("kind", "iptables", simulated=False)
    made = KubeCluster(api, FakeProber, capabilities, namespace="shop", lock=lock)
    api.put("namespaces", thing("Namespace", "shop"))
    yield made
    made.close()
    api.end_watches()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - the fake tells nobody
        await asyncio.sleep(0.001)


def thing(kind: str, name: str, version: str = "v1", **more: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **more}


def policy(name: str, **metadata: Any) -> dict[str, Any]:
    made = thing("NetworkPolicy", name, "networking.k8s.io/v1", spec={"podSelector": {}})
    return {**made, "metadata": made["metadata"] | metadata}


async def test_what_others_need_is_applied_first_and_pods_come_after_their_policies(
    api: Any, cluster: KubeCluster
) -> None:
    given = [
        {**thing("Pod", "web"), "metadata": {"name": "web", "namespace": "new"}},
        policy("p", namespace="new"),
        {**thing("ConfigMap", "c"), "metadata": {"name": "c", "namespace": "new"}},
        thing("Namespace", "new"),
    ]
    await cluster.apply(given)
    mine = [path for path in api.applied if path.split("/")[1] in {"web", "p", "c", "new"}]
    assert mine == ["namespaces/new", "configmaps/c", "networkpolicies.networking.k8s.io/p", "pods/web"]


async def test_objects_without_a_namespace_go_to_the_labs_own(api: Any, cluster: KubeCluster) -> None:
    await cluster.apply([policy("p")])
    assert ("networkpolicies.networking.k8s.io", "shop", "p") in api.objects


async def test_everything_that_is_refused_is_told_and_the_rest_is_applied(api: Any, cluster: KubeCluster) -> None:
    api.refusals += [
        ("apply networkpolicies.networking.k8s.io/bad", Refused(422, "Invalid", "spec.podSelector: Invalid value")),
    ]
    nameless = policy("x")
    nameless["metadata"] = {}
    with pytest.raises(BrokenContentError) as error:
        await cluster.apply([policy("bad"), thing("Thing", "x", "example.com/v1"), policy("good"), nameless])
    assert {str(defect) for defect in error.value.defects} == {
        "NetworkPolicy/bad: spec.podSelector: Invalid value",
        'Thing/x: no matches for kind "Thing" in version "example.com/v1"',
        "NetworkPolicy/?: metadata.name: Required value: name is required",
    }
    assert ("networkpolicies.networking.k8s.io", "shop", "good") in api.objects


async def test_a_conflict_is_tried_once_more(api: Any, cluster: KubeCluster) -> None:
    api.refusals.append(("apply networkpolicies.networking.k8s.io/p", Refused(409, "Conflict", "modified")))
    await cluster.apply([policy("p")])
    assert ("networkpolicies.networking.k8s.io", "shop", "p") in api.objects


async def test_apply_returns_when_the_dataplane_has_it(api: Any, cluster: KubeCluster) -> None:
    await cluster.prove_enforcement()
    api.lag.add(Signal.POLICY)
    with pytest.raises(InfrastructureError, match="NetworkPolicy"):
        await cluster.apply([policy("p")])
    with pytest.raises(InfrastructureError, match="NetworkPolicy"):
        await cluster.delete([policy("p")])


async def test_a_pod_that_does_not_run_is_named_with_its_reason(
    cluster: KubeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "READY_SECONDS", 0.2)
    state = {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}
    status = {"phase": "Pending", "containerStatuses": [{"state": state}]}
    with pytest.raises(InfrastructureError, match="these do not run: pod shop/web: ErrImagePull: no such image"):
        await cluster.apply([thing("Pod", "web", status=status)])


@pytest.fixture
def definition(api: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A definition of a kind, in a cluster that takes definitions."""
    monkeypatch.setattr("labs.kube.apply._KIND_SECONDS", 0.1)
    group, names = "apiextensions.k8s.io", ("customresourcedefinitions", "CustomResourceDefinition")
    api.kinds.append(Resource(group, "v1", *names, namespaced=False, verbs=frozenset({"list", "watch"})))
    spec = {"group": "example.org", "names": {"plural": "things", "kind": "Thing"}}
    return thing(names[1], "things.example.org", f"{group}/v1", spec=spec)


@pytest.mark.parametrize(
    ("conditions", "why"),
    [
        (
            [("NamesAccepted", "False", '"Thing" is taken'), ("Established", "False", "not all names are accepted")],
            'NamesAccepted is False: "Thing" is taken, Established is False: not all names are accepted',
        ),
        ([("NamesAccepted", "True", "no conflicts found"), ("Established", "True", "it is")], "not within 0 s"),
        ([], "not within 0 s"),
    ],
)
async def test_a_kind_that_is_never_served_is_told_with_its_definitions_reasons(
    api: Any, cluster: KubeCluster, definition: dict[str, Any], conditions: list[tuple[str, str, str]], why: str
) -> None:
    told = [dict(zip(("type", "status", "message"), each, strict=True)) for each in conditions]
    later = {**definition, "status": {"conditions": told}}
    asyncio.get_running_loop().call_later(0.02, api.put, api.kinds[-1], later)
    with pytest.raises(InfrastructureError, match=f"define: things.example.org: {why}$") as error:
        await cluster.apply([definition])
    assert "kubectl describe crd" in error.value.remedy


async def test_a_kind_that_is_served_after_a_moment_is_waited_for(
    api: Any, cluster: KubeCluster, definition: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labs.kube.apply._KIND_SECONDS", 15.0)
    asyncio.get_running_loop().call_later(
        0.05, api.kinds.append, Resource("example.org", "v1", "things", "Thing", namespaced=True)
    )
    item = thing("Thing", "one", "example.org/v1")
    await cluster.apply([item, definition])
    assert ("things.example.org", "shop", "one") in api.objects


async def test_a_service_is_waited_for_until_it_follows_its_pods(
    api: Any, cluster: KubeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_ENDPOINT_SECONDS", 0.2)
    web = {**thing("Pod", "web"), "metadata": {"name": "web", "labels": {"app": "web"}}}
    service = thing("Service", "web", spec={"selector": {"app": "web"}})
    with pytest.raises(
        InfrastructureError, match=r"endpoints of Services do not follow .* shop/web: its endpoints are none"
    ):
        await cluster.apply([web, service])
    address = api.objects["pods", "shop", "web"]["status"]["podIP"]
    labels = {"kubernetes.io/service-name": "web"}
    found = thing("EndpointSlice", "web-1", "discovery.k8s.io/v1", endpoints=[{"addresses": [address]}])
    api.put(
        api.kind("endpointslices", "discovery.k8s.io"),
        {**found, "metadata": {"namespace": "shop", "name": "web-1", "labels": labels}},
    )
    await cluster.apply([service])


async def test_delete_waits_for_the_pods_of_a_workload_and_hastens_them(api: Any, cluster: KubeCluster) -> None:
    def owned(name: str, kind: str, by: str) -> dict[str, Any]:
        made = thing(kind, name, "v1" if kind == "Pod" else "apps/v1")
        return {**made, "metadata": {"namespace": "shop", "name": name, "ownerReferences": [{"uid": by}]}}

    deployments, replicas = (api.kind(plural, "apps") for plural in ("deployments", "replicasets"))
    top = api.put(
        deployments, {**thing("Deployment", "web", "apps/v1"), "metadata": {"namespace": "shop", "name": "web"}}
    )
    middle = api.put(replicas, owned("web-1", "ReplicaSet", top["metadata"]["uid"]))
    pod = api.put("pods", owned("web-1-x", "Pod", middle["metadata"]["uid"]))
    deleting = asyncio.ensure_future(cluster.delete([thing("Deployment", "web", "apps/v1")]))
    async with asyncio.timeout(5):
        await until(lambda: (str(deployments), "shop", "web") not in api.objects)
    for _ in range(20):
        await asyncio.sleep(0.005)
    assert not deleting.done()
    api.remove(replicas, "shop", "web-1")
    ending = {**pod, "metadata": pod["metadata"] | {"deletionTimestamp": datetime.now(UTC).isoformat()}}
    api.put("pods", ending)
    await asyncio.wait_for(deleting, 5)
    assert ("pods/web-1-x", 1) in api.deleted


async def test_deleting_what_is_not_there_or_of_no_known_kind_is_fine(cluster: KubeCluster) -> None:
    await cluster.delete([policy("never"), thing("Thing", "x", "example.com/v1")])


async def test_the_version_counts_every_change_and_no_heartbeat(api: Any, cluster: KubeCluster) -> None:
    first = await cluster.version()
    node = api.objects["nodes", "", "node-a"]
    api.put("nodes", {**node, "status": {**node["status"], "images": [{"names": ["x"]}]}})
    await cluster.prove_enforcement()
    assert await cluster.version() == first
    await cluster.apply([policy("p")])
    second = await cluster.version()
    await cluster.delete([policy("p")])
    assert second != first
    assert await cluster.version() not in {first, second}


async def test_a_probe_finds_everybodys_changes_enforced(api: Any, cluster: KubeCluster) -> None:
    probe = Probe("shop/a", "shop/b", 80)
    await cluster.prove_enforcement()
    looks = api.looks
    await cluster.probe([probe])
    assert api.looks == looks
    made = policy("theirs", namespace="shop")
    resource = api.kind("networkpolicies", "networking.k8s.io")
    before = await cluster.version()
    api.put(resource, made)
    async with asyncio.timeout(5):
        while await cluster.version() == before:  # noqa: ASYNC110 - it is the asking that is tested
            await asyncio.sleep(0.001)
    await cluster.probe([probe])
    assert api.looks > looks


async def test_a_prober_is_told_of_nodes_pods_and_services(api: Any, lock: Path) -> None:
    probers: list[FakeProber] = []

    def make(objects: Any) -> FakeProber:
        probers.append(FakeProber(objects))
        return probers[0]

    cluster = KubeCluster(api, make, Capabilities("kind", "iptables", simulated=False), lock=lock)
    try:
        await cluster.probe([])
        assert {"Node/node-a", "Service/turn"} <= set(probers[0].places)
        assert not [place for place in probers[0].places if place.startswith("Namespace")]
    finally:
        cluster.close()
        api.end_watches()


async def test_a_cluster_that_went_away_is_said_and_found_again(
    api: Any, cluster: KubeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labs.kube.mirror._AGAIN_SECONDS", 0.001)
    before = await cluster.version()

    async def says() -> str:
        try:
            return await cluster.version()
        except InfrastructureError as error:
            return type(error).__name__

    api.down = ClusterGoneError("it does not answer")
    api.fail_watches(api.down)
    async with asyncio.timeout(5):
        while await says() != "ClusterGoneError":  # noqa: ASYNC110 - it is the asking that is tested
            await asyncio.sleep(0.001)
    api.down = None
    async with asyncio.timeout(5):
        while await says() != before:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    ("pod", "argv", "error", "words"),
    [
        ("shop/web", ["sleep"], InfrastructureError, "sleep in pod shop/web did not end within 1 s"),
        ("shop/nobody", ["true"], UsageError, "there is no pod 'nobody' in namespace 'shop'"),
    ],
)
async def test_a_command_that_could_not_run(
    cluster: KubeCluster, pod: str, argv: list[str], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        await cluster.exec(pod, argv, seconds=1)


async def test_a_command_says_what_it_printed(cluster: KubeCluster) -> None:
    done = await cluster.exec("shop/web", ["echo", "x"])
    assert (done.code, done.stdout, done.stderr) == (3, "echo x", "")


@pytest.mark.parametrize("doing", ["apply", "delete", "snapshot"])
async def test_a_silent_server_is_no_cluster_without_its_kinds(
    api: Any, cluster: KubeCluster, doing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be a lab of wrong content, a policy that is gone, or a cluster without policies."""
    monkeypatch.setattr("labs.kube.patience._SILENCE_SECONDS", 0.0)
    every = list(api.kinds)
    api.mute = {"projectcalico.org/v3"}
    api.kinds[:] = [each for each in every if each.group != "projectcalico.org"]
    everywhere = thing("GlobalNetworkPolicy", "all", "projectcalico.org/v3")
    with pytest.raises(InfrastructureError, match=r"projectcalico\.org/v3.* does not answer"):
        await (cluster.snapshot() if doing == "snapshot" else getattr(cluster, doing)([everywhere]))


async def test_a_server_that_is_silent_for_a_moment_is_waited_for(api: Any, cluster: KubeCluster) -> None:
    every = list(api.kinds)
    api.mute = {"projectcalico.org/v3"}
    api.kinds[:] = [each for each in every if each.group != "projectcalico.org"]

    def back() -> None:
        api.kinds[:] = every

    asyncio.get_running_loop().call_later(0.1, back)
    await cluster.apply([thing("NetworkPolicy", "all", "projectcalico.org/v3")])
    assert ("networkpolicies.projectcalico.org", "shop", "all") in api.objects


async def test_what_calico_stores_is_seen_where_its_server_is_silent(api: Any, cluster: KubeCluster) -> None:
    api.mute = {"projectcalico.org/v3"}
    stored = Resource(
        "crd.projectcalico.org",
        "v1",
        "globalnetworkpolicies",
        "GlobalNetworkPolicy",
        namespaced=False,
        verbs=frozenset({"list"}),
    )
    api.kinds[:] = [*(each for each in api.kinds if each.group != "projectcalico.org"), stored]
    api.put(stored, {"apiVersion": stored.api_version, "kind": stored.kind, "metadata": {"name": "all"}})
    assert [item["metadata"]["name"] for item in await cluster.snapshot() if item["kind"] == stored.kind] == ["all"]
