"""One TCP connection of a pod: a probe, HTTP or plain bytes, told apart by what the client sends first.

A probe is answered without asyncio's transports: a check opens hundreds of them at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from typing import TYPE_CHECKING

from labs.sandbox.workloads import identity
from labs.sandbox.workloads.http import HttpConnection, Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable

SPEAK_SECONDS = 15.0
"""How long a client may stay silent after it has connected."""

IDLE_SECONDS = 300.0
REST_SECONDS = 0.1
MOST_CONNECTIONS = 1024
"""Connections that one port holds at once; more are closed as they come."""

_METHODS = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"TRACE ")


class PlainConnection(asyncio.Protocol):
    """Bytes that are no HTTP come back as they are, after a line that names the pod (or the image's own answer)."""

    def __init__(self, greeting: bytes, banner: bytes) -> None:
        self._greeting = greeting
        self._banner = banner
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.Protocol`."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows the type that asyncio leaves open
        self._transport = transport
        self._timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, transport.close)
        if not self._banner:
            transport.write(self._greeting)

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of `asyncio.Protocol`."""
        del exc
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`."""
        self._transport.write(self._banner or data)

    def pause_writing(self) -> None:
        """Part of `asyncio.Protocol`."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Part of `asyncio.Protocol`."""
        self._transport.resume_reading()


class StreamServer:
    """A listening socket and its connections.

    Args:
        listener: bound, listening and non-blocking.
        who: the name that answers carry.
        secret: seals the answers to probes.
        respond: makes the HTTP answers.
        web: only HTTP is spoken.
        banner: see `behaviours.Behaviour`.
        log: takes a line for each request.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listener: socket.socket,
        *,
        who: str,
        secret: str,
        respond: Callable[[Request], Response],
        web: bool,
        banner: bytes,
        log: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._who = who
        self._secret = secret
        self._respond = respond
        self._web = web
        self._banner = banner
        self._log = log
        self._silent: dict[int, tuple[socket.socket, str, asyncio.TimerHandle]] = {}
        self._transports: set[asyncio.Transport] = set()
        loop.add_reader(listener.fileno(), self._accept)

    def close(self) -> None:
        """Close the listener and every connection."""
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        for fd in tuple(self._silent):
            self._forget(fd).close()
        for transport in tuple(self._transports):
            transport.abort()
        self._transports.clear()

    def _accept(self) -> None:
        for _ in range(128):
            try:
                made, address = self._listener.accept()
            except OSError as problem:
                if problem.errno in {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}:
                    self._rest()
                return  # else nobody is waiting any more
            made.setblocking(False)
            client = identity.plain_address(str(address[0]))
            if self._first_bytes(made, client):
                continue
            if len(self._silent) + len(self._transports) >= MOST_CONNECTIONS:
                made.close()
                continue
            fd = made.fileno()
            timer = self._loop.call_later(SPEAK_SECONDS, self._give_up, fd)
            self._silent[fd] = (made, client, timer)
            self._loop.add_reader(fd, self._spoke, fd)

    def _rest(self) -> None:
        """No descriptor is left: look again later, instead of being told of the waiting client without end."""
        self._loop.remove_reader(self._listener.fileno())
        self._loop.call_later(REST_SECONDS, self._resume)

    def _resume(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _forget(self, fd: int) -> socket.socket:
        made, _, timer = self._silent.pop(fd)
        timer.cancel()
        self._loop.remove_reader(fd)
        return made

    def _give_up(self, fd: int) -> None:
        self._forget(fd).close()

    def _spoke(self, fd: int) -> None:
        client = self._silent[fd][1]
        made = self._forget(fd)
        if not self._first_bytes(made, client):
            made.close()

    def _first_bytes(self, made: socket.socket, client: str) -> bool:
        """Serve a connection whose client has spoken (or has gone); False when nothing has come yet."""
        try:
            first = made.recv(identity.QUESTION_LENGTH, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            made.close()
            return True
        fresh = identity.read_question(first)
        if fresh:
            with contextlib.suppress(OSError):
                made.recv(identity.QUESTION_LENGTH)
                made.send(identity.answer(self._secret, fresh, self._who, client))
            made.close()
        elif first:
            self._converse(made, client, first)
        else:
            made.close()
        return True

    def _converse(self, made: socket.socket, client: str, first: bytes) -> None:
        peer, here = made.getpeername(), made.getsockname()
        connection: asyncio.Protocol
        if self._web or first.startswith(_METHODS):
            server = (identity.plain_address(here[0]), here[1])
            connection = HttpConnection(self._respond, (client, peer[1]), server, self._log)
        else:
            self._log(f"{client}:{peer[1]} connected")
            connection = PlainConnection(f"{self._who}\n".encode(), self._banner)
        self._loop.create_task(self._hand_over(made, connection))

    async def _hand_over(self, made: socket.socket, connection: asyncio.Protocol) -> None:
        transport, _ = await self._loop.connect_accepted_socket(lambda: connection, made)
        self._transports = {one for one in self._transports if not one.is_closing()}
        self._transports.add(transport)
