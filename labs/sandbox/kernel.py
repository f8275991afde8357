"""The runtime of real packets: nodes and pods as network namespaces, policies and Services by nftables.

It puts together `network` (links and routes), `dataplane.nftables` (policies and Services), `workloads` (what pods
answer, commands) and `probing`. Only to be made inside `isolation.enter()`.
"""

from __future__ import annotations

import resource
import secrets
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakSet

from grader.errors import InfrastructureError, NotCapableError
from grader.ports import Capabilities
from labs.sandbox import canary, environment
from labs.sandbox.dataplane.nftables.compile import Placement
from labs.sandbox.dataplane.nftables.dataplane import Dataplane
from labs.sandbox.dataplane.nftables.services import cluster_addresses
from labs.sandbox.network.fabric import Fabric
from labs.sandbox.probing import Endpoint, Prober
from labs.sandbox.runtime import ContainerSpec, HostSpec, NodeSpec, PodSpec, ServedPort
from labs.sandbox.workloads import command, records, servers

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from grader.ports import Manifest, Observation, Probe
    from labs.sandbox.network.netns import NetworkNamespace
    from labs.sandbox.runtime import ExecSession

_LOG_LINES = 2000
_DESCRIPTORS = 65536
_HOST_PORTS = (ServedPort(80), ServedPort(443))
"""What an outside host answers on."""


@dataclass(frozen=True, slots=True)
class _Pod:
    spec: PodSpec
    namespace: NetworkNamespace
    servers: servers.Servers
    log: deque[str]
    commands: WeakSet[command.Command] = field(default_factory=WeakSet)


class KernelRuntime:
    """`labs.sandbox.runtime.Runtime` in this kernel.

    Args:
        loop: the daemon's event loop.
        families: IP families that the lab wants; the kernel may have less (see `capabilities`).

    Raises:
        InfrastructureError: the kernel refused, or has none of these families (`NotCapableError`).
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, families: tuple[int, ...] = (4, 6)) -> None:
        _allow_descriptors()
        self._loop = loop
        self._secret = secrets.token_hex(16)
        self._fabric = Fabric(ipv6=6 in families)
        self._families = tuple(f for f in families if f == 4 or self._fabric.ipv6)
        if not self._families:
            raise NotCapableError("this kernel carries no IPv6", remedy="use a topology with the family ipv4")
        self._pods: dict[str, _Pod] = {}
        self._uids: dict[str, str] = {}
        self._host_servers: list[servers.Servers] = []
        self._prober = Prober(self._endpoint, self._secret)
        self._dataplane = Dataplane()
        self._manifests: tuple[Manifest, ...] = ()
        self._canary: tuple[PodSpec, ...] = ()
        self._proven = -1

    @property
    def capabilities(self) -> Capabilities:
        """What this kernel carries."""
        has = {"multi-node", "hosts"} | ({"ipv6"} if 6 in self._families else set())
        return Capabilities(
            backend="sandbox",
            dataplane="nftables",
            simulated=False,
            families=self._families,
            protocols=("TCP", "UDP", "ICMP", "SCTP"),
            has=frozenset(has),
            hosts=self._host_addresses(),
        )

    def add_node(self, node: NodeSpec) -> None:
        """See `Runtime`. Its pods are cut off until the next `program`."""
        machine = self._fabric.add_machine(node.name, node.addresses, is_node=True)
        self._dataplane.add_node(node.name, machine.namespace)

    def add_host(self, host: HostSpec) -> None:
        """See `Runtime`. It answers HTTP and probes on TCP 80 and 443."""
        known = self._fabric.machines.get(host.name)
        if known is not None and not known.is_node:
            return
        machine = self._fabric.add_machine(host.name, host.addresses, is_node=False)
        spec = PodSpec(
            uid=host.name,
            namespace="",
            name=f"host:{host.name}",
            node="",
            addresses=host.addresses,
            containers=(ContainerSpec("host", "agnhost", _HOST_PORTS),),
        )
        self._host_servers.append(servers.start(machine.namespace, spec, self._loop, self._secret, _ignore))

    def start_pod(self, pod: PodSpec) -> None:
        """See `Runtime`. A pod of the host network is its node: its servers are there, and it has no link."""
        if pod.uid in self._pods:
            return
        namespace = self._node_namespace(pod) if pod.host_network else self._fabric.attach(pod).namespace
        log: deque[str] = deque(maxlen=_LOG_LINES)
        try:
            started = servers.start(namespace, pod, self._loop, self._secret, log.append)
        except BaseException:
            self._fabric.detach(pod.uid)
            raise
        self._pods[pod.uid] = _Pod(pod, namespace, started, log)
        self._uids[f"{pod.namespace}/{pod.name}"] = pod.uid

    def _node_namespace(self, pod: PodSpec) -> NetworkNamespace:
        machine = self._fabric.machines.get(pod.node)
        if machine is None:
            raise InfrastructureError(f"pod {pod.namespace}/{pod.name}: there is no node {pod.node!r}")
        return machine.namespace

    def stop_pod(self, uid: str) -> None:
        """See `Runtime`."""
        pod = self._pods.pop(uid, None)
        if pod is None:
            return
        ref = f"{pod.spec.namespace}/{pod.spec.name}"
        if self._uids.get(ref) == uid:
            del self._uids[ref]
        for session in tuple(pod.commands):
            session.kill()
        pod.servers.close()
        self._fabric.detach(uid)

    def program(self, objects: Sequence[Manifest]) -> None:
        """See `Runtime`."""
        self._manifests = tuple(objects)
        placements = {
            f"{pod.spec.namespace}/{pod.spec.name}": Placement(link.node, link.interface, link.addresses)
            for uid, pod in self._pods.items()
            if (link := self._fabric.pods.get(uid)) is not None
        }
        self._dataplane.program(self._manifests, placements, canary.objects(self._canary))
        self._fabric.serve(cluster_addresses(self._dataplane.objects))
        self._publish()

    def _publish(self) -> None:
        """Tell the cluster's DNS the names of this snapshot and of the outside hosts."""
        servers_of_dns = [pod.servers for pod in self._pods.values() if pod.servers.serves_dns]
        if not servers_of_dns:
            return
        names = records.build(self._manifests, self._host_addresses())
        for each in servers_of_dns:
            each.publish(names)

    def _host_addresses(self) -> dict[str, tuple[str, ...]]:
        machines = self._fabric.machines.values()
        return {each.name: tuple(str(a) for a in each.addresses) for each in machines if not each.is_node}

    def allowed_until_programmed(self) -> bool:
        """See `Runtime`."""
        return False

    async def probe(self, probes: Sequence[Probe]) -> tuple[Observation, ...]:
        """See `Runtime`."""
        return await self._prober.run(probes)

    def _endpoint(self, name: str) -> Endpoint:
        """Where a probe's source or destination is.

        Raises:
            KeyError: nothing has this name.
        """
        kind, _, rest = name.partition(":")
        if kind in {"node", "host"} and rest:
            machine = self._fabric.machines[rest]
            return Endpoint(machine.namespace, tuple(str(a) for a in machine.addresses))
        if kind == "service" and rest:
            return Endpoint(None, self._service_addresses(rest))
        pod = self._pods[self._uids[name]]
        return Endpoint(pod.namespace, pod.spec.addresses)

    def _service_addresses(self, ref: str) -> tuple[str, ...]:
        for service in self._dataplane.objects.services:
            if f"{service.namespace}/{service.name}" == ref:
                return tuple(str(a) for a in service.addresses)
        raise KeyError(ref)

    async def prove_enforcement(self) -> None:
        """See `Runtime`. What was proven is not proven again before rules change."""
        if self._proven == self._dataplane.generation:
            return
        nodes = [m.name for m in self._fabric.machines.values() if m.is_node]
        wanted = canary.pods(nodes)
        if self._canary != wanted:
            self._canary = wanted
            for spec in wanted:
                self.start_pod(spec)
            self.program(self._manifests)
        generation = self._dataplane.generation
        canary.judge(wanted, await self.probe(canary.probes(wanted, self._families)))
        self._proven = generation

    async def exec(self, uid: str, container: str, argv: Sequence[str], *, tty: bool = False) -> ExecSession:
        """See `Runtime`. An empty container is the first one."""
        pod, chosen = self._container(uid, container)
        objects = self._dataplane.objects
        session = command.spawn(
            pod.namespace,
            argv,
            tty=tty,
            hostname=pod.spec.name,
            resolv_conf=environment.resolv_conf(objects, pod.spec.namespace),
            env=environment.variables(objects, chosen),
            hosts=environment.hosts(pod.spec),
        )
        pod.commands.add(session)
        return session

    def logs(self, uid: str, container: str) -> Sequence[str]:
        """See `Runtime`. A pod's containers share one log: what answers is the pod."""
        pod, _ = self._container(uid, container)
        return tuple(pod.log)

    def _container(self, uid: str, name: str) -> tuple[_Pod, ContainerSpec]:
        pod = self._pods.get(uid)
        if pod is None:
            raise InfrastructureError("the pod is not running")
        for container in pod.spec.containers:
            if name in {"", container.name}:
                return pod, container
        raise InfrastructureError(f"container {name} is not valid for pod {pod.spec.name}")

    def close(self) -> None:
        """See `Runtime`."""
        for uid in tuple(self._pods):
            self.stop_pod(uid)
        for started in self._host_servers:
            started.close()
        self._host_servers.clear()
        self._dataplane.close()
        self._fabric.close()


def _allow_descriptors() -> None:
    """Raise this process's own limit of open files as far as it may: a pod takes some five, a probe two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _ignore(line: str) -> None:
    """Take an outside host's log line: nobody can ask for it."""
    del line
