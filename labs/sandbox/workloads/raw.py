"""What raw sockets deliver."""

from __future__ import annotations

import socket


def payload_of(family: int, received: bytes) -> bytes:
    """What came without the IPv4 header, which only IPv4's raw sockets deliver (man page raw 7)."""
    return received[(received[0] & 0x0F) * 4 :] if family == socket.AF_INET and received else received
