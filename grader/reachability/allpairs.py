"""All pairs at all ports: for every class of destinations, which classes of sources get to which ports.

Both directions are swept set by set (`universe`); what sources open is turned round, so that it can be met with what
destinations open. Two things hold beside every result and are not in it: an endpoint always reaches itself, and a node,
with the pods in its network, always reaches the pods that it runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.policy.model import EGRESS, INGRESS
from grader.reachability.bits import transposed
from grader.reachability.classes import HOST_NETWORK, POD
from grader.reachability.portclasses import split
from grader.reachability.universe import Universe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grader.policy.model import Endpoint, Rulebook
    from grader.reachability.bits import Bits
    from grader.reachability.classes import EndpointClass, Reads
    from grader.reachability.portclasses import PortClasses
    from grader.reachability.universe import Outcome


@dataclass(frozen=True, slots=True)
class Part:
    """Some ports of a class of destinations.

    Attributes:
        ports: which, as classes of ports.
        allowed: the classes of sources that get there (what is left open: as Calico does).
        left_open: those where the specification leaves it open.
        leaving: those whose own side leaves it open.
    """

    ports: Bits
    allowed: Bits
    left_open: Bits = 0
    leaving: Bits = 0


@dataclass(frozen=True, slots=True)
class Reach:
    """All pairs at all ports of one IP family. Bits of sources are places in `classes`.

    Attributes:
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
    book: Rulebook, endpoints: Iterable[Endpoint], reads: Reads, family: int, previous: Universe | None = None
) -> Reach:
    """Return who reaches whom at which ports.

    Args:
        book: every policy.
        endpoints: pods, nodes and known hosts; the ranges outside that rules tell apart are added.
        reads: what the rules read, or more (`classes.reads_of`).
        family: 4 or 6.
        previous: the universe of the same endpoints under other policies, if those read all of `reads`.
    """
    universe = previous or Universe(endpoints, reads, family)
    egress = _subjects(universe, book, EGRESS)
    base, changes = _turned(universe, egress)
    ingress = _subjects(universe, book, INGRESS)
    met: dict[tuple[object, ...], tuple[Part, ...]] = {}
    into: list[tuple[Part, ...]] = []
    for place, outcomes in enumerate(ingress):
        leaving = [(mask, found) for mask, columns in changes if (found := columns.get(place)) is not None]
        start = base.get(place, (0, 0))
        key = (id(outcomes), start, *leaving)
        parts = met.get(key)
        if parts is None:
            parts = met[key] = _met(universe.ports.everything, outcomes, start, leaving)
        into.append(parts)
    return Reach(universe, tuple(into))


def _subjects(universe: Universe, book: Rulebook, direction: str) -> list[tuple[Outcome, ...]]:
    """What a direction decides at each class."""
    selecting = universe.selecting(book.tiers(direction))
    free = ((universe.ports.everything, universe.everyone, 0),)
    first_guest = len(universe.classes) - universe.guests
    found: list[tuple[Outcome, ...]] = []
    for place, one in enumerate(universe.classes):
        # A host-network pod is asked as the pod that some implementations take it for.
        asked = place + universe.guests if place >= first_guest else place
        if one.kind not in (POD, HOST_NETWORK) or not selecting[asked]:
            found.append(free)
        else:
            found.append(universe.outcomes(selecting[asked], direction, asked, settled=book.settled))
    return found


Row = tuple["Bits", "Bits"]
"""Sources that are alike, and the destinations that they have."""

Column = tuple["Bits", "Bits"]
"""Sources that a direction lets out to one destination, and those where that is left open."""


def _turned(
    universe: Universe, egress: list[tuple[Outcome, ...]]
) -> tuple[dict[int, Column], list[tuple[Bits, dict[int, Column]]]]:
    """By destination instead of by source: what holds at ordinary ports, then what differs at which ports."""
    width = len(universe.classes)
    sources: dict[int, Bits] = {}
    known: dict[int, tuple[Outcome, ...]] = {}
    for place, outcomes in enumerate(egress):
        sources[id(outcomes)] = sources.get(id(outcomes), 0) | 1 << place
        known[id(outcomes)] = outcomes
    ordinary = universe.ports.ordinary
    everywhere = 0
    base_allowed: list[Row] = []
    base_doubt: list[Row] = []
    changed: dict[Bits, tuple[list[Row], list[Row]]] = {}
    for identity, outcomes in known.items():
        who = sources[identity]
        allowed, doubt = next((a, d) for mask, a, d in outcomes if mask & ordinary)
        if allowed == universe.everyone:
            everywhere |= who
        else:
            base_allowed.append((who, allowed))
        base_doubt.append((who, doubt))
        for mask, other, other_doubt in outcomes:
            if not mask & ordinary:
                rows = changed.setdefault(mask, ([], []))
                rows[0].append((who, other ^ allowed))
                rows[1].append((who, other_doubt ^ doubt))
    base = _columns(base_allowed, base_doubt, width)
    for place in range(width):
        allowed, doubt = base.get(place, (0, 0))
        base[place] = allowed | everywhere, doubt
    return base, [(mask, _columns(*rows, width)) for mask, rows in changed.items()]


def _columns(allowed: list[Row], doubtful: list[Row], width: int) -> dict[int, Column]:
    columns, doubts = transposed(allowed, width), transposed(doubtful, width)
    return {place: (columns.get(place, 0), doubts.get(place, 0)) for place in columns.keys() | doubts.keys()}


def _met(
    everything: Bits, outcomes: tuple[Outcome, ...], base: Column, leaving: list[tuple[Bits, Column]]
) -> tuple[Part, ...]:
    """What the destination opens, met with what the sources open."""
    merged: dict[tuple[Bits, Bits, Bits], Bits] = {}
    for part in split(everything, [*(mask for mask, _, _ in outcomes), *(mask for mask, _ in leaving)]):
        port = part & -part
        entering, entering_doubt = next((a, d) for mask, a, d in outcomes if mask & port)
        out, out_doubt = base
        for mask, (differing, differing_doubt) in leaving:
            if mask & port:
                out ^= differing
                out_doubt ^= differing_doubt
        left_open = 0
        if out_doubt or entering_doubt:
            left_open = (out | out_doubt) & (entering | entering_doubt) & (out_doubt | entering_doubt)
        result = out & entering, left_open, out_doubt
        merged[result] = merged.get(result, 0) | part
    return tuple(Part(part, *result) for result, part in merged.items())
