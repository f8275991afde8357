"""NetworkPolicies to rules: for each node the table that judges the pods on it.

Egress is judged on the source's node, ingress on the destination's. Two chains are called for each forwarded packet,
so both directions must let it pass; a third judges what a pod sends to its own node. What a node itself sends is not
judged, nor is a pod's packet to its own address, which never leaves the pod. The order of hooks puts all of this after
a Service's address is translated and before a source address is.

Source of the meaning: the Kubernetes API type networking.k8s.io/v1 NetworkPolicy.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labs.sandbox.dataplane.nftables import ranges
from labs.sandbox.dataplane.nftables.ruleset import (
    PROTOCOLS,
    Accept,
    Addresses,
    AddressPorts,
    Chain,
    Drop,
    Established,
    Family,
    ForeignSource,
    Goto,
    Hook,
    Interface,
    Jump,
    Match,
    NeighbourDiscovery,
    Place,
    Ports,
    Protocol,
    Rule,
    Side,
    Table,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from grader.kube.model import Address, NetworkPolicy, Objects, Peer, Pod, PolicyPort, PolicyRule
    from labs.sandbox.dataplane.nftables.ranges import Ranges

POD_LINKS = "cali"
"""How the names of all pods' links on a node begin."""

_ALL_PORTS = ((0, 65535),)
_BEFORE_TRANSLATION = -150
_LONGEST_NAME = 200
_FORGED = Rule(
    (Interface(Side.SOURCE, POD_LINKS, prefix=True), ForeignSource()), Drop(), "a pod that uses an address of others"
)
_ESTABLISHED = Rule((Established(),), Accept(), "replies and flows that were let through before")
_DISCOVERY = Rule(
    (Protocol(PROTOCOLS["ICMPv6"]), NeighbourDiscovery()), Accept(), "IPv6 neighbour discovery is never judged"
)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a running pod is: its node, its link there, its addresses."""

    node: str
    interface: str
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class _Subject:
    """A pod that policies may select or name as a peer."""

    pod: Pod
    addresses: tuple[Address, ...]


def compile_policies(objects: Objects, placements: Mapping[str, Placement], nodes: Iterable[str]) -> dict[str, Table]:
    """Return each node's table of policy.

    Args:
        objects: the snapshot.
        placements: running pods by `namespace/name`. Packets of a link that is not among them are dropped.
        nodes: all nodes; one without pods gets a table too.
    """
    return _Compiler(objects, placements).tables(nodes)


class _Compiler:
    def __init__(self, objects: Objects, placements: Mapping[str, Placement]) -> None:
        self.placements = placements
        self.policies = objects.policies
        self.namespace_labels = {n.name: n.labels for n in objects.namespaces}
        self.by_namespace: dict[str, list[_Subject]] = {}
        for pod in objects.pods:
            if pod.host_network or pod.finished:
                continue  # such a pod is its node, or has no traffic: no selector means it
            placement = placements.get(pod.ref)
            subject = _Subject(pod, placement.addresses if placement else pod.addresses)
            self.by_namespace.setdefault(pod.namespace, []).append(subject)
        self.selected = {id(p): self._selected(p) for p in self.policies}

    def _selected(self, policy: NetworkPolicy) -> list[_Subject]:
        return [s for s in self.by_namespace.get(policy.namespace, ()) if policy.selector.matches(s.pod.labels)]

    def tables(self, nodes: Iterable[str]) -> dict[str, Table]:
        isolating = {Side.SOURCE: self._isolating(Side.SOURCE), Side.DESTINATION: self._isolating(Side.DESTINATION)}
        chains = {
            (side, id(p)): self._policy_chain(p, side)
            for side, direction in isolating.items()
            for p in {id(p): p for policies in direction.values() for p in policies}.values()
        }
        known = {s.pod.ref for subjects in self.by_namespace.values() for s in subjects}
        on_node: dict[str, list[tuple[str, Placement]]] = {node: [] for node in nodes}
        for ref, placement in sorted(self.placements.items()):
            if ref in known and placement.node in on_node:
                on_node[placement.node].append((ref, placement))
        return {node: self._table(pods, isolating, chains) for node, pods in on_node.items()}

    def _isolating(self, side: Side) -> dict[str, list[NetworkPolicy]]:
        """For each isolated pod, the policies that isolate it in this direction."""
        found: dict[str, list[NetworkPolicy]] = {}
        for policy in self.policies:
            if policy.isolates_egress if side is Side.SOURCE else policy.isolates_ingress:
                for subject in self.selected[id(policy)]:
                    found.setdefault(subject.pod.ref, []).append(policy)
        return found

    def _table(
        self,
        pods: Sequence[tuple[str, Placement]],
        isolating: Mapping[Side, Mapping[str, list[NetworkPolicy]]],
        chains: Mapping[tuple[Side, int], Chain],
    ) -> Table:
        used: dict[str, Chain] = {}
        judges: list[Chain] = []
        dispatch: dict[Side, list[Rule]] = {Side.SOURCE: [], Side.DESTINATION: []}
        for side, rules in dispatch.items():
            for ref, placement in pods:
                link = Interface(side, placement.interface)
                policies = isolating[side].get(ref)
                if not policies:
                    rules.append(Rule((link,), Accept(), f"{ref}: no policy isolates it for {_direction(side)}"))
                    continue
                used |= {c.name: c for p in policies if (c := chains[side, id(p)]).rules}
                judge = _pod_chain(ref, side, [(p, chains[side, id(p)]) for p in policies])
                judges.append(judge)
                rules.append(Rule((link,), Goto(judge.name), f"{_direction(side)} of {ref}"))
            stranger = Interface(side, POD_LINKS, prefix=True)
            rules.append(Rule((stranger,), Drop(), "a pod that is not known yet"))
        egress, ingress = tuple(dispatch[Side.SOURCE]), tuple(dispatch[Side.DESTINATION])
        hooked = (
            Chain("sources", (_DISCOVERY, _FORGED), Hook("filter", Place.PREROUTING, _BEFORE_TRANSLATION)),
            Chain("egress-forward", (_ESTABLISHED, *egress), Hook("filter", Place.FORWARD, 0)),
            Chain("egress-node", (_DISCOVERY, _ESTABLISHED, *egress), Hook("filter", Place.INPUT, 0)),
            Chain("ingress-forward", (_ESTABLISHED, *ingress), Hook("filter", Place.FORWARD, 10)),
        )
        return Table("policy", (*used.values(), *judges, *hooked))

    def _policy_chain(self, policy: NetworkPolicy, side: Side) -> Chain:
        ref = f"{policy.namespace}/{policy.name}"
        rules: list[Rule] = []
        for number, rule in enumerate(policy.egress if side is Side.SOURCE else policy.ingress, start=1):
            comment = f"NetworkPolicy {ref} {_direction(side)} rule {number}"
            rules += (Rule(matches, Accept(), comment) for matches in self._matches(policy, side, rule))
        return Chain(_name(_direction(side), ref), tuple(rules))

    def _matches(self, policy: NetworkPolicy, side: Side, rule: PolicyRule) -> Iterator[tuple[Match, ...]]:
        """The ways in which a packet can satisfy a rule; any of them is enough."""
        peers = self._peers(policy, side, rule.peers)
        if not rule.ports:
            yield from peers.values()
            return
        for protocol, numbers in _numbered(rule.ports).items():
            ports: tuple[Match, ...] = () if numbers == _ALL_PORTS else (Ports(numbers),)
            for peer in peers.values():
                yield (*peer, Protocol(PROTOCOLS[protocol]), *ports)
        yield from self._named(policy, side, rule, peers)

    def _peers(self, policy: NetworkPolicy, side: Side, peers: Sequence[Peer]) -> dict[int, tuple[Match, ...]]:
        """What a peer's address must satisfy, by IP version (0 is any version, when there are no peers at all)."""
        if not peers:
            return {0: ()}
        other = Side.DESTINATION if side is Side.SOURCE else Side.SOURCE
        found: dict[int, list[ranges.Range]] = {4: [], 6: []}
        for peer in peers:
            for version, addresses in self._peer(policy, peer):
                found[version] += addresses
        return {
            version: (Family(version), Addresses(other, version, ranges.merge(addresses)))
            for version, addresses in found.items()
            if addresses
        }

    def _peer(self, policy: NetworkPolicy, peer: Peer) -> Iterator[tuple[int, Ranges]]:
        if peer.block is not None:
            yield peer.block.cidr.version, ranges.of_block(peer.block)
            return
        if peer.namespaces is None:
            namespaces = [policy.namespace]
        else:
            namespaces = [n for n, labels in self.namespace_labels.items() if peer.namespaces.matches(labels)]
        for namespace in namespaces:
            for subject in self.by_namespace.get(namespace, ()):
                if peer.pods is None or peer.pods.matches(subject.pod.labels):
                    yield from ((a.version, ((int(a), int(a)),)) for a in subject.addresses)

    def _named(
        self, policy: NetworkPolicy, side: Side, rule: PolicyRule, peers: Mapping[int, tuple[Match, ...]]
    ) -> Iterator[tuple[Match, ...]]:
        """Named ports: what the name means on each destination, as pairs of address and port."""
        names = {(p.protocol, p.port) for p in rule.ports if isinstance(p.port, str)}
        if side is Side.SOURCE:
            destinations = [s for subjects in self.by_namespace.values() for s in subjects]
        else:
            destinations = self.selected[id(policy)]
        for protocol, name in sorted(names):
            for version in (4, 6):
                peer = peers.get(version, peers.get(0))
                pairs = tuple(
                    sorted(
                        (int(address), port.number)
                        for subject in destinations
                        for port in subject.pod.ports
                        if port.name == name and port.protocol == protocol
                        for address in subject.addresses
                        if address.version == version
                    )
                )
                if peer is None or not pairs:
                    continue
                yield (
                    *(peer or (Family(version),)),
                    Protocol(PROTOCOLS[protocol]),
                    AddressPorts(version, pairs),
                )


def _numbered(ports: Iterable[PolicyPort]) -> dict[str, Ranges]:
    """The port numbers of each protocol; an entry without a port is all of them."""
    found: dict[str, list[ranges.Range]] = {}
    for entry in ports:
        if isinstance(entry.port, str):
            continue
        first, last = (0, 65535) if entry.port is None else (entry.port, entry.end or entry.port)
        found.setdefault(entry.protocol, []).append((first, last))
    return {protocol: ranges.merge(numbers) for protocol, numbers in found.items()}


def _pod_chain(ref: str, side: Side, policies: Sequence[tuple[NetworkPolicy, Chain]]) -> Chain:
    direction = _direction(side)
    asked = tuple(
        Rule((), Jump(chain.name), f"NetworkPolicy {p.namespace}/{p.name}") for p, chain in policies if chain.rules
    )
    isolating = ", ".join(f"{p.namespace}/{p.name}" for p, _ in policies)
    closing = Rule((), Drop(), f"{direction} of {ref} isolated by {isolating}: nothing allows it")
    return Chain(_name(f"pod-{direction}", ref), (*asked, closing))


def _direction(side: Side) -> str:
    return "egress" if side is Side.SOURCE else "ingress"


def _name(kind: str, ref: str) -> str:
    """A chain's name; names of objects are shorter than the kernel's limit but for some that nobody gives."""
    name = f"{kind}/{ref}"
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 17]}/{hash_of(name)}"


def hash_of(text: str) -> str:
    """Sixteen hexadecimal digits that stand for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
