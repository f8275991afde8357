"""What Calico's operator is asked for: https://docs.tigera.io/calico/latest/reference/installation/api."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labs.kind.config import EBPF, IPTABLES, NFTABLES

if TYPE_CHECKING:
    from grader.ports import Manifest
    from labs.kind.config import Plan

_API = "operator.tigera.io/v1"
_DATAPLANES = {IPTABLES: "Iptables", NFTABLES: "Nftables", EBPF: "BPF"}
_BLOCKS = {"ipv4": 26, "ipv6": 122}
STATUS_KIND = "TigeraStatus"


def custom_resources(plan: Plan) -> tuple[Manifest, ...]:
    """The Installation and the APIServer of a plan."""
    network: dict[str, Any] = {
        "linuxDataplane": _DATAPLANES[plan.dataplane],
        "bgp": "Disabled",
        "ipPools": [
            {
                "name": f"default-{family}-ippool",
                "cidr": pods,
                "blockSize": _BLOCKS[family],
                "encapsulation": "VXLAN",
                "natOutgoing": "Enabled",
                "nodeSelector": "all()",
            }
            for family, pods in zip(plan.families, plan.pods, strict=True)
        ],
    }
    if plan.dataplane == EBPF:
        # The operator finds the API server without kube-proxy, and takes kube-proxy away, by itself (since 3.31).
        network |= {"bpfNetworkBootstrap": "Enabled", "kubeProxyManagement": "Enabled"}
    return (
        {
            "apiVersion": _API,
            "kind": "Installation",
            "metadata": {"name": "default"},
            "spec": {"variant": "Calico", "calicoNetwork": network},
        },
        {"apiVersion": _API, "kind": "APIServer", "metadata": {"name": "default"}, "spec": {}},
    )


def unavailable(status: Manifest) -> str:
    """Why a TigeraStatus is not what it should be; empty when it is Available."""
    conditions = {item["type"]: item for item in (status.get("status") or {}).get("conditions") or ()}
    if conditions.get("Available", {}).get("status") == "True":
        return ""
    name = status["metadata"]["name"]
    for kind in ("Degraded", "Progressing"):
        found = conditions.get(kind, {})
        if found.get("status") == "True":
            return f"{name}: {found.get('message') or found.get('reason') or kind.lower()}"
    return f"{name} has not begun"
