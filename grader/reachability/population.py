"""Endpoints in a fixed order, and the sets that matches mean among them: a match is asked once and not once a pair.

Selectors are answered from an index of labels; ranges by comparing addresses as numbers.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

from grader.policy.model import AllOf, AnyOf, Block, Hosts, Labelled, Named, Nodes, Not, Selected
from grader.reachability.bits import Labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.kube.model import Network
    from grader.policy.model import Endpoint, Match
    from grader.reachability.bits import Bits


class Population:
    """Endpoints in a fixed order, for packets of one IP family."""

    def __init__(self, endpoints: Sequence[Endpoint], family: int) -> None:
        self.everyone: Bits = (1 << len(endpoints)) - 1
        self._endpoints = endpoints
        self._family = family
        self._selectable = sum(1 << i for i, endpoint in enumerate(endpoints) if endpoint.selectable)
        self._guests = sum(1 << i for i, endpoint in enumerate(endpoints) if endpoint.host_network)
        self._namespaces: dict[str, Bits] = {}
        addresses: list[tuple[int, Bits]] = []
        self._unknown: Bits = 0
        namespace_labels = {endpoint.namespace: endpoint.namespace_labels for endpoint in endpoints}
        for i, endpoint in enumerate(endpoints):
            self._namespaces[endpoint.namespace] = self._namespaces.get(endpoint.namespace, 0) | 1 << i
            address = endpoint.address(family)
            if address is None:
                self._unknown |= 1 << i
            else:
                addresses.append((int(address), 1 << i))
        addresses.sort()
        self._addresses = [address for address, _ in addresses]
        self._up_to: list[Bits] = [0, *accumulate(bits for _, bits in addresses)]
        one_by_one = list(enumerate(endpoints))
        self._labels = Labels((1 << i, endpoint.labels) for i, endpoint in one_by_one)
        self._namespace_labels = Labels((bits, namespace_labels[name]) for name, bits in self._namespaces.items())
        self._calico = Labels((1 << i, each.calico) for i, each in one_by_one if each.calico is not None)
        self._nodes = Labels((1 << i, each.node_labels) for i, each in one_by_one if each.node_labels is not None)
        self._known: dict[Match, Bits] = {}

    def any_of(self, matches: tuple[Match, ...]) -> Bits:
        """Return those that any of the matches means; none given means everyone."""
        if not matches:
            return self.everyone
        bits = 0
        for match in matches:
            bits |= self.matching(match)
        return bits

    def matching(self, match: Match) -> Bits:
        """Return those that a match means."""
        bits = self._known.get(match)
        if bits is None:
            bits = self._known[match] = self._found(match)
        return bits

    def _found(self, match: Match) -> Bits:
        match match:
            case Selected():
                bits = self._selected(match)
            case Block():
                bits = self._in_block(match)
            case Labelled():
                bits = self._calico.satisfying(match.expression) | self._in_any(match.networks)
            case Nodes():
                bits = self._nodes.matching(match.selector)
            case AnyOf():
                bits = self.any_of(match.operands) if match.operands else 0
            case AllOf():
                bits = self.everyone
                for operand in match.operands:
                    bits &= self.matching(operand)
            case Not():
                bits = self.everyone & ~self.matching(match.operand)
            case Named() | Hosts():
                matched = [i for i, each in enumerate(self._endpoints) if match.matches(each, self._family)]
                bits = sum(1 << i for i in matched)
        return bits

    def _selected(self, selected: Selected) -> Bits:
        bits = self._selectable & ~self._guests if selected.own_network else self._selectable
        if selected.namespace:
            bits &= self._namespaces.get(selected.namespace, 0)
        if selected.namespaces is not None:
            bits &= self._namespace_labels.matching(selected.namespaces)
        if selected.pods is not None:
            bits &= self._labels.matching(selected.pods)
        return bits

    def _in_any(self, networks: tuple[Network, ...]) -> Bits:
        bits = 0
        for network in networks:
            bits |= self._in_block(Block(network))
        return bits

    def _in_block(self, block: Block) -> Bits:
        if block.cidr.version != self._family:
            return 0
        bits = self._inside(block.cidr)
        for excepted in block.excepted:
            bits &= ~self._inside(excepted)
        return bits | (self._unknown if block.cidr.prefixlen == 0 and not block.excepted else 0)

    def _inside(self, network: Network) -> Bits:
        first = bisect_left(self._addresses, int(network.network_address))
        after = bisect_right(self._addresses, int(network.broadcast_address))
        # Each endpoint stands in one place of the order, so that a range is what its end has more than its beginning.
        return self._up_to[after] & ~self._up_to[first]
