"""Several worlds side by side: groups of endpoints that are alike in each, and ports that no rule of any tells apart.

A verdict on one pair of two groups is the verdict on every pair, so that whole clusters are compared by a few cells.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from itertools import pairwise
from typing import TYPE_CHECKING

from grader.kube.fields import PROTOCOLS
from grader.policy.model import EGRESS, INGRESS
from grader.reachability.bits import members
from grader.reachability.classes import OUTSIDE, POD, Reads, reads_of
from grader.reachability.pings import pings
from grader.reachability.portclasses import Interval
from grader.reachability.verdict import Flow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from grader.policy.model import Policy, Rulebook, Tier
    from grader.reachability.allpairs import Reach
    from grader.reachability.bits import Bits
    from grader.reachability.classes import EndpointClass
    from grader.reachability.world import World

PING = Interval("ICMP", 0, 0)
MOST_PINGS = 20_000
"""Pairs of groups: where there are host endpoints ICMP is judged pair by pair, and with more of them it is left out."""
EXAMPLES = ("198.51.100.1", "2001:db8:ffff::1")
"""Addresses for documentation (RFC 5737, RFC 3849): the first choice to stand for a range."""


@dataclass(frozen=True, slots=True)
class Group:
    """Endpoints that are alike in every world of a space.

    Attributes:
        number: its place in the space, and its bit in sets of groups.
        members: their names in flows; for addresses outside, their ranges.
        asked: at most two of them, on different nodes where possible, that are judged for all.
        kind: as in `classes`; of the first world that has them.
        places: its class in each world; None where a world has no such endpoint.
    """

    number: int
    members: tuple[str, ...]
    asked: tuple[str, ...]
    kind: str
    places: tuple[int | None, ...]

    @property
    def outside(self) -> bool:
        """True for ranges of addresses that nothing of the cluster has."""
        return self.kind == OUTSIDE and self.asked[0].startswith("ip:")

    @property
    def size(self) -> int:
        """How many endpoints it counts as; addresses outside that are alike count as one."""
        return 1 if self.outside else len(self.members)


class Space:
    """Worlds side by side in one IP family.

    Services are judged at the pods behind them. Attributes: `worlds`, `family`, `groups`, and `intervals`, in order;
    ICMP is the last of them, unless there are host endpoints and too many groups (`MOST_PINGS`).
    """

    def __init__(self, worlds: Sequence[World], family: int) -> None:
        self.worlds, self.family = tuple(worlds), family
        self._reaches = _reaches(worlds, family)
        self._nodes = [_homes(world) for world in worlds]
        self.groups = tuple(map(self._with_example, _groups(self._reaches, self._nodes)))
        numbers = range(len(worlds))
        self._present: list[Bits] = [
            sum(1 << each.number for each in self.groups if each.places[world] is not None) for world in numbers
        ]
        self._outside: Bits = sum(1 << each.number for each in self.groups if each.outside)
        self._hosts = [[each for each in self.groups if self._runs_pods(each, world)] for world in numbers]
        gated = any(world.objects.host_endpoints for world in worlds)
        ping = () if gated and len(self.groups) ** 2 > MOST_PINGS else (PING,)
        self.intervals = (*_intervals(self._reaches), *ping)

    def _with_example(self, group: Group) -> Group:
        """Ranges outside with an address that reads like one."""
        if not group.outside:
            return group
        ranges = [ip_network(member) for member in group.members]
        likely = [address for text in EXAMPLES if any((address := ip_address(text)) in each for each in ranges)]
        likely += [each[1] for each in ranges[:1] if each.num_addresses > 2]
        free = (f"ip:{address}" for address in likely)
        nicer = (ref for ref in free if all(world.endpoints.canonical(ref) == ref for world in self.worlds))
        return replace(group, asked=(next(nicer, group.asked[0]),))

    def open(self, world: int) -> list[list[Bits]]:
        """Return for each group of destinations, for each interval, the groups of sources that get there.

        What has no pair of two different endpoints (`pair`) is left out.
        """
        reach = self._reaches[world]
        spread = _Spread(self.groups, world)
        classes = [reach.ports.at(each.low, each.protocol) for each in self.intervals if each != PING]
        pinged = None
        if self.intervals[-1] == PING and not self.worlds[world].objects.host_endpoints:
            pinged = pings(reach.universe, self.worlds[world].book)
        found: list[list[Bits]] = []
        for group in self.groups:
            place = group.places[world]
            if place is None:
                found.append([0] * len(self.intervals))
                continue
            real = self._real(group, world)
            parts = (next(part for part in reach.into[place] if part.ports & port) for port in classes)
            row = [spread.groups(part.allowed) & real for part in parts]
            if pinged is not None:
                row.append(spread.groups(pinged[place]) & real)
            elif self.intervals[-1] == PING:
                row.append(self._pinged(world, group, real))
            found.append(row)
        return found

    def pair(self, sources: Group, destinations: Group, world: int) -> tuple[str, str] | None:
        """Return two endpoints that stand for two groups; None where there is no such pair.

        Never an endpoint and itself, nor a node and a pod that it runs: those always pass.
        """
        nodes = self._nodes[world]
        for source in sources.asked:
            for destination in destinations.asked:
                home = nodes.get(source) if self._runs_pods(sources, world) else None
                if source != destination and not (home and home == nodes.get(destination)):
                    return source, destination
        return None

    def _runs_pods(self, group: Group, world: int) -> bool:
        """Tell whether it is nodes, or what uses their network, in a world."""
        place = group.places[world]
        return not group.outside and place is not None and self._reaches[world].classes[place].kind != POD

    def always(self, destinations: Group, world: int) -> Bits:
        """Return the groups of sources whose every pair with these destinations passes whatever the policies say."""
        if destinations.places[world] is None:
            return 0
        found = 0
        for group in (destinations, *self._hosts[world]):
            if self.pair(group, destinations, world) is None:
                found |= 1 << group.number
        return found

    def _real(self, destinations: Group, world: int) -> Bits:
        """The groups of sources that have a pair with these destinations, both being in a world."""
        found = self._present[world] & ~self.always(destinations, world)
        return found & ~self._outside if destinations.outside else found

    def _pinged(self, world: int, group: Group, sources: Bits) -> Bits:
        """The sources whose ICMP gets there, judged pair by pair: classes do not know what host endpoints do to it."""
        found = 0
        for number in members(sources):
            pair = self.pair(self.groups[number], group, world)
            if pair is not None:
                flow = Flow(*pair, PING.low, PING.protocol, self.family)
                found |= self.worlds[world].verdict(flow).allowed << number
        return found


class _Spread:
    """Sets of one world's classes as sets of groups."""

    def __init__(self, groups: Sequence[Group], world: int) -> None:
        self._by_class: dict[int, Bits] = {}
        for group in groups:
            place = group.places[world]
            if place is not None:
                self._by_class[place] = self._by_class.get(place, 0) | 1 << group.number
        self._known: dict[Bits, Bits] = {}

    def groups(self, classes: Bits) -> Bits:
        found = self._known.get(classes)
        if found is None:
            found = 0
            for place in members(classes):
                found |= self._by_class[place]
            self._known[classes] = found
        return found


def policies_of(book: Rulebook) -> Iterator[tuple[str, Tier, Policy]]:
    """Yield every policy with its direction and tier, those of host endpoints' own chains last."""
    for direction in (INGRESS, EGRESS):
        host = book.host(direction)
        for tier in (*book.tiers(direction), *host.untracked, *host.before_nat, *host.forwarded):
            for policy in tier.policies:
                yield direction, tier, policy


def declared_ports(world: World, ref: str) -> list[tuple[int, str]]:
    """Return number and protocol of what a pod declares."""
    namespace, _, name = ref.partition("/")
    pods = world.objects.pods
    place = bisect_left(pods, (namespace, name), key=lambda pod: (pod.namespace, pod.name))
    if place == len(pods) or pods[place].ref != ref:
        return []
    return [(port.number, port.protocol) for port in pods[place].ports]


def _homes(world: World) -> dict[str, str]:
    """Where each endpoint is: its node by name, or by an address of the node where no name is known."""
    everyone = world.endpoints.everyone()
    at = {address: end.node for end in everyone if end.ref.startswith("node:") for address in end.addresses}
    return {
        end.ref: end.node or next((at[address] for address in end.host_addresses if address in at), "")
        for end in everyone
    }


def _reaches(worlds: Sequence[World], family: int) -> list[Reach]:
    if len(worlds) == 1:
        return [worlds[0].reach(family)]
    reads = Reads()
    for world in worlds:
        found = reads_of(world.book)
        for mine, more in (
            (reads.labels, found.labels),
            (reads.calico, found.calico),
            (reads.nodes, found.nodes),
            (reads.refs, found.refs),
            (reads.names, found.names),
        ):
            mine.update(more)  # type: ignore[arg-type] # pairs of the same field, so of the same type
        reads.networks.update(found.networks)
        reads.ports.update(found.ports)
    return [world.reading(reads, family) for world in worlds]


def _groups(reaches: Sequence[Reach], nodes: Sequence[Mapping[str, str]]) -> Iterator[Group]:
    places: dict[str | tuple[str, ...], list[int | None]] = {}
    for world, reach in enumerate(reaches):
        for place, one in enumerate(reach.classes):
            for key in _keys(one):
                places.setdefault(key, [None] * len(reaches))[world] = place
    alike: dict[tuple[int | None, ...], list[str | tuple[str, ...]]] = {}
    for key, found in places.items():
        alike.setdefault(tuple(found), []).append(key)
    for number, (key_places, keys) in enumerate(alike.items()):
        one = next(reach.classes[place] for reach, place in zip(reaches, key_places, strict=True) if place is not None)
        first = keys[0]
        if isinstance(first, tuple):
            yield Group(number, first, (one.sample.ref,), one.kind, key_places)
            continue
        refs = sorted(key for key in keys if isinstance(key, str))
        homes = [[by_ref.get(ref) for by_ref in nodes] for ref in refs]
        other = next((i for i, home in enumerate(homes) if home != homes[0]), 1)
        yield Group(number, tuple(refs), (refs[0], *refs[other : other + 1]), one.kind, key_places)


def _keys(one: EndpointClass) -> Iterable[str | tuple[str, ...]]:
    """Endpoints by name; a set of ranges outside is one thing."""
    return [tuple(one.members)] if one.sample.ref.startswith("ip:") else one.members


def _intervals(reaches: Sequence[Reach]) -> Iterator[Interval]:
    cuts: dict[str, set[int]] = {protocol: set() for protocol in PROTOCOLS}
    for reach in reaches:
        for number in members(reach.ports.everything):
            for each in reach.ports.intervals(1 << number):
                cuts[each.protocol] |= {each.low, each.high + 1}
    for protocol in PROTOCOLS:
        for low, high in pairwise(sorted(cuts[protocol])):
            yield Interval(protocol, low, high - 1)
