"""What carries traffic on each node of a cluster, as its kernel shows it: plain data, and the port that gives it.

What was configured is no proof: a Calico agent that cannot load its programs leaves `bpfEnabled: true` behind and the
node without a working dataplane. So the facts are what the node's kernel holds (programs on its interface, pinned maps,
devices, entries of the NAT table, chains), and whether the agent that keeps them up to date works.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Frontend:
    """An entry of a node's eBPF NAT table: an address with a port, and the backends (`address:port`) behind it."""

    address: str
    port: int
    protocol: str
    backends: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """One node.

    Attributes:
        node: its name.
        interface: the interface that carries its traffic to other nodes.
        programs: eBPF programs attached to it, by the name that the kernel keeps (cut after 15 characters).
        maps: names of pinned eBPF maps.
        devices: network devices whose names end in `.cali`.
        frontends: the eBPF NAT table; empty when there is none.
        chains: policy chains of Calico in iptables.
        nftables: tables in nftables that are Calico's or kube-proxy's.
        service_chains: chains of kube-proxy in iptables.
        foreign: rules of iptables and of routing that are neither Calico's nor Kubernetes' nor the system's own.
        kube_proxy: the pod of kube-proxy here, empty when there is none.
        kube_proxy_ready: it is ready.
        agent: the pod of Calico's agent here (namespace/name), empty when there is none.
        agent_ready: it is ready.
        complaint: the agent's last word on why it does not work, empty when it does.
    """

    node: str
    interface: str = ""
    programs: tuple[str, ...] = ()
    maps: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    frontends: tuple[Frontend, ...] = ()
    chains: int = 0
    nftables: tuple[str, ...] = ()
    service_chains: int = 0
    foreign: tuple[str, ...] = ()
    kube_proxy: str = ""
    kube_proxy_ready: bool = False
    agent: str = ""
    agent_ready: bool = False
    complaint: str = ""


@dataclass(frozen=True, slots=True)
class DataplaneFacts:
    """All nodes, and what the cluster's configuration asks for (`ebpf`, `iptables`, `nftables`; empty: not known)."""

    nodes: tuple[NodeFacts, ...]
    configured: str = ""

    @property
    def broken(self) -> bool:
        """True when some node's agent does not work, or nobody there keeps Services up to date.

        What such a node enforces and translates is out of date, or nothing at all.
        """
        return any(not node.agent_ready or not (node.kube_proxy or node.frontends) for node in self.nodes)


EBPF_DEVICE = "bpfin.cali"
"""A network device that Calico has on a node while it runs eBPF."""


@runtime_checkable
class ShowsDataplane(Protocol):
    """What a `grader.ports.Cluster` has beside when its capabilities have "ebpf"."""

    async def dataplane(self) -> DataplaneFacts:
        """Look at every node, once a change that is under way is over (or does not get on).

        Raises:
            grader.errors.InfrastructureError: a node could not be looked at.
        """
        ...
