"""Following kinds: what becomes of a kind whose first list fails, is cancelled, or is asked for by two at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from grader.errors import ClusterGoneError, InfrastructureError
from labs.kube.api import Refused
from labs.kube.mirror import Mirror

if TYPE_CHECKING:
    from collections.abc import Iterator

NODES = {("", "node-a"), ("", "node-b")}


class Gate:
    """Lists wait here until it is opened."""

    def __init__(self, api: Any) -> None:
        self.open, self.reached = asyncio.Event(), asyncio.Event()
        self._list = api.list
        api.list = self._held

    async def _held(self, *asked: Any) -> Any:
        self.reached.set()
        await self.open.wait()
        return await self._list(*asked)


@pytest.fixture
def mirror(api: Any) -> Iterator[Mirror]:
    made = Mirror(api)
    yield made
    made.close()
    api.end_watches()


async def test_a_cancelled_follow_leaves_nothing_behind(api: Any, mirror: Mirror) -> None:
    gate, nodes = Gate(api), api.kind("nodes")
    first = asyncio.ensure_future(mirror.follow([nodes]))
    await gate.reached.wait()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    gate.open.set()
    await asyncio.wait_for(mirror.follow([nodes]), 5)
    assert mirror.objects(nodes).keys() == NODES


async def two_at_once(api: Any, mirror: Mirror) -> tuple[asyncio.Task[None], asyncio.Task[None], Gate]:
    """One follow is at its lists when another wants the second of its kinds."""
    gate = Gate(api)
    first = asyncio.ensure_future(mirror.follow([api.kind("pods"), api.kind("nodes")]))
    await gate.reached.wait()
    second = asyncio.ensure_future(mirror.follow([api.kind("nodes")]))
    await asyncio.sleep(0)
    return first, second, gate


async def test_two_that_follow_a_kind_at_once_both_have_it(api: Any, mirror: Mirror) -> None:
    first, second, gate = await two_at_once(api, mirror)
    gate.open.set()
    await asyncio.wait_for(asyncio.gather(first, second), 5)
    assert mirror.objects(api.kind("nodes")).keys() == NODES


@pytest.mark.parametrize("end", ["cancelled", "refused"])
async def test_the_second_tries_itself_when_the_first_does_not_get_there(api: Any, mirror: Mirror, end: str) -> None:
    first, second, gate = await two_at_once(api, mirror)
    if end == "cancelled":
        first.cancel()
    else:
        api.refusals.append(("list pods", Refused(403, "Forbidden", "pods is forbidden")))
    gate.open.set()
    assert await asyncio.gather(first, return_exceptions=True) != [None]
    await asyncio.wait_for(second, 5)
    assert mirror.objects(api.kind("nodes")).keys() == NODES


async def test_both_are_told_that_nobody_answers(api: Any, mirror: Mirror) -> None:
    first, second, gate = await two_at_once(api, mirror)
    api.down = ClusterGoneError("it does not answer")
    gate.open.set()
    told = await asyncio.wait_for(asyncio.gather(first, second, return_exceptions=True), 5)
    assert [type(each) for each in told] == [ClusterGoneError, ClusterGoneError]


async def test_a_first_list_that_does_not_come_is_said(
    api: Any, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labs.kube.mirror._FIRST_SECONDS", 0.05)
    first, second, gate = await two_at_once(api, mirror)
    with pytest.raises(InfrastructureError, match="nodes"):
        await second
    gate.open.set()
    await first
