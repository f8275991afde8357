"""nftables expressions as bytes.

Numbers are those of `linux/netfilter/nf_tables.h`; all numbers travel in network byte order.
"""

from __future__ import annotations

import functools
import struct

from labs.sandbox.network.netlink import attribute, nested

VERDICT_REGISTER = 0
REGISTERS = {4: 9, 6: 12}
"""After an address of that version in registers from `FIRST` on, the register for what follows."""
FIRST = 8
"""The first 32-bit register."""

DROP, ACCEPT, JUMP, GOTO = 0, 1, 0xFFFFFFFD, 0xFFFFFFFC
EQUAL = 0

META_MARK, META_INPUT, META_OUTPUT, META_FAMILY, META_PROTOCOL = 3, 6, 7, 15, 16
NETWORK_HEADER, TRANSPORT_HEADER = 1, 2


def number(kind: int, value: int) -> bytes:
    """A 32-bit number."""
    return struct.pack("=HH", 8, kind) + value.to_bytes(4, "big")


def data(kind: int, value: bytes) -> bytes:
    """A value, as a nested attribute."""
    return nested(kind, attribute(1, value))


def expression(name: str, *attributes: bytes) -> bytes:
    """One expression as an element of a rule's list."""
    return nested(1, attribute(1, name.encode() + b"\0"), nested(2, *attributes))


@functools.cache
def meta(key: int) -> bytes:
    """Load a fact about the packet."""
    return expression("meta", number(2, key), number(1, FIRST))


def set_mark(value: int) -> bytes:
    """Set the packet's mark."""
    return load(FIRST, struct.pack("=I", value)) + expression("meta", number(2, META_MARK), number(3, FIRST))


@functools.cache
def payload(header: int, offset: int, length: int, register: int = FIRST) -> bytes:
    """Load bytes of a header."""
    return expression("payload", number(1, register), number(2, header), number(3, offset), number(4, length))


@functools.cache
def equals(value: bytes) -> bytes:
    """Go on only if what was loaded is, or begins with, this."""
    return expression("cmp", number(1, FIRST), number(2, EQUAL), data(3, value))


@functools.cache
def between(first: bytes, last: bytes) -> bytes:
    """Go on only if what was loaded lies in this range."""
    return expression("range", number(1, FIRST), number(2, EQUAL), data(3, first), data(4, last))


@functools.cache
def masked(mask: bytes) -> bytes:
    """Keep only these bits of what was loaded."""
    length = len(mask)
    return expression(
        "bitwise", number(1, FIRST), number(2, FIRST), number(3, length), data(4, mask), data(5, bytes(length))
    )


@functools.cache
def is_not(value: bytes) -> bytes:
    """Go on only if what was loaded is not this."""
    return expression("cmp", number(1, FIRST), number(2, 1), data(3, value))


@functools.cache
def connection_state() -> bytes:
    """Load the flow's state as bits."""
    return expression("ct", number(2, 0), number(1, FIRST))


@functools.cache
def destination_type() -> bytes:
    """Load what kind of address the destination is (local, unicast, …)."""
    by_destination, address_type = 2, 3
    return expression("fib", number(1, FIRST), number(2, address_type), number(3, by_destination))


@functools.cache
def way_back() -> bytes:
    """Load 1 if a route to the source leads over the link that the packet came in by, else 0."""
    by_source, over_the_link, only_whether, link = 1, 8, 32, 1
    flags = by_source | over_the_link | only_whether
    return expression("fib", number(1, FIRST), number(2, link), number(3, flags))


def lookup(name: str, identity: int, *, into: int | None = None) -> bytes:
    """Go on only if the set has what was loaded; `into`: load what the map says about it."""
    found = b"" if into is None else number(3, into)
    return expression("lookup", attribute(1, name.encode() + b"\0"), number(2, FIRST), found, number(4, identity))


@functools.cache
def random_below(modulus: int) -> bytes:
    """Load a random number from 0 to below `modulus`."""
    return expression("numgen", number(1, FIRST), number(2, modulus), number(3, 1), number(4, 0))


def load(register: int, value: bytes) -> bytes:
    """Load a value."""
    return expression("immediate", number(1, register), data(2, value))


@functools.cache
def verdict(code: int, chain: str = "") -> bytes:
    """Decide: `ACCEPT`, `DROP`, or go to a chain."""
    target = attribute(2, chain.encode() + b"\0") if chain else b""
    return expression("immediate", number(1, VERDICT_REGISTER), nested(2, nested(2, number(1, code), target)))


@functools.cache
def counter() -> bytes:
    """Count packets and bytes that come here."""
    return expression("counter")


@functools.cache
def reject(*, reset: bool) -> bytes:
    """Refuse with a TCP reset, or with ICMP "port unreachable" in the packet's own family."""
    if reset:
        return expression("reject", number(1, 1))
    by_family, port_unreachable = 2, 1
    return expression("reject", number(1, by_family), attribute(2, bytes([port_unreachable])))


@functools.cache
def masquerade() -> bytes:
    """Translate the source to the machine's own address."""
    return expression("masq")


@functools.cache
def translate_destination(version: int) -> bytes:
    """Translate the destination to the address and port that were loaded."""
    family = {4: 2, 6: 10}[version]
    return expression("nat", number(1, 1), number(2, family), number(3, FIRST), number(5, REGISTERS[version]))
