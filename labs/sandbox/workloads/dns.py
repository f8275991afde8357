"""The cluster's DNS server: packets in, packets out (RFC 1035, RFC 2308 for what is not there, RFC 6891 for sizes)."""

from __future__ import annotations

import asyncio
import random
import struct
from typing import TYPE_CHECKING, Any

import dnslib

from labs.sandbox.workloads.records import DOMAIN, Records, Srv

if TYPE_CHECKING:
    from collections.abc import Callable

TTL = 30
_SMALLEST_UDP, _LARGEST_UDP, _LARGEST_TCP = 512, 4096, 65535
_LONGEST_CHAIN = 8
_IDLE_SECONDS = 10.0


class Resolver:
    """Answers from `records`, which the owner replaces when the cluster changes; until then it answers SERVFAIL."""

    def __init__(self) -> None:
        self.records: Records | None = None

    def over_udp(self, data: bytes) -> bytes:
        """The answer to a datagram, cut off to what the client takes; empty for what is no query."""
        return self._answer(data, None)

    def over_tcp(self, data: bytes) -> bytes:
        """The answer to a message from a stream; empty for what is no query."""
        return self._answer(data, _LARGEST_TCP)

    def _answer(self, data: bytes, limit: int | None) -> bytes:
        try:
            query = dnslib.DNSRecord.parse(data)
        except (dnslib.DNSError, ValueError, IndexError, struct.error):
            return _format_error(data)
        if query.header.qr:
            return b""
        reply = query.reply(ra=1, aa=0)
        sizes = [one.edns_len for one in query.ar if one.rtype == dnslib.QTYPE.OPT]
        if sizes:
            reply.add_ar(dnslib.EDNS0(udp_len=_LARGEST_UDP))
        if query.header.opcode != dnslib.OPCODE.QUERY:
            reply.header.rcode = dnslib.RCODE.NOTIMP
        elif len(query.questions) != 1:
            reply.header.rcode = dnslib.RCODE.FORMERR
        elif self.records is None:
            reply.header.rcode = dnslib.RCODE.SERVFAIL
        else:
            fill(reply, self.records)
        packed = bytes(reply.pack())
        allowed = limit or min(max([_SMALLEST_UDP, *sizes]), _LARGEST_UDP)
        if len(packed) > allowed:
            # The question stays: resolvers drop an answer without it, cut off or not.
            reply.rr, reply.auth = [], []
            reply.ar = [one for one in reply.ar if one.rtype == dnslib.QTYPE.OPT]
            reply.header.tc = 1
            reply.set_header_qa()
            packed = bytes(reply.pack())
        return packed


def _format_error(data: bytes) -> bytes:
    if len(data) < 12 or data[2] & 0x80:
        return b""
    return data[:2] + bytes([0x80 | data[2] & 0x79, 0x80 | dnslib.RCODE.FORMERR]) + b"\0" * 8


def fill(reply: Any, records: Records) -> None:  # noqa: ANN401 - dnslib has no types
    """Put into a reply what the records have for its question."""
    question = reply.q
    name, kind = str(question.qname), str(dnslib.QTYPE.get(question.qtype, ""))
    if question.qclass not in {dnslib.CLASS.IN, 255}:
        reply.header.rcode = dnslib.RCODE.REFUSED
        return
    found = records.find(name, kind)
    owner = question.qname
    chain = 0
    while found.alias and chain < _LONGEST_CHAIN:
        reply.header.aa = int(found.zone)
        reply.add_answer(_record(owner, "CNAME", found.alias))
        owner, chain = dnslib.DNSLabel(found.alias), chain + 1
        found = records.find(found.alias, kind)
    if not chain:
        reply.header.aa = int(found.zone or found.exists)
    values = list(found.values)
    random.shuffle(values)
    for value in values:
        reply.add_answer(_record(owner, _kind_of(value, kind), value))
        if isinstance(value, Srv):
            for extra in ("A", "AAAA"):
                for address in records.find(value.target, extra).values:
                    reply.add_ar(_record(dnslib.DNSLabel(value.target), extra, address))
    if not found.exists and not chain:
        reply.header.rcode = dnslib.RCODE.NXDOMAIN
    if not values and found.zone:
        reply.add_auth(_authority())


def _kind_of(value: str | Srv, asked: str) -> str:
    if isinstance(value, Srv):
        return "SRV"
    if asked != "ANY":
        return asked
    return "AAAA" if ":" in value else "A"


def _record(owner: Any, kind: str, value: str | Srv) -> Any:  # noqa: ANN401 - dnslib has no types
    if isinstance(value, Srv):
        data = dnslib.SRV(0, 100, value.port, value.target)
    else:
        data = {"A": dnslib.A, "AAAA": dnslib.AAAA, "PTR": dnslib.PTR, "CNAME": dnslib.CNAME}[kind](value)
    return dnslib.RR(owner, getattr(dnslib.QTYPE, kind), rdata=data, ttl=TTL)


def _authority() -> Any:  # noqa: ANN401 - dnslib has no types
    soa = dnslib.SOA(f"ns.dns.{DOMAIN}", f"hostmaster.{DOMAIN}", (1, 7200, 1800, 86400, TTL))
    return dnslib.RR(DOMAIN, dnslib.QTYPE.SOA, rdata=soa, ttl=TTL)


class DnsConnection(asyncio.Protocol):
    """DNS over TCP: messages after their length in two bytes (RFC 7766)."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer
        self._buffer = bytearray()
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.Protocol`."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows the type that asyncio leaves open
        self._transport = transport
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of `asyncio.Protocol`."""
        del exc
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._transport.close)

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`."""
        self._buffer += data
        while len(self._buffer) >= 2:
            length = int.from_bytes(self._buffer[:2], "big")
            if len(self._buffer) < 2 + length:
                break
            answer = self._answer(bytes(self._buffer[2 : 2 + length]))
            del self._buffer[: 2 + length]
            if answer:
                self._transport.write(struct.pack("!H", len(answer)) + answer)
            self._wait()

    def pause_writing(self) -> None:
        """Part of `asyncio.Protocol`."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Part of `asyncio.Protocol`."""
        self._transport.resume_reading()
