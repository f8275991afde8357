"""What goes wrong with labs and clusters on kind: ends that nobody planned, engines and APIs that are silent."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from grader.errors import InfrastructureError
from labs.base import Phase
from labs.kind import state
from labs.kind.pool import finish
from labs.kind.state import Stage

if TYPE_CHECKING:
    from collections.abc import Callable


def stages(world: Any) -> dict[str, str]:
    return {record.name: record.stage.value for record in state.Pool(world.folder / "pool").records()}


async def test_clusters_of_another_engine_are_left_alone_and_not_forgotten(world: Any) -> None:
    await world.backend().start(world.request("kept"), world.lab("kept"), str)
    await world.backend().stop("kept", world.lab("kept"))
    await world.backend().start(world.request("one"), world.lab("one"), str)
    (name,) = world.clusters()
    here, world.name, world.containers_known = dict(world.containers_known), "engine-b", {}
    found = await world.backend().find("one", world.lab("one"))
    assert (found.phase, "another Docker engine" in found.detail) == (Phase.BROKEN, True)
    with pytest.raises(InfrastructureError, match=f"{name} runs on another Docker engine") as error:
        await world.backend().stop("one", world.lab("one"))
    assert "docker context" in error.value.remedy
    world.name, world.containers_known = "engine-a", here
    await world.backend().stop("one", world.lab("one"))
    world.name, world.containers_known = "engine-b", {}
    said: list[str] = []
    await world.backend().start(world.request("two"), world.lab("two"), said.append)
    assert any(line.startswith(f"{name} runs on another Docker engine") for line in said)
    assert stages(world)[name] == "free"
    assert len(stages(world)) == 2


async def test_an_api_that_is_silent_for_a_moment_costs_nobody_a_lab(world: Any) -> None:
    await world.backend().start(world.request(), world.lab(), str)
    (api,) = world.apis.values()
    for what in ("start", "stop"):
        api.gone = True
        asyncio.get_running_loop().call_later(0.3, setattr, api, "gone", False)
        if what == "start":
            await world.backend().start(world.request(), world.lab(), str)
        else:
            await world.backend().stop("first", world.lab())
    assert list(stages(world).values()) == ["free"]
    assert sum(run[0] == "create" for run in world.runs) == 1


async def test_an_engine_that_does_not_answer_a_stop_is_said_and_costs_no_cluster(world: Any) -> None:
    await world.backend().start(world.request(), world.lab(), str)
    world.engine_gone = True
    with pytest.raises(InfrastructureError, match="no Docker engine answers"):
        await world.backend().stop("first", world.lab())
    world.engine_gone = False
    await world.backend().stop("first", world.lab())
    assert list(stages(world).values()) == ["free"]


@pytest.mark.parametrize("step", ["create", "remember", "apply"])
async def test_interrupted_anywhere_it_cleans_up(world: Any, step: str) -> None:
    reached = world.stop_at(step)
    task = asyncio.create_task(world.backend().start(world.request(), world.lab(), str))
    await asyncio.wait_for(reached.wait(), 10)
    task.cancel()
    world.pause[step].set()  # whatever cleans up may do the same
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not world.lab().exists()
    assert set(stages(world).values()) <= {"free"}
    assert len(world.clusters()) == len(stages(world))


@pytest.mark.parametrize(("step", "left"), [("create", 0), ("remember", 0), ("apply", 1)])
async def test_what_a_killed_start_left_is_cleaned_by_the_next_command(world: Any, step: str, left: int) -> None:
    world.stop_at(step)
    task = asyncio.create_task(world.backend().start(world.request(), world.lab(), str))
    await asyncio.wait_for(world.reached[step].wait(), 10)
    # What a kill leaves: files as they are now, and no lock.
    kept = {file: file.read_bytes() for file in world.folder.rglob("*") if file.is_file() and ".lock" not in file.name}
    containers, apis = dict(world.containers_known), dict(world.apis)
    task.cancel()
    world.pause.clear()
    with pytest.raises(asyncio.CancelledError):
        await task
    for file, data in kept.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    world.containers_known, world.apis = containers, apis
    for api in apis.values():
        api.gone = False
    assert (await world.backend().find("first", world.lab())).phase is Phase.ABSENT
    assert not world.lab().exists()
    assert list(stages(world).values()) == ["free"] * left
    assert len(world.clusters()) == left
    assert (await world.backend().start(world.request(), world.lab(), str)).phase is Phase.READY


def remove_by_hand(world: Any) -> None:
    world.containers_known.clear()


def stop_a_node(world: Any) -> None:
    first = next(iter(world.containers_known))
    world.containers_known[first] = replace(world.containers_known[first], state="exited")


def stop_the_api(world: Any) -> None:
    next(iter(world.apis.values())).gone = True


def make_a_node_anew(world: Any) -> None:
    first = next(iter(world.containers_known))
    world.containers_known["another"] = replace(world.containers_known.pop(first), id="another")


def lose_the_record(world: Any) -> None:
    for record in (world.folder / "pool").glob("*/record.json"):
        record.write_text("{", encoding="utf-8")


@pytest.mark.parametrize(
    ("happens", "said"),
    [
        (remove_by_hand, "was removed"),
        (stop_a_node, "is exited: Docker may have been restarted"),
        (stop_the_api, "does not answer"),
        (make_a_node_anew, "made anew"),
        (lose_the_record, "was removed"),
    ],
    ids=lambda value: getattr(value, "__name__", "").replace("_", " "),
)
async def test_a_cluster_that_broke_is_noticed_and_made_again(
    world: Any, happens: Callable[[Any], None], said: str
) -> None:
    await world.backend().start(world.request(), world.lab(), str)
    happens(world)
    found = await world.backend().find("first", world.lab())
    assert found.phase is Phase.BROKEN
    assert said in found.detail
    again = await world.backend().start(world.request(), world.lab(), str)
    assert again.phase is Phase.READY
    assert again.detail


async def test_a_failure_is_told_and_leaves_nothing(world: Any) -> None:
    world.fails["create"] = InfrastructureError("kind could not make the cluster", remedy="free some space")
    with pytest.raises(InfrastructureError, match="could not make"):
        await world.backend().start(world.request(), world.lab(), str)
    assert not world.containers_known
    assert not world.lab().exists()
    del world.fails["create"]
    assert (await world.backend().start(world.request(), world.lab(), str)).phase is Phase.READY


async def test_a_stop_that_was_ended_half_way_is_a_stop(world: Any) -> None:
    await world.backend().start(world.request(), world.lab(), str)
    pool = state.Pool(world.folder / "pool")
    (record,) = pool.records()
    pool.write(replace(record, stage=Stage.FREE, lab=""))  # given back; then it was killed
    assert (await world.backend().find("first", world.lab())).phase is Phase.ABSENT
    assert not world.lab().exists()
    assert len(world.clusters()) == 1


async def test_an_engine_that_does_not_tell_leaves_the_name_to_the_next_start(world: Any) -> None:
    backend = world.backend()
    world.engine_gone = True
    clusters = backend._clusters()
    with pytest.raises(InfrastructureError):
        await clusters._name("key", str)
    world.engine_gone = False
    name, lock = await clusters._name("key", str)
    lock.remove()
    assert name == "netdojo-key-1"


async def test_work_that_fails_in_the_turn_of_a_cancellation_is_told() -> None:
    async def work() -> None:
        raise InfrastructureError("could not be removed")

    task = asyncio.ensure_future(finish(work()))
    await asyncio.sleep(0)  # the work is to begin, and to fail, in the next turn
    task.cancel()
    with pytest.raises(InfrastructureError, match="could not be removed"):
        await task


async def test_docker_that_ends_meanwhile_is_no_wrong_answer(world: Any) -> None:
    await world.backend().start(world.request(), world.lab(), str)
    world.engine_gone = True
    found = await world.backend().find("first", world.lab())
    assert found.phase is Phase.BROKEN
    assert "no Docker engine answers" in found.detail
    with pytest.raises(InfrastructureError):
        await world.backend().stop("first", world.lab())
    world.engine_gone = False
    assert (await world.backend().find("first", world.lab())).phase is Phase.READY


def test_a_record_that_is_none_is_not_read(world: Any) -> None:
    pool = state.Pool(world.folder / "pool")
    record = state.Record("netdojo-1-1", "1", "", Stage.FREE, hosts=(("bastion", ("203.0.113.10",)),), nodes=("a",))
    pool.write(record)
    assert pool.records() == (record,)
    file = pool.of("netdojo-1-1") / state.RECORD
    good = json.loads(file.read_text())
    for bad in ({**good, "version": 2}, {**good, "stage": "gone"}, {**good, "more": 1}, {**good, "name": "x"}, []):
        file.write_text(json.dumps(bad))
        assert pool.records() == ()
