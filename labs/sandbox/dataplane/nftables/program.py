"""One atomic replacement for each table that changed: packets meet the old rules or the new ones, never a mixture."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from grader.errors import InfrastructureError
from labs.sandbox.dataplane.nftables.encode import removal, replacement
from labs.sandbox.network.netlink import NETLINK_NETFILTER, Message, Netlink

if TYPE_CHECKING:
    from labs.sandbox.dataplane.nftables.ruleset import Table
    from labs.sandbox.network.netns import NetworkNamespace

_BEGIN, _END = 0x10, 0x11
_SUBSYSTEM = struct.pack(">BBH", 0, 0, 10)
_OPENING = Message(_BEGIN, 0, _SUBSYSTEM, "the transaction")
_CLOSING = Message(_END, 0, _SUBSYSTEM, "the transaction")


class Programmer:
    """The tables of one network namespace."""

    def __init__(self, namespace: NetworkNamespace, name: str) -> None:
        self._netlink = Netlink(namespace, NETLINK_NETFILTER)
        self._name = name
        self._tables: dict[str, Table] = {}

    def put(self, *tables: Table) -> bool:
        """Put these tables in place of those of the same names; False when they are there already.

        Raises:
            InfrastructureError: the kernel refused; what was in place before still is.
        """
        changed = [t for t in tables if self._tables.get(t.name) != t]
        if not changed:
            return False
        messages = [m for table in changed for m in (replacement(table) if table.chains else removal(table.name))]
        failures = self._netlink.transact(_OPENING, messages, _CLOSING)
        if failures:
            raise InfrastructureError(
                f"nftables on {self._name}: {failures[0]}", remedy="`netdojo doctor` shows what this kernel can do"
            )
        self._tables |= {t.name: t for t in changed}
        return True

    def close(self) -> None:
        """Close the socket; the rules stay as long as the namespace."""
        self._netlink.close()
