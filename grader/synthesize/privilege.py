"""How much more than required a world lets pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.reachability.bits import members
from grader.reachability.classes import POD
from grader.reachability.diff import difference
from grader.synthesize.required import required_world

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from grader.reachability.bits import Bits
    from grader.reachability.diff import Difference
    from grader.reachability.space import Space
    from grader.reachability.world import World
    from grader.synthesize.flows import Required


@dataclass(frozen=True, slots=True)
class Amount:
    """Traffic of pods: `pairs` of endpoints with any port open; `flows` are pairs weighted by their ports."""

    pairs: int
    flows: int


@dataclass(frozen=True, slots=True)
class Privilege:
    """A world against required traffic.

    Attributes:
        required: what must pass.
        open: what does.
        excess: what does and need not.
        missing: what must and does not.
        difference: both, in rectangles: what opens is excess, what closes is missing.
    """

    required: Amount
    open: Amount
    excess: Amount
    missing: Amount
    difference: Difference


def privilege(
    world: World, flows: Iterable[Required], left: Collection[str] = (), family: int | None = None
) -> Privilege:
    """Return how much a world opens beyond the flows. Ping is not counted: flows cannot require it.

    Pods of the namespaces in `left` may do what they like.
    """
    found = difference(required_world(world, flows, left), world, family or world.family)
    space = found.space
    wanted, real = space.open(0), space.open(1)
    return Privilege(
        _amount(space, wanted),
        _amount(space, real),
        _amount(space, [[b & ~a for a, b in zip(*rows, strict=True)] for rows in zip(wanted, real, strict=True)]),
        _amount(space, [[a & ~b for a, b in zip(*rows, strict=True)] for rows in zip(wanted, real, strict=True)]),
        found,
    )


def _amount(space: Space, cells: Sequence[Sequence[Bits]]) -> Amount:
    pairs = flows = 0
    pods = sum(1 << group.number for group in space.groups if group.kind == POD)
    for group, row in zip(space.groups, cells, strict=True):
        some = 0
        for interval, sources in zip(space.intervals, row, strict=True):
            if interval.protocol == "ICMP":
                continue
            judged = sources if group.kind == POD else sources & pods
            some |= judged
            flows += _pairs(space, group.number, judged) * (interval.high - interval.low + 1)
        pairs += _pairs(space, group.number, some)
    return Amount(pairs, flows)


def _pairs(space: Space, destination: int, sources: Bits) -> int:
    size = space.groups[destination].size
    found = sum(space.groups[i].size for i in members(sources)) * size
    return found - (size if sources >> destination & 1 else 0)
