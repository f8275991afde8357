"""A pod's UDP port."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from labs.sandbox.workloads import identity

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable


class DatagramServer:
    """A bound UDP socket; `reply` gets each datagram with its sender and makes the answer (empty: none)."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        bound: socket.socket,
        reply: Callable[[bytes, str, int], bytes],
    ) -> None:
        self._loop = loop
        self._socket = bound
        self._reply = reply
        loop.add_reader(bound.fileno(), self._ready)

    def close(self) -> None:
        """Stop answering."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _ready(self) -> None:
        for _ in range(128):
            try:
                data, sender = self._socket.recvfrom(65535)
            except BlockingIOError:
                return
            except OSError:  # an earlier answer found its client gone
                continue
            answer = self._reply(data, identity.plain_address(sender[0]), sender[1])
            if answer:
                with contextlib.suppress(OSError):  # the way back is closed: for a datagram that is silence
                    self._socket.sendto(answer, sender)
