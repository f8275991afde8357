"""Sets of endpoints as integers, one bit an endpoint, so that a rule is asked once and not once a pair.

Selectors are answered from an index of labels; ranges by comparing addresses as numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.policy.model import AllOf, AnyOf, Block, Effect, Endpoint, Not, Selected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from grader.kube.model import LabelSelector, Network, Requirement
    from grader.policy.model import Match, Policy, Ports, Rule, Tier


_ANYONE = Endpoint("")


def members(bits: int) -> Iterator[int]:
    """Yield the positions of the bits that are set, lowest first."""
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


class Labels:
    """Which things have which labels."""

    def __init__(self, labelled: Iterable[tuple[int, Mapping[str, str]]], everyone: int) -> None:
        self._everyone = everyone
        self._keys: dict[str, int] = {}
        self._pairs: dict[tuple[str, str], int] = {}
        for bits, labels in labelled:
            for pair in labels.items():
                self._pairs[pair] = self._pairs.get(pair, 0) | bits
                self._keys[pair[0]] = self._keys.get(pair[0], 0) | bits

    def matching(self, selector: LabelSelector) -> int:
        """Return those that satisfy every requirement."""
        bits = self._everyone
        for requirement in selector.requirements:
            bits &= self._holding(requirement)
        return bits

    def _holding(self, requirement: Requirement) -> int:
        key = requirement.key
        match requirement.operator:
            case "In" | "NotIn":
                bits = 0
                for value in requirement.values:
                    bits |= self._pairs.get((key, value), 0)
                return bits if requirement.operator == "In" else self._everyone & ~bits
            case "Exists":
                return self._keys.get(key, 0)
            case _:
                return self._everyone & ~self._keys.get(key, 0)


class Population:
    """Endpoints in a fixed order, and the sets that matches and ports mean among them, for packets of one IP family."""

    def __init__(self, endpoints: Sequence[Endpoint], family: int) -> None:
        self.everyone = (1 << len(endpoints)) - 1
        self._endpoints = endpoints
        self._family = family
        self._selectable = sum(1 << i for i, endpoint in enumerate(endpoints) if endpoint.selectable)
        self._namespaces: dict[str, int] = {}
        self._named: dict[tuple[str, str, int], int] = {}
        self._addresses: list[tuple[int, int]] = []
        self._unknown = 0
        namespace_labels = {endpoint.namespace: endpoint.namespace_labels for endpoint in endpoints}
        for i, endpoint in enumerate(endpoints):
            self._namespaces[endpoint.namespace] = self._namespaces.get(endpoint.namespace, 0) | 1 << i
            address = endpoint.address(family)
            if address is None:
                self._unknown |= 1 << i
            else:
                self._addresses.append((int(address), 1 << i))
            for (name, protocol), numbers in endpoint.ports.items():
                for number in numbers:
                    key = name, protocol, number
                    self._named[key] = self._named.get(key, 0) | 1 << i
        self._labels = Labels(((1 << i, endpoint.labels) for i, endpoint in enumerate(endpoints)), self.everyone)
        self._namespace_labels = Labels(
            ((bits, namespace_labels[name]) for name, bits in self._namespaces.items()), self.everyone
        )
        self._peers: dict[tuple[Match, ...], int] = {}

    def peers(self, matches: tuple[Match, ...]) -> int:
        """Return those that any of the matches means; none given means everyone."""
        if not matches:
            return self.everyone
        bits = self._peers.get(matches)
        if bits is None:
            bits = 0
            for match in matches:
                bits |= self.meant(match)
            self._peers[matches] = bits
        return bits

    def meant(self, match: Match) -> int:
        """Return those that a match means; a kind that has no set-wise way is asked of each."""
        match match:
            case Selected():
                return self.selected(match)
            case Block():
                return self._in_block(match)
            case AnyOf(operands):
                return self.peers(operands) if operands else 0
            case AllOf(operands):
                bits = self.everyone
                for operand in operands:
                    bits &= self.peers((operand,))
                return bits
            case Not(operand):
                return self.everyone & ~self.peers((operand,))
            case _:
                return sum(1 << i for i, end in enumerate(self._endpoints) if match.matches(end, self._family))

    def selected(self, selected: Selected) -> int:
        """Return those that selectors pick."""
        bits = self._selectable
        if selected.namespace:
            bits &= self._namespaces.get(selected.namespace, 0)
        if selected.namespaces is not None:
            bits &= self._namespace_labels.matching(selected.namespaces)
        if selected.pods is not None:
            bits &= self._labels.matching(selected.pods)
        return bits

    def serving(self, rule: Rule, port: int, protocol: str) -> int:
        """Return the destinations at which this port is meant; only named ports tell them apart."""
        if not (rule.ports or rule.not_ports):
            return self.everyone
        if any(entry.name for entry in (*rule.ports, *rule.not_ports)):
            return self._serving_names(rule, port, protocol)
        return self.everyone if rule.matches_port(_ANYONE, port, protocol) else 0

    def _serving_names(self, rule: Rule, port: int, protocol: str) -> int:
        wanted, unwanted = 0, 0
        for entry in rule.ports:
            wanted |= self._serving_entry(entry, port, protocol)
        for entry in rule.not_ports:
            unwanted |= self._serving_entry(entry, port, protocol)
        return (wanted if rule.ports else self.everyone) & ~unwanted

    def _serving_entry(self, entry: Ports, port: int, protocol: str) -> int:
        if not entry.name:
            return self.everyone if entry.matches(_ANYONE, port, protocol) else 0
        if entry.protocol != protocol:
            return 0
        bits = self._named.get((entry.name, protocol, port), 0)
        return bits & self.peers((entry.only,)) if bits and entry.only is not None else bits

    def _in_block(self, block: Block) -> int:
        if block.cidr.version != self._family:
            return 0
        bits = self._inside(block.cidr)
        for excepted in block.excepted:
            bits &= ~self._inside(excepted)
        return bits | (self._unknown if block.cidr.prefixlen == 0 and not block.excepted else 0)

    def _inside(self, network: Network) -> int:
        if network.version != self._family:
            return 0
        low, high = int(network.network_address), int(network.broadcast_address)
        bits = 0
        for address, bit in self._addresses:
            if low <= address <= high:
                bits |= bit
        return bits


Selecting = tuple[tuple["Tier", tuple["Policy", ...]], ...]
"""The tiers that count for an endpoint, each with its policies that select it."""


def sweep(selecting: Selecting, everyone: int, matching: Callable[[Rule], int]) -> int:
    """Return the peers to which a direction opens, asking every rule once for all of them (see `policy.model`)."""
    allowed, remaining = 0, everyone
    for tier, policies in selecting:
        passed = 0
        for rule in (rule for policy in policies for rule in policy.rules):
            hit = matching(rule) & remaining
            remaining &= ~hit
            if rule.effect is Effect.ALLOW:
                allowed |= hit
            elif rule.effect is Effect.PASS:
                passed |= hit
        if tier.end is Effect.ALLOW:
            allowed |= remaining
        remaining = passed | (remaining if tier.end is Effect.PASS else 0)
    return allowed | remaining
