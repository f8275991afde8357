"""Endpoints that no rule of a rulebook can tell apart, as one class with one representative.

Replicas of a workload differ in name, address and node. A rulebook reads a few label keys, a few names of ports and a
few ranges of addresses; what agrees in those is one class, however many pods it has. Addresses outside fall into
classes in the same way: the ranges that policies tell apart.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_network, summarize_address_range
from typing import TYPE_CHECKING

from grader.calico.selectors import Compare, Junction, Negation
from grader.policy.model import AllOf, AnyOf, Block, Endpoint, Labelled, Named, Nodes, Not, Selected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from grader.calico.selectors import Expression
    from grader.kube.model import LabelSelector, Network
    from grader.policy.model import Match, Ports, Rulebook
    from grader.reachability.alike import Crowd

POD, NODE, OUTSIDE, HOST_NETWORK = "pod", "node", "outside", "host-network"
"""Kinds of classes, in the order in which classes are numbered."""

PortNames = tuple[tuple[str, str, tuple[int, ...]], ...]
"""Name, protocol and numbers of those named ports that rules read."""


@dataclass(slots=True)
class Reads:
    """What a rulebook reads of endpoints.

    Attributes:
        labels: keys of pods' labels.
        calico: keys of the labels that Calico's selectors see.
        nodes: keys of nodes' labels.
        refs: endpoints that matches name one by one.
        networks: ranges of addresses.
        ports: entries of rules' ports.
        names: named ports, with their protocol.
    """

    labels: set[str] = field(default_factory=set)
    calico: set[str] = field(default_factory=set)
    nodes: set[str] = field(default_factory=set)
    refs: set[str] = field(default_factory=set)
    networks: set[Network] = field(default_factory=set)
    ports: dict[Ports, None] = field(default_factory=dict)
    names: set[tuple[str, str]] = field(default_factory=set)

    def covers(self, other: Reads) -> bool:
        """Tell whether all that the other reads is read here too."""
        return (
            self.labels >= other.labels
            and self.calico >= other.calico
            and self.nodes >= other.nodes
            and self.refs >= other.refs
            and self.networks >= other.networks
            and self.names >= other.names
            and self.ports.keys() >= other.ports.keys()
        )

    def add(self, match: Match) -> None:
        """Note what a match reads."""
        match match:
            case Selected():
                self.labels.update(_keys(match.pods))
            case Block():
                self.networks.add(match.cidr)
                self.networks.update(match.excepted)
            case Labelled():
                self.calico.update(_compared(match.expression))
                self.networks.update(match.networks)
            case Nodes():
                self.nodes.update(_keys(match.selector))
            case Named():
                self.refs.update(match.refs)
                self.networks.update(ip_network(address) for address in match.addresses)
            case AnyOf() | AllOf():
                for operand in match.operands:
                    self.add(operand)
            case Not():
                self.add(match.operand)


@dataclass(slots=True)
class EndpointClass:
    """Endpoints that rules treat alike.

    Attributes:
        kind: `POD`, `NODE`, `OUTSIDE` or `HOST_NETWORK`.
        sample: one of them, or for ranges outside an address inside.
        names: its named ports, as far as rules read them.
        members: their references; for ranges outside, ranges in CIDR form.
    """

    kind: str
    sample: Endpoint
    names: PortNames = ()
    members: list[str] = field(default_factory=list)


def reads_of(book: Rulebook) -> Reads:
    """Return what the rules of both directions read."""
    reads = Reads()
    # By identity first: equal tuples are often the same object, and hashing policies costs more than reading them.
    matches: dict[int, tuple[Match, ...]] = {}
    ports: dict[int, tuple[Ports, ...]] = {}
    tiers = [*book.ingress, *book.egress]
    for host in (book.host_ingress, book.host_egress):
        tiers += (*host.untracked, *host.before_nat, *host.forwarded)
    for tier in tiers:
        for policy in tier.policies:
            reads.add(policy.subject)
            for rule in policy.rules:
                matches[id(rule.peers)], matches[id(rule.subjects)] = rule.peers, rule.subjects
                for entries in (rule.ports, rule.not_ports, rule.source_ports, rule.not_source_ports):
                    ports[id(entries)] = entries
    reads.ports.update((entry, None) for entries in ports.values() for entry in entries)
    reads.names.update((entry.name, entry.protocol) for entry in reads.ports if entry.name)
    # What limits who has a named port is the selector of a rule's peers or subjects, too.
    for match in (match for listed in matches.values() for match in listed):
        reads.add(match)
    return reads


def _keys(selector: LabelSelector | None) -> Iterator[str]:
    return iter(()) if selector is None else (requirement.key for requirement in selector.requirements)


def _compared(expression: Expression) -> Iterator[str]:
    match expression:
        case Compare():
            yield expression.key
        case Negation():
            yield from _compared(expression.operand)
        case Junction():
            for operand in expression.operands:
                yield from _compared(operand)


class Ranges:
    """The line of addresses of one family, cut wherever a network begins or ends."""

    def __init__(self, networks: Iterable[Network], family: int) -> None:
        self._size = 1 << (32 if family == 4 else 128)
        toggles: dict[int, int] = {0: 0}
        for number, network in enumerate(network for network in networks if network.version == family):
            low = int(network.network_address)
            for place in (low, low + network.num_addresses):
                toggles[place] = toggles.get(place, 0) ^ 1 << number
        self._starts = sorted(place for place in toggles if place < self._size)
        # Which networks hold a stretch: numbered, so that comparing them is comparing numbers.
        self._signatures: list[int] = []
        known: dict[int, int] = {}
        inside = 0
        for start in self._starts:
            inside ^= toggles[start]
            self._signatures.append(known.setdefault(inside, len(known)))

    def signature(self, address: int) -> int:
        """Return a number that two addresses share when the same networks hold them."""
        return self._signatures[bisect_right(self._starts, address) - 1]

    def stretches(self) -> dict[int, list[tuple[int, int]]]:
        """Return for each signature its stretches of addresses, first and last."""
        found: dict[int, list[tuple[int, int]]] = {}
        for start, end, signature in zip(self._starts, [*self._starts[1:], self._size], self._signatures, strict=True):
            found.setdefault(signature, []).append((start, end - 1))
        return found


def classify(crowds: Iterable[Crowd], reads: Reads, family: int, *, by_node: bool = False) -> tuple[EndpointClass, ...]:
    """Return the classes of endpoints and of addresses outside, ordered by kind, then as first met.

    `by_node`: endpoints of different nodes are different, as they are where host endpoints forward their traffic. Each
    is a crowd of its own then.
    """
    ranges = Ranges(reads.networks, family)
    keys = _Keys(reads, by_node=by_node)
    found: dict[tuple[object, ...], EndpointClass] = {}
    known: set[int] = set()
    for crowd in crowds:
        key = keys.of(crowd.sample)
        for ref, addresses in crowd.members:
            place = -1
            for address in addresses:
                if address.version == family:
                    number = int(address)
                    known.add(number)
                    place = ranges.signature(number)
                    break
            whole = key, place, ref if ref in reads.refs else ""
            one = found.get(whole)
            if one is None:
                sample = crowd.member(ref, addresses)
                one = found[whole] = EndpointClass(_kind(sample), sample, _port_names(sample.ports, reads.names))
            one.members.append(ref)
    order = (POD, NODE, OUTSIDE, HOST_NETWORK)
    return tuple(sorted([*found.values(), *_outside(ranges, family, known)], key=lambda each: order.index(each.kind)))


class _Keys:
    """What a rulebook reads of endpoints, apart from their addresses and names."""

    def __init__(self, reads: Reads, *, by_node: bool) -> None:
        self._labels, self._calico, self._nodes = _Part(reads.labels), _Part(reads.calico), _Part(reads.nodes)
        self._names, self._by_node = reads.names, by_node

    def of(self, endpoint: Endpoint) -> tuple[object, ...]:
        return (
            endpoint.selectable,
            endpoint.host_network,
            endpoint.namespace,
            self._labels.of(endpoint.labels),
            self._calico.of(endpoint.calico),
            self._nodes.of(endpoint.node_labels),
            endpoint.host_endpoint,
            _port_names(endpoint.ports, self._names),
            (endpoint.node, endpoint.host_addresses) if self._by_node else None,
        )


class _Part:
    """The labels of some keys; asked once for labels that are one object, as those of one template are."""

    def __init__(self, keys: set[str]) -> None:
        self._keys = sorted(keys)
        self._known: dict[int, tuple[str | None, ...]] = {}

    def of(self, labels: Mapping[str, str] | None) -> tuple[str | None, ...] | None:
        if labels is None:
            return None
        known = self._known.get(id(labels))
        if known is None:
            known = self._known[id(labels)] = tuple(map(labels.get, self._keys))
        return known


def _kind(endpoint: Endpoint) -> str:
    if endpoint.selectable:
        return POD
    if endpoint.host_network:
        return HOST_NETWORK
    return NODE if endpoint.node else OUTSIDE


def _port_names(ports: Mapping[tuple[str, str], frozenset[int]], wanted: set[tuple[str, str]]) -> PortNames:
    return tuple(sorted((*key, tuple(sorted(numbers))) for key, numbers in ports.items() if key in wanted))


def _outside(ranges: Ranges, family: int, known: set[int]) -> Iterator[EndpointClass]:
    """A class for each set of networks that holds addresses which are no endpoint's."""
    to_address = IPv4Address if family == 4 else IPv6Address
    ordered = sorted(known)
    for stretches in ranges.stretches().values():
        samples = [_free(low, high, ordered) for low, high in stretches]
        free = [stretch for stretch, sample in zip(stretches, samples, strict=True) if sample is not None]
        if free:
            sample = to_address(next(number for number in samples if number is not None))
            members = [
                str(network)
                for low, high in free
                for network in summarize_address_range(to_address(low), to_address(high))
            ]
            yield EndpointClass(OUTSIDE, Endpoint(f"ip:{sample}", addresses=(sample,)), (), members)


def _free(low: int, high: int, known: list[int]) -> int | None:
    """The first address of a stretch that is no endpoint's; None where each is one's."""
    at, place = low, bisect_left(known, low)
    while place < len(known) and known[place] == at:
        at, place = at + 1, place + 1
    return at if at <= high else None
