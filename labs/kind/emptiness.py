"""The traffic of a cluster in which nothing runs but itself: what does not pass is its own affair, and stays so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from grader.dataplane import EBPF_DEVICE
from grader.ports import Outcome, Probe
from labs.kube import canary

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from grader.dataplane import DataplaneFacts, NodeFacts
    from grader.ports import Capabilities, Manifest, Observation

_DNS_NAMESPACE, _DNS_LABEL, _DNS_SERVICE = "kube-system", ("k8s-app", "kube-dns"), "service:kube-system/kube-dns"
_DNS_PORT = 53
_OF_WORKLOADS = frozenset(
    {
        *("Namespace", "ServiceAccount", "ConfigMap", "Secret"),
        *("Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob"),
    }
)
"""Kinds that change nothing of the traffic that is looked at here, and take the longest until they run."""
_AFTER_WORKLOADS = frozenset(
    {
        *("NetworkPolicy", "GlobalNetworkPolicy", "NetworkSet", "GlobalNetworkSet", "AdminNetworkPolicy"),
        *("BaselineAdminNetworkPolicy", "Service", "EndpointSlice", "Ingress", "FelixConfiguration"),
    }
)
"""Kinds that mean the same to workloads that run already."""


class Looked(Protocol):
    """What is needed of the port to a cluster."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    async def prove_enforcement(self) -> None:
        """Raise where policies are not enforced."""
        ...

    async def sample_enforcement(self) -> None:
        """The same by one change, and quicker; nothing that was written before is waited for."""
        ...

    async def places(self) -> Sequence[Manifest]:
        """Nodes and pods, netdojo's own too."""
        ...

    async def dataplane(self) -> DataplaneFacts:
        """What carries traffic on each node; a switch that is under way is waited for."""
        ...

    async def glance(self) -> tuple[NodeFacts, ...]:
        """What the nodes themselves show of that at this moment."""
        ...

    async def look(self, probes: Sequence[Probe]) -> tuple[Observation, ...]:
        """Make probes and wait for nothing."""
        ...


def workloads(objects: Iterable[Manifest]) -> tuple[Manifest, ...]:
    """Those of a lab's objects that may be there already while the cluster is looked at.

    None where others may decide what becomes of them: address pools, limits and quotas, webhooks.
    """
    given = tuple(objects)
    if any(item.get("kind") not in _OF_WORKLOADS | _AFTER_WORKLOADS for item in given):
        return ()
    return tuple(item for item in given if item.get("kind") in _OF_WORKLOADS)


async def look(cluster: Looked, *, briefly: bool = False) -> frozenset[str]:
    """What does not pass, and what carries the traffic, in words that do not depend on names of pods.

    Between nodes, the canary's clients (a pod on each node) and the cluster's DNS: within a node and over nodes, from
    pods and from nodes, to pods and by a Service. Policies are seen to work first; `briefly` by one change only, and
    what was written before may not have arrived.

    Raises:
        InfrastructureError: it cannot be looked at, or policies are not enforced.
    """
    carrying = asyncio.ensure_future(_dataplanes(cluster, briefly=briefly))
    try:
        await (cluster.sample_enforcement() if briefly else cluster.prove_enforcement())
        silent = await _silent(cluster)
        return silent | await carrying
    finally:
        carrying.cancel()
        await asyncio.gather(carrying, return_exceptions=True)


async def _silent(cluster: Looked) -> frozenset[str]:
    """What does not pass."""
    objects = await cluster.places()
    probes = dict(_probes(objects, cluster.capabilities.families))
    seen = await cluster.look(tuple(probes.values()))
    names = dict(zip(probes.values(), probes, strict=True))
    return frozenset(names[each.probe] for each in seen if each.outcome is not Outcome.OPEN)


async def _dataplanes(cluster: Looked, *, briefly: bool) -> frozenset[str]:
    """What carries the traffic of each node, and what else decides on it, by what its kernel holds."""
    nodes = await cluster.glance() if briefly else (await cluster.dataplane()).nodes
    carriers = {f"node {node.node} runs {_carrier(node)}" for node in nodes}
    return frozenset(carriers | {f"node {node.node} has the rule {rule}" for node in nodes for rule in node.foreign})


def _carrier(node: NodeFacts) -> str:
    # Newer releases attach their programs where a node's own `tc` does not show them.
    if EBPF_DEVICE in node.devices or any(name.startswith("cali_") for name in node.programs):
        return "eBPF programs"
    return "iptables" if node.chains else "nftables" if node.nftables else "no dataplane of Calico's"


def _probes(objects: Iterable[Mapping[str, Any]], families: Sequence[int]) -> Iterable[tuple[str, Probe]]:
    """Each probe with its name."""
    items = tuple(objects)
    nodes = sorted(str(item["metadata"]["name"]) for item in items if item["kind"] == "Node")
    clients = {canary.name("client", node): node for node in nodes}
    here = {
        f"{canary.NAMESPACE}/{name}": f"a pod of {node}"
        for name, node in clients.items()
        if any(_is(item, canary.NAMESPACE, name) for item in items)
    }
    servers = sorted(f"{_DNS_NAMESPACE}/{item['metadata']['name']}" for item in items if _is_dns(item))
    sources = here | {f"node:{node}": f"node {node}" for node in nodes}
    for family in families:
        for source, called in sources.items():
            for number, server in enumerate(servers):
                yield f"{called} to DNS {number} (IPv{family})", Probe(source, server, _DNS_PORT, "TCP", family)
            for other, name in here.items():
                if other != source:
                    yield f"{called} pings {name} (IPv{family})", Probe(source, other, 0, "ICMP", family)
        if family == families[0]:
            for source, called in sources.items():
                probe = Probe(source, _DNS_SERVICE, _DNS_PORT, "TCP", family, "service")
                yield f"{called} to DNS by its Service (IPv{family})", probe


def _is(item: Mapping[str, Any], namespace: str, name: str) -> bool:
    metadata = item["metadata"]
    return item["kind"] == "Pod" and (metadata.get("namespace"), metadata["name"]) == (namespace, name)


def _is_dns(item: Mapping[str, Any]) -> bool:
    labels = item["metadata"].get("labels") or {}
    key, value = _DNS_LABEL
    is_there = item["kind"] == "Pod" and item["metadata"].get("namespace") == _DNS_NAMESPACE
    return is_there and labels.get(key) == value
