"""One TCP connection of a pod: a probe, HTTP or plain bytes, told apart by what the client sends first.

A probe is answered without asyncio's transports: a check opens hundreds of them at once.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import TYPE_CHECKING

from labs.sandbox.workloads import identity

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    Talk = Callable[[bytes, tuple[str, int], tuple[str, int]], asyncio.Protocol]

SPEAK_SECONDS = 15.0
"""How long a client may stay silent after it has connected."""

REST_SECONDS = 0.1
MOST_CONNECTIONS = 1024
"""Connections that one port holds at once; more are closed as they come."""


class StreamServer:
    """A listening socket and its connections.

    Args:
        listener: bound, listening and non-blocking.
        who: the name that answers carry.
        secret: seals the answers to probes.
        talk: makes the protocol for a connection that is no probe, from the first bytes and both ends.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listener: socket.socket,
        *,
        who: str,
        secret: str,
        talk: Talk,
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._who = who
        self._secret = secret
        self._talk = talk
        self._silent: dict[int, tuple[socket.socket, str, asyncio.TimerHandle]] = {}
        self._transports: set[asyncio.Transport] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        loop.add_reader(listener.fileno(), self._accept)

    def close(self) -> None:
        """Close the listener and every connection."""
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        for fd in tuple(self._silent):
            self._forget(fd).close()
        for task in self._tasks:
            task.cancel()
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
        try:
            peer, here = made.getpeername(), made.getsockname()
        except OSError:  # it has gone
            made.close()
            return
        connection = self._talk(first, (client, peer[1]), (identity.plain_address(here[0]), here[1]))
        task = self._loop.create_task(self._hand_over(made, connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hand_over(self, made: socket.socket, connection: asyncio.Protocol) -> None:
        try:
            transport, _ = await self._loop.connect_accepted_socket(lambda: connection, made)
        except OSError:  # it has gone
            made.close()
            return
        self._transports = {one for one in self._transports if not one.is_closing()}
        self._transports.add(transport)
