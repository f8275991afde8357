"""A matrix of some sources and some destinations with their ports, cell by cell.

It is read from all pairs by classes (`allpairs`): a Service's column from those of the endpoints behind it, a request's
from that of the proxy. Whatever classes do not know (traffic policies, node ports, hosts outside, host endpoints, ICMP)
is judged flow by flow.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from grader.kube.fields import PROTOCOLS
from grader.reachability.bits import members
from grader.reachability.classes import OUTSIDE
from grader.reachability.requests import is_url
from grader.reachability.verdict import Action, Flow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from grader.kube.model import Address
    from grader.reachability.leads import Lead
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
        self._everyone = (1 << len(sources)) - 1
        self._ranges: list[tuple[int, int, int]] | None = None
        self._of_hosts: set[Address] | None = None
        for row, source in enumerate(sources):
            ref, place = self._named(source)
            endpoint = world.endpoints.find(ref)
            if place is None and ref.startswith("ip:"):
                place = self._outside(ref)
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

    def _named(self, asked: str) -> tuple[str, int | None]:
        """What a name means, and its class; none where it is not the address that classes are made by."""
        ref = self._world.endpoints.canonical(asked)
        place = self._place.get(ref)
        if place is not None and ref != asked:
            endpoint = self._world.endpoints.find(ref)
            place = place if endpoint.address(self._family) == ip_address(asked[3:]) else None
        return ref, place

    def _outside(self, ref: str) -> int | None:
        """The class of an address outside; none for one of a host that runs pods, which always reaches those."""
        address = ip_address(ref[3:])
        if self._of_hosts is None:
            pods = self._world.endpoints.pods.values()
            self._of_hosts = {each for pod in pods for each in pod.host_addresses}
        if address.version != self._family or address in self._of_hosts:
            return None
        if self._ranges is None:
            found = (
                (ip_network(net), i)
                for i, each in enumerate(self._reach.classes)
                if each.kind == OUTSIDE and each.sample.ref.startswith("ip:")
                for net in each.members
            )
            self._ranges = sorted((int(net[0]), int(net[-1]), place) for net, place in found)
        at = bisect_right(self._ranges, int(address), key=lambda each: each[0]) - 1
        if at < 0 or self._ranges[at][1] < int(address):
            return None
        return self._ranges[at][2]

    def column(self, column: Column) -> tuple[int, int]:
        """Return the rows that reach a column, and those that are left open."""
        endpoints = self._world.endpoints
        ref, place = self._named(column.destination)
        if column.protocol not in PROTOCOLS:
            return self._by_flows(column, self._everyone)
        if is_url(ref):
            return self._request(column)
        if ref.startswith("service:") and column.destination == ref:
            return self._service(column)
        if place is None or endpoints.service_at(ref, column.port, column.protocol) is not None:
            return self._by_flows(column, self._everyone)
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
        others = self._by_flows(column, self._everyone & ~self._known)
        return allowed | own | others[0], left_open & ~own | others[1]

    def _service(self, column: Column) -> tuple[int, int]:
        """A Service is as open as every pod behind it; who is one of them is asked apart."""
        endpoints = self._world.endpoints
        service = endpoints.service(column.destination)
        if service.internal_local or service.selector is None:
            return self._by_flows(column, self._everyone)
        ends = [
            Column(each.ref, port, column.protocol)
            for each in endpoints.backends(service)
            if (port := endpoints.target_port(service, each, column.port, column.protocol)) is not None
        ]
        if not ends:
            return 0, 0
        own = 0
        for end in ends:
            own |= self._own.get(end.destination, 0)
        allowed, left_open = first_closed([self.column(end) for end in ends], self._everyone)
        again = self._by_flows(column, own)
        return allowed & ~own | again[0], left_open & ~own | again[1]

    def _request(self, column: Column) -> tuple[int, int]:
        """What the proxy may send on is as open as the proxy."""
        requests = self._world.requests
        found = []
        for leads in requests.leads(column.destination):
            ways: list[tuple[int, int]] = []
            for lead in leads:
                if not lead.proxy.pods:
                    return self._by_flows(column, self._everyone)
                ways.append(self._way(column, lead))
            found.append(settled(ways, final=leads[-1].ends))
        return first_closed(found, self._everyone) if found else (0, 0)

    def _way(self, column: Column, lead: Lead) -> tuple[int, int]:
        requests = self._world.requests
        pod = lead.proxy.pods[0]
        way = requests.judged(Flow(pod.ref, column.destination, column.port, column.protocol, self._family), lead)
        if not way.second:
            return 0, 0
        doors = [Column(each.ref, requests.door(each, column.destination)) for each in lead.proxy.pods]
        onwards = [self._world.judge(way.verdict.flow, packet) for packet in way.second]
        behind = [(self._everyone * each.allowed, self._everyone * (each.action is Action.OPEN)) for each in onwards]
        # What is shown of a request that passes is its last connection.
        before, after = (
            first_closed([self.column(door) for door in doors], self._everyone),
            first_closed(behind, self._everyone),
        )
        allowed = before[0] & after[0]
        last = self._everyone * (onwards[-1].action is Action.OPEN)
        return allowed, before[1] & ~before[0] | after[1] & before[0] & ~after[0] | last & allowed

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


Rows = tuple[int, int]
"""Sources that get there, and those of which the specification leaves it open."""


def first_closed(columns: Sequence[Rows], everyone: int) -> Rows:
    """Return columns that all must be open as one: of each row the first that is closed counts, else the first."""
    allowed, left_open = everyone, columns[0][1]
    for opened, doubt in columns:
        denied = allowed & ~opened
        left_open = left_open & ~denied | doubt & denied
        allowed &= opened
    return allowed, left_open


def settled(ways: Sequence[Rows], *, final: bool) -> Rows:
    """Return the ways of a request as one: the last, if it is every request's; else the first that lets a row pass."""
    allowed, left_open = ways[-1] if final else (0, 0)
    if not final:
        # Where none does, one of which that is left open.
        for _, doubt in ways:
            left_open |= doubt
    for opened, doubt in ways:
        more = opened & ~allowed
        left_open = left_open & ~more | doubt & more
        allowed |= more
    return allowed, left_open
