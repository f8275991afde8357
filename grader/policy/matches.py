"""What a rule may say of one end of a packet, and what it sees of it. Everything here is data and hashable."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grader.calico.selectors import Everything

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.calico.selectors import Expression
    from grader.kube.model import Address, LabelSelector, Network


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
        node_labels: those of the node that it is, or whose network it uses.
        calico: the labels that Calico's selectors see, inherited ones too; None for what is no endpoint to Calico.
        host_endpoint: the name of the HostEndpoint that judges it; empty for what is no host with one.
        every_interface: that HostEndpoint is of every interface, not of the one to the outside.
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
    node_labels: Mapping[str, str] | None = field(default=None, hash=False)
    calico: Mapping[str, str] | None = field(default=None, hash=False)
    host_endpoint: str = ""
    every_interface: bool = False

    @property
    def policed(self) -> bool:
        """Whether any policy may be about it: a pod with its own network, or a host with a HostEndpoint."""
        return self.selectable or bool(self.host_endpoint)

    def address(self, family: int) -> Address | None:
        """Return its first address of a family; None when it has none, or none is known."""
        return next((address for address in self.addresses if address.version == family), None)


def _words(selector: LabelSelector | None) -> str:
    """A selector as kubectl writes it; empty when it selects everything."""
    return "" if selector is None else str(selector)


@dataclass(frozen=True, slots=True)
class Selected:
    """Pods by labels. `namespace` limits to one namespace by name; a selector that is None selects everything.

    `own_network` rules out pods in their node's network, which NetworkPolicy leaves open.
    """

    namespace: str = ""
    namespaces: LabelSelector | None = None
    pods: LabelSelector | None = None
    own_network: bool = False

    def matches(self, endpoint: Endpoint, family: int) -> bool:  # noqa: ARG002 - labels know no family; blocks do
        """Tell whether the endpoint is one of them."""
        return (
            endpoint.selectable
            and not (self.own_network and endpoint.host_network)
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


@dataclass(frozen=True, slots=True)
class Labelled:
    """Calico endpoints by a selector, and (as a peer) every address that a network set so labelled covers.

    `networks` are those of the network sets; a policy's subject and the ports that a name means have none.
    """

    expression: Expression
    networks: tuple[Network, ...] = ()

    def matches(self, endpoint: Endpoint, family: int) -> bool:
        """Tell whether its labels satisfy the selector, or a network set's range holds its address."""
        if endpoint.calico is not None and self.expression.matches(endpoint.calico):
            return True
        return any(Block(network).matches(endpoint, family) for network in self.networks)

    def __str__(self) -> str:
        return "all endpoints" if isinstance(self.expression, Everything) else f"endpoints {self.expression}"


@dataclass(frozen=True, slots=True)
class Nodes:
    """Nodes by labels, and what uses their network."""

    selector: LabelSelector

    def matches(self, endpoint: Endpoint, family: int) -> bool:  # noqa: ARG002 - labels know no family
        """Tell whether it is such a node."""
        return endpoint.node_labels is not None and self.selector.matches(endpoint.node_labels)

    def __str__(self) -> str:
        return f"nodes {self.selector}" if self.selector.requirements else "all nodes"


@dataclass(frozen=True, slots=True)
class Hosts:
    """Hosts that have a HostEndpoint: those of these names, or all."""

    names: tuple[str, ...] = ()

    def matches(self, endpoint: Endpoint, family: int) -> bool:  # noqa: ARG002 - names know no family
        """Tell whether it is such a host."""
        return bool(endpoint.host_endpoint) and (not self.names or endpoint.host_endpoint in self.names)

    def __str__(self) -> str:
        return f"host endpoints {', '.join(self.names)}" if self.names else "all host endpoints"


@dataclass(frozen=True, slots=True)
class Named:
    """Endpoints by their names in flows: a Service's endpoints, or the hosts that a domain name means."""

    refs: tuple[str, ...]
    addresses: tuple[Address, ...] = ()
    words: str = ""

    def matches(self, endpoint: Endpoint, family: int) -> bool:
        """Tell whether it is one of them, by name or by address."""
        return endpoint.ref in self.refs or endpoint.address(family) in self.addresses

    def __str__(self) -> str:
        return self.words or ", ".join(self.refs)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of the matches."""

    operands: tuple[Match, ...]

    def matches(self, endpoint: Endpoint, family: int) -> bool:
        """Tell whether one holds."""
        return any(operand.matches(endpoint, family) for operand in self.operands)

    def __str__(self) -> str:
        return " or ".join(map(str, self.operands))


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every one of the matches; none of them is everything."""

    operands: tuple[Match, ...]

    def matches(self, endpoint: Endpoint, family: int) -> bool:
        """Tell whether all hold."""
        return all(operand.matches(endpoint, family) for operand in self.operands)

    def __str__(self) -> str:
        return " and ".join(map(str, self.operands)) or "anywhere"


@dataclass(frozen=True, slots=True)
class Not:
    """What the match does not mean."""

    operand: Match

    def matches(self, endpoint: Endpoint, family: int) -> bool:
        """Tell whether it does not hold."""
        return not self.operand.matches(endpoint, family)

    def __str__(self) -> str:
        return f"not ({self.operand})"


Match = Selected | Block | Labelled | Nodes | Hosts | Named | AnyOf | AllOf | Not
