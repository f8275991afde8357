"""The objects that decide traffic, with only the fields that do.

Source of the meaning of each field: the Kubernetes API types `core/v1` and `networking.k8s.io/v1`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.calico.model import (
        CalicoPolicy,
        CalicoTier,
        FelixConfiguration,
        HostEndpoint,
        IPPool,
        NetworkSet,
        Profile,
    )
    from grader.kube.cluster_model import ClusterPolicy
    from grader.kube.http_model import Gateway, GatewayClass, Ingress, IngressClass, ReferenceGrant, Route

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
NO_LABELS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an object came from: a file and a line, or empty for a live cluster."""

    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class ContainerPort:
    """A declared port; `name` is what named ports refer to."""

    number: int
    protocol: str = "TCP"
    name: str = ""


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace. `labels` include `kubernetes.io/metadata.name`, which the API always sets."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    origin: Origin = Origin()


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod.

    Attributes:
        ports: declared ports of all containers, init containers included.
        addresses: pod IPs of both families; empty for a pod that has none yet.
        owner: the workload's name (Deployment, StatefulSet, …), or the pod's own name.
        finished: phase Succeeded or Failed: it has no traffic.
        host_address: the address of its node, where known.
    """

    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    ports: tuple[ContainerPort, ...] = ()
    addresses: tuple[Address, ...] = ()
    node: str = ""
    host_address: Address | None = None
    host_network: bool = False
    service_account: str = "default"
    owner: str = ""
    finished: bool = False
    origin: Origin = Origin()

    @property
    def ref(self) -> str:
        """`namespace/name`, the form that probes use."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One expression of a label selector: operator In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Write it as kubectl does: `app=web`, `app in (a,b)`, `app`, `!app`."""
        match self.operator:
            case "In" if len(self.values) == 1:
                return f"{self.key}={self.values[0]}"
            case "In" | "NotIn":
                return f"{self.key} {'in' if self.operator == 'In' else 'notin'} ({','.join(self.values)})"
            case "Exists":
                return self.key
            case _:
                return f"!{self.key}"


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All requirements must hold; none selects everything. `matchLabels` are `In` with one value."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether these labels satisfy every requirement.

        `NotIn` and `DoesNotExist` hold for an absent label (apimachinery `labels.Requirement.Matches`).
        """
        return all(_holds(requirement, labels) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


def _holds(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    match requirement.operator:
        case "In":
            return labels.get(requirement.key) in requirement.values
        case "NotIn":
            return labels.get(requirement.key) not in requirement.values
        case "Exists":
            return requirement.key in labels
        case _:
            return requirement.key not in labels


@dataclass(frozen=True, slots=True)
class IPBlock:
    """An address range with exceptions inside it. It matches pod addresses too."""

    cidr: Network
    excepted: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Peer:
    """One entry of `from` or `to`: selectors (both must hold) or an address range.

    `pods` alone selects in the policy's own namespace; `namespaces` alone selects all pods of those namespaces.
    """

    pods: LabelSelector | None = None
    namespaces: LabelSelector | None = None
    block: IPBlock | None = None


@dataclass(frozen=True, slots=True)
class PolicyPort:
    """One entry of `ports`: a number, a range `port..end`, a name, or every port of the protocol (None)."""

    protocol: str = "TCP"
    port: int | str | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One ingress or egress rule. An empty tuple means "everything"."""

    peers: tuple[Peer, ...] = ()
    ports: tuple[PolicyPort, ...] = ()


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """A networking.k8s.io/v1 NetworkPolicy with `policyTypes` already worked out."""

    namespace: str
    name: str
    selector: LabelSelector = LabelSelector()
    ingress: tuple[PolicyRule, ...] = ()
    egress: tuple[PolicyRule, ...] = ()
    isolates_ingress: bool = True
    isolates_egress: bool = False
    origin: Origin = Origin()


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a Service; `target` is a number or a container port's name."""

    port: int
    target: int | str
    protocol: str = "TCP"
    name: str = ""
    node_port: int = 0


@dataclass(frozen=True, slots=True)
class Service:
    """A Service. `addresses` are its cluster IPs; none for headless.

    `outside` are external IPs and those of its load balancer. `internal_local` and `external_local` are its traffic
    policies: true for Local. `balancer` are those of the load balancer alone, open to `source_ranges`, or to all.
    """

    namespace: str
    name: str
    type: str = "ClusterIP"
    addresses: tuple[Address, ...] = ()
    selector: Mapping[str, str] | None = field(default=None, hash=False)
    ports: tuple[ServicePort, ...] = ()
    headless: bool = False
    origin: Origin = Origin()
    outside: tuple[Address, ...] = ()
    internal_local: bool = False
    external_local: bool = False
    balancer: tuple[Address, ...] = ()
    source_ranges: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """A node and its addresses."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A service account: Calico's selectors see its labels."""

    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class EndpointSlice:
    """Addresses behind a Service, and the ports there; a port of 0 is every one."""

    namespace: str
    name: str
    service: str
    addresses: tuple[Address, ...] = ()
    ports: tuple[ContainerPort, ...] = ()


@dataclass(frozen=True, slots=True)
class Objects:
    """Everything that was parsed from a snapshot, sorted by namespace and name.

    `passed_over` counts kinds that decide no traffic, or that netdojo does not know yet.
    """

    namespaces: tuple[Namespace, ...] = ()
    pods: tuple[Pod, ...] = ()
    services: tuple[Service, ...] = ()
    nodes: tuple[Node, ...] = ()
    policies: tuple[NetworkPolicy, ...] = ()
    passed_over: Mapping[str, int] = field(default_factory=dict, hash=False)
    service_accounts: tuple[ServiceAccount, ...] = ()
    endpoint_slices: tuple[EndpointSlice, ...] = ()
    cluster_policies: tuple[ClusterPolicy, ...] = ()
    calico_policies: tuple[CalicoPolicy, ...] = ()
    tiers: tuple[CalicoTier, ...] = ()
    network_sets: tuple[NetworkSet, ...] = ()
    host_endpoints: tuple[HostEndpoint, ...] = ()
    profiles: tuple[Profile, ...] = ()
    ip_pools: tuple[IPPool, ...] = ()
    felix: tuple[FelixConfiguration, ...] = ()
    ingresses: tuple[Ingress, ...] = ()
    ingress_classes: tuple[IngressClass, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    gateway_classes: tuple[GatewayClass, ...] = ()
    routes: tuple[Route, ...] = ()
    grants: tuple[ReferenceGrant, ...] = ()

    @property
    def is_calico(self) -> bool:
        """Whether Calico's own objects are among them: then Calico is what enforces every policy."""
        return any(
            (
                self.calico_policies,
                self.tiers,
                self.network_sets,
                self.host_endpoints,
                self.profiles,
                self.ip_pools,
                self.felix,
            )
        )
