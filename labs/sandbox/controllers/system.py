"""What a cluster has before anybody applies anything: nodes, system namespaces, DNS, the API's Service."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labs.sandbox.api import ages, kinds
from labs.sandbox.controllers import addresses
from labs.sandbox.controllers.context import DEPLOYMENTS, ENDPOINTS, NAMESPACES, SERVICES, SLICES
from labs.sandbox.runtime import HostSpec, NodeSpec

if TYPE_CHECKING:
    from grader.ports import Manifest
    from labs.sandbox.api.kinds import Kind
    from labs.sandbox.controllers.context import Context

KUBERNETES = "v1.37.2"
"""The version whose API and behaviour the sandbox imitates."""

DNS_ADDRESS = {4: "10.96.0.10", 6: "fd00:10:96::a"}
API_ADDRESS = {4: "10.96.0.1", 6: "fd00:10:96::1"}


@dataclass(frozen=True, slots=True)
class Topology:
    """Nodes, families (4, 6) of pods with the primary one first, and the names of outside hosts."""

    nodes: int = 1
    families: tuple[int, ...] = (4,)
    hosts: tuple[str, ...] = ()


def build(context: Context, topology: Topology) -> None:
    """Make nodes and hosts, and the objects that every cluster has.

    Raises:
        InfrastructureError: the runtime refuses.
    """
    carried = context.runtime.capabilities.families
    families = tuple(family for family in topology.families if family in carried) or carried[:1]
    for number in range(1, topology.nodes + 1):
        found = addresses.node(number, families)
        context.runtime.add_node(NodeSpec(f"node-{number}", found))
        _node(context, number, found, addresses.pod_ranges(number, families))
    for number, name in enumerate(topology.hosts, 1):
        context.runtime.add_host(HostSpec(name, addresses.host(number, families)))
    for name in ("default", "kube-node-lease", "kube-public", "kube-system"):
        _create(context, NAMESPACES, "", {"metadata": {"name": name}})
    _create(context, kinds.BY_RESOURCE["serviceaccounts"], "kube-system", {"metadata": {"name": "coredns"}})
    _api_service(context, families)
    _dns(context, families)


def _create(context: Context, kind: Kind, namespace: str, manifest: Manifest) -> Manifest:
    body = {"apiVersion": kind.api_version, "kind": kind.kind, **manifest}
    return context.resources.create(kind, namespace, body).object


def _node(context: Context, number: int, found: tuple[str, ...], ranges: tuple[str, ...]) -> None:
    name, now = f"node-{number}", ages.now_text()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    labels = {
        "beta.kubernetes.io/arch": machine,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": machine,
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
    }
    if number == 1:
        labels["node-role.kubernetes.io/control-plane"] = ""
    conditions = [
        ("NetworkUnavailable", "False", "NetworkIsUp", "the sandbox's network is up"),
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ]
    resources = {"cpu": "2", "memory": "2Gi", "pods": "110"}
    manifest: Manifest = {
        "metadata": {"name": name, "labels": labels},
        "spec": {"podCIDR": ranges[0], "podCIDRs": list(ranges)},
        "status": {
            "addresses": [
                *({"type": "InternalIP", "address": address} for address in found),
                {"type": "Hostname", "address": name},
            ],
            "capacity": resources,
            "allocatable": resources,
            "conditions": [
                {
                    "type": kind,
                    "status": value,
                    "reason": reason,
                    "message": message,
                    "lastHeartbeatTime": now,
                    "lastTransitionTime": now,
                }
                for kind, value, reason, message in conditions
            ],
            "nodeInfo": {
                "architecture": machine,
                "bootID": "",
                "containerRuntimeVersion": "netdojo://sandbox",
                "kernelVersion": platform.release(),
                "kubeProxyVersion": KUBERNETES,
                "kubeletVersion": KUBERNETES,
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": "netdojo sandbox",
                "systemUUID": "",
            },
        },
    }
    _create(context, kinds.BY_RESOURCE["nodes"], "", manifest)


def _service_spec(fixed: dict[int, str], families: tuple[int, ...]) -> Manifest:
    return {
        "clusterIP": fixed[families[0]],
        "clusterIPs": [fixed[family] for family in families],
        "ipFamilies": [f"IPv{family}" for family in families],
        "ipFamilyPolicy": "PreferDualStack" if len(families) > 1 else "SingleStack",
    }


def _api_service(context: Context, families: tuple[int, ...]) -> None:
    """The API's Service leads to node-1, where a real cluster's API server listens."""
    spec = _service_spec(API_ADDRESS, families)
    spec["ports"] = [{"name": "https", "port": 443, "targetPort": 6443}]
    labels = {"component": "apiserver", "provider": "kubernetes"}
    _create(context, SERVICES, "default", {"metadata": {"name": "kubernetes", "labels": labels}, "spec": spec})
    address = addresses.node(1, families)[0]
    ports = [{"name": "https", "port": 6443, "protocol": "TCP"}]
    _create(
        context,
        SLICES,
        "default",
        {
            "metadata": {"name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}},
            "addressType": f"IPv{families[0]}",
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            "ports": ports,
        },
    )
    _create(
        context,
        ENDPOINTS,
        "default",
        {
            "metadata": {
                "name": "kubernetes",
                "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
            },
            "subsets": [{"addresses": [{"ip": address}], "ports": ports}],
        },
    )


def _dns(context: Context, families: tuple[int, ...]) -> None:
    labels = {"k8s-app": "kube-dns"}
    spec = _service_spec(DNS_ADDRESS, families)
    spec["selector"] = labels
    spec["ports"] = [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
    ]
    metadata = {"name": "kube-dns", "labels": {**labels, "kubernetes.io/name": "CoreDNS"}}
    _create(context, SERVICES, "kube-system", {"metadata": metadata, "spec": spec})
    container = {
        "name": "coredns",
        "image": "registry.k8s.io/coredns/coredns:v1.13.1",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
        ],
    }
    template = {
        "metadata": {"labels": labels},
        "spec": {
            "serviceAccountName": "coredns",
            "automountServiceAccountToken": False,
            "dnsPolicy": "Default",
            "containers": [container],
        },
    }
    _create(
        context,
        DEPLOYMENTS,
        "kube-system",
        {
            "metadata": {"name": "coredns", "labels": labels},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        },
    )
