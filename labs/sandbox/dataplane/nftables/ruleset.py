"""Tables, chains and rules as plain data: what the compilers say and what `encode` writes.

A rule's action is taken when all of its matches hold. Rules of IPv4 and of IPv6 live in one table (`inet`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labs.sandbox.dataplane.nftables.ranges import Ranges

PROTOCOLS = {"ICMP": 1, "TCP": 6, "UDP": 17, "ICMPv6": 58, "SCTP": 132}
"""IANA protocol numbers."""

Backend = tuple[int, int]
"""An address as a number, and a port."""


class Place(IntEnum):
    """Where in a packet's way a chain is called (linux/netfilter.h)."""

    PREROUTING = 0
    INPUT = 1
    FORWARD = 2
    OUTPUT = 3
    POSTROUTING = 4


class Side(StrEnum):
    """Which end of a packet a match looks at."""

    SOURCE = "source"
    DESTINATION = "destination"


# ---- matches


@dataclass(frozen=True, slots=True)
class Interface:
    """The link a packet came in by (`SOURCE`) or goes out by; `prefix`: every link whose name starts so."""

    side: Side
    name: str
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Family:
    """IP version 4 or 6."""

    version: int


@dataclass(frozen=True, slots=True)
class Protocol:
    """The protocol's number."""

    number: int


@dataclass(frozen=True, slots=True)
class Addresses:
    """An address in one of the ranges. Needs `Family` before it."""

    side: Side
    version: int
    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Ports:
    """A destination port in one of the ranges. Needs `Protocol` before it."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class AddressPorts:
    """A destination's address and port together. Needs `Family` and `Protocol` before it."""

    version: int
    pairs: tuple[Backend, ...]


@dataclass(frozen=True, slots=True)
class OwnAddress:
    """Source and destination are the same, and one of these. Needs `Family` before it."""

    version: int
    addresses: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Established:
    """A packet of a flow that was let through before, a reply, or an error about one."""


@dataclass(frozen=True, slots=True)
class ForeignSource:
    """A source address to which no route leads back over the link that the packet came in by."""


@dataclass(frozen=True, slots=True)
class NeighbourDiscovery:
    """ICMPv6 types 133 to 137 (RFC 4861). Needs `Protocol` before it."""


@dataclass(frozen=True, slots=True)
class LocalDestination:
    """One of the machine's own addresses."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A packet that carries this mark."""

    mark: int


Match = (
    Interface
    | Family
    | Protocol
    | Addresses
    | Ports
    | AddressPorts
    | OwnAddress
    | Established
    | ForeignSource
    | NeighbourDiscovery
    | LocalDestination
    | Marked
)


# ---- actions


@dataclass(frozen=True, slots=True)
class Accept:
    """This chain has no objection; chains that are called later still may."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Silently."""


@dataclass(frozen=True, slots=True)
class Reject:
    """With ICMP "port unreachable", or as `reset` with a TCP reset (needs `Protocol` before it)."""

    reset: bool = False


@dataclass(frozen=True, slots=True)
class Jump:
    """Ask another chain, then go on."""

    chain: str


@dataclass(frozen=True, slots=True)
class Goto:
    """Leave it to another chain."""

    chain: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Set the packet's mark, then go on."""

    mark: int


@dataclass(frozen=True, slots=True)
class Masquerade:
    """Let it come from this machine's own address."""


@dataclass(frozen=True, slots=True)
class Balance:
    """Send it to one of the backends, each as likely as the others."""

    version: int
    backends: tuple[Backend, ...]


Action = Accept | Drop | Reject | Jump | Goto | Mark | Masquerade | Balance


# ---- what holds them


@dataclass(frozen=True, slots=True)
class Rule:
    """`comment` says where the rule comes from; the kernel keeps it, so that a dump explains itself."""

    matches: tuple[Match, ...]
    action: Action
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Hook:
    """A chain that the kernel calls itself. `kind` is "filter" or "nat"; lower priorities come first."""

    kind: str
    place: Place
    priority: int


@dataclass(frozen=True, slots=True)
class Chain:
    """Rules in order. What no rule decides goes on."""

    name: str
    rules: tuple[Rule, ...]
    hook: Hook | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Everything of one purpose on one node. Chains come before those that jump to them."""

    name: str
    chains: tuple[Chain, ...]
