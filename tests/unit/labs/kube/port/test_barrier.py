"""The barrier: it opens when every node has taken up what was written, and not before."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from grader.errors import InfrastructureError, NotEnforcedError
from labs.kube import lookout, ready, settle
from labs.kube.api import Resource
from labs.kube.canary import NAMESPACE, Signal, name, port
from labs.kube.mirror import Mirror
from labs.kube.settle import Barrier
from labs.kube.signals import has_own, served, touched

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("signal", Signal)
async def test_it_waits_for_the_kind_that_was_touched(api: Any, barrier: Barrier, signal: Signal) -> None:
    await barrier.prove()
    api.lag.add(signal)
    with pytest.raises(InfrastructureError, match=rf"node node-[ab] did not take up a change of kind {signal.value}"):
        await barrier.wait({signal})
    api.lag.clear()
    await barrier.wait({signal})


async def test_it_does_not_wait_for_other_kinds(api: Any, barrier: Barrier) -> None:
    await barrier.prove()
    api.lag.update({Signal.SERVICE, Signal.NAMESPACE})
    await barrier.wait({Signal.POLICY})


async def test_the_last_flip_is_a_pods_label_after_the_others_were_seen(api: Any, barrier: Barrier) -> None:
    await barrier.prove()
    api.applied.clear()
    await barrier.wait({Signal.POLICY})
    assert api.applied[0] == "networkpolicies.networking.k8s.io/turn"
    assert sorted(api.applied[1:]) == sorted(f"pods/{name('server', node)}" for node in ("node-a", "node-b"))


async def test_nothing_touched_is_nothing_waited_for(api: Any, barrier: Barrier) -> None:
    await barrier.wait(())
    assert (api.looks, api.applied) == (0, [])


async def test_a_turn_that_another_process_left_unseen_is_seen_first(api: Any, barrier: Barrier, lock: Path) -> None:
    """Else its older side, still open, would be taken for the answer to the next turn."""
    await barrier.prove()
    api.lag.add(Signal.POLICY)
    with pytest.raises(InfrastructureError):
        await barrier.wait({Signal.POLICY})
    mirror = Mirror(api)
    other = Barrier(api, mirror, lock=lock)
    try:
        with pytest.raises(InfrastructureError, match="NetworkPolicy"):
            await other.wait({Signal.POLICY})
        api.lag.clear()
        await other.wait({Signal.POLICY})
    finally:
        mirror.close()
        api.end_watches()


async def test_addresses_that_a_restart_has_changed_are_written_before_the_sides_that_need_them_are_looked_at(
    api: Any, barrier: Barrier, lock: Path
) -> None:
    await barrier.prove()
    for role in ("server", "client"):
        found = api.objects["pods", NAMESPACE, name(role, "node-a")]
        moved = found["status"] | {"podIP": f"10.9.9.{len(role)}"}
        api.put("pods", {**found, "status": moved})
    mirror = Mirror(api)
    api.applied.clear()
    try:
        await Barrier(api, mirror, lock=lock).wait({Signal.SERVICE, Signal.CALICO_SET})
    finally:
        mirror.close()
        api.end_watches()
    wanted = ["endpointslices.discovery.k8s.io/turn", "networksets.projectcalico.org/netdojo-canary"]
    assert [api.applied.count(path) for path in wanted] == [2, 2]


@pytest.mark.parametrize(
    ("kept", "turns"),
    [
        (None, 2),
        ("as it is", 1),
        ("{}", 2),
        ("torn", 2),
        ('{"NetworkPolicy": [0, ["1"]]}', 2),
        ('{"Nothing": [0, []]}', 2),
        ('{"NetworkPolicy": 7}', 2),
    ],
)
async def test_the_next_process_need_not_see_again_what_was_seen(
    api: Any, lock: Path, kept: str | None, turns: int
) -> None:
    file = None if kept is None else lock.with_name("turns.json")
    mirror = Mirror(api)
    try:
        await Barrier(api, mirror, lock=lock, kept=file).prove()
        if file is not None and kept not in {None, "as it is"}:
            file.write_text(str(kept))
        api.applied.clear()
        await Barrier(api, mirror, lock=lock, kept=file).wait({Signal.POLICY})
    finally:
        mirror.close()
        api.end_watches()
    assert api.applied.count("networkpolicies.networking.k8s.io/turn") == turns


async def test_a_turn_that_was_not_seen_is_not_kept_as_seen(api: Any, lock: Path) -> None:
    file, mirror = lock.with_name("turns.json"), Mirror(api)
    try:
        await Barrier(api, mirror, lock=lock, kept=file).prove()
        api.lag.add(Signal.POLICY)
        for _process in range(2):
            with pytest.raises(InfrastructureError, match="NetworkPolicy"):
                await Barrier(api, mirror, lock=lock, kept=file).wait({Signal.POLICY})
        api.lag.clear()
        api.applied.clear()
        await Barrier(api, mirror, lock=lock, kept=file).wait({Signal.POLICY})
    finally:
        mirror.close()
        api.end_watches()
    assert api.applied.count("networkpolicies.networking.k8s.io/turn") == 2


async def test_proof_that_a_policy_stops_packets(api: Any, barrier: Barrier) -> None:
    await barrier.prove()
    api.lax = True
    with pytest.raises(NotEnforcedError, match=r"does not enforce policy: on node node-a .* closed port got through"):
        await barrier.prove()


async def test_a_sample_proves_the_same_by_one_change(api: Any, barrier: Barrier) -> None:
    await barrier.prove()
    api.applied.clear()
    looks = api.looks
    await barrier.sample()
    assert api.applied == ["networkpolicies.networking.k8s.io/turn"]
    assert api.looks - looks == 2
    api.lax = True
    with pytest.raises(NotEnforcedError, match="closed port got through"):
        await barrier.sample()


@pytest.mark.parametrize("signal", [Signal.POLICY, Signal.POD])
async def test_a_sample_that_does_not_arrive_is_said_soon_and_seen_by_the_next(
    api: Any, barrier: Barrier, signal: Signal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle, "_UNSIGNALLED_SECONDS", 0.0)
    await barrier.prove()
    if signal is Signal.POD:  # which is what is left where a policy for all hides the other
        kind = api.kind("globalnetworkpolicies", "projectcalico.org")
        hiding = {"metadata": {"name": "all"}, "spec": {"order": 1}}
        api.put(kind, {"apiVersion": kind.api_version, "kind": kind.kind, **hiding})
    api.lag.add(signal)
    with pytest.raises(InfrastructureError, match=rf"did not take up a change of kind {signal.value} in time"):
        await barrier.sample()
    api.lag.clear()
    await barrier.sample()


async def test_a_turn_says_nothing_of_nodes_that_were_away(api: Any, lock: Path) -> None:
    """One that comes back may still have the turn before the last open."""
    mirror, nodes = Mirror(api), api.kind("nodes", "")
    barrier = Barrier(api, mirror, lock=lock)

    async def told(is_ready: bool) -> None:
        state = lambda: ready.node(mirror.objects(nodes)["", "node-b"]) is is_ready or None  # noqa: E731 - a condition
        assert await mirror.until(state, 5)

    try:
        await barrier.prove()
        node = api.objects["nodes", "", "node-b"]
        api.put("nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-b"}})
        await told(False)
        await barrier.wait({Signal.POLICY})
        with pytest.raises(InfrastructureError, match="node-b is not ready"):
            await barrier.sample()
        api.put("nodes", node)
        await told(True)
        api.applied.clear()
        await barrier.wait({Signal.POLICY})
        assert api.applied.count("networkpolicies.networking.k8s.io/turn") == 2
    finally:
        mirror.close()
        api.end_watches()


async def test_one_command_a_node_looks_again_and_again(api: Any, barrier: Barrier) -> None:
    await barrier.prove()
    await barrier.wait({Signal.POLICY})
    assert sorted(talk.pod for talk in api.talks) == sorted(
        f"{NAMESPACE}/{name('client', node)}" for node in ("node-a", "node-b")
    )
    barrier.close()
    assert all(talk.closed for talk in api.talks)


async def test_a_connection_that_was_silent_for_long_is_not_trusted(
    api: Any, barrier: Barrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    await barrier.prove()
    monkeypatch.setattr(lookout, "_IDLE_SECONDS", -1.0)
    before = len(api.talks)
    await barrier.sample()
    assert len(api.talks) == 2 * before
    assert all(talk.closed for talk in api.talks[:before])


async def test_a_look_without_an_answer_is_told_and_the_next_one_begins_anew(api: Any, barrier: Barrier) -> None:
    await barrier.prove()
    for talk in api.talks:
        talk.broken = TimeoutError()
    with pytest.raises(InfrastructureError, match=r"cannot look whether .*: it did not end in time"):
        await barrier.sample()
    await asyncio.sleep(0)
    assert any(talk.closed for talk in api.talks)
    for talk in api.talks:
        talk.broken = None
    await barrier.sample()


async def test_a_command_that_ended_meanwhile_is_begun_anew(api: Any, barrier: Barrier) -> None:
    await barrier.prove()
    first = list(api.talks)
    for talk in first:
        talk.broken = InfrastructureError("a command ended: killed")
    await barrier.wait({Signal.POLICY})
    assert all(talk.closed for talk in first)
    assert len(api.talks) == 2 * len(first)


async def test_what_nobody_touched_is_not_written_again_by_the_next_process(api: Any, lock: Path) -> None:
    file, mirror = lock.with_name("turns.json"), Mirror(api)
    try:
        await Barrier(api, mirror, lock=lock, kept=file).prove()
        api.applied.clear()
        await Barrier(api, mirror, lock=lock, kept=file).sample()
        assert api.applied == ["networkpolicies.networking.k8s.io/turn"]
    finally:
        mirror.close()
        api.end_watches()


@pytest.mark.parametrize("touched", ["a rule changed", "a rule is gone", "a pod lost its label", "another image"])
async def test_what_somebody_touched_is_written_again(api: Any, lock: Path, touched: str) -> None:
    file, mirror = lock.with_name("turns.json"), Mirror(api)
    try:
        await Barrier(api, mirror, lock=lock, kept=file).prove()
        key = "networkpolicies.networking.k8s.io"
        pod = api.objects["pods", NAMESPACE, name("server", "node-b")]
        match touched:
            case "a rule changed":
                item = api.objects[key, NAMESPACE, "closed"]
                api.put(api.kind("networkpolicies", "networking.k8s.io"), {**item, "spec": {"podSelector": {}}})
            case "a rule is gone":
                api.remove(api.kind("networkpolicies", "networking.k8s.io"), NAMESPACE, "closed")
            case "a pod lost its label":
                api.put("pods", {**pod, "metadata": {**pod["metadata"], "labels": {}}})
            case _:
                (container,) = pod["spec"]["containers"]
                api.put("pods", {**pod, "spec": {**pod["spec"], "containers": [{**container, "image": "other"}]}})
        api.applied.clear()
        await Barrier(api, mirror, lock=lock, kept=file).sample()
        assert f"{key}/closed" in api.applied
    finally:
        mirror.close()
        api.end_watches()


async def test_who_cannot_look_has_not_seen(api: Any, barrier: Barrier) -> None:
    api.blind = True
    with pytest.raises(InfrastructureError, match=r"cannot look whether .*: sh: not found") as error:
        await barrier.prove()
    assert not isinstance(error.value, NotEnforcedError)


async def test_the_canary_stands_on_each_ready_node_and_is_made_once(api: Any, barrier: Barrier) -> None:
    api.put("nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-off"}})
    await barrier.prove()
    pods = {key[2] for key in api.objects if key[0] == "pods"}
    assert pods == {name(role, node) for role in ("client", "server") for node in ("node-a", "node-b")}
    before = [path for path in api.applied if path.startswith("pods/client")]
    await barrier.prove()
    assert [path for path in api.applied if path.startswith("pods/client")] == before


async def test_a_canary_that_was_deleted_or_has_ended_is_mended(api: Any, barrier: Barrier) -> None:
    await barrier.prove()
    client, server = name("client", "node-a"), name("server", "node-b")
    api.remove("pods", NAMESPACE, client)
    ended = api.objects["pods", NAMESPACE, server]
    api.put("pods", {**ended, "status": {"phase": "Failed", "reason": "Evicted"}})
    await barrier.prove()
    assert api.objects["pods", NAMESPACE, client]["status"]["phase"] == "Running"
    assert api.objects["pods", NAMESPACE, server]["status"]["phase"] == "Running"


async def test_a_canary_that_does_not_run_is_told_with_its_reason(
    api: Any, barrier: Barrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labs.kube.standing._READY_SECONDS", 0.05)
    api.sleepy.add(name("server", "node-b"))
    with pytest.raises(InfrastructureError, match=rf"{name('server', 'node-b')} on node-b: pending, not ready yet"):
        await barrier.prove()


async def test_without_a_ready_node_nothing_can_be_proven(api: Any, barrier: Barrier) -> None:
    for node in ("node-a", "node-b"):
        api.put("nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}})
    with pytest.raises(InfrastructureError, match="no node of the cluster is ready"):
        await barrier.prove()


@pytest.mark.parametrize(
    ("spec", "is_hidden"),
    [
        ({"order": 10}, True),
        ({"order": 1000.5}, False),
        ({}, False),
        ({"tier": "security"}, True),
        ({"order": 0}, True),
    ],
)
async def test_a_policy_for_all_that_comes_first_hides_a_signal_which_is_not_waited_for_then(
    api: Any, barrier: Barrier, spec: Any, is_hidden: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle, "_UNSIGNALLED_SECONDS", 0.0)
    await barrier.prove()
    kind = api.kind("globalnetworkpolicies", "projectcalico.org")
    api.put(kind, {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "all"}, "spec": spec})
    api.applied.clear()
    await barrier.wait({Signal.POLICY})
    assert ("networkpolicies.networking.k8s.io/turn" in api.applied) is not is_hidden


async def test_two_at_once_take_turns(api: Any, barrier: Barrier, lock: Path) -> None:
    mirror = Mirror(api)
    other = Barrier(api, mirror, lock=lock)
    try:
        await asyncio.gather(*(each.wait(Signal) for each in (barrier, other, barrier, other)))
    finally:
        mirror.close()


def test_every_signal_has_ports_of_its_own() -> None:
    ports = [port(signal, side) for signal in Signal for side in (0, 1)]
    assert len(set(ports)) == len(ports)


@pytest.mark.parametrize(
    ("group", "kind", "services", "signals"),
    [
        ("networking.k8s.io", "NetworkPolicy", True, {Signal.POLICY}),
        ("networking.k8s.io", "Ingress", True, set()),
        ("", "Namespace", False, {Signal.NAMESPACE}),
        ("", "Pod", False, {Signal.POD}),
        ("apps", "Deployment", True, {Signal.POD, Signal.SERVICE}),
        ("", "Service", True, {Signal.SERVICE}),
        ("discovery.k8s.io", "EndpointSlice", False, {Signal.SERVICE}),
        ("", "ConfigMap", False, set()),
        ("projectcalico.org", "NetworkPolicy", False, {Signal.CALICO_POLICY}),
        ("crd.projectcalico.org", "GlobalNetworkPolicy", False, {Signal.CALICO_GLOBAL}),
        ("projectcalico.org", "Tier", False, set(Signal)),
        ("policy.networking.k8s.io", "ClusterNetworkPolicy", False, set(Signal)),
    ],
)
def test_which_signals_tell_of_a_kind(group: str, kind: str, services: bool, signals: set[Signal]) -> None:
    resource = Resource(group, "v1", kind.lower(), kind, namespaced=True)
    assert touched(resource, services=services) == signals
    assert has_own(resource) is (signals != set(Signal))


def test_without_calico_there_are_only_kubernetes_own_signals(api: Any) -> None:
    assert served(api.kinds) == set(Signal)
    plain = [each for each in api.kinds if "calico" not in each.group]
    assert served(plain) == {Signal.POLICY, Signal.POD, Signal.NAMESPACE, Signal.SERVICE}
