"""The control protocol's client, and the port `grader.ports.Cluster` over it. Each request has its own connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.errors import ClusterGoneError
from grader.ports import Capabilities, Execution, Manifest, Observation, Probe
from labs.sandbox import wire
from labs.sandbox.control import short_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from labs.sandbox.wire import Door

_QUICK, _LONG = 10.0, 120.0


async def ask(door: Door, do: str, seconds: float = _QUICK, **arguments: Any) -> Any:  # noqa: ANN401 - any JSON
    """Ask a daemon one thing, and return its answer.

    Args:
        door: where it is asked.
        do: the operation.
        seconds: how long an answer may take.
        arguments: what the operation takes.

    Raises:
        ClusterGoneError: nobody answers (in time).
        NetdojoError: what the daemon raised.
    """
    try:
        async with asyncio.timeout(seconds):
            raw = await _exchange(door, wire.line({"id": 1, "do": do, "with": arguments, "token": door.token}))
    except TimeoutError:
        raise ClusterGoneError(
            f"the cluster did not answer within {seconds:.0f} s ({do})",
            remedy="stop it and start it again; if the machine is very busy, try once more",
        ) from None
    except (OSError, asyncio.IncompleteReadError, ValueError) as error:
        raise gone(str(error)) from error
    answer = json.loads(raw) if raw.endswith(b"\n") else None
    if not isinstance(answer, dict):
        raise gone("it ended in the middle of an answer")
    if "error" in answer:
        raise wire.unpack_error(answer["error"])
    return answer.get("ok")


def gone(detail: str, name: str = "") -> ClusterGoneError:
    """The error of a cluster that does not answer any more."""
    return ClusterGoneError(
        f"the cluster {name or 'that was here'} does not answer any more ({detail})",
        remedy="start it again: its objects begin anew, your own files are untouched",
    )


async def _exchange(door: Door, request: bytes) -> bytes:
    kind, _, where = door.address.partition(":")
    if kind == "unix":
        with short_path(Path(where)) as short:
            reader, writer = await asyncio.open_unix_connection(short, limit=wire.ANSWER_LIMIT)
    else:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(where), limit=wire.ANSWER_LIMIT)
    try:
        writer.write(request)
        await writer.drain()
        return await reader.readline()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


class SandboxCluster:
    """A running sandbox; see `grader.ports.Cluster` for what each method returns and raises."""

    def __init__(self, door: Door, capabilities: Capabilities) -> None:
        self._door = door
        self._capabilities = capabilities

    @property
    def capabilities(self) -> Capabilities:
        """What it can do, as it said when it was connected to."""
        return self._capabilities

    async def snapshot(self) -> tuple[Manifest, ...]:
        """Every object that decides traffic, as it is now."""
        return tuple(await ask(self._door, "snapshot", _LONG))

    async def version(self) -> str:
        """The resource version of the newest change."""
        return str(await ask(self._door, "version"))

    async def probe(self, probes: Sequence[Probe]) -> tuple[Observation, ...]:
        """Make all probes."""
        packed = await ask(self._door, "probe", _LONG + len(probes) / 100, probes=wire.pack_probes(probes))
        return wire.unpack_observations(probes, packed)

    async def prove_enforcement(self) -> None:
        """Show that a policy stops a packet here."""
        await ask(self._door, "prove_enforcement", _LONG)

    async def apply(self, objects: Iterable[Manifest]) -> None:
        """Create or update, and return when it is enforced."""
        await ask(self._door, "apply", _LONG, objects=list(objects))

    async def delete(self, objects: Iterable[Manifest]) -> None:
        """Delete, and return when it is no longer enforced."""
        await ask(self._door, "delete", _LONG, objects=list(objects))

    async def exec(self, pod: str, argv: Sequence[str], *, stdin: str = "", seconds: float = 30.0) -> Execution:
        """Run a command inside a pod."""
        done = await ask(self._door, "exec", seconds + _QUICK, pod=pod, argv=list(argv), stdin=stdin, limit=seconds)
        return Execution(done["code"], done["stdout"], done["stderr"])
