"""SCTP's INIT and INIT ACK in raw packets, for kernels without SCTP sockets (RFC 9260).

An association is never completed: INIT answered by INIT ACK shows that packets pass and that the port is served, and
firewalls judge the INIT. The question and the sealed answer travel in a parameter whose number tells other stacks to
skip it (section 3.2.1: highest bits 10). Where the kernel has SCTP sockets they are used instead, and none of this.
"""

from __future__ import annotations

import functools
import secrets
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labs.sandbox.workloads import identity
from labs.sandbox.workloads.raw import payload_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

IPPROTO_SCTP = 132
INIT, INIT_ACK, ABORT = 1, 2, 6
_COOKIE, _PROBE = 7, 0xBF4E


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)  # noqa: PLW2901 - the table's definition
        table.append(value)
    return tuple(table)


_CRC = _crc_table()


def crc32c(data: bytes) -> int:
    """The checksum of RFC 9260 appendix A."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet of one chunk, of those that matter here.

    Attributes:
        source: source port.
        destination: destination port.
        tag: the verification tag, which the receiver chose.
        chunk: INIT, INIT_ACK or ABORT.
        initiate: the tag that INIT and INIT ACK announce.
        text: the question or the answer.
    """

    source: int
    destination: int
    tag: int
    chunk: int
    initiate: int = 0
    text: bytes = b""

    def pack(self) -> bytes:
        """The packet's bytes, checksum included."""
        body = b""
        if self.chunk != ABORT:
            body = struct.pack("!IIHHI", self.initiate, 65536, 1, 1, self.initiate)
            if self.chunk == INIT_ACK:
                body += _parameter(_COOKIE, b"netdojo!")
            body += _parameter(_PROBE, self.text) if self.text else b""
        chunk = struct.pack("!BBH", self.chunk, 0, 4 + len(body)) + body
        chunk += b"\0" * (-len(chunk) % 4)
        head = struct.pack("!HHI", self.source, self.destination, self.tag)
        checksum = struct.pack("<I", crc32c(head + b"\0\0\0\0" + chunk))
        return head + checksum + chunk


def _parameter(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, 4 + len(value)) + value + b"\0" * (-len(value) % 4)


def unpack(data: bytes) -> Packet | None:
    """The packet, or None when it is broken or of another kind."""
    if len(data) < 16 or struct.unpack_from("<I", data, 8)[0] != crc32c(data[:8] + b"\0\0\0\0" + data[12:]):
        return None
    source, destination, tag = struct.unpack_from("!HHI", data)
    chunk, length = data[12], struct.unpack_from("!H", data, 14)[0]
    if chunk == ABORT:
        return Packet(source, destination, tag, chunk)
    if chunk not in {INIT, INIT_ACK} or length < 20 or len(data) < 12 + length:
        return None
    at, end, text = 32, 12 + length, b""
    while at + 4 <= end:
        kind, size = struct.unpack_from("!HH", data, at)
        if size < 4:
            return None
        if kind == _PROBE:
            text = data[at + 4 : min(at + size, end)]
        at += size + -size % 4
    return Packet(source, destination, tag, chunk, struct.unpack_from("!I", data, 16)[0], text)


def reply_to(packet: Packet, served: Callable[[int], bool], secret: str, who: str, client: str) -> Packet | None:
    """INIT ACK for an INIT to a served port, ABORT for another port; None for what needs no answer (section 8.4)."""
    if packet.chunk != INIT or packet.tag != 0 or packet.initiate == 0:
        return None
    if not served(packet.destination):
        return Packet(packet.destination, packet.source, packet.initiate, ABORT)
    fresh = identity.read_question(packet.text)
    text = identity.answer(secret, fresh, who, client) if fresh else b""
    tag = secrets.randbits(31) + 1
    return Packet(packet.destination, packet.source, packet.initiate, INIT_ACK, tag, text)


@functools.cache
def in_kernel() -> bool:
    """Tell whether the kernel has SCTP sockets (it loads its module for this question, where it has one)."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_SCTP).close()
    except OSError:
        return False
    return True


class Responder:
    """A raw socket of one family that answers for the SCTP ports of a pod, and refuses others if it shall."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        raw: socket.socket,
        ports: frozenset[int],
        who: str,
        secret: str,
        *,
        refuse: bool,
    ) -> None:
        self._loop = loop
        self._refuse = refuse
        self._socket = raw
        self._ports = ports
        self._who = who
        self._secret = secret
        loop.add_reader(raw.fileno(), self._ready)

    def close(self) -> None:
        """Stop answering."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _ready(self) -> None:
        for _ in range(128):
            try:
                data, sender = self._socket.recvfrom(65535)
                packet = unpack(payload_of(self._socket.family, data))
                client = identity.plain_address(sender[0])
                reply = packet and reply_to(packet, self._ports.__contains__, self._secret, self._who, client)
                if reply and (reply.chunk != ABORT or self._refuse):
                    self._socket.sendto(reply.pack(), (sender[0], 0))
            except BlockingIOError:
                return
            except OSError:  # no way back to that client
                continue
