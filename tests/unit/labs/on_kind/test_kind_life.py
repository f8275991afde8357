"""The life of labs and clusters on kind: made, found, given back, taken again, broken, and interrupted anywhere."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import yaml

from grader.errors import InfrastructureError
from labs.base import Phase
from labs.kind import state
from labs.kind.engine import KIND_CLUSTER, Container
from labs.kind.state import Stage


def stages(world: Any) -> dict[str, str]:
    return {record.name: record.stage.value for record in state.Pool(world.folder / "pool").records()}


async def test_a_lab_starts_is_found_by_another_process_and_gives_its_cluster_back(world: Any) -> None:
    said: list[str] = []
    running = await world.backend().start(world.request(namespace="shop"), world.lab(), said.append)
    (name,) = world.clusters()
    assert name.startswith("netdojo-")
    assert running.phase is Phase.READY
    assert any("making 2 nodes" in line for line in said)
    assert "  Preparing nodes" in said
    assert any(line.startswith("images into the nodes, and Calico: ") and line.endswith(" s") for line in said)
    found = await world.backend().find("first", world.lab())
    assert found.phase is Phase.READY
    assert found.kubeconfig is not None
    kubeconfig = yaml.safe_load(found.kubeconfig.read_text())
    assert kubeconfig["contexts"][0]["context"]["namespace"] == "shop"
    assert found.kubeconfig.stat().st_mode & 0o777 == 0o600
    await world.backend().stop("first", world.lab())
    assert not world.lab().exists()
    assert stages(world) == {name: "free"}
    assert (await world.backend().find("first", world.lab())).phase is Phase.ABSENT


async def test_calicos_pods_are_made_when_their_images_are_in_the_nodes(world: Any) -> None:
    """kubelet would ask for one that is not there yet, and then wait before it asks again."""
    world.has.add("calico/node:v3.28.5")
    importing = world.stop_at("import")
    starting = asyncio.ensure_future(world.backend().start(world.request(), world.lab(), str))
    await asyncio.wait_for(importing.wait(), 5)
    (api,) = world.apis.values()
    for _ in range(1000):  # turns for whatever else can go on
        await asyncio.sleep(0)
    assert "apply Namespace /calico-apiserver" in api.calls
    assert not any(" DaemonSet " in call for call in api.calls)
    world.pause["import"].set()
    await asyncio.wait_for(starting, 5)
    assert any(" DaemonSet " in call for call in api.calls)


async def test_an_image_that_a_node_does_not_take_ends_the_start(world: Any) -> None:
    world.fails["import"] = InfrastructureError("no space left on device")
    with pytest.raises(InfrastructureError, match="no space left"):
        await world.backend().start(world.request(), world.lab(), str)
    assert world.clusters() == set()


async def test_ten_labs_one_after_the_other_share_one_cluster(world: Any) -> None:
    for number in range(10):
        lab = world.lab(f"lab-{number}")
        await world.backend().start(world.request(f"lab-{number}"), lab, str)
        (api,) = world.apis.values()
        assert {i["metadata"]["name"] for (k, _, _), i in api.objects.items() if k.kind == "Namespace"} == {
            *("calico-apiserver", "default", "kube-system", "shop")
        }
        await world.backend().stop(f"lab-{number}", lab)
        assert "shop" not in str(api.objects)
    assert sum(run[0] == "create" for run in world.runs) == 1


async def test_start_twice_is_start_once_and_stop_of_nothing_is_fine(world: Any) -> None:
    await world.backend().stop("first", world.lab())
    await world.backend().start(world.request(), world.lab(), str)
    said: list[str] = []
    await world.backend().start(world.request(), world.lab(), said.append)
    assert "first is running already" in said
    assert len(world.clusters()) == 1


async def test_a_start_whose_listener_has_gone_is_cleaned_up_like_any_other(world: Any) -> None:
    def deaf(_line: str) -> None:
        raise BrokenPipeError

    making = world.stop_at("create")
    starting = asyncio.ensure_future(world.backend().start(world.request(), world.lab(), deaf))
    await asyncio.wait_for(making.wait(), 5)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(starting, 5)
    assert (world.clusters(), stages(world), world.lab().exists()) == (set(), {}, False)


async def test_a_container_that_appears_after_kind_was_ended_goes_too(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine goes on making what it was asked for."""
    making = world.stop_at("create")
    starting = asyncio.ensure_future(world.backend().start(world.request(), world.lab(), str))
    await asyncio.wait_for(making.wait(), 5)
    asked, listed = dict(world.containers_known), world.containers
    world.containers_known.clear()
    looks = 0

    async def late(labels: Any) -> Any:
        nonlocal looks
        looks += 1
        if looks == 2:
            world.containers_known |= asked
        return await listed(labels)

    monkeypatch.setattr(world, "containers", late)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(starting, 5)
    assert looks > 2
    assert (world.clusters(), stages(world)) == (set(), {})


async def test_two_labs_at_once_have_two_clusters(world: Any) -> None:
    backend = world.backend()
    await asyncio.gather(*(backend.start(world.request(name), world.lab(name), str) for name in ("one", "two")))
    assert sorted(stages(world).values()) == ["taken", "taken"]
    assert len(world.clusters()) == 2


async def test_a_start_beside_a_stop_waits_for_its_cluster_and_takes_it(world: Any) -> None:
    await world.backend().start(world.request(), world.lab(), str)
    (name,) = world.clusters()
    pool = state.Pool(world.folder / "pool")
    pool.write(replace(pool.read(name), stage=Stage.FREE, lab=""))
    waits = asyncio.Event()
    lock = pool.lock(name)  # as somebody has who gives it back
    assert lock is not None
    told = lambda line: waits.set() if "waiting for another command" in line else None  # noqa: E731 - a listener
    starting = asyncio.ensure_future(world.backend().start(world.request("next", objects=()), world.lab("next"), told))
    await asyncio.wait_for(waits.wait(), 5)
    lock.remove()
    await asyncio.wait_for(starting, 5)
    assert stages(world) == {name: "taken"}


async def test_nobody_goes_on_following_a_cluster_that_is_gone(world: Any) -> None:
    backend = world.backend()
    await backend.start(world.request(), world.lab(), str)
    await backend.stop("first", world.lab())
    world.closed.add("service:kube-system/kube-dns")  # it is not taken, but removed
    await backend.start(world.request("next"), world.lab("next"), str)
    *gone, last = [port.is_closed for port in world.ports]
    assert len(gone) >= 2
    assert (all(gone), last) == (True, False)


async def test_other_topologies_do_not_take_each_others_clusters(world: Any) -> None:
    await world.backend().start(world.request(nodes=1), world.lab(), str)
    await world.backend().stop("first", world.lab())
    await world.backend().start(world.request("second", nodes=2), world.lab("second"), str)
    assert sorted(stages(world).values()) == ["free", "taken"]


async def test_delete_removes_it(world: Any) -> None:
    await world.backend().start(world.request(), world.lab(), str)
    await world.backend().stop("first", world.lab(), delete=True)
    assert not world.containers_known
    assert stages(world) == {}


async def test_a_cluster_of_somebody_else_is_left_alone_whatever_its_name(world: Any) -> None:
    await world.backend().start(world.request(), world.lab(), str)
    (name,) = world.clusters()
    await world.backend().stop("first", world.lab(), delete=True)
    stranger = Container("theirs", f"{name}-control-plane", "running", "node:9", {KIND_CLUSTER: name})
    world.containers_known["theirs"] = stranger
    said: list[str] = []
    await world.backend().start(world.request(), world.lab(), said.append)
    assert world.containers_known["theirs"] == stranger
    assert any(name in line and "left alone" in line for line in said)
    assert f"{name.rpartition('-')[0]}-2" in world.clusters()
    await world.backend().stop("first", world.lab(), delete=True)
    assert world.containers_known == {"theirs": stranger}


async def test_two_homes_never_share_a_name(world: Any) -> None:
    await world.backend().start(world.request(), world.lab(), str)
    names = world.clusters()
    world.folder = world.folder / "other"
    (world.folder / "calico").mkdir(parents=True)
    (world.folder / "calico/1.yaml").write_text((world.folder.parent / "calico/10-calico.yaml").read_text())
    await world.backend().start(world.request(), world.lab(), str)
    assert len(world.clusters()) == 2
    assert len({name.rpartition("-")[0] for name in world.clusters() | names}) == 2


async def test_a_transient_lab_ends_with_its_process(world: Any) -> None:
    backend = world.backend()
    await backend.start(world.request(transient=True), world.lab(), str)
    assert (await world.backend().find("first", world.lab())).phase is Phase.READY
    for lock in backend._held:
        lock.release()  # as the system does when the process ends
    assert (await world.backend().find("first", world.lab())).phase is Phase.ABSENT
    assert list(stages(world).values()) == ["free"]


async def test_kept_clusters_are_removed_when_somebody_says_so_and_taken_ones_are_not(world: Any) -> None:
    await world.backend().start(world.request("one"), world.lab("one"), str)
    await world.backend().start(world.request("two"), world.lab("two"), str)
    await world.backend().stop("one", world.lab("one"))
    (free,) = (name for name, stage in stages(world).items() if stage == "free")
    assert await world.backend().end_kept(str) == (free,)
    assert list(stages(world).values()) == ["taken"]
    assert await world.backend().end_kept(str) == ()
    assert len(world.clusters()) == 1


async def test_a_kept_cluster_that_a_lab_takes_meanwhile_is_not_said_to_be_removed(world: Any) -> None:
    await world.backend().start(world.request(), world.lab(), str)
    await world.backend().stop("first", world.lab())
    pool = state.Pool(world.folder / "pool")
    (record,) = pool.records()
    lock = pool.lock(record.name)
    assert lock is not None
    ending = asyncio.ensure_future(world.backend().end_kept(str))
    await asyncio.sleep(0)
    pool.write(replace(record, stage=Stage.TAKEN, lab="other"))
    lock.remove()
    assert await asyncio.wait_for(ending, 5) == ()
    assert world.clusters() == {record.name}


async def test_a_missing_node_image_is_fetched_and_said(world: Any) -> None:
    world.has.discard("node:1")
    said: list[str] = []
    await world.backend().start(world.request(), world.lab(), said.append)
    assert world.pulled == ["node:1"]
    assert any("fetching the node image node:1 from docker.io" in line for line in said)


async def test_images_that_docker_has_are_loaded_into_every_node_once(world: Any) -> None:
    await world.backend().start(world.request(), world.lab(), str)
    (name,) = world.clusters()
    assert sorted(world.loaded) == [
        (f"{name}-{node}", "docker.io/library/agnhost:1") for node in ("control-plane", "worker")
    ]


async def test_that_nodes_know_ways_to_hosts_is_kept_until_these_are_removed(world: Any) -> None:
    await world.backend().start(world.request(), world.lab(), str)
    pool = state.Pool(world.folder / "pool")
    (record,) = pool.records()
    pool.write(replace(record, hosts=(("bastion", ("203.0.113.10",)),)))
    reached = world.stop_at("exec ip")
    stopping = asyncio.ensure_future(world.backend().stop("first", world.lab()))
    await asyncio.wait_for(reached.wait(), 5)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    (left,) = pool.records()
    assert (left.stage, left.hosts) == (Stage.FREE, (("bastion", ("203.0.113.10",)),))
    world.pause.clear()
    await world.backend().start(world.request("second"), world.lab("second"), str)
    (taken,) = pool.records()
    assert (taken.name, taken.lab, taken.hosts) == (left.name, "second", ())
