"""Calico's objects with the fields that decide traffic. Source: the API types of projectcalico.org/v3."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grader.kube.model import Origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.calico.selectors import Expression
    from grader.kube.model import Address, ContainerPort, Network, NetworkPolicy

_NOWHERE = Origin()
GROUP = "projectcalico.org"
"""The API group of these kinds."""
DEFAULT_TIER = "default"


@dataclass(frozen=True, slots=True)
class PortMatch:
    """Ports `low` to `high`, or a named port."""

    low: int = 0
    high: int = 65535
    name: str = ""


@dataclass(frozen=True, slots=True)
class Accounts:
    """Service accounts by name and by label: both must hold."""

    names: tuple[str, ...] = ()
    selector: Expression | None = None


@dataclass(frozen=True, slots=True)
class ServiceMatch:
    """A Service by name; an empty namespace is the policy's own."""

    name: str
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Entity:
    """One side of a rule. A selector of None is not given; an empty tuple of ranges or ports says nothing."""

    nets: tuple[Network, ...] = ()
    not_nets: tuple[Network, ...] = ()
    selector: Expression | None = None
    not_selector: Expression | None = None
    namespace_selector: Expression | None = None
    accounts: Accounts | None = None
    service: ServiceMatch | None = None
    ports: tuple[PortMatch, ...] = ()
    not_ports: tuple[PortMatch, ...] = ()


_ANYTHING = Entity()


@dataclass(frozen=True, slots=True)
class CalicoRule:
    """One rule.

    Attributes:
        action: Allow, Deny, Log or Pass.
        protocol: its name, or its number in digits; empty for all.
        icmp: type and code; a code of None is any.
        ip_version: 4, 6, or 0 for both.
        http: methods and paths in words; empty for no HTTP match.
    """

    action: str
    source: Entity = _ANYTHING
    destination: Entity = _ANYTHING
    protocol: str = ""
    not_protocol: str = ""
    icmp: tuple[int, int | None] | None = None
    not_icmp: tuple[int, int | None] | None = None
    ip_version: int = 0
    http: str = ""


@dataclass(frozen=True, slots=True)
class CalicoPolicy:
    """A NetworkPolicy, GlobalNetworkPolicy or a staged one of them, with `types` worked out.

    Attributes:
        kind: as in the manifest.
        namespace: empty for a global one.
        order: None sorts last.
        selector: of endpoints; namespace and service account selectors are kept apart.
        staged: evaluated by nobody but shown by those who stage policies.
        staged_action: Set, Delete, Learn or Ignore, for staged ones.
        kubernetes: what a StagedKubernetesNetworkPolicy would become.
    """

    kind: str
    namespace: str
    name: str
    tier: str = DEFAULT_TIER
    order: float | None = None
    selector: Expression | None = None
    namespace_selector: Expression | None = None
    account_selector: Expression | None = None
    ingress: tuple[CalicoRule, ...] = ()
    egress: tuple[CalicoRule, ...] = ()
    applies_ingress: bool = True
    applies_egress: bool = False
    do_not_track: bool = False
    pre_dnat: bool = False
    apply_on_forward: bool = False
    staged: bool = False
    staged_action: str = ""
    kubernetes: NetworkPolicy | None = None
    origin: Origin = _NOWHERE


@dataclass(frozen=True, slots=True)
class CalicoTier:
    """A tier; `passes` when what none of its policies matched goes on with the next one."""

    name: str
    order: float | None = None
    passes: bool = False
    origin: Origin = _NOWHERE


@dataclass(frozen=True, slots=True)
class NetworkSet:
    """Ranges with labels; an empty namespace is a GlobalNetworkSet."""

    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    nets: tuple[Network, ...] = ()
    origin: Origin = _NOWHERE


@dataclass(frozen=True, slots=True)
class HostEndpoint:
    """An interface of a host that policies judge; interface `*` is every one.

    `addresses` are its expectedIPs. `profiles` in order.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    node: str = ""
    interface: str = ""
    addresses: tuple[Address, ...] = ()
    profiles: tuple[str, ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    origin: Origin = _NOWHERE


@dataclass(frozen=True, slots=True)
class Profile:
    """Rules after the tiers, and labels for the endpoints that have it."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    ingress: tuple[CalicoRule, ...] = ()
    egress: tuple[CalicoRule, ...] = ()
    origin: Origin = _NOWHERE


@dataclass(frozen=True, slots=True)
class IPPool:
    """A range that pods get their addresses from; None where it cannot be read."""

    name: str
    cidr: Network | None
    disabled: bool = False
    origin: Origin = _NOWHERE


@dataclass(frozen=True, slots=True)
class FailSafe:
    """A port of hosts that no policy closes; `net` of None is everywhere."""

    protocol: str
    port: int
    net: Network | None = None


_TCP = (179, 2379, 2380, 5473, 6443, 6666, 6667)
FAIL_SAFE_INGRESS = (FailSafe("TCP", 22), FailSafe("UDP", 68), *(FailSafe("TCP", port) for port in _TCP))
FAIL_SAFE_EGRESS = (FailSafe("UDP", 53), FailSafe("UDP", 67), *(FailSafe("TCP", port) for port in _TCP))


@dataclass(frozen=True, slots=True)
class FelixConfiguration:
    """The part of Felix' configuration that decides traffic: fail-safe ports; None leaves them as built in."""

    name: str
    ingress: tuple[FailSafe, ...] | None = None
    egress: tuple[FailSafe, ...] | None = None
