"""Which of the kinds that are not read may decide traffic all the same; of the others it is enough to count them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_CALICO = frozenset(
    {
        "BGPConfiguration",
        "BGPFilter",
        "BGPPeer",
        "BlockAffinity",
        "CalicoNodeStatus",
        "ClusterInformation",
        "IPAMBlock",
        "IPAMConfig",
        "IPAMConfiguration",
        "IPAMHandle",
        "IPReservation",
        "KubeControllersConfiguration",
        "LicenseKey",
        "Node",
        "PacketCapture",
        "WorkloadEndpoint",
    }
)
IDLE: Mapping[str, frozenset[str]] = {
    "projectcalico.org": _CALICO,
    "crd.projectcalico.org": _CALICO,
    "policy.networking.k8s.io": frozenset(),
    "crd.antrea.io": frozenset(
        {"AntreaAgentInfo", "AntreaControllerInfo", "ExternalIPPool", "IPPool", "SupportBundleCollection", "Traceflow"}
    ),
    "security.istio.io": frozenset({"RequestAuthentication"}),
}
"""Groups whose kinds may decide traffic, and those of them that do not: routes, addresses, states."""
DECIDING: Mapping[str, frozenset[str]] = {
    "cilium.io": frozenset(
        {
            "CiliumCIDRGroup",
            "CiliumClusterwideEnvoyConfig",
            "CiliumClusterwideNetworkPolicy",
            "CiliumEgressGatewayPolicy",
            "CiliumEnvoyConfig",
            "CiliumLocalRedirectPolicy",
            "CiliumNetworkPolicy",
        }
    ),
    "gateway.networking.k8s.io": frozenset(
        {"GRPCRoute", "Gateway", "HTTPRoute", "ListenerSet", "ReferenceGrant", "TCPRoute", "TLSRoute", "UDPRoute"}
    ),
    "k8s.cni.cncf.io": frozenset({"MultiNetworkPolicy"}),
    "traefik.io": frozenset({"IngressRoute", "IngressRouteTCP", "IngressRouteUDP"}),
}
"""Groups of which only these kinds decide traffic."""


def may_decide(kind: str) -> bool:
    """Tell whether objects of `Kind.group`, which are not read, may decide traffic."""
    name, _, group = kind.partition(".")
    if group in IDLE:
        return name not in IDLE[group]
    return name in DECIDING.get(group, ())


def may_decide_named(resource: str) -> bool:
    """Tell the same of a resource as the API lists it: `networkpolicies.projectcalico.org`."""
    name, _, group = resource.partition(".")
    if group in IDLE:
        return name not in {plural(kind) for kind in IDLE[group]}
    return name in {plural(kind) for kind in DECIDING.get(group, ())}


def plural(kind: str) -> str:
    """Return a kind's name as a resource: in small letters, in the plural."""
    small = kind.lower()
    if small.endswith("y") and small[-2] not in "aeiou":
        return f"{small[:-1]}ies"
    return f"{small}es" if small.endswith(("s", "x", "ch")) else f"{small}s"
