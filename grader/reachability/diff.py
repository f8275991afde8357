"""What a change opens and closes: two worlds compared by groups of endpoints, not cell by cell.

An endpoint that only one world has is closed in the other. What the specification leaves open counts as Calico does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.reachability.bits import members
from grader.reachability.space import Space, declared_ports
from grader.reachability.verdict import Flow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from grader.reachability.bits import Bits
    from grader.reachability.portclasses import Interval
    from grader.reachability.space import Group
    from grader.reachability.verdict import Verdict
    from grader.reachability.world import World

WELL_KNOWN = ((443, "TCP"), (80, "TCP"), (53, "UDP"))
"""Ports that read well in an example."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Flows: every source to every destination on every port.

    Attributes:
        sources: groups of a space, in order.
        destinations: groups of the space, in order; an endpoint and itself are no flow.
        ports: intervals of the space, in order.
        pairs: how many pairs of endpoints; addresses outside that are alike count as one endpoint.
        flows: pairs times ports.
        witness: one of the flows.
    """

    sources: tuple[Group, ...]
    destinations: tuple[Group, ...]
    ports: tuple[Interval, ...]
    pairs: int
    flows: int
    witness: Flow


@dataclass(frozen=True, slots=True)
class Change:
    """Flows that turned in one way.

    Attributes:
        opened: they pass now and did not before; else the other way round.
        where: which.
        before: what decided the witness; None where an end did not exist.
        after: what decides it now; None where an end does not exist any more.
    """

    opened: bool
    where: Rectangle
    before: Verdict | None
    after: Verdict | None


@dataclass(frozen=True, slots=True)
class Difference:
    """All changes between two worlds in one IP family; see `difference`.

    Attributes:
        space: both worlds side by side.
        changes: those that open, then those that close; of each, those with most flows first.
        added: pods that only the new world has.
        removed: pods that only the old world has.
    """

    space: Space
    changes: tuple[Change, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def opened(self) -> tuple[Change, ...]:
        """What passes now and did not."""
        return tuple(change for change in self.changes if change.opened)

    @property
    def closed(self) -> tuple[Change, ...]:
        """What passed and does not any more."""
        return tuple(change for change in self.changes if not change.opened)


def difference(old: World, new: World, family: int | None = None) -> Difference:
    """Return what is open in one world and closed in the other.

    An endpoint and itself are no flow, nor are a node, or what uses its network, and the pods that it runs.

    Laws: of equal worlds it is empty; applied to the old world's matrix it gives the new one's.
    """
    space = Space((old, new), family or new.family)
    was, now = space.open(0), space.open(1)
    changes: list[Change] = []
    for opened, more, less, there in ((True, now, was, 1), (False, was, now, 0)):
        # What always passes in a world is not among its cells, and did not turn.
        fixed = [space.always(group, 1 - there) for group in space.groups]
        turned = [
            [a & ~b & ~none for a, b in zip(*rows, strict=True)] for *rows, none in zip(more, less, fixed, strict=True)
        ]
        for where in rectangles(space, turned, there):
            before, after = (_verdict(world, where.witness) for world in (old, new))
            changes.append(Change(opened, where, before, after))
    before_pods, after_pods = set(old.endpoints.pods), set(new.endpoints.pods)
    added, removed = sorted(after_pods - before_pods), sorted(before_pods - after_pods)
    return Difference(space, tuple(changes), tuple(added), tuple(removed))


def rectangles(space: Space, cells: Sequence[Sequence[Bits]], world: int) -> list[Rectangle]:
    """Fold cells into rectangles, those with most flows first; each cell is in exactly one.

    Args:
        space: what the cells are cells of.
        cells: sets of sources, for each group of destinations and each interval, as `Space.open` returns them.
        world: the world in which to look for witnesses.
    """
    folded: dict[tuple[Bits, tuple[int, ...]], list[Group]] = {}
    for destination, row in zip(space.groups, cells, strict=True):
        # A lone endpoint's flow to itself is no flow: taking it in folds pods that reach each other.
        own = 1 << destination.number if len(destination.asked) == 1 and not destination.outside else 0
        ports: dict[Bits, list[int]] = {}
        for interval, sources in enumerate(row):
            if sources:
                ports.setdefault(sources, []).append(interval)
        for sources, listed in ports.items():
            folded.setdefault((sources | own, tuple(listed)), []).append(destination)
    found = [_rectangle(space, part, destinations, world) for part, destinations in folded.items()]
    return sorted(found, key=lambda each: -each.flows)


def _rectangle(
    space: Space, part: tuple[Bits, tuple[int, ...]], destinations: Sequence[Group], world: int
) -> Rectangle:
    alone = destinations[0] if len(destinations) == 1 and len(destinations[0].asked) == 1 else None
    sources = tuple(group for i in members(part[0]) if (group := space.groups[i]) is not alone)
    ports = tuple(space.intervals[i] for i in part[1])
    pairs = sum(each.size for each in sources) * sum(each.size for each in destinations)
    pairs -= sum(each.size for each in destinations if each in sources)
    flows = pairs * sum(each.high - each.low + 1 for each in ports)
    witness = _witness(space, sources, destinations, ports, world)
    return Rectangle(sources, tuple(destinations), ports, pairs, flows, witness)


def _witness(
    space: Space, sources: Sequence[Group], destinations: Sequence[Group], ports: Sequence[Interval], world: int
) -> Flow:
    """One flow of a rectangle: to a port that its destination declares, or to a well-known one, if it can be."""
    first: tuple[str, str] | None = None
    for destination in destinations:
        pairs = (space.pair(group, destination, world) for group in sources)
        pair = next((each for each in pairs if each is not None), None)
        if pair is None:
            continue
        first = first or pair
        if port := _among(declared_ports(space.worlds[world], pair[1]), ports):
            return Flow(*pair, *port, space.family)
    if first is None:
        raise ValueError("these groups have no pair of different endpoints")
    number, protocol = _among(WELL_KNOWN, ports) or (ports[0].low, ports[0].protocol)
    return Flow(*first, number, protocol, space.family)


def _among(wanted: Iterable[tuple[int, str]], ports: Sequence[Interval]) -> tuple[int, str] | None:
    meant: Iterator[tuple[int, str]] = (
        each for each in wanted if any(p.protocol == each[1] and p.low <= each[0] <= p.high for p in ports)
    )
    return next(meant, None)


def _verdict(world: World, flow: Flow) -> Verdict | None:
    for ref in (flow.source, flow.destination):
        if not ref.startswith("ip:") and all(ref != each.ref for each in world.endpoints.everyone()):
            return None
    return world.verdict(flow)
