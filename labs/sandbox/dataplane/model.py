"""The dataplane that needs nothing: probes are computed by the evaluator, and every report says "simulated".

It stands in where no namespaces can be had. What it cannot imitate it refuses: commands in pods, access logs.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, NoReturn

from content.errors import UsageError
from grader.errors import NotCapableError
from grader.kube.parse import read_objects
from grader.ports import Capabilities, Observation, Outcome
from grader.reachability.verdict import Flow
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grader.kube.model import Address, Objects
    from grader.ports import Manifest, Probe
    from grader.reachability.packet import Packet
    from labs.sandbox.runtime import ExecSession, HostSpec, NodeSpec, PodSpec

REMEDY = "run it where network namespaces are allowed, or on kind (netdojo doctor says what is missing)"


class ModelRuntime:
    """The port `labs.sandbox.runtime.Runtime`, computed.

    Args:
        why: why nothing real runs here; part of what it says when it refuses.
        families: IP families that pods have.
    """

    def __init__(self, why: str = "", families: tuple[int, ...] = (4, 6)) -> None:
        self._why = why
        self._families = families
        self._pods: dict[str, PodSpec] = {}
        self._hosts: dict[str, tuple[Address, ...]] = {}
        self._nodes: dict[str, NodeSpec] = {}
        self._snapshot: Sequence[Manifest] = ()
        self._world: World | None = None
        self._served: Mapping[str, frozenset[tuple[str, int]]] = {}

    @property
    def capabilities(self) -> Capabilities:
        """Everything that the evaluator knows, marked simulated."""
        return Capabilities(
            "sandbox",
            "model",
            simulated=True,
            families=self._families,
            protocols=("TCP", "UDP", "SCTP", "ICMP"),
            has=frozenset({"multi-node", "hosts"} | ({"ipv6"} if 6 in self._families else set())),
            hosts={name: tuple(map(str, addresses)) for name, addresses in self._hosts.items()},
        )

    def add_node(self, node: NodeSpec) -> None:
        """Remember a node."""
        self._nodes[node.name] = node

    def add_host(self, host: HostSpec) -> None:
        """Remember an outside host."""
        self._hosts[host.name] = tuple(ip_address(address) for address in host.addresses)
        self._world = None

    def start_pod(self, pod: PodSpec) -> None:
        """Remember a pod."""
        self._pods[pod.uid] = pod

    def stop_pod(self, uid: str) -> None:
        """Forget a pod."""
        self._pods.pop(uid, None)

    def program(self, objects: Sequence[Manifest]) -> None:
        """Judge by these objects from now on."""
        self._snapshot = tuple(objects)
        self._world = None

    def allowed_until_programmed(self) -> bool:
        """False: what is not programmed is not known."""
        return False

    async def probe(self, probes: Sequence[Probe]) -> tuple[Observation, ...]:
        """Answer each probe by its verdict; nothing is sent, and no time passes."""
        world = self._read()
        return tuple(self._judge(world, probe) for probe in probes)

    async def prove_enforcement(self) -> None:
        """Nothing to prove: verdicts are computed, and the capabilities say so."""

    async def exec(self, uid: str, container: str, argv: Sequence[str], *, tty: bool = False) -> ExecSession:
        """No command can run.

        Raises:
            NotCapableError: always.
        """
        del container, tty
        self._refuse(f"{argv[0] if argv else 'a command'} cannot run in pod {self._name(uid)}")

    def logs(self, uid: str, container: str) -> Sequence[str]:
        """No lines: nobody is served."""
        del uid, container
        return ()

    def close(self) -> None:
        """Forget everything."""
        self._pods.clear()
        self._world = None

    def _name(self, uid: str) -> str:
        pod = self._pods.get(uid)
        return f"{pod.namespace}/{pod.name}" if pod else uid

    def _refuse(self, what: str) -> NoReturn:
        because = f" ({self._why})" if self._why else ""
        raise NotCapableError(f"{what}: this cluster is simulated{because}", remedy=REMEDY)

    def _read(self) -> World:
        if self._world is None:
            objects = read_objects(self._snapshot)
            self._served = _served_ports(objects)
            self._world = World(objects, hosts=self._hosts)
        return self._world

    def _judge(self, world: World, probe: Probe) -> Observation:
        flow = Flow(probe.source, probe.destination, probe.port, probe.protocol, probe.family)
        try:
            packets = world.packets(flow)
            if not packets:  # a Service that leads nowhere is refused, as kube-proxy does
                return Observation(probe, Outcome.REFUSED, detail="the Service has no endpoint for this port")
            if missing := self._without_address(packets[0], probe.family):
                return Observation(probe, Outcome.ERROR, detail=missing)
            allowed = world.allowed_as_calico(flow)
        except UsageError as error:
            return Observation(probe, Outcome.ERROR, detail=error.message)
        if not allowed:
            return Observation(probe, Outcome.DROPPED, detail="simulated")
        return self._arrive(probe, packets[0])

    def _arrive(self, probe: Probe, packet: Packet) -> Observation:
        target = packet.destination.ref
        served = self._served.get(target)
        if probe.protocol == "ICMP" or (served is not None and (probe.protocol, packet.port) in served):
            answered_by = target if served is not None else ""
            return Observation(probe, Outcome.OPEN, answered_by=answered_by, detail="simulated")
        if target.startswith("ip:"):
            return Observation(probe, Outcome.UNREACHABLE, detail="nothing has this address here")
        if target.startswith("host:"):
            return Observation(probe, Outcome.OPEN, answered_by=target, detail="simulated")
        return Observation(probe, Outcome.REFUSED, detail="nothing listens on this port")

    @staticmethod
    def _without_address(packet: Packet, family: int) -> str:
        """Say which end has no address of the family; empty when both have."""
        for end in (packet.source, packet.destination):
            if not any(address.version == family for address in end.addresses):
                return f"{end.ref} has no IPv{family} address"
        return ""


def _served_ports(objects: Objects) -> Mapping[str, frozenset[tuple[str, int]]]:
    return {pod.ref: frozenset((port.protocol, port.number) for port in pod.ports) for pod in objects.pods}
