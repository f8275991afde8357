"""The barrier where Calico's API server is silent, answers late, or is not there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from labs.kube import settle
from labs.kube.api import Resource
from labs.kube.canary import NAMESPACE, Signal

if TYPE_CHECKING:
    from labs.kube.settle import Barrier

STORED = Resource(
    *("crd.projectcalico.org", "v1", "globalnetworkpolicies", "GlobalNetworkPolicy"),
    namespaced=False,
    verbs=frozenset({"list", "watch"}),
)


async def test_the_rules_are_written_for_calico_when_its_api_is_known_late(api: Any, barrier: Barrier) -> None:
    """Its signals are given from then on: without rules they would never be seen."""
    every = api.kinds
    api.kinds = [each for each in every if each.group != "projectcalico.org"]
    await barrier.prove()
    assert not any("projectcalico" in each for each in api.applied)
    api.kinds = every
    api.applied.clear()
    await barrier.wait_all()
    rules = api.applied.index(f"networkpolicies.projectcalico.org/{NAMESPACE}-labels")
    assert rules < api.applied.index(f"globalnetworksets.projectcalico.org/{NAMESPACE}")
    api.applied.clear()
    await barrier.wait_all()
    assert not any(each.endswith("-labels") for each in api.applied)


async def test_signals_are_those_that_the_rules_are_made_for(
    api: Any, barrier: Barrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calico's server may answer, or stop to, between the rules and the signals."""
    every = api.kinds
    api.kinds = [each for each in every if each.group != "projectcalico.org"]
    stand = barrier._canary.stand

    async def answers_then() -> Any:
        found = await stand()
        api.kinds = every
        return found

    monkeypatch.setattr(settle, "_UNSIGNALLED_SECONDS", 0.0)
    monkeypatch.setattr(barrier._canary, "stand", answers_then)
    await barrier.prove()
    assert not any("projectcalico" in each for each in api.applied)
    await barrier.prove()
    assert f"globalnetworksets.projectcalico.org/{NAMESPACE}" in api.applied


@pytest.mark.parametrize(
    ("stored", "silent", "waits"), [(True, False, True), (False, True, True), (False, False, False)]
)
async def test_where_calico_gives_no_signals_a_moment_is_waited_for_its_kinds(
    api: Any, barrier: Barrier, monkeypatch: pytest.MonkeyPatch, stored: bool, silent: bool, waits: bool
) -> None:
    api.kinds = [each for each in api.kinds if each.group != "projectcalico.org"]
    if stored:
        api.kinds.append(STORED)
    api.mute = {"projectcalico.org/v3"} if silent else set()
    slept: list[float] = []
    sleep = asyncio.sleep

    async def count(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    monkeypatch.setattr(settle.asyncio, "sleep", count)
    await barrier.wait({Signal.CALICO_GLOBAL})
    assert (settle._UNSIGNALLED_SECONDS in slept) is waits


async def test_a_policy_as_calico_stores_it_hides_a_signal_as_well(
    api: Any, barrier: Barrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle, "_UNSIGNALLED_SECONDS", 0.0)
    api.kinds = [*(each for each in api.kinds if each.group != "projectcalico.org"), STORED]
    await barrier.prove()
    metadata = {"name": "default.all"}
    api.put(STORED, {"apiVersion": STORED.api_version, "kind": STORED.kind, "metadata": metadata, "spec": {"order": 1}})
    api.applied.clear()
    await barrier.wait({Signal.POLICY})
    assert "networkpolicies.networking.k8s.io/turn" not in api.applied
