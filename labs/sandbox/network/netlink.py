"""Netlink requests as bytes, sent in batches.

Why not a library: namespaces are entered between two awaits (see `netns`), so requests must be synchronous inside the
daemon's running event loop, and pyroute2 since 0.9 refuses that (its synchronous calls run a loop of their own). A lab
of 20 pods is some 400 requests; encoded here and sent many at once they take tens of milliseconds, which is less than
the import of a general library. The tests read back with pyroute2 what this module wrote. Source of the format: man
page netlink 7.
"""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.errors import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labs.sandbox.network.netns import NetworkNamespace

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12

REQUEST = 0x001
ACK = 0x004
EXCLUSIVE = 0x200
REPLACE = 0x100
CREATE = 0x400
APPEND = 0x800

NESTED = 0x8000

_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11
_NLMSG_ERROR = 2
_FLAG_CAPPED = 0x100
_FLAG_ACK_TLVS = 0x200
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_BUFFER = 8 << 20
_RECEIVE_BUFFER = 1 << 20
_LARGEST_BATCH = 64 << 10
_SECONDS = 10.0
"""A kernel that has not acknowledged by then is broken: requests are carried out while they are sent."""


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute: header, payload, padding to four bytes."""
    length = 4 + len(payload)
    return _ATTRIBUTE.pack(length, kind) + payload + b"\0" * (-length % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | NESTED, b"".join(attributes))


def u32(kind: int, value: int) -> bytes:
    """A 32-bit number in the machine's byte order (rtnetlink)."""
    return struct.pack("=HHI", 8, kind, value)


def text(kind: int, value: str) -> bytes:
    """A string with its closing zero."""
    return attribute(kind, value.encode() + b"\0")


@dataclass(frozen=True, slots=True)
class Message:
    """One request: its type, its flags (`REQUEST` is added), its body, and what it does, in words, for errors."""

    kind: int
    flags: int
    body: bytes
    what: str

    def encode(self, sequence: int, extra_flags: int = 0) -> bytes:
        """As the kernel reads it."""
        length = 16 + len(self.body)
        header = _HEADER.pack(length, self.kind, self.flags | REQUEST | extra_flags, sequence, 0)
        return header + self.body + b"\0" * (-length % 4)


def attributes(data: bytes) -> dict[int, bytes]:
    """Attributes by type; of a type that comes twice, the last."""
    found: dict[int, bytes] = {}
    position = 0
    while position + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, position)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[position + 4 : position + length]
        position += (length + 3) & ~3
    return found


@dataclass(frozen=True, slots=True)
class Failure:
    """The kernel's refusal of one request: `errno`, and its own words where it has some."""

    message: Message
    errno: int
    words: str

    def __str__(self) -> str:
        return f"{self.message.what}: {self.words or os.strerror(self.errno)}"


class Netlink:
    """A netlink socket that stays in the namespace that it was opened in."""

    def __init__(self, namespace: NetworkNamespace, protocol: int = NETLINK_ROUTE) -> None:
        self._socket = namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self._socket.settimeout(_SECONDS)
        for force, plain in ((_SO_SNDBUFFORCE, socket.SO_SNDBUF), (_SO_RCVBUFFORCE, socket.SO_RCVBUF)):
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, force, _BUFFER)
            except OSError:  # older kernels ask for the capability outside of the user namespace
                self._socket.setsockopt(socket.SOL_SOCKET, plain, _BUFFER)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        self._socket.bind((0, 0))
        self._sequence = 0

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(_RECEIVE_BUFFER)
        except OSError as problem:
            words = problem.strerror or f"no answer within {_SECONDS:.0f} s"
            raise InfrastructureError(f"the kernel's network configuration does not answer: {words}") from problem

    def request(self, messages: Sequence[Message], *, tolerated: frozenset[int] = frozenset()) -> None:
        """Have all requests carried out in order, each on its own.

        Args:
            messages: the requests. A refused one does not stop those after it.
            tolerated: error numbers that are fine (`errno.ENOENT` when deleting, say).

        Raises:
            InfrastructureError: the kernel refused one, with its words; the first refusal is named.
        """
        failures: list[Failure] = []
        start = 0
        while start < len(messages):
            end, size = start, 0
            while end < len(messages) and (end == start or size + len(messages[end].body) < _LARGEST_BATCH):
                size += len(messages[end].body) + 16
                end += 1
            failures += self._send(messages[start:end])
            start = end
        for failure in failures:
            if failure.errno not in tolerated:
                raise InfrastructureError(
                    str(failure),
                    remedy="`netdojo doctor` shows what this kernel can do",
                )

    def _send(self, batch: Sequence[Message]) -> list[Failure]:
        """Send at once; only the last asks to be acknowledged, refusals are answered anyway."""
        first = self._sequence + 1
        self._sequence += len(batch)
        last = len(batch) - 1
        data = b"".join(m.encode(first + i, ACK if i == last else 0) for i, m in enumerate(batch))
        self._socket.send(data)
        failures = []
        while True:
            for kind, sequence, payload in split(self._receive()):
                if kind != _NLMSG_ERROR or not first <= sequence <= self._sequence:
                    continue
                number, words = refusal(payload)
                if number:
                    failures.append(Failure(batch[sequence - first], number, words))
                if sequence == self._sequence:
                    return failures

    def transact(self, opening: Message, messages: Sequence[Message], closing: Message) -> list[Failure]:
        """Have all requests carried out as a whole, or none of them (nfnetlink); return the refusals.

        Raises:
            InfrastructureError: it is too large for this kernel's buffers.
        """
        first = self._sequence + 1
        self._sequence += len(messages) + 2
        last = len(messages)
        data = [opening.encode(first)]
        # The last request asks to be acknowledged, and not the closing mark, which kernels before 6.10 do not answer.
        data += [m.encode(first + i, ACK if i == last else 0) for i, m in enumerate(messages, start=1)]
        data.append(closing.encode(self._sequence))
        try:
            self._socket.send(b"".join(data))
        except OSError as problem:
            raise InfrastructureError(f"{len(messages)} requests at once: {problem.strerror}") from problem
        failures: list[Failure] = []
        while True:
            for kind, sequence, payload in split(self._receive()):
                index = sequence - first
                if kind != _NLMSG_ERROR or not 0 <= index <= last:
                    continue
                number, words = refusal(payload)
                if number:
                    failures.append(Failure(messages[index - 1] if index else opening, number, words))
                if index in {0, last}:
                    return failures


def split(data: bytes) -> list[tuple[int, int, bytes]]:
    """The messages in what was received: type, sequence number, and all after the header (an error keeps its flags)."""
    found = []
    position = 0
    while position + 16 <= len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, position)
        if length < 16:
            break
        payload = data[position + 16 : position + length]
        if kind == _NLMSG_ERROR:
            payload = struct.pack("=H", flags) + payload
        found.append((kind, sequence, payload))
        position += (length + 3) & ~3
    return found


def refusal(payload: bytes) -> tuple[int, str]:
    """The error number (0: carried out) and the kernel's words, from an acknowledgement as `split` gives it."""
    flags, code = struct.unpack_from("=Hi", payload)
    words = ""
    if flags & _FLAG_ACK_TLVS and flags & _FLAG_CAPPED:
        # An acknowledgement repeats the request's header, then may say more in attributes; 1 is the message.
        words = attributes(payload[6 + 16 :]).get(1, b"").rstrip(b"\0").decode(errors="replace")
    return -code, words
