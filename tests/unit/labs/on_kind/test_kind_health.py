"""When a cluster counts as one that works."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any

import pytest

from grader.errors import InfrastructureError
from labs.kind import health
from labs.kube.api import Resource

if TYPE_CHECKING:
    from labs.kube.mirror import Mirror

VERBS = frozenset({"list", "watch", "get"})
TIERS = Resource("projectcalico.org", "v3", "tiers", "Tier", namespaced=False, verbs=VERBS)


def service(name: str, *, is_available: bool, **spec: Any) -> dict[str, Any]:
    status = {"conditions": [{"type": "Available", "status": str(is_available)}]}
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": name},
        "spec": spec,
        "status": status,
    }


def calico(*, is_available: bool) -> dict[str, Any]:
    return service("v3.projectcalico.org", is_available=is_available, service={"name": "calico-api"})


@pytest.fixture
def api(memory_api: Any) -> Any:
    memory_api.known = memory_api.kinds = tuple(each for each in memory_api.kinds if each != TIERS)
    memory_api.put(service("v1.nobody.example", is_available=True))  # the API's own: it has no kinds for a moment
    return memory_api


async def test_an_api_works_when_it_is_available_and_its_kinds_are_known(api: Any, mirror: Mirror) -> None:
    """Discovery lags behind: who looked before would take Calico's API for one that this cluster has not.

    It is the kinds as they are asked for anew that count.
    """
    api.put(calico(is_available=False))
    said: list[str] = []
    waiting = asyncio.ensure_future(health.wait(api, mirror, said.append, 5))
    done, _ = await asyncio.wait({waiting}, timeout=0.1)
    assert (done, said) == (set(), ["waiting for the API v3.projectcalico.org"])
    api.put(calico(is_available=True))
    done, _ = await asyncio.wait({waiting}, timeout=0.3)
    assert done == set()
    api.kinds = (*api.kinds, TIERS)
    await asyncio.wait_for(waiting, 5)


async def test_an_api_that_kubectl_does_not_know_yet_is_asked_for_at_once(api: Any, mirror: Mirror) -> None:
    api.known = api.kinds = (*api.kinds, TIERS)
    api.put(calico(is_available=True))
    before = copy.deepcopy(api.there("APIService", "v3.projectcalico.org"))
    api.mute = {"projectcalico.org/v3"}
    waiting = asyncio.ensure_future(health.wait(api, mirror, lambda _: None, 5))
    async with asyncio.timeout(5):
        while sum("APIService" in call for call in api.calls) < 2:  # noqa: ASYNC110 - the API of these tests tells nobody
            await asyncio.sleep(0.01)
    assert not waiting.done()
    api.mute = set()
    await asyncio.wait_for(waiting, 5)
    after = api.there("APIService", "v3.projectcalico.org")
    assert {**after, "metadata": {}} == {**before, "metadata": {}}
    assert "annotations" not in after["metadata"]


async def test_kinds_that_never_become_known_are_told_with_their_api(api: Any, mirror: Mirror) -> None:
    api.put(calico(is_available=True))
    with pytest.raises(InfrastructureError, match=r"does not say what the API v3\.projectcalico\.org serves"):
        await health.wait(api, mirror, lambda _: None, 0.2)


async def test_without_other_servers_nothing_more_is_waited_for(api: Any, mirror: Mirror) -> None:
    said: list[str] = []
    await asyncio.wait_for(health.wait(api, mirror, said.append, 5), 5)
    assert (said, api.calls) == ([], [])
