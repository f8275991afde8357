"""Start a daemon, narrate its progress, and let it go once it is ready.

The daemon reads its order from standard input and keeps reading: if the starter vanishes before it said `keep`, the
end of that pipe makes the daemon go away by itself. A transient cluster is never told `keep` but `hold`: its pipe stays
open for as long as this process lives, or until `release`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from grader.errors import InfrastructureError
from labs import store
from labs.sandbox import state, wire

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Callable
    from pathlib import Path

    from labs.base import Request

KEEP, HOLD = b"keep\n", b"hold\n"
_held: dict[Path, int] = {}
"""The pipes that keep transient clusters alive, by folder."""
_LIMIT = 60.0
"""Seconds from the order to ready, on the slowest machine that is worth waiting for."""


_PATIENCE = 5.0
"""Seconds that an unwanted daemon has to go away."""


async def spawn(request: Request, folder: Path, progress: Callable[[str], None], *, dataplane: str, port: int) -> None:
    """Start the daemon of a folder and return when it is ready; ends it when this is cancelled.

    Raises:
        NetdojoError: what the daemon raised while it was starting.
        InfrastructureError: it could not be started, or did not become ready in time.
    """
    order = {
        "name": request.name,
        "nodes": request.topology.nodes,
        "families": [4 if family == "ipv4" else 6 for family in request.topology.families],
        "objects": list(request.objects),
        "hosts": list(request.hosts),
        "namespace": request.namespace,
        "dataplane": dataplane,
        "port": port,
        "transient": request.transient,
    }
    with store.explained("write", folder / state.LOG):
        fd = os.open(folder / state.LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # the working folder is no place to import from
            "-m",
            "labs.sandbox.daemon",
            str(folder),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=fd,
            cwd="/" if sys.platform != "win32" else None,
            start_new_session=True,
            limit=wire.REQUEST_LIMIT,
        )
    finally:
        os.close(fd)
    try:
        await _follow(process, wire.line(order), folder, progress)
        await _keep(process, folder if request.transient else None)
    finally:
        await _let_go(process)


def release(folder: Path) -> None:
    """Hold a transient cluster no longer; any other folder is fine."""
    fd = _held.pop(folder, None)
    if fd is not None:
        os.close(fd)


async def _keep(process: Process, held: Path | None) -> None:
    """Tell a daemon that is ready that it is wanted: for good, or (with its folder) while its pipe is open."""
    assert process.stdin is not None  # noqa: S101 - it was asked for as a pipe
    if held is not None:
        release(held)
        _held[held] = os.dup(process.stdin.transport.get_extra_info("pipe").fileno())
    process.stdin.write(HOLD if held is not None else KEEP)
    try:
        await process.stdin.drain()
    except ConnectionError as error:
        raise InfrastructureError("the cluster's process ended as soon as it was ready", remedy="try again") from error


async def _follow(process: Process, order: bytes, folder: Path, progress: Callable[[str], None]) -> None:
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - both were asked for as pipes
    try:
        async with asyncio.timeout(_LIMIT):
            with contextlib.suppress(ConnectionError):  # one that died at once says why below
                process.stdin.write(order)
                await process.stdin.drain()
            while raw := await process.stdout.readline():
                said: dict[str, Any] = json.loads(raw)
                if "error" in said:
                    raise wire.unpack_error(said["error"])
                if "ready" in said:
                    return
                progress(str(said.get("say", "")))
    except TimeoutError:
        raise InfrastructureError(
            f"the cluster was not ready after {_LIMIT:.0f} s",
            remedy="the machine may be overloaded: try again, or with fewer pods",
        ) from None
    except (ValueError, ConnectionError) as error:
        raise _failed(folder) from error
    raise _failed(folder)


def _failed(folder: Path) -> InfrastructureError:
    """The daemon ended without a word; its log has the last ones."""
    try:
        last = (folder / state.LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    except OSError:
        last = []
    words = f": {last[0]}" if last else ""
    return InfrastructureError(
        f"the cluster's process ended while it was starting{words}",
        remedy="try again; netdojo doctor says what this machine lacks",
    )


async def _let_go(process: Process) -> None:
    """Close the pipes and reap what has ended; a daemon that was not told to keep on ends by itself."""
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - both were asked for as pipes
    process.stdin.close()
    try:
        async with asyncio.timeout(_PATIENCE):
            while await process.stdout.read(1 << 16):
                pass  # its last words; the end comes when it has ended, or when it goes on without this pipe
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
