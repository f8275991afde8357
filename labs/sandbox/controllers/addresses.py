"""Addresses of nodes, pods and outside hosts, laid out as Calico does: blocks of 64 addresses a node."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_NODE_PODS = 256
_FIRST = 2

_NODES = {4: ipaddress.ip_network("172.18.0.0/24"), 6: ipaddress.ip_network("fd00:172:18::/64")}
_HOSTS = {4: ipaddress.ip_network("203.0.113.0/24"), 6: ipaddress.ip_network("2001:db8:113::/64")}
_PODS = {4: ipaddress.ip_network("10.244.0.0/16"), 6: ipaddress.ip_network("fd00:10:244::/48")}


def node(number: int, families: Iterable[int]) -> tuple[str, ...]:
    """The addresses of node `number` (from 1) on the underlay."""
    return tuple(str(_NODES[family][number + 1]) for family in families)


def host(number: int, families: Iterable[int]) -> tuple[str, ...]:
    """The addresses of outside host `number` (from 1)."""
    return tuple(str(_HOSTS[family][9 + number]) for family in families)


def pod_ranges(number: int, families: Iterable[int]) -> tuple[str, ...]:
    """The ranges of which node `number` (from 1) gives addresses to its pods."""
    return tuple(str(_range(number, family)) for family in families)


def _range(number: int, family: int) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    prefix = 24 if family == 4 else 64
    base = int(_PODS[family].network_address)
    return ipaddress.ip_network((base + ((number - 1) << ((32 if family == 4 else 128) - prefix)), prefix))


class PodAddresses:
    """What is free on each node. An address that was given back is given again as late as possible."""

    def __init__(self) -> None:
        self._used: dict[str, set[int]] = {}
        self._next: dict[str, int] = {}
        self._held: dict[str, tuple[str, int]] = {}

    def take(self, uid: str, node_name: str, ranges: Iterable[str]) -> tuple[str, ...]:
        """Addresses for a pod, one of each of its node's ranges; empty when the node has no more."""
        used = self._used.setdefault(node_name, set())
        start = self._next.get(node_name, _FIRST)
        span = _NODE_PODS - _FIRST - 1
        offsets = (_FIRST + (start - _FIRST + step) % span for step in range(span))
        offset = next((offset for offset in offsets if offset not in used), 0)
        if not offset:
            return ()
        used.add(offset)
        self._next[node_name] = offset + 1
        self._held[uid] = (node_name, offset)
        return tuple(str(ipaddress.ip_network(cidr)[offset]) for cidr in ranges)

    def give_back(self, uid: str) -> None:
        """A pod has ended."""
        node_name, offset = self._held.pop(uid, ("", 0))
        self._used.get(node_name, set()).discard(offset)
