"""The normal form of every policy API: tiers → policies → rules, for each direction, first match wins.

A direction is judged at one endpoint, the subject: the source for egress, the destination for ingress. The tiers are
asked in order. A tier in which no policy selects the subject is skipped. In the others the rules of the selecting
policies are asked in order; the first that matches decides: ALLOW and DENY are final, PASS goes on with the next tier.
When none matches, the tier's `end` decides in the same way. After the last tier traffic is allowed.

Everything here is data and hashable, so that an evaluator may work pair by pair or over whole sets of endpoints.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from grader.kube.model import Origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.kube.model import Address, LabelSelector, Network

INGRESS = "ingress"
EGRESS = "egress"


class Effect(StrEnum):
    """What a rule, or the end of a tier, does with a packet."""

    ALLOW = "allow"
    DENY = "deny"
    PASS = "pass"  # noqa: S105 - a verb of policies, no secret


_NOWHERE = Origin()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What policies see of one end of a packet.

    Attributes:
        ref: its name in flows: `ns/pod`, `node:…`, `host:…`, `ip:…`.
        namespace: empty for what is no pod.
        selectable: selectors pick it; false for nodes, outside addresses and pods in their node's network.
        addresses: empty where they are not known.
        ports: number by (name, protocol): what a named port means here.
        node: the node it runs on, or is; empty where not known.
        host_addresses: addresses of that node.
        host_network: a pod that uses its node's addresses: the specification leaves open what policies do with it.
        labels: its own, kept for host-network pods too.
        namespace_labels: those of its namespace.
    """

    ref: str
    namespace: str = ""
    selectable: bool = False
    addresses: tuple[Address, ...] = ()
    ports: Mapping[tuple[str, str], frozenset[int]] = field(default_factory=dict, hash=False)
    node: str = ""
    host_addresses: tuple[Address, ...] = ()
    host_network: bool = False
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    namespace_labels: Mapping[str, str] = field(default_factory=dict, hash=False)

    def address(self, family: int) -> Address | None:
        """Return its first address of a family; None when it has none, or none is known."""
        return next((address for address in self.addresses if address.version == family), None)


def _words(selector: LabelSelector | None) -> str:
    """A selector as kubectl writes it; empty when it selects everything."""
    return "" if selector is None else str(selector)


@dataclass(frozen=True, slots=True)
class Selected:
    """Pods by labels. `namespace` limits to one namespace by name; a selector that is None selects everything."""

    namespace: str = ""
    namespaces: LabelSelector | None = None
    pods: LabelSelector | None = None

    def matches(self, endpoint: Endpoint, family: int) -> bool:  # noqa: ARG002 - labels know no family; blocks do
        """Tell whether the endpoint is one of them."""
        return (
            endpoint.selectable
            and (not self.namespace or endpoint.namespace == self.namespace)
            and (self.namespaces is None or self.namespaces.matches(endpoint.namespace_labels))
            and (self.pods is None or self.pods.matches(endpoint.labels))
        )

    def __str__(self) -> str:
        pods = _words(self.pods)
        named = _words(self.namespaces)
        where = (
            f"namespace {self.namespace}" if self.namespace else f"namespaces {named}" if named else "every namespace"
        )
        return f"pods {pods} of {where}" if pods else f"all pods of {where}"


@dataclass(frozen=True, slots=True)
class Block:
    """Addresses of a range, without those of `excepted`; pod addresses are addresses like others."""

    cidr: Network
    excepted: tuple[Network, ...] = ()

    def matches(self, endpoint: Endpoint, family: int) -> bool:
        """Tell whether the address that the packet carries lies inside.

        Where the address is not known (a pod of a manifest that runs nowhere), only a block of every address is sure.
        """
        if self.cidr.version != family:
            return False
        address = endpoint.address(family)
        if address is None:
            return self.cidr.prefixlen == 0 and not self.excepted
        return address in self.cidr and not any(address in excepted for excepted in self.excepted)

    def __str__(self) -> str:
        return str(self.cidr) + (f" except {', '.join(map(str, self.excepted))}" if self.excepted else "")


Match = Selected | Block


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports of one protocol: an interval, or (with `name`) what the destination calls so."""

    protocol: str
    low: int = 0
    high: int = 65535
    name: str = ""

    def matches(self, destination: Endpoint, port: int, protocol: str) -> bool:
        """Tell whether a packet to this destination port is meant. A name that is not resolved matches nothing."""
        if protocol != self.protocol:
            return False
        if self.name:
            return port in destination.ports.get((self.name, protocol), ())
        return self.low <= port <= self.high

    def __str__(self) -> str:
        suffix = f"/{self.protocol}"
        if self.name:
            return f'"{self.name}"{suffix}'
        if (self.low, self.high) == (0, 65535):
            return f"every port{suffix}"
        return f"{self.low}{suffix}" if self.low == self.high else f"{self.low}-{self.high}{suffix}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. Empty `peers` match every address, empty `ports` every protocol (ICMP too).

    `number` counts from 1, as people count the entries of `ingress` or `egress`.
    """

    number: int
    effect: Effect = Effect.ALLOW
    peers: tuple[Match, ...] = ()
    ports: tuple[Ports, ...] = ()

    def matches_peer(self, peer: Endpoint, family: int) -> bool:
        """Tell whether the other end is meant."""
        return not self.peers or any(match.matches(peer, family) for match in self.peers)

    def matches_port(self, destination: Endpoint, port: int, protocol: str) -> bool:
        """Tell whether the destination's port is meant."""
        return not self.ports or any(ports.matches(destination, port, protocol) for ports in self.ports)


@dataclass(frozen=True, slots=True)
class Policy:
    """One direction of a policy as somebody wrote it."""

    kind: str
    namespace: str
    name: str
    subject: Selected
    rules: tuple[Rule, ...] = ()
    origin: Origin = _NOWHERE


@dataclass(frozen=True, slots=True)
class Tier:
    """Policies in their order, and what becomes of a packet that none of the selecting ones matched."""

    name: str
    policies: tuple[Policy, ...]
    end: Effect = Effect.DENY


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Every tier of a cluster, in order, for each direction."""

    ingress: tuple[Tier, ...] = ()
    egress: tuple[Tier, ...] = ()

    def tiers(self, direction: str) -> tuple[Tier, ...]:
        """Return the tiers of `INGRESS` or `EGRESS`."""
        return self.ingress if direction == INGRESS else self.egress
