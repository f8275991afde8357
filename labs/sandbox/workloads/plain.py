"""A TCP connection on which something other than HTTP is spoken."""

from __future__ import annotations

import asyncio

IDLE_SECONDS = 300.0


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
