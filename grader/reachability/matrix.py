"""All pairs: which sources reach which ports, by classes of endpoints that the same policies select.

Two endpoints that the same policies select are asked once. Whatever the set-wise way does not know (nodes, outside
addresses, host-network pods, Services, ICMP) is judged flow by flow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.kube.fields import PROTOCOLS
from grader.policy.model import EGRESS, INGRESS
from grader.reachability.bits import Population, members, sweep
from grader.reachability.verdict import Action, Flow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from grader.policy.model import Endpoint, Policy, Rule, Tier
    from grader.reachability.bits import Selecting
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
    sweeping = _Sweeping(world, rows, listed, family)
    results = [sweeping.column(column) for column in listed]
    return Matrix(rows, listed, family, tuple(r[0] for r in results), tuple(r[1] for r in results))


class _Sweeping:
    """The set-wise evaluation of one matrix. Bits are positions in `refs`: the sources first, then other pods."""

    def __init__(self, world: World, sources: Sequence[str], columns: Sequence[Column], family: int) -> None:
        self._world, self._sources, self._family = world, sources, family
        refs = list(dict.fromkeys(world.endpoints.canonical(ref) for ref in sources))
        refs = list(dict.fromkeys([*refs, *(c.destination for c in columns if c.destination in world.endpoints.pods)]))
        endpoints = [world.endpoints.find(ref) for ref in refs]
        self._position = {ref: i for i, ref in enumerate(refs)}
        self._population = Population(endpoints, family)
        self._endpoints = endpoints
        # Rows are source positions only when every source is itself and listed once, which is the usual case.
        self._rows = [self._position[world.endpoints.canonical(ref)] for ref in sources]
        self._straight = self._rows == list(range(len(sources)))
        self._ordinary = sum(1 << i for i, endpoint in enumerate(endpoints) if endpoint.selectable)
        self._row_bits = (1 << len(sources)) - 1
        self._ingress = self._classes(INGRESS)
        self._egress = self._classes(EGRESS)
        self._bounds: dict[int, tuple[int, ...]] = {}
        # By identity: equal classes are one object, and hashing whole policies would cost more than judging them.
        classes: dict[tuple[int, tuple[int, ...]], tuple[Selecting, int, Endpoint]] = {}
        for i, selecting in enumerate(self._egress):
            if endpoints[i].selectable:
                key = id(selecting), self._place(selecting, i)
                known = classes.get(key, (selecting, 0, endpoints[i]))
                classes[key] = selecting, known[1] | 1 << i, known[2]
        self._egress_classes = tuple(classes.values())
        self._egress_reach: dict[tuple[int, str], list[tuple[int, int]]] = {}
        self._ingress_reach: dict[tuple[object, ...], int] = {}

    def column(self, column: Column) -> tuple[int, int]:
        """Return the rows that reach a column, and those that are left open."""
        position = self._position.get(column.destination)
        allowed = by_sets = 0
        if position is not None and self._ordinary >> position & 1 and column.protocol in PROTOCOLS:
            found = self._into(position, column) & self._out_to(position, column) | 1 << position
            if self._straight:
                by_sets = self._ordinary & self._row_bits
                allowed = found & by_sets
            else:
                for row, place in enumerate(self._rows):
                    by_sets |= (self._ordinary >> place & 1) << row
                    allowed |= (self._ordinary & found) >> place << row & 1 << row
        left_open = 0
        for row in members(self._row_bits & ~by_sets):
            flow = Flow(self._sources[row], column.destination, column.port, column.protocol, self._family)
            verdict = self._world.verdict(flow)
            allowed |= verdict.allowed << row
            left_open |= (verdict.action is Action.OPEN) << row
        return allowed, left_open

    def _classes(self, direction: str) -> list[Selecting]:
        """For each endpoint, the policies that select it; equal ones are one class and one object."""
        by_endpoint: list[list[tuple[Tier, tuple[Policy, ...]]]] = [[] for _ in self._endpoints]
        for tier in self._world.book.tiers(direction):
            policies: list[list[Policy]] = [[] for _ in self._endpoints]
            for policy in tier.policies:
                for i in members(self._population.meant(policy.subject)):
                    policies[i].append(policy)
            for i, listed in enumerate(policies):
                if listed:
                    by_endpoint[i].append((tier, tuple(listed)))
        return self._shared(by_endpoint)

    @staticmethod
    def _shared(by_endpoint: Iterable[list[tuple[Tier, tuple[Policy, ...]]]]) -> list[Selecting]:
        known: dict[tuple[object, ...], Selecting] = {}
        return [
            known.setdefault(tuple((id(tier), tuple(map(id, policies))) for tier, policies in listed), tuple(listed))
            for listed in by_endpoint
        ]

    def _into(self, position: int, column: Column) -> int:
        destination: Endpoint = self._endpoints[position]
        selecting = self._ingress[position]
        names = tuple(sorted((key, tuple(sorted(numbers))) for key, numbers in destination.ports.items()))
        key = (id(selecting), column.port, column.protocol, names, self._place(selecting, position))
        found = self._ingress_reach.get(key)
        if found is None:

            def matching(rule: Rule) -> int:
                if not (
                    rule.matches_port(destination, column.port, column.protocol)
                    and rule.matches_subject(destination, self._family)
                    and rule.matches_source_port(destination, None, column.protocol)
                    and self._family in rule.families
                ):
                    return 0
                return self._population.peers(rule.peers)

            found = self._ingress_reach[key] = sweep(selecting, self._population.everyone, matching)
        return found

    def _out_to(self, position: int, column: Column) -> int:
        key = column.port, column.protocol
        if key not in self._egress_reach:
            self._egress_reach[key] = [
                (bits, self._out_of(selecting, subject, *key)) for selecting, bits, subject in self._egress_classes
            ]
        found = 0
        for bits, reached in self._egress_reach[key]:
            if reached >> position & 1:
                found |= bits
        return found

    def _out_of(self, selecting: Selecting, subject: Endpoint, port: int, protocol: str) -> int:
        population, family = self._population, self._family

        def matching(rule: Rule) -> int:
            if not (
                family in rule.families
                and rule.matches_subject(subject, family)
                and rule.matches_source_port(subject, None, protocol)
            ):
                return 0
            return population.peers(rule.peers) & population.serving(rule, port, protocol)

        return sweep(selecting, population.everyone, matching)

    def _place(self, selecting: Selecting, position: int) -> tuple[int, ...]:
        """What tells endpoints of one class apart: the sides of each set that a rule limits its subject to."""
        bounds = self._bounds.get(id(selecting))
        if bounds is None:
            rules = [rule for _, policies in selecting for policy in policies for rule in policy.rules]
            limits = {rule.subjects for rule in rules if rule.subjects}
            limits |= {(e.only,) for rule in rules for e in (*rule.ports, *rule.not_ports) if e.only is not None}
            bounds = self._bounds[id(selecting)] = tuple(self._population.peers(limit) for limit in limits)
        return tuple(bits >> position & 1 for bits in bounds)
