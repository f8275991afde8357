"""A lab's topology, with the user's settings, as a plan: the file that kind reads, and the key of the pool.

Fields are those of kind's configuration, https://kind.sigs.k8s.io/docs/user/configuration/ (v1alpha4).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from content.model import Topology
    from labs.kind.settings import KindSettings

_POD_RANGES = {"ipv4": "10.244.0.0/16", "ipv6": "fd00:10:244::/56"}
_SERVICE_RANGES = {"ipv4": "10.96.0.0/16", "ipv6": "fd00:10:96::/112"}
"""kind's own defaults, said because Calico's pools have to be the same."""
IPTABLES, NFTABLES, EBPF = "iptables", "nftables", "ebpf"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that two clusters must share for one to stand for the other.

    Attributes:
        families: "ipv4", "ipv6" or both, the preferred one first.
        dataplane: Calico's: iptables, nftables or ebpf.
        kube_proxy: iptables, nftables or none.
        pods: a range a family, in the families' order; `services` likewise.
        ports: (host, node, protocol) of the first node, on the machine's loopback.
        calico: where it comes from and what it is: a release, or digests of files.
        workload_image: which has to be in every node.
    """

    nodes: int
    families: tuple[str, ...]
    node_image: str
    calico: str
    workload_image: str
    dataplane: str = IPTABLES
    kube_proxy: str = IPTABLES
    pods: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    ports: tuple[tuple[int, int, str], ...] = ()
    patches: tuple[str, ...] = ()

    def describe(self) -> str:
        """What it is, for a person."""
        nodes = "1 node" if self.nodes == 1 else f"{self.nodes} nodes"
        return f"{nodes}, {' and '.join(self.families)}, {self.dataplane}"


def plan_of(topology: Topology, settings: KindSettings, calico: str) -> Plan:
    """The plan for a topology. `calico` says what Calico is here (see `labs.kind.calico.sources`)."""
    return Plan(
        topology.nodes,
        tuple(topology.families),
        settings.node_image,
        calico,
        settings.workload_image,
        topology.dataplane or IPTABLES,
        topology.kube_proxy or IPTABLES,
        pods=topology.pod_ranges or tuple(_POD_RANGES[family] for family in topology.families),
        services=topology.service_ranges or tuple(_SERVICE_RANGES[family] for family in topology.families),
        ports=tuple((port.host, port.node, port.protocol) for port in topology.ports),
        patches=settings.patch_documents(),
    )


def key(plan: Plan, home: str) -> str:
    """Eight characters that are the same for equal plans of one home, and for no others."""
    text = json.dumps([home, asdict(plan)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def document(plan: Plan, name: str) -> str:
    """The file that `kind create cluster --config` reads; the same plan gives the same text."""
    nodes: list[dict[str, Any]] = [{"role": "control-plane" if index == 0 else "worker"} for index in range(plan.nodes)]
    for node in nodes:
        node["image"] = plan.node_image
    if plan.ports:
        nodes[0]["extraPortMappings"] = [
            {"containerPort": inside, "hostPort": outside, "protocol": protocol, "listenAddress": "127.0.0.1"}
            for outside, inside, protocol in plan.ports
        ]
    cluster = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": name,
        "networking": {
            "disableDefaultCNI": True,
            "ipFamily": "dual" if len(plan.families) > 1 else plan.families[0],
            "podSubnet": ",".join(plan.pods),
            "serviceSubnet": ",".join(plan.services),
            "kubeProxyMode": plan.kube_proxy,
        },
        "kubeadmConfigPatches": [*map(_text, _own_patches(plan)), *plan.patches],
        "nodes": nodes,
    }
    return _text(cluster)


def _own_patches(plan: Plan) -> list[Mapping[str, Any]]:
    patches: list[Mapping[str, Any]] = []
    if plan.nodes > 1:
        # Pods run on every node of the topology. A single node's taint is removed by kind, which fails without one.
        patches.append({"kind": "InitConfiguration", "nodeRegistration": {"taints": []}})
    # kube-proxy waits a second between two changes, for the sake of clusters with thousands of Services.
    proxy: dict[str, Any] = {mode: {"minSyncPeriod": "100ms"} for mode in (IPTABLES, NFTABLES)}
    if plan.dataplane == EBPF:
        # It would otherwise fight with felix about a limit of the machine's (Calico's page on eBPF and kind).
        proxy["conntrack"] = {"maxPerCore": 0}
    return [*patches, {"kind": "KubeProxyConfiguration", **proxy}]


def _text(value: Mapping[str, Any]) -> str:
    return yaml.safe_dump(value, sort_keys=False, default_flow_style=False)
