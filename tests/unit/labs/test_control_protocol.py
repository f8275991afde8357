from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from content.errors import BrokenContentError, Defect, NetdojoError, UsageError
from grader.errors import ClusterGoneError, InfrastructureError, NotCapableError, NotEnforcedError
from grader.ports import Capabilities, Observation, Outcome, Probe
from labs.sandbox import client, control, wire
from labs.sandbox.control import ControlServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PROBE = Probe("shop/a", "service:shop/b", 80, "UDP", 6, "service")


@pytest.mark.parametrize(
    "error",
    [
        UsageError("u", remedy="do"),
        InfrastructureError("i"),
        NotEnforcedError("n", remedy="r"),
        NotCapableError("c"),
        ClusterGoneError("g"),
        BrokenContentError([Defect(Path("a.yaml"), 3, "cause", "remedy"), Defect(Path("b"), 0, "x")]),
    ],
)
def test_errors_arrive_as_what_they_were(error: NetdojoError) -> None:
    arrived = wire.unpack_error(json.loads(wire.line(wire.pack_error(error))))
    assert type(arrived) is type(error)
    assert (str(arrived), arrived.remedy) == (str(error), error.remedy)


def test_a_foreign_error_says_what_failed() -> None:
    arrived = wire.unpack_error(wire.pack_error(KeyError("x")))
    assert type(arrived) is InfrastructureError
    assert "KeyError" in arrived.message


def test_observations_and_capabilities_arrive_whole() -> None:
    seen = tuple(Observation(PROBE, outcome, "shop/b", "10.0.0.1", 1.5, "why") for outcome in Outcome)
    packed = json.loads(wire.line(wire.pack_observations(seen)))
    assert wire.unpack_observations([PROBE] * len(seen), packed) == seen
    assert wire.unpack_probes(json.loads(wire.line(wire.pack_probes([PROBE])))) == (PROBE,)
    capabilities = Capabilities(
        "sandbox",
        "model",
        simulated=True,
        families=(4, 6),
        has=frozenset({"ipv6", "hosts"}),
        hosts={"bastion": ("203.0.113.10", "2001:db8::10")},
    )
    assert wire.unpack_capabilities(json.loads(wire.line(wire.pack_capabilities(capabilities)))) == capabilities


def test_observations_of_other_probes_are_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        wire.unpack_observations([PROBE, PROBE], [["open", "", "", 0, ""]])


class Asked:
    """Operations that tell what was asked of them."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.entered = asyncio.Event()

    def operations(self) -> dict[str, Callable[[dict[str, Any]], Any]]:
        return {"echo": self.echo, "hang": self.hang, "fail": self.fail, "refuse": self.refuse}

    async def echo(self, given: dict[str, Any]) -> dict[str, Any]:
        return given

    async def hang(self, _: dict[str, Any]) -> None:
        self.entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()

    async def fail(self, _: dict[str, Any]) -> None:
        raise ZeroDivisionError

    async def refuse(self, _: dict[str, Any]) -> None:
        raise NotCapableError("no", remedy="yes")


@contextlib.asynccontextmanager
async def served(path: Path, asked: Asked, token: str = "") -> AsyncIterator[wire.Door]:
    server = ControlServer(asked.operations(), token)
    await server.serve(control.bind(path))
    try:
        yield wire.Door(f"unix:{path}", token)
    finally:
        await server.close()


async def test_answers_refusals_and_failures(tmp_path: Path) -> None:
    async with served(tmp_path / "s", Asked()) as door:
        assert await client.ask(door, "echo", a=[1, "ü"]) == {"a": [1, "ü"]}
        with pytest.raises(NotCapableError) as refused:
            await client.ask(door, "refuse")
        assert refused.value.remedy == "yes"
        with pytest.raises(InfrastructureError, match="ZeroDivisionError"):
            await client.ask(door, "fail")
        with pytest.raises(UsageError, match="nonsense"):
            await client.ask(door, "nonsense")


async def test_the_socket_is_its_owners_alone_also_on_a_long_path(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    async with served(folder / "control.sock", Asked()) as door:
        assert (folder / "control.sock").stat().st_mode & 0o777 == 0o600
        assert await client.ask(door, "echo") == {}


async def test_a_request_without_the_token_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path / "s", Asked(), token="secret") as door:  # noqa: S106 - a test's own
        assert await client.ask(door, "echo") == {}
        with pytest.raises(UsageError, match="token"):
            await client.ask(wire.Door(door.address, "wrong"), "echo")


async def test_a_client_that_goes_away_takes_its_request_with_it_and_harms_nobody(tmp_path: Path) -> None:
    asked = Asked()
    async with served(tmp_path / "s", asked) as door:
        hanging = asyncio.create_task(client.ask(door, "hang"))
        await asyncio.wait_for(asked.entered.wait(), 5)
        hanging.cancel()
        await asyncio.wait_for(asked.cancelled.wait(), 5)
        assert await client.ask(door, "echo", still="here") == {"still": "here"}


@pytest.mark.parametrize(
    "garbage", [b"\xff\n", b"{\n", b"GET / HTTP/1.1\r\n\r\n", b"[" * 20_000 + b"\n", b"x" * 70_000]
)
async def test_garbage_ends_its_own_connection_only(
    tmp_path: Path, garbage: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "REQUEST_LIMIT", 1 << 15)
    async with served(tmp_path / "s", Asked()) as door:
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(garbage)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        assert await client.ask(door, "echo") == {}


async def test_requests_of_one_connection_run_side_by_side(tmp_path: Path) -> None:
    async with served(tmp_path / "s", Asked()):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(wire.line({"id": 1, "do": "hang"}) + wire.line({"id": 2, "do": "echo", "with": {"b": 1}}))
        assert json.loads(await asyncio.wait_for(reader.readline(), 5)) == {"id": 2, "ok": {"b": 1}}
        writer.close()


async def test_a_cluster_that_is_gone_is_told_from_a_slow_one(tmp_path: Path) -> None:
    asked = Asked()
    async with served(tmp_path / "s", asked) as door:
        with pytest.raises(ClusterGoneError, match="within") as slow:
            await client.ask(door, "hang", 0.05)
        assert slow.value.remedy
    with pytest.raises(ClusterGoneError, match="any more") as gone:
        await client.ask(door, "echo")
    assert "start it again" in gone.value.remedy


async def test_a_cluster_that_ends_in_the_middle_of_an_answer_is_gone(tmp_path: Path) -> None:
    asked = Asked()
    async with served(tmp_path / "s", asked) as door:
        hanging = asyncio.create_task(client.ask(door, "hang"))
        await asyncio.wait_for(asked.entered.wait(), 5)
    with pytest.raises(ClusterGoneError):
        await hanging
