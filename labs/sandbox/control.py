"""The control protocol's server: one JSON object a line (see `labs.sandbox.wire`).

Requests of one connection run side by side; a client that goes away takes its own requests with it and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

from content.errors import UsageError
from labs.sandbox import wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from pathlib import Path

_log = logging.getLogger("netdojo.control")
_LONGEST_PATH = 100  # sun_path has 108 bytes on Linux and 104 elsewhere


def has_unix_sockets(path: Path) -> bool:
    """Tell whether a Unix socket can be had at this path: elsewhere the door is a port with a token."""
    return os.name == "posix" and (sys.platform == "linux" or len(os.fsencode(path)) <= _LONGEST_PATH)


def bind(path: Path) -> socket.socket:
    """A bound Unix socket that only its owner may open; one that is in the way (of a dead process) is replaced.

    A path may be longer than a socket address: then it goes through the folder's descriptor (Linux).

    Raises:
        OSError: the system refuses.
    """
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_path(path) as short:
            before = os.umask(0o177)
            try:
                made.bind(short)
            finally:
                os.umask(before)
    except BaseException:
        made.close()
        raise
    return made


@contextlib.contextmanager
def short_path(path: Path) -> Iterator[str]:
    """A name of the path that fits a socket address, for as long as the block lasts."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield str(path)
        return
    fd = os.open(path.parent, os.O_PATH | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{path.name}"
    finally:
        os.close(fd)


class ControlServer:
    """Serves operations by name.

    Args:
        operations: what can be asked; each takes the request's `with` and returns JSON.
        token: what every request must carry, when not empty.
    """

    def __init__(self, operations: Mapping[str, Callable[[dict[str, Any]], Awaitable[Any]]], token: str = "") -> None:
        self._operations = operations
        self._token = token
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def serve(self, sock: socket.socket) -> None:
        """Answer on a bound socket until `close`."""
        self._server = await asyncio.start_server(self._accept, sock=sock, limit=wire.REQUEST_LIMIT)

    async def close(self) -> None:
        """Stop answering."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None  # noqa: S101 - the streams call this in a task of its own
        self._connections.add(connection)
        under_way: set[asyncio.Task[None]] = set()
        try:
            while raw := await reader.readline():
                request = json.loads(raw)
                task = asyncio.create_task(self._answer(request, writer))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
        except (
            ValueError,
            RecursionError,
            OSError,
        ) as error:
            # Too long, no JSON, too deep, or gone: this client is not worth another line.
            _log.debug("a control connection ended: %s", error)
        except asyncio.CancelledError:
            pass  # the server closes
        finally:
            self._connections.discard(connection)
            for task in tuple(under_way):
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
            writer.close()

    async def _answer(self, request: Any, writer: asyncio.StreamWriter) -> None:  # noqa: ANN401 - any JSON
        number = request.get("id") if isinstance(request, dict) else None
        try:
            answer = {"id": number, "ok": await self._perform(request)}
        except Exception as error:  # noqa: BLE001 - every failure is an answer
            packed = wire.pack_error(error)
            if packed.get("message", "").startswith(wire.FAILED):
                _log.exception("control request %r failed", number)
            answer = {"id": number, "error": packed}
        with contextlib.suppress(OSError):
            writer.write(wire.line(answer))
            await writer.drain()

    async def _perform(self, request: Any) -> Any:  # noqa: ANN401 - any JSON
        if not isinstance(request, dict) or not isinstance(request.get("with", {}), dict):
            raise UsageError("a control request is a JSON object")
        if self._token and not hmac.compare_digest(str(request.get("token", "")), self._token):
            raise UsageError("this control request carries no valid token")
        operation = self._operations.get(str(request.get("do")))
        if operation is None:
            raise UsageError(f"no such control request: {request.get('do')!r}")
        return await operation(request.get("with", {}))
