"""Echo requests and replies by raw sockets, which a namespace's owner may always open (RFC 792, RFC 4443)."""

from __future__ import annotations

import itertools
import socket
import struct
from typing import TYPE_CHECKING

from grader.ports import Outcome
from labs.sandbox.probing.attempt import DatagramAttempt, Result
from labs.sandbox.workloads.raw import payload_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_REQUEST = {socket.AF_INET: 8, socket.AF_INET6: 128}
_REPLY = {socket.AF_INET: 0, socket.AF_INET6: 129}
_PROTOCOL = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}
_numbers: Iterator[int] = itertools.count(1)


class EchoAttempt(DatagramAttempt):
    """A ping. Nobody's name is in the answer: the kernel gives it."""

    __slots__ = ("_number",)

    def open(self) -> None:
        """See `Attempt`."""
        self._make(socket.SOCK_RAW, _PROTOCOL[self.family])

    def begin(self) -> Result | None:
        """See `Attempt`."""
        self._number = next(_numbers)
        return self._ask(0, echo_request(self.family, self._number, self.fresh.encode()))

    def _read(self, data: bytes) -> Result | None:
        message = payload_of(self.family, data)
        expected = struct.pack("!HH", *_identity(self._number)) + self.fresh.encode()
        if message[:1] != bytes([_REPLY[self.family]]) or message[4:] != expected:
            return None  # another probe's: a raw socket hears everything from that address
        return Result(Outcome.OPEN)


def _identity(number: int) -> tuple[int, int]:
    """Identifier and sequence number, with a fresh identifier each.

    Connection tracking knows a ping by its identifier alone: a shared one would let a denied ping pass as part of one
    that was allowed before.
    """
    return number & 0xFFFF, (number >> 16) & 0xFFFF


def echo_request(family: int, number: int, data: bytes) -> bytes:
    """An echo request; the kernel fills in the checksum for IPv6, which covers addresses it has yet to choose."""
    head = struct.pack("!BBHHH", _REQUEST[socket.AddressFamily(family)], 0, 0, *_identity(number))
    if family == socket.AF_INET6:
        return head + data
    return head[:2] + struct.pack("!H", internet_checksum(head + data)) + head[4:] + data


def internet_checksum(data: bytes) -> int:
    """The sum of RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
