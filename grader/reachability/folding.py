"""All pairs in as few classes as tell them apart: what rules could distinguish, but no verdict does, is one again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.reachability.allpairs import Part
from grader.reachability.bits import transposed

if TYPE_CHECKING:
    from grader.reachability.allpairs import Reach
    from grader.reachability.bits import Bits
    from grader.reachability.portclasses import PortClasses


@dataclass(frozen=True, slots=True)
class FoldedClass:
    """Endpoints that reach the same, and are reached by the same.

    Attributes:
        kind: as in `classes`.
        members: references of endpoints; for addresses outside, ranges.
    """

    kind: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Folded:
    """All pairs at all ports, folded. Bits of sources are places in `classes`.

    Attributes:
        into: for each class, its ports in parts; together they are every port.
    """

    family: int
    classes: tuple[FoldedClass, ...]
    ports: PortClasses
    into: tuple[tuple[Part, ...], ...]


def fold(reach: Reach) -> Folded:
    """Return the same verdicts in the fewest classes."""
    sets: dict[Bits, int] = {}
    for parts in reach.into:
        for part in parts:
            for each in _sets(part):
                sets.setdefault(each, len(sets))
    # For each class as a source: in which of the sets it is.
    rows = transposed(((1 << number, each) for each, number in sets.items()), len(reach.classes))
    alike: dict[tuple[object, ...], list[int]] = {}
    for place, one in enumerate(reach.classes):
        alike.setdefault((one.kind, rows.get(place, 0), reach.into[place]), []).append(place)
    again = transposed(
        ((1 << number, rows.get(places[0], 0)) for number, places in enumerate(alike.values())), len(sets)
    )
    smaller = {each: again.get(number, 0) for each, number in sets.items()}
    return Folded(
        reach.universe.family,
        tuple(
            FoldedClass(reach.classes[places[0]].kind, tuple(m for p in places for m in reach.classes[p].members))
            for places in alike.values()
        ),
        reach.ports,
        tuple(
            tuple(Part(part.ports, *(smaller[each] for each in _sets(part))) for part in reach.into[places[0]])
            for places in alike.values()
        ),
    )


def _sets(part: Part) -> tuple[Bits, ...]:
    return part.allowed, part.left_open, part.let_out, part.leaving, part.conditional
