"""SCTP probes by raw packets: INIT out, INIT ACK or ABORT back."""

from __future__ import annotations

import contextlib
import secrets
import socket

from grader.ports import Outcome
from labs.sandbox.probing.attempt import DatagramAttempt, Result
from labs.sandbox.workloads import identity, sctp
from labs.sandbox.workloads.raw import payload_of


class InitAttempt(DatagramAttempt):
    """One INIT; an INIT ACK is answered by ABORT so that nobody keeps state."""

    __slots__ = ("_source", "_tag")

    def open(self) -> None:
        """See `Attempt`."""
        self._make(socket.SOCK_RAW, sctp.IPPROTO_SCTP)

    def begin(self) -> Result | None:
        """See `Attempt`."""
        self._source = 32768 + secrets.randbelow(28232)  # Linux' own range for outgoing ports
        self._tag = secrets.randbits(31) + 1
        text = identity.question(self.fresh)
        packet = sctp.Packet(self._source, self.port, 0, sctp.INIT, self._tag, text)
        return self._ask(0, packet.pack())

    def _read(self, data: bytes) -> Result | None:
        packet = sctp.unpack(payload_of(self.family, data))
        if packet is None or (packet.source, packet.destination, packet.tag) != (self.port, self._source, self._tag):
            return None  # another probe's: a raw socket hears everything from that address
        if packet.chunk == sctp.ABORT:
            return Result(Outcome.REFUSED, detail="ABORT")
        if packet.chunk != sctp.INIT_ACK:
            return None
        with contextlib.suppress(OSError):
            self.socket.send(sctp.Packet(self._source, self.port, packet.initiate, sctp.ABORT).pack())
        return self._answer(packet.text)
