"""Tables to netlink messages."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from labs.sandbox.dataplane.nftables import expressions as ex
from labs.sandbox.dataplane.nftables import ruleset as rs
from labs.sandbox.network.netlink import APPEND, CREATE, Message, attribute, nested

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labs.sandbox.dataplane.nftables.ranges import Ranges

_SUBSYSTEM = 10 << 8
_NEW_TABLE, _DELETE_TABLE, _NEW_CHAIN, _NEW_RULE, _NEW_SET, _NEW_ELEMENTS = 0, 2, 3, 6, 9, 12
_INET = 1
_CONSTANT, _INTERVALS, _MAP = 0x2, 0x4, 0x8
_INTERVAL_END = 1
_ELEMENTS_AT_ONCE = 1000
"""An attribute holds at most 64 KiB."""
_WIDTH = {4: 4, 6: 16}
_OFFSET = {(rs.Side.SOURCE, 4): 12, (rs.Side.DESTINATION, 4): 16, (rs.Side.SOURCE, 6): 8, (rs.Side.DESTINATION, 6): 24}
_ESTABLISHED_OR_RELATED = struct.pack("=I", 0x2 | 0x4)
_LOCAL = struct.pack("=I", 2)
_LONGEST_COMMENT = 127

_Element = tuple[bytes, bytes, int]
"""Key, value (of maps) and flags."""


def replacement(table: rs.Table) -> list[Message]:
    """The messages that put this table in the place of the one of its name, if there is one."""
    return _Encoder(table).messages()


def removal(name: str) -> list[Message]:
    """The messages that remove a table, whether it is there or not."""
    body = attribute(1, name.encode() + b"\0")
    return [_message(_NEW_TABLE, CREATE, body, f"table {name}"), _message(_DELETE_TABLE, 0, body, f"table {name}")]


def _message(kind: int, flags: int, body: bytes, what: str) -> Message:
    return Message(_SUBSYSTEM | kind, flags, struct.pack("=BBH", _INET, 0, 0) + body, what)


class _Encoder:
    """One table. Equal sets are made once."""

    def __init__(self, table: rs.Table) -> None:
        self.table = table
        self.name = attribute(1, table.name.encode() + b"\0")
        self.sets: dict[tuple[_Element, ...], tuple[str, int]] = {}
        self.set_messages: list[Message] = []

    def messages(self) -> list[Message]:
        name = self.table.name
        chains = [self._chain(chain) for chain in self.table.chains]
        rules = [self._rule(chain, rule) for chain in self.table.chains for rule in chain.rules]
        made = _message(_NEW_TABLE, CREATE, self.name, f"table {name}")
        return [*removal(name), made, *chains, *self.set_messages, *rules]

    def _chain(self, chain: rs.Chain) -> Message:
        body = self.name + attribute(3, chain.name.encode() + b"\0")
        if chain.hook is not None:
            priority = chain.hook.priority & 0xFFFFFFFF
            body += nested(4, ex.number(1, chain.hook.place), ex.number(2, priority))
            body += attribute(7, chain.hook.kind.encode() + b"\0") + ex.number(5, ex.ACCEPT)
        return _message(_NEW_CHAIN, CREATE, body, f"chain {chain.name}")

    def _rule(self, chain: rs.Chain, rule: rs.Rule) -> Message:
        encoded = b"".join(self._match(m) for m in rule.matches) + ex.counter() + self._action(rule.action)
        body = self.name + attribute(2, chain.name.encode() + b"\0") + nested(4, encoded)
        if rule.comment:
            comment = rule.comment.encode()[:_LONGEST_COMMENT] + b"\0"
            body += attribute(7, bytes([0, len(comment)]) + comment)
        return _message(_NEW_RULE, CREATE | APPEND, body, f"rule of {chain.name} ({rule.comment})")

    def _match(self, match: rs.Match) -> bytes:  # noqa: C901, PLR0911 - one case for each kind of match
        match match:
            case rs.Interface(side, name, prefix):
                key = ex.META_INPUT if side is rs.Side.SOURCE else ex.META_OUTPUT
                value = name.encode() if prefix else name.encode().ljust(16, b"\0")
                return ex.meta(key) + ex.equals(value)
            case rs.Family(version):
                return ex.meta(ex.META_FAMILY) + ex.equals(b"\x02" if version == 4 else b"\x0a")
            case rs.Protocol(number):
                return ex.meta(ex.META_PROTOCOL) + ex.equals(bytes([number]))
            case rs.Addresses(side, version, ranges):
                return _address(side, version) + self._within(ranges, _WIDTH[version])
            case rs.Ports(ranges):
                return ex.payload(ex.TRANSPORT_HEADER, 2, 2) + self._within(ranges, 2)
            case rs.AddressPorts(version, pairs):
                loaded = _address(rs.Side.DESTINATION, version)
                loaded += ex.payload(ex.TRANSPORT_HEADER, 2, 2, ex.REGISTERS[version])
                return loaded + self._is_one_of([_backend(pair, version) for pair in pairs])
            case rs.OwnAddress(version, addresses):
                width = _WIDTH[version]
                loaded = _address(rs.Side.SOURCE, version)
                offset = _OFFSET[rs.Side.DESTINATION, version]
                loaded += ex.payload(ex.NETWORK_HEADER, offset, width, ex.REGISTERS[version])
                return loaded + self._is_one_of([a.to_bytes(width, "big") * 2 for a in addresses])
            case rs.Established():
                return ex.connection_state() + ex.masked(_ESTABLISHED_OR_RELATED) + ex.is_not(bytes(4))
            case rs.ForeignSource():
                return ex.way_back() + ex.equals(b"\0")
            case rs.NeighbourDiscovery():
                return ex.payload(ex.TRANSPORT_HEADER, 0, 1) + ex.between(b"\x85", b"\x89")
            case rs.LocalDestination():
                return ex.destination_type() + ex.equals(_LOCAL)
            case rs.Marked(mark):
                return ex.meta(ex.META_MARK) + ex.equals(struct.pack("=I", mark))

    def _action(self, action: rs.Action) -> bytes:  # noqa: PLR0911 - one case for each kind of action
        match action:
            case rs.Accept():
                return ex.verdict(ex.ACCEPT)
            case rs.Drop():
                return ex.verdict(ex.DROP)
            case rs.Reject(reset):
                return ex.reject(reset=reset)
            case rs.Jump(chain):
                return ex.verdict(ex.JUMP, chain)
            case rs.Goto(chain):
                return ex.verdict(ex.GOTO, chain)
            case rs.Mark(mark):
                return ex.set_mark(mark)
            case rs.Masquerade():
                return ex.masquerade()
            case rs.Balance(version, backends):
                return self._balance(version, backends)

    def _within(self, ranges: Ranges, width: int) -> bytes:
        """Go on only if the number that was loaded lies in one of the ranges."""
        if all(first == last for first, last in ranges):
            singles = [first.to_bytes(width, "big") for first, _ in ranges]
            return ex.equals(singles[0]) if len(singles) == 1 else self._is_one_of(singles)
        if len(ranges) == 1:
            first, last = ranges[0]
            return ex.between(first.to_bytes(width, "big"), last.to_bytes(width, "big"))
        elements: list[_Element] = []
        highest = (1 << 8 * width) - 1
        for first, last in ranges:
            elements.append((first.to_bytes(width, "big"), b"", 0))
            if last < highest:
                elements.append(((last + 1).to_bytes(width, "big"), b"", _INTERVAL_END))
        return ex.lookup(*self._set(tuple(elements), _INTERVALS))

    def _is_one_of(self, keys: Sequence[bytes]) -> bytes:
        return ex.lookup(*self._set(tuple((key, b"", 0) for key in sorted(set(keys))), 0))

    def _balance(self, version: int, backends: Sequence[rs.Backend]) -> bytes:
        values = [_backend(backend, version) for backend in backends]
        if len(values) == 1:
            width = _WIDTH[version]
            loaded = ex.load(ex.FIRST, values[0][:width]) + ex.load(ex.REGISTERS[version], values[0][width : width + 2])
        else:
            elements = tuple((struct.pack("=I", i), value, 0) for i, value in enumerate(values))
            loaded = ex.random_below(len(values)) + ex.lookup(*self._set(elements, _MAP), into=ex.FIRST)
        return loaded + ex.translate_destination(version)

    def _set(self, elements: tuple[_Element, ...], flags: int) -> tuple[str, int]:
        known = self.sets.get(elements)
        if known is not None:
            return known
        identity = len(self.sets) + 1
        name = f"set-{identity}"
        self.sets[elements] = name, identity
        key, value, _ = elements[0]
        body = self.name + attribute(2, name.encode() + b"\0") + ex.number(3, flags | _CONSTANT)
        body += ex.number(4, 0) + ex.number(5, len(key))
        if value:
            body += ex.number(6, 0) + ex.number(7, len(value))
        body += ex.number(10, identity)
        self.set_messages.append(_message(_NEW_SET, CREATE, body, f"set of {self.table.name}"))
        for start in range(0, len(elements), _ELEMENTS_AT_ONCE):
            listed = b"".join(_element(e) for e in elements[start : start + _ELEMENTS_AT_ONCE])
            body = self.name + attribute(2, name.encode() + b"\0") + ex.number(4, identity) + nested(3, listed)
            self.set_messages.append(_message(_NEW_ELEMENTS, CREATE, body, f"elements of a set of {self.table.name}"))
        return name, identity


def _address(side: rs.Side, version: int) -> bytes:
    return ex.payload(ex.NETWORK_HEADER, _OFFSET[side, version], _WIDTH[version])


def _backend(backend: rs.Backend, version: int) -> bytes:
    """An address and a port as they lie in registers: each begins a new one."""
    address, port = backend
    return address.to_bytes(_WIDTH[version], "big") + port.to_bytes(2, "big") + b"\0\0"


def _element(element: _Element) -> bytes:
    key, value, flags = element
    parts = [ex.data(1, key)]
    if value:
        parts.append(ex.data(2, value))
    if flags:
        parts.append(ex.number(3, flags))
    return nested(1, *parts)
