"""Nodes, pods and outside hosts as network namespaces, joined as Calico joins them.

- The underlay is a bridge in the daemon's own (isolated) namespace; each node and each outside host has `eth0` on it.
- A pod has `eth0` with /32 and /128 addresses and a default route through 169.254.1.1 (fe80::ecee:eeff:feee:eeee),
  which its node answers for; the other end is `cali<hash>` on the node.
- A node owns /26 and /122 blocks: it has a blackhole route for each, the other machines a route through it.

Source: https://docs.tigera.io/calico/latest/reference/faq (169.254.1.1, proxy ARP, MAC ee:ee:ee:ee:ee:ee).
"""

from __future__ import annotations

import errno
import hashlib
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

from grader.errors import InfrastructureError
from labs.sandbox.network import carrier, rtnetlink, sysctl
from labs.sandbox.network.netlink import Message, Netlink
from labs.sandbox.network.netns import NetworkNamespace

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from labs.sandbox.network.rtnetlink import Address, Network
    from labs.sandbox.runtime import PodSpec

GATEWAY: dict[int, Address] = {4: IPv4Address("169.254.1.1"), 6: IPv6Address("fe80::ecee:eeff:feee:eeee")}
_GATEWAY_MAC = b"\xee" * 6
_BLOCK_PREFIX = {4: 26, 6: 122}
_ANYWHERE = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}
_LOOPBACK = 1
_ETH0 = 32
"""The index of every `eth0`: above those that the kernel gives its own tunnel devices in a new namespace."""
_BRIDGE = 32
_GONE = frozenset({errno.ENODEV, errno.ESRCH, errno.ENOENT})


@dataclass(slots=True)
class Machine:
    """A node or an outside host."""

    name: str
    namespace: NetworkNamespace
    netlink: Netlink
    addresses: tuple[Address, ...]
    mac: bytes
    is_node: bool
    next_index: int = _ETH0 + 1

    def address(self, version: int) -> Address | None:
        """Its address of that family on the underlay."""
        return next((a for a in self.addresses if a.version == version), None)


@dataclass(frozen=True, slots=True)
class PodLink:
    """A pod's place in the network. `interface` and `index` are of the node's end of its link."""

    namespace: NetworkNamespace
    node: str
    interface: str
    index: int
    addresses: tuple[Address, ...]


@dataclass(slots=True)
class Fabric:
    """All machines and pods of one lab. Not to be made in a network namespace that others use.

    Attributes:
        ipv6: whether IPv6 is wanted and this kernel carries it; without, IPv6 addresses are passed over.
    """

    ipv6: bool = True
    machines: dict[str, Machine] = field(default_factory=dict)
    pods: dict[str, PodLink] = field(default_factory=dict)
    _ways: dict[Network, str] = field(default_factory=dict)
    """Where pod addresses are: blocks, and single addresses that a node has from another node's block."""
    _served: set[Network] = field(default_factory=set)
    """Service addresses."""
    _kernel_has_ipv6: bool = field(init=False)
    _netlink: Netlink = field(init=False)

    def __post_init__(self) -> None:
        """Make the underlay, and see whether IPv6 works here."""
        trial = _new_namespace()
        self._kernel_has_ipv6 = sysctl.write(
            trial, {"ipv6/conf/all/disable_ipv6": "0", "ipv6/conf/all/forwarding": "1"}
        )
        self.ipv6 = self.ipv6 and self._kernel_has_ipv6
        trial.close()
        here = NetworkNamespace.current()
        self._netlink = Netlink(here)
        here.close()
        self._netlink.request([rtnetlink.bridge("underlay", _BRIDGE)])

    def add_machine(self, name: str, addresses: Sequence[str], *, is_node: bool) -> Machine:
        """Make a node or an outside host and join it to the underlay; one of that name that is there stays.

        Raises:
            InfrastructureError: a node and a host share a name, or the kernel refused.
        """
        known = self.machines.get(name)
        if known is not None and known.is_node == is_node:
            return known
        if known is not None:
            raise InfrastructureError(f"{name} is the name of a node and of an outside host")
        namespace = _new_namespace()
        self._tune(namespace, forwards=is_node)
        number = len(self.machines) + 1
        machine = Machine(
            name, namespace, Netlink(namespace), self._carried(addresses), _mac(name), is_node, next_index=_ETH0 + 1
        )
        index = _BRIDGE + number
        end = ("eth0", _ETH0, machine.mac)
        self._netlink.request(
            [
                rtnetlink.veth(f"port{number}", index, _mac(f"port {name}"), end, namespace.fd),
                rtnetlink.configure(index, {}, ipv6=self._kernel_has_ipv6),
                rtnetlink.up(index, master=_BRIDGE),
            ]
        )
        machine.netlink.request(self._joining(machine))
        carrier.settle(self._netlink.fileno(), f"port{number}")
        for other in self.machines.values():
            other.netlink.request(_acquaintance(machine))
        self.machines[name] = machine
        return machine

    def _joining(self, machine: Machine) -> list[Message]:
        requests = [
            rtnetlink.up(_LOOPBACK),
            rtnetlink.configure(_ETH0, {rtnetlink.FORWARDING: int(machine.is_node)}, ipv6=self._kernel_has_ipv6),
            rtnetlink.up(_ETH0),
        ]
        requests += [rtnetlink.address(_ETH0, a, a.max_prefixlen) for a in machine.addresses]
        for other in self.machines.values():
            requests += _acquaintance(other)
        for network, node in self._ways.items():
            requests += _way(machine, network, self.machines[node])
        if machine.is_node:
            requests += [rtnetlink.route(network, index=_ETH0) for network in self._served]
        return requests

    def _tune(self, namespace: NetworkNamespace, *, forwards: bool) -> None:
        # IPv4 forwarding is set for each interface over netlink as well, because /proc/sys may be read-only.
        on = "1" if forwards else "0"
        sysctl.write(namespace, {"ipv4/ip_forward": on, "ipv4/neigh/default/proxy_delay": "0"})
        if self.ipv6:
            sysctl.write(namespace, {"ipv6/conf/all/disable_ipv6": "0", "ipv6/conf/all/forwarding": on})
        self._refuse_always(namespace)

    def _refuse_always(self, namespace: NetworkNamespace) -> None:
        """Lift the limit on ICMP errors: a refusal held back as one too many per second would be taken for a denial."""
        settings = {"ipv4/icmp_ratemask": "0"}
        if self.ipv6:
            settings |= {"ipv6/icmp/ratelimit": "0", "ipv6/icmp/ratemask": "255"}
        sysctl.write(namespace, settings)

    def _carried(self, addresses: Sequence[str]) -> tuple[Address, ...]:
        parsed = [ip_address(a) for a in addresses]
        return tuple(a for a in parsed if a.version == 4 or self.ipv6)

    def attach(self, pod: PodSpec) -> PodLink:
        """Make a pod's namespace and link it to its node.

        Raises:
            InfrastructureError: its node is not there, or the kernel refused.
        """
        node = self.machines.get(pod.node)
        if node is None or not node.is_node:
            raise InfrastructureError(f"pod {pod.namespace}/{pod.name}: there is no node {pod.node!r}")
        addresses = self._carried(pod.addresses)
        # With the uid: the link of a pod of the same name that is just gone may linger for a moment.
        digest = hashlib.sha1(f"{pod.namespace}.{pod.name}.{pod.uid}".encode(), usedforsecurity=False)
        interface = f"cali{digest.hexdigest()[:11]}"
        mac = b"\x02" + digest.digest()[-5:]
        index = node.next_index
        node.next_index += 1
        namespace = _new_namespace()
        link = PodLink(namespace, node.name, interface, index, addresses)
        try:
            self._refuse_always(namespace)
            node.netlink.request(self._node_side(link, mac))
            netlink = Netlink(namespace)
            try:
                netlink.request(self._pod_side(addresses))
            finally:
                netlink.close()
            carrier.settle(node.netlink.fileno(), interface)
            self._announce(node, addresses)
        except BaseException:
            namespace.close()
            raise
        self.pods[pod.uid] = link
        return link

    def _node_side(self, link: PodLink, mac: bytes) -> list[Message]:
        settings = {
            rtnetlink.FORWARDING: 1,
            rtnetlink.PROXY_ARP: 1,
            rtnetlink.RP_FILTER: 1,
            rtnetlink.SEND_REDIRECTS: 0,
        }
        requests = [
            rtnetlink.veth(link.interface, link.index, _GATEWAY_MAC, ("eth0", _ETH0, mac), link.namespace.fd),
            rtnetlink.configure(link.index, settings, ipv6=self._kernel_has_ipv6),
            rtnetlink.up(link.index),
        ]
        if self.ipv6:
            requests.append(rtnetlink.address(link.index, GATEWAY[6], 64))
        for a in link.addresses:
            requests += [rtnetlink.route(ip_network(a), index=link.index), rtnetlink.neighbour(link.index, a, mac)]
        return requests

    def _pod_side(self, addresses: tuple[Address, ...]) -> list[Message]:
        requests = [
            rtnetlink.up(_LOOPBACK),
            rtnetlink.configure(_ETH0, {}, ipv6=self._kernel_has_ipv6),
            rtnetlink.up(_ETH0),
        ]
        requests += [rtnetlink.address(_ETH0, a, a.max_prefixlen) for a in addresses]
        for version in sorted({a.version for a in addresses}):
            gateway = GATEWAY[version]
            requests += [
                rtnetlink.route(ip_network(gateway), index=_ETH0),
                rtnetlink.neighbour(_ETH0, gateway, _GATEWAY_MAC),
                rtnetlink.route(_ANYWHERE[version], index=_ETH0, via=gateway),
            ]
        return requests

    def _announce(self, node: Machine, addresses: tuple[Address, ...]) -> None:
        """Tell all machines the way to these addresses of a node."""
        for a in addresses:
            block = ip_network((a, _BLOCK_PREFIX[a.version]), strict=False)
            owner = self._ways.get(block)
            if owner == node.name:
                continue
            network = ip_network(a) if owner else block
            self._ways[network] = node.name
            for machine in self.machines.values():
                machine.netlink.request(_way(machine, network, node))

    def serve(self, addresses: Collection[Address]) -> None:
        """Give every node a route for each of these Service addresses, and none for others.

        A node's own packets need a route before their destination is translated, and packets that nothing translates
        need one to be refused instead of called unreachable.
        """
        wanted = {ip_network(a) for a in addresses if a.version == 4 or self.ipv6}
        nodes = [m for m in self.machines.values() if m.is_node]
        for network in wanted ^ self._served:
            for node in nodes:
                requests = [rtnetlink.route(network, index=_ETH0, delete=network in self._served)]
                node.netlink.request(requests, tolerated=_GONE)
        self._served = wanted

    def detach(self, uid: str) -> None:
        """Take a pod's link away and let go of its namespace; an unknown uid is fine."""
        link = self.pods.pop(uid, None)
        if link is None:
            return
        node = self.machines[link.node]
        # Deleting the link here would wait some 40 ms for the kernel; it goes by itself with the namespace.
        ways = [rtnetlink.route(ip_network(a), index=link.index, delete=True) for a in link.addresses]
        node.netlink.request(ways, tolerated=_GONE)
        link.namespace.close()
        for a in link.addresses:
            if self._ways.pop(ip_network(a), None) is not None:
                for machine in self.machines.values():
                    machine.netlink.request(_way(machine, ip_network(a), node, delete=True), tolerated=_GONE)

    def close(self) -> None:
        """Let go of everything; the kernel frees it."""
        for link in self.pods.values():
            link.namespace.close()
        for machine in self.machines.values():
            machine.netlink.close()
            machine.namespace.close()
        self._netlink.close()
        self.pods.clear()
        self.machines.clear()


def _new_namespace() -> NetworkNamespace:
    try:
        return NetworkNamespace.create()
    except OSError as problem:
        remedy = {
            errno.ENOSPC: "stop other labs, or raise the limit: sudo sysctl -w user.max_net_namespaces=15000",
            errno.EMFILE: "raise the limit of open files (ulimit -n), or use fewer pods",
        }.get(problem.errno or 0, "`netdojo doctor` shows what this kernel can do")
        raise InfrastructureError(f"no network namespace can be made: {problem.strerror}", remedy=remedy) from problem


def _mac(name: str) -> bytes:
    """A locally administered address, the same for the same name."""
    return b"\x02" + hashlib.sha1(name.encode(), usedforsecurity=False).digest()[:5]


def _acquaintance(other: Machine) -> list[Message]:
    """What every other machine must know to reach this one on the underlay."""
    requests = []
    for a in other.addresses:
        requests += [rtnetlink.route(ip_network(a), index=_ETH0), rtnetlink.neighbour(_ETH0, a, other.mac)]
    return requests


def _way(machine: Machine, network: Network, node: Machine, *, delete: bool = False) -> list[Message]:
    """A machine's route to pod addresses of a node; on the node itself its blocks are blackholes, pods are nearer."""
    if machine is node:
        is_block = network.prefixlen < network.max_prefixlen
        return [rtnetlink.route(network, delete=delete)] if is_block else []
    via = node.address(network.version)
    return [] if via is None else [rtnetlink.route(network, index=_ETH0, via=via, delete=delete)]
