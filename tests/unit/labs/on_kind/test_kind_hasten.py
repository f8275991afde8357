"""Pods that were made before Calico ran are ended once it does, and no others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from grader.errors import InfrastructureError
from labs.kind.hasten import hasten
from labs.kube.api import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from labs.kube.mirror import Mirror

OWNER = [{"kind": "ReplicaSet", "name": "coredns-1", "controller": True}]


def pod(name: str, *, is_ready: bool = False, node: str = "a", **more: Any) -> dict[str, Any]:
    status = {"phase": "Pending"} | more.pop("status", {})
    if is_ready:
        status = {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}
    metadata = {"namespace": "kube-system", "name": name, "ownerReferences": OWNER, **more}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"nodeName": node}, "status": status}


def agent(node: str, *, is_ready: bool) -> dict[str, Any]:
    return pod(f"calico-node-{node}", is_ready=is_ready, node=node, labels={"k8s-app": "calico-node"})


def failed(api: Any, name: str, reason: str = "FailedCreatePodSandBox") -> None:
    uid = api.there("Pod", name)["metadata"]["uid"]
    metadata = {"namespace": "kube-system", "name": f"{name}.1"}
    api.put(
        {"apiVersion": "v1", "kind": "Event", "metadata": metadata, "reason": reason, "involvedObject": {"uid": uid}}
    )


@pytest.fixture
def api(memory_api: Any) -> Any:
    for node in ("a", "b"):
        memory_api.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}})
        memory_api.put(agent(node, is_ready=node == "a"))
    return memory_api


def names(api: Any) -> set[str]:
    return {name for kind, _, name in api.objects if kind.kind == "Pod" and not name.startswith("calico-node")}


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - the API of these tests tells nobody
            await asyncio.sleep(0.01)


async def test_pods_without_a_network_are_ended_once_calico_runs_everywhere(api: Any, mirror: Mirror) -> None:
    api.put(pod("early"))
    api.put(pod("through", is_ready=True))
    api.put(pod("static", ownerReferences=[]))
    api.put(pod("has-an-address", status={"podIP": "10.0.0.9"}))
    api.put(pod("on-its-way"))
    api.put(pod("pulling"))
    for name in ("early", "through", "static", "has-an-address"):
        failed(api, name)
    failed(api, "pulling", "Failed")
    everybody = names(api)
    hastening = asyncio.ensure_future(hasten(api, mirror, 5))
    done, _ = await asyncio.wait({hastening}, timeout=0.1)
    assert (done, names(api)) == (set(), everybody)
    api.put(agent("b", is_ready=True))
    await until(lambda: "early" not in names(api))
    failed(api, "on-its-way")  # the kubelet tells of it a moment later
    await until(lambda: "on-its-way" not in names(api))
    api.put(pod("made-instead"))
    failed(api, "made-instead")
    done, _ = await asyncio.wait({hastening}, timeout=0.1)
    assert (done, names(api)) == (set(), everybody - {"early", "on-its-way"} | {"made-instead"})
    hastening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hastening


async def test_where_calico_does_not_come_nothing_is_ended(api: Any, mirror: Mirror) -> None:
    api.put(pod("early"))
    failed(api, "early")
    await hasten(api, mirror, 0.05)
    assert names(api) == {"early"}


@pytest.mark.parametrize("what", ["list", "delete"])
@pytest.mark.parametrize("error", [Refused(403, "Forbidden", "no"), InfrastructureError("gone", remedy="wait")])
async def test_what_goes_wrong_is_no_error(
    api: Any, mirror: Mirror, error: Exception, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.put(agent("b", is_ready=True))

    async def refuse(*_given: Any, **_named: Any) -> None:
        raise error

    api.put(pod("early"))
    failed(api, "early")
    await mirror.follow([kind for kind in await api.resources() if kind.kind in {"Node", "Pod"}])
    monkeypatch.setattr(api, what, refuse)
    await asyncio.wait_for(hasten(api, mirror, 60), 5)
    assert names(api) == {"early"}
