"""Policies of administrators for a whole cluster: ClusterNetworkPolicy, and the two APIs it superseded.

Source: network-policy-api `apis/v1alpha2` (v1beta1 is the same) and `apis/v1alpha1`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.kube.model import Origin

if TYPE_CHECKING:
    from grader.kube.model import LabelSelector, Network

_NOWHERE = Origin()
ADMIN = "Admin"
BASELINE = "Baseline"


@dataclass(frozen=True, slots=True)
class PodSet:
    """Pods by the labels of their namespace and their own; None is every pod of those namespaces."""

    namespaces: LabelSelector
    pods: LabelSelector | None = None


@dataclass(frozen=True, slots=True)
class ClusterPeer:
    """One entry of `from` or `to`: exactly one field is given."""

    pods: PodSet | None = None
    nodes: LabelSelector | None = None
    networks: tuple[Network, ...] = ()
    domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClusterPort:
    """Ports of a protocol, or a named port; a name has the protocol of the container port that it means."""

    protocol: str = ""
    low: int = 0
    high: int = 65535
    name: str = ""


@dataclass(frozen=True, slots=True)
class ClusterRule:
    """One rule; `action` is Accept, Deny or Pass. No ports match every protocol."""

    action: str
    name: str = ""
    peers: tuple[ClusterPeer, ...] = ()
    ports: tuple[ClusterPort, ...] = ()


@dataclass(frozen=True, slots=True)
class ClusterPolicy:
    """A ClusterNetworkPolicy; an AdminNetworkPolicy or BaselineAdminNetworkPolicy in its terms.

    `tier` is `ADMIN` or `BASELINE`; lower `priority` first.
    """

    kind: str
    name: str
    tier: str
    priority: int
    subject: PodSet
    ingress: tuple[ClusterRule, ...] = ()
    egress: tuple[ClusterRule, ...] = ()
    origin: Origin = _NOWHERE

    @property
    def superseded(self) -> bool:
        """Whether it is of an API that ClusterNetworkPolicy has taken the place of."""
        return self.kind != "ClusterNetworkPolicy"
