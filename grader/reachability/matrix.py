"""A matrix of some sources and some destinations with their ports, cell by cell.

It is read from all pairs by classes (`allpairs`). Whatever those do not know (Services, hosts outside, host endpoints,
ICMP) is judged flow by flow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.kube.fields import PROTOCOLS
from grader.reachability.bits import members
from grader.reachability.classes import OUTSIDE
from grader.reachability.verdict import Action, Flow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from grader.kube.model import Address
    from grader.reachability.world import World


@dataclass(frozen=True, slots=True, order=True)
class Column:
    """A destination and one of its ports."""

    destination: str
    port: int
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True)
class Matrix:
    """Every source against every column.

    Attributes:
        sources: rows, in order.
        columns: destinations with their ports, in order.
        family: the IP family of the packets.
        allowed: for each column, bit i is set when `sources[i]` gets there (what is left open: as Calico does).
        left_open: for each column, bit i is set when the specification leaves that cell open.
    """

    sources: tuple[str, ...]
    columns: tuple[Column, ...]
    family: int
    allowed: tuple[int, ...]
    left_open: tuple[int, ...]

    def cells(self) -> Iterator[tuple[Flow, bool, bool]]:
        """Yield every flow with whether it is allowed and whether it is left open, column by column."""
        for column, allowed, left_open in zip(self.columns, self.allowed, self.left_open, strict=True):
            for i, source in enumerate(self.sources):
                flow = Flow(source, column.destination, column.port, column.protocol, self.family)
                yield flow, bool(allowed >> i & 1), bool(left_open >> i & 1)


def declared_columns(world: World) -> tuple[Column, ...]:
    """Return every port that a pod with traffic declares, sorted."""
    return tuple(
        sorted({Column(p.ref, e.number, e.protocol) for p in world.objects.pods if not p.finished for e in p.ports})
    )


def all_pairs(world: World, sources: Iterable[str], columns: Iterable[Column], family: int) -> Matrix:
    """Return the matrix of these sources and columns.

    Raises:
        content.errors.UsageError: an endpoint does not exist.
    """
    rows, listed = tuple(sources), tuple(columns)
    view = _View(world, rows, family)
    results = [view.column(column) for column in listed]
    return Matrix(rows, listed, family, tuple(r[0] for r in results), tuple(r[1] for r in results))


class _View:
    """What `allpairs` knows of all pairs, for some sources."""

    def __init__(self, world: World, sources: Sequence[str], family: int) -> None:
        self._world, self._sources, self._family = world, sources, family
        self._reach = world.reach(family)
        self._place = {
            ref: place for place, each in enumerate(self._reach.classes) for ref in each.members if each.kind != OUTSIDE
        }
        self._rows_of: dict[int, int] = {}
        self._own: dict[str, int] = {}
        self._on_node: dict[str, int] = {}
        self._at_address: dict[Address, int] = {}
        self._known = 0
        for row, source in enumerate(sources):
            ref = world.endpoints.canonical(source)
            endpoint = world.endpoints.find(ref)
            place = self._place.get(ref)
            if place is None:
                continue
            self._known |= 1 << row
            self._rows_of[place] = self._rows_of.get(place, 0) | 1 << row
            self._own[ref] = self._own.get(ref, 0) | 1 << row
            if not endpoint.selectable:
                self._on_node[endpoint.node] = self._on_node.get(endpoint.node, 0) | 1 << row
                address = endpoint.address(family)
                if address is not None:
                    self._at_address[address] = self._at_address.get(address, 0) | 1 << row
        self._spread: dict[int, int] = {}

    def column(self, column: Column) -> tuple[int, int]:
        """Return the rows that reach a column, and those that are left open."""
        endpoints = self._world.endpoints
        ref = endpoints.canonical(column.destination)
        place = self._place.get(ref)
        if (
            place is None
            or column.protocol not in PROTOCOLS
            or endpoints.service_at(ref, column.port, column.protocol) is not None
        ):
            return self._by_flows(column, (1 << len(self._sources)) - 1)
        port = self._reach.ports.at(column.port, column.protocol)
        part = next(part for part in self._reach.into[place] if part.ports & port)
        allowed, left_open = self._expanded(part.allowed), self._expanded(part.left_open)
        destination = endpoints.find(ref)
        if destination.policed or destination.host_network:
            # A node, and what uses its network, always gets into its own pods; whether it is let out is another thing.
            near = self._on_node.get(destination.node, 0) if destination.node else 0
            for address in destination.host_addresses:
                near |= self._at_address.get(address, 0)
            allowed |= near & self._expanded(part.let_out)
            left_open = left_open & ~near | self._expanded(part.leaving) & near
        own = self._own.get(ref, 0)
        others = self._by_flows(column, ((1 << len(self._sources)) - 1) & ~self._known)
        return allowed | own | others[0], left_open & ~own | others[1]

    def _expanded(self, classes: int) -> int:
        """The rows of a set of classes."""
        if not classes:
            return 0
        rows = self._spread.get(classes)
        if rows is None:
            rows = 0
            for place, bits in self._rows_of.items():
                if classes >> place & 1:
                    rows |= bits
            self._spread[classes] = rows
        return rows

    def _by_flows(self, column: Column, rows: int) -> tuple[int, int]:
        allowed = left_open = 0
        for row in members(rows):
            flow = Flow(self._sources[row], column.destination, column.port, column.protocol, self._family)
            verdict = self._world.verdict(flow)
            allowed |= verdict.allowed << row
            left_open |= (verdict.action is Action.OPEN) << row
        return allowed, left_open
