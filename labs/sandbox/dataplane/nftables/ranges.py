"""Ranges of addresses or ports as pairs of numbers, both ends included."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grader.kube.model import IPBlock, Network

Range = tuple[int, int]
Ranges = tuple[Range, ...]


def merge(ranges: Iterable[Range]) -> Ranges:
    """The union: sorted, and neither overlapping nor adjoining."""
    merged: list[Range] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            if last > merged[-1][1]:
                merged[-1] = merged[-1][0], last
        else:
            merged.append((first, last))
    return tuple(merged)


def subtract(whole: Range, holes: Iterable[Range]) -> Ranges:
    """What of a range is in none of the others."""
    left = []
    first, last = whole
    for hole_first, hole_last in merge(holes):
        if hole_last < first or hole_first > last:
            continue
        if hole_first > first:
            left.append((first, hole_first - 1))
        first = hole_last + 1
    if first <= last:
        left.append((first, last))
    return tuple(left)


def of_network(network: Network) -> Range:
    """All addresses of a network."""
    return int(network.network_address), int(network.broadcast_address)


def of_block(block: IPBlock) -> Ranges:
    """The addresses of an `ipBlock`: its `cidr` without its exceptions."""
    same_family = (of_network(n) for n in block.excepted if n.version == block.cidr.version)
    return subtract(of_network(block.cidr), same_family)
