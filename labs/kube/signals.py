"""Which of the canary's signals tell that a change of some object has arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.kube.canary import CALICO, Signal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labs.kube.api import Resource

WORKLOADS = frozenset(
    {"Pod", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController", "Job", "CronJob"}
)
_CALICO_GROUPS = frozenset({"projectcalico.org", "crd.projectcalico.org"})
_CALICO_KINDS = {
    "NetworkPolicy": Signal.CALICO_POLICY,
    "GlobalNetworkPolicy": Signal.CALICO_GLOBAL,
    "NetworkSet": Signal.CALICO_SET,
    "GlobalNetworkSet": Signal.CALICO_GLOBAL_SET,
}
_KUBERNETES_KINDS = {
    "Namespace": Signal.NAMESPACE,
    "Service": Signal.SERVICE,
    "EndpointSlice": Signal.SERVICE,
    "ServiceAccount": Signal.CALICO_ACCOUNT,
}


def served(resources: Iterable[Resource]) -> frozenset[Signal]:
    """The signals that a cluster with these kinds can give."""
    kinds = {found.kind for found in resources if found.group == "projectcalico.org"}
    if not kinds.issuperset(_CALICO_KINDS):
        return frozenset(Signal) - CALICO
    return frozenset(Signal)


def touched(resource: Resource, *, services: bool) -> frozenset[Signal]:
    """The signals of the kinds that dataplanes read when an object of this kind changes.

    Args:
        resource: the kind.
        services: whether there are Services where it is, whose endpoints may change with it.
    """
    if resource.group in _CALICO_GROUPS:
        return frozenset({_CALICO_KINDS[resource.kind]}) if resource.kind in _CALICO_KINDS else frozenset(Signal)
    if resource.kind in WORKLOADS:
        return frozenset({Signal.POD, Signal.SERVICE}) if services else frozenset({Signal.POD})
    if resource.group == "networking.k8s.io" and resource.kind == "NetworkPolicy":
        return frozenset({Signal.POLICY})
    if resource.group == "policy.networking.k8s.io":
        return frozenset(Signal)
    if not resource.group or resource.group == "discovery.k8s.io":
        known = _KUBERNETES_KINDS.get(resource.kind)
        return frozenset({known}) if known else frozenset()
    return frozenset()


def has_own(resource: Resource) -> bool:
    """Whether a signal is carried by this very kind; where not, a moment is waited besides (see `settle`)."""
    if resource.group in _CALICO_GROUPS:
        return resource.kind in _CALICO_KINDS
    return resource.group != "policy.networking.k8s.io"
