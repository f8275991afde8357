"""All pairs at all ports: for every class of destinations, which classes of sources get to which ports.

Both directions are swept set by set (`universe`, `subjects`); what sources open is turned round, so that it can be met
with what destinations open. Two things hold beside every result and are not in it: an endpoint always reaches itself,
and a node, with the pods in its network, always reaches the pods that it runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.policy.model import EGRESS, INGRESS
from grader.reachability.bits import transposed
from grader.reachability.portclasses import split
from grader.reachability.subjects import subjects
from grader.reachability.universe import Universe

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from grader.policy.model import Rulebook
    from grader.reachability.alike import Crowd
    from grader.reachability.bits import Bits
    from grader.reachability.classes import EndpointClass, Reads
    from grader.reachability.portclasses import PortClasses
    from grader.reachability.subjects import Gate
    from grader.reachability.universe import Outcome


@dataclass(frozen=True, slots=True)
class Part:
    """Some ports of a class of destinations.

    Attributes:
        ports: which, as classes of ports.
        allowed: the classes of sources that get there (what is left open: as Calico does).
        left_open: those where the specification leaves it open.
        let_out: nodes, and what uses their network, that are let out on their own side.
        leaving: those of them whose own side leaves it open.
        conditional: those that get there if a condition holds that no packet shows (HTTP methods and paths).
    """

    ports: Bits
    allowed: Bits
    left_open: Bits = 0
    let_out: Bits = 0
    leaving: Bits = 0
    conditional: Bits = 0


@dataclass(frozen=True, slots=True)
class Reach:
    """All pairs at all ports of one IP family. Bits of sources are places in `classes`.

    Attributes:
        universe: the classes, and what policies mean among them.
        into: for each class, its ports in parts; together they are every port.
    """

    universe: Universe
    into: tuple[tuple[Part, ...], ...]

    @property
    def classes(self) -> tuple[EndpointClass, ...]:
        """The classes of endpoints, in the order of their places."""
        return self.universe.classes

    @property
    def ports(self) -> PortClasses:
        """The classes of ports."""
        return self.universe.ports


def all_ports(
    book: Rulebook,
    crowds: Iterable[Crowd],
    reads: Reads,
    family: int,
    *,
    gate: Gate | None = None,
    universe: Universe | None = None,
) -> Reach:
    """Return who reaches whom at which ports.

    Args:
        book: every policy.
        crowds: pods, nodes and known hosts; the ranges outside that rules tell apart are added.
        reads: what the rules read, or more (`classes.reads_of`).
        family: 4 or 6.
        gate: the host endpoint that forwards an endpoint's traffic, where there are host endpoints.
        universe: that of the same endpoints under other policies, if those read all of `reads`.
    """
    universe = universe or Universe(crowds, reads, family, by_node=gate is not None)
    base, changes = _turned(universe, subjects(universe, book, EGRESS, gate))
    met: dict[tuple[object, ...], tuple[Part, ...]] = {}
    into: list[tuple[Part, ...]] = []
    for place, outcomes in enumerate(subjects(universe, book, INGRESS, gate)):
        leaving = [(mask, found) for mask, columns in changes if (found := columns.get(place)) is not None]
        start = base[place]
        key = (id(outcomes), start, *leaving)
        parts = met.get(key)
        if parts is None:
            parts = met[key] = _met(universe, outcomes, start, leaving)
        into.append(parts)
    return Reach(universe, tuple(into))


Row = tuple["Bits", "Bits"]
"""Sources that are alike, and the destinations that they have."""

Column = tuple["Bits", "Bits"]
"""Of one destination: sources that are let out to it, and those where that is left open.

Only rules of incoming packets stand on conditions.
"""

_NOBODY: Column = (0, 0)


class _Rows:
    """What sources have, to be turned round."""

    def __init__(self) -> None:
        self._rows: tuple[list[Row], list[Row]] = ([], [])

    def add(self, sources: Bits, *sets: Bits) -> None:
        for rows, destinations in zip(self._rows, sets, strict=True):
            if destinations:
                rows.append((sources, destinations))

    def turned(self, width: int) -> dict[int, Column]:
        allowed, left_open = (transposed(rows, width) for rows in self._rows)
        return {place: (allowed.get(place, 0), left_open.get(place, 0)) for place in allowed.keys() | left_open.keys()}


def _turned(
    universe: Universe, egress: Sequence[tuple[Outcome, ...]]
) -> tuple[list[Column], list[tuple[Bits, dict[int, Column]]]]:
    """By destination instead of by source: what holds at ordinary ports, then what differs at which ports."""
    width = len(universe.classes)
    sources: dict[int, Bits] = {}
    known: dict[int, tuple[Outcome, ...]] = {}
    for place, outcomes in enumerate(egress):
        sources[id(outcomes)] = sources.get(id(outcomes), 0) | 1 << place
        known[id(outcomes)] = outcomes
    everywhere = 0
    ordinary = _Rows()
    changed: dict[Bits, _Rows] = {}
    for identity, outcomes in known.items():
        who = sources[identity]
        first = next(each for each in outcomes if each.ports & universe.ports.ordinary)
        if first.allowed == universe.everyone:
            everywhere |= who
        ordinary.add(who, 0 if first.allowed == universe.everyone else first.allowed, first.left_open)
        for each in outcomes:
            if each is not first:
                changed.setdefault(each.ports, _Rows()).add(
                    who, each.allowed ^ first.allowed, each.left_open ^ first.left_open
                )
    columns = ordinary.turned(width)
    base = [columns.get(place, _NOBODY) for place in range(width)]
    return (
        [(allowed | everywhere, left_open) for allowed, left_open in base],
        [(mask, rows.turned(width)) for mask, rows in changed.items()],
    )


def _met(
    universe: Universe, outcomes: tuple[Outcome, ...], base: Column, leaving: list[tuple[Bits, Column]]
) -> tuple[Part, ...]:
    """What the destination opens, met with what the sources open."""
    merged: dict[tuple[Bits, Bits, Bits, Bits, Bits], Bits] = {}
    for part in split(universe.ports.everything, [*(each.ports for each in outcomes), *(mask for mask, _ in leaving)]):
        port = part & -part
        into = next(each for each in outcomes if each.ports & port)
        out, out_doubt = base
        for mask, (allowed, left_open) in leaving:
            if mask & port:
                out ^= allowed
                out_doubt ^= left_open
        doubt = out_doubt | into.left_open
        if doubt:
            doubt &= (out | out_doubt) & (into.allowed | into.left_open)
        allowed = out & into.allowed
        hosts = universe.host_bits
        result = allowed, doubt, out & hosts, out_doubt & hosts, allowed & into.conditional
        merged[result] = merged.get(result, 0) | part
    return tuple(Part(part, *result) for result, part in merged.items())
