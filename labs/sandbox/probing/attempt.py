"""One try of one probe as a small state machine: `start` in the source's namespace, then `ready` for each event."""

from __future__ import annotations

import select
import socket
import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.ports import Outcome
from labs.sandbox.probing.errors import AGAIN, SILENT, outcome_of
from labs.sandbox.workloads import identity

if TYPE_CHECKING:
    from collections.abc import Sequence

# IP_RECVERR and IPV6_RECVERR of the man pages ip 7 and ipv6 7; the socket module does not name them before Python 3.14.
_ERRORS = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
_RESET = struct.pack("ii", 1, 0)
IN = select.EPOLLIN
OUT = select.EPOLLOUT


@dataclass(frozen=True, slots=True)
class Result:
    """What an attempt came to. `verified` tells whether a server of this lab sealed the answer."""

    outcome: Outcome
    who: str = ""
    seen_as: str = ""
    detail: str = ""
    verified: bool = True


UNANSWERED = Result(Outcome.OPEN, verified=False, detail="connected, but nobody answered")


class Attempt(ABC):
    """One try. `reached` is True once the far side is known to be there, so that silence is no denial any more."""

    __slots__ = ("address", "family", "fresh", "port", "reached", "secret", "socket")

    socket: socket.socket

    def __init__(self, address: str, port: int, secret: str) -> None:
        self.address = address
        self.family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.port = port
        self.secret = secret
        self.fresh = identity.nonce()
        self.reached = False

    @abstractmethod
    def open(self) -> None:
        """Make the socket; called inside the source's namespace.

        Raises:
            OSError: as the kernel says.
        """

    @abstractmethod
    def begin(self) -> Result | None:
        """Send the first packet; a result when the kernel knows at once."""

    @abstractmethod
    def ready(self, events: int) -> Result | None:
        """Take an event; None when more must come."""

    @property
    @abstractmethod
    def interest(self) -> int:
        """The events to wait for now."""

    def close(self) -> None:
        """Let go of the socket."""
        self.socket.close()

    def _make(self, kind: int, protocol: int = 0) -> None:
        self.socket = socket.socket(self.family, kind | socket.SOCK_NONBLOCK, protocol)

    def _connect(self, port: int) -> Result | None:
        return failure(self.socket.connect_ex((self.address, port)))

    def _answer(self, data: bytes) -> Result:
        told = identity.read_answer(self.secret, self.fresh, data)
        if told is None:
            return Result(Outcome.OPEN, verified=False, detail="unverified answer")
        return Result(Outcome.OPEN, told.who, told.client)


def failure(number: int) -> Result | None:
    """The result that an error number means; None for none, for "not yet" and for what counts as silence."""
    if number == 0 or number in AGAIN or number in SILENT:
        return None
    outcome, detail = outcome_of(number)
    return Result(outcome, detail=detail)


class StreamAttempt(Attempt):
    """TCP (or SCTP where the kernel has its sockets): connect, ask, read who answers."""

    __slots__ = ("_asked", "protocol")

    def __init__(self, address: str, port: int, secret: str, protocol: int = 0) -> None:
        super().__init__(address, port, secret)
        self.protocol = protocol
        self._asked = False

    def open(self) -> None:
        """See `Attempt`."""
        self._make(socket.SOCK_STREAM, self.protocol)

    def begin(self) -> Result | None:
        """See `Attempt`. An ICMP error that came while `connect` still held the socket is kept as a soft error."""
        return self._connect(self.port) or failure(self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    @property
    def interest(self) -> int:
        """See `Attempt`."""
        return IN if self._asked else OUT

    def ready(self, events: int) -> Result | None:
        """See `Attempt`."""
        del events
        try:
            if not self._asked:
                number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if number:
                    return failure(number)
                self.reached = True
                self.socket.send(identity.question(self.fresh))
                self._asked = True
                return None
            data = self.socket.recv(identity.LONGEST_ANSWER)
        except OSError as problem:
            if problem.errno in AGAIN:
                return None
            return UNANSWERED if self.reached else failure(problem.errno or 0)
        return self._answer(data) if data else UNANSWERED

    def close(self) -> None:
        """Reset the connection: nothing is kept waiting for it to die (RFC 9293: TIME-WAIT), so ports never run out."""
        if self.reached:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.socket.close()


class DatagramAttempt(Attempt):
    """UDP: ask, read who answers; a port unreachable comes as ECONNREFUSED because the socket is connected."""

    __slots__ = ()

    def open(self) -> None:
        """See `Attempt`."""
        self._make(socket.SOCK_DGRAM)

    def begin(self) -> Result | None:
        """See `Attempt`."""
        return self._ask(self.port, identity.question(self.fresh))

    def _ask(self, port: int, packet: bytes) -> Result | None:
        """Connect and send, and be told of every ICMP error: else Linux keeps "no route" from datagram sockets.

        In this order: a raw socket that is not connected yet would be told of everybody's errors.
        """
        result = self._connect(port)
        if result is not None:
            return result
        level, option = _ERRORS[self.family]
        try:
            self.socket.setsockopt(level, option, 1)
            self.socket.send(packet)
        except OSError as problem:
            return failure(problem.errno or 0)
        return None

    @property
    def interest(self) -> int:
        """See `Attempt`."""
        return IN

    def ready(self, events: int) -> Result | None:
        """See `Attempt`."""
        del events
        try:
            return self._read(self.socket.recv(65535))
        except OSError as problem:
            return failure(problem.errno or 0)

    def _read(self, data: bytes) -> Result | None:
        return self._answer(data)


def address_of(addresses: Sequence[str], family: int) -> str:
    """The first address of a family (4 or 6), or an empty string."""
    return next((one for one in addresses if (":" in one) == (family == 6)), "")
