"""A snapshot that answers questions: who reaches whom."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from grader.calico.fields import wire_protocol
from grader.policy.compile import compile_rulebook
from grader.policy.model import EGRESS, INGRESS
from grader.reachability.alike import alone, crowds
from grader.reachability.allpairs import all_ports
from grader.reachability.changes import carried_over, same_endpoints
from grader.reachability.classes import reads_of
from grader.reachability.endpoints import Endpoints
from grader.reachability.explain import explain_packet, service_hops
from grader.reachability.gates import gate_in, gate_out
from grader.reachability.judge import decide
from grader.reachability.matrix import all_pairs, declared_columns
from grader.reachability.packet import Packet
from grader.reachability.requests import is_url
from grader.reachability.routed import Requests
from grader.reachability.routes import behind, why_none
from grader.reachability.verdict import Action, Decision, Explanation, Flow, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from grader.kube.model import Address, Objects
    from grader.policy.model import Endpoint
    from grader.reachability.alike import Crowd
    from grader.reachability.allpairs import Reach
    from grader.reachability.classes import Reads
    from grader.reachability.matrix import Column, Matrix
    from grader.reachability.universe import Universe
    from grader.reachability.verdict import RuleLine


class World:
    """A parsed snapshot, compiled once.

    Args:
        objects: as `grader.kube.parse.read_objects` returns them.
        hosts: addresses of outside hosts, by the name in `host:NAME`; a host without an address is matched only by
            rules for every address.
        before: a world of an earlier snapshot; what did not change is taken from it (see `changed`).
        rule_line: says where rules stand in their files; explanations name the policy's line without it.
    """

    def __init__(
        self,
        objects: Objects,
        *,
        hosts: Mapping[str, Iterable[Address]] | None = None,
        before: World | None = None,
        rule_line: RuleLine | None = None,
    ) -> None:
        self.objects = objects
        self.rule_line = rule_line
        self._hosts = hosts or {}
        self._endpoints: Endpoints | None = None
        self.requests = Requests(self)
        self.book = compile_rulebook(objects)
        self._reach: dict[int, Reach] = {}
        self._universes: dict[int, Universe] = {}
        self._crowds: tuple[Crowd, ...] | None = None
        if before is not None and same_endpoints(before.objects, objects):
            self._endpoints, self._crowds = before._endpoints, before._crowds  # noqa: SLF001 - a world like this one
            self.book = carried_over(before.book, self.book)
            self._universes = before.universes()

    @property
    def endpoints(self) -> Endpoints:
        """Every endpoint by name and by address; made when first asked for, as all pairs need only crowds."""
        if self._endpoints is None:
            self._endpoints = Endpoints(self.objects, self._hosts)
        return self._endpoints

    def changed(self, objects: Objects) -> World:
        """Return the world of a later snapshot: of one where only policies changed, only what those touch is new."""
        return World(objects, hosts=self._hosts, before=self, rule_line=self.rule_line)

    def universes(self) -> dict[int, Universe]:
        """Return what is known of endpoints and policies, by IP family."""
        return self._universes | {family: reach.universe for family, reach in self._reach.items()}

    @property
    def family(self) -> int:
        """The IP family that pods have: 6 where every address is an IPv6 one, else 4."""
        versions = {address.version for pod in self.objects.pods for address in pod.addresses}
        return 6 if versions == {6} else 4

    def verdict(self, flow: Flow) -> Verdict:
        """Return what both directions decide.

        A flow to a Service is judged at the pods behind it, after translation; of several pods a denied one is shown.
        One to an address of requests (`https://…`) is judged on both connections (see `routed`).

        Raises:
            content.errors.UsageError: an endpoint of the flow does not exist.
        """
        if is_url(flow.destination):
            return self.requests.verdict(flow)
        verdicts = [self.judge(flow, packet) for packet in self.packets(flow)]
        if not verdicts:
            return self._nowhere(flow)
        return next((verdict for verdict in verdicts if not verdict.allowed), verdicts[0])

    def allowed_as_calico(self, flow: Flow) -> bool:
        """Tell whether the packet arrives, with what the specification leaves open decided as Calico does."""
        return self.verdict(flow).allowed

    def explain(self, flow: Flow) -> Explanation:
        """Return the verdict with the way to it and the near misses; of several pods behind a Service, one denied.

        Raises:
            content.errors.UsageError: an endpoint of the flow does not exist.
        """
        if is_url(flow.destination):
            return self.requests.explain(flow)
        packets = self.packets(flow)
        if not packets:
            verdict = self._nowhere(flow)
            return Explanation(verdict, (verdict.egress.reason,))
        denied = (packet for packet in packets if not self.judge(flow, packet).allowed)
        packet = next(denied, packets[0])
        destination = self.endpoints.canonical(flow.destination)
        before: tuple[str, ...] = ()
        if service := self.endpoints.service_at(destination, flow.port, flow.protocol):
            before = service_hops(service, packet, replace(flow, destination=destination), len(packets))
        elif destination != flow.destination:
            before = (f"{flow.destination} is the address of {destination}",)
        return explain_packet(self.book, flow, packet, before, self.rule_line)

    def matrix(
        self,
        sources: Iterable[str] | None = None,
        columns: Iterable[Column] | None = None,
        family: int = 4,
    ) -> Matrix:
        """Return all pairs: by default every pod with traffic against every port that such a pod declares.

        Raises:
            content.errors.UsageError: an endpoint does not exist.
        """
        rows = self.endpoints.pods if sources is None else sources
        return all_pairs(self, rows, declared_columns(self) if columns is None else columns, family)

    def reach(self, family: int = 4) -> Reach:
        """Return all pairs at all ports, by classes; computed once."""
        found = self._reach.get(family)
        if found is None:
            found = self._reach[family] = self.reading(reads_of(self.book), family)
        return found

    def reading(self, reads: Reads, family: int) -> Reach:
        """Return all pairs at all ports, by classes that these reads tell apart: those of the own rules, or more."""
        known = self._universes.get(family)
        if known is not None and (known.worn or not known.reads.covers(reads)):
            known = None
        gate = None
        if self.objects.host_endpoints:
            gate = self.endpoints.gate
            self._crowds = tuple(alone(each) for each in self.endpoints.everyone())
        elif self._crowds is None:
            self._crowds = crowds(self.objects, self._hosts)
        return all_ports(self.book, self._crowds, reads, family, gate=gate, universe=known)

    def packets(self, flow: Flow) -> tuple[Packet, ...]:
        """Return the packet that a flow sends, one for each pod behind a Service; none when a Service has no way on."""
        if is_url(flow.destination):
            return self.requests.packets(flow)
        source = self.endpoints.find(flow.source)
        destination = self.endpoints.canonical(flow.destination)
        service = self.endpoints.service_at(destination, flow.port, flow.protocol)
        protocol = wire_protocol(flow.protocol, flow.family)
        first = Packet(
            source, source, flow.port, protocol, flow.family, source_port=flow.source_port, icmp=_icmp(flow, protocol)
        )
        if service is None:
            return (self._gated(replace(first, destination=self.endpoints.find(flow.destination))),)
        node = None if destination.startswith("service:") else self.endpoints.find(flow.destination)
        packets = []
        for backend in behind(self.endpoints, service, flow, source, node):
            port = self.endpoints.target_port(service, backend, flow.port, flow.protocol, by_node=node is not None)
            if port is not None:
                packet = replace(first, destination=backend, port=port, hairpin=backend.ref == source.ref)
                packets.append(self._gated(_through(packet, node, flow.port) if node is not None else packet))
        return tuple(packets)

    def _gated(self, packet: Packet) -> Packet:
        """A packet with the host endpoints that forward it."""
        if not self.objects.host_endpoints:
            return packet
        return replace(packet, leaving=gate_out(self.endpoints, packet), entering=gate_in(self.endpoints, packet))

    def packet(self, source: Endpoint, destination: Endpoint, port: int, family: int) -> Packet:
        """Return the packet of a TCP connection between two endpoints, without any translation."""
        return self._gated(Packet(source, destination, port, "TCP", family, hairpin=source.ref == destination.ref))

    def judge(self, flow: Flow, packet: Packet) -> Verdict:
        """Return what both directions decide about one packet of a flow."""
        return Verdict(flow, decide(self.book, EGRESS, packet), decide(self.book, INGRESS, packet))

    def _nowhere(self, flow: Flow) -> Verdict:
        """A Service that leads nowhere: nothing is sent on, whatever the policies say."""
        destination = self.endpoints.canonical(flow.destination)
        service = self.endpoints.service_at(destination, flow.port, flow.protocol)
        port = f"port {flow.port}/{flow.protocol}"
        reason = f"nothing is at {destination} {port}"
        if service is not None:
            known = service.headless or any(
                flow.port in (p.port, p.node_port) and p.protocol == flow.protocol for p in service.ports
            )
            lacks = f"no endpoints for {port}" if known else f"no {port}"
            reason = f"Service {service.namespace}/{service.name} has {lacks}"
            node = None if destination.startswith("service:") else self.endpoints.find(destination)
            if why := why_none(self.endpoints, service, flow, self.endpoints.find(flow.source), node):
                reason += f": {why}"
        return Verdict(
            flow, Decision(EGRESS, Action.DENY, reason=reason), Decision(INGRESS, Action.DENY, reason=reason)
        )


def _icmp(flow: Flow, protocol: str) -> tuple[int, int] | None:
    """Type and code: an echo request where the flow says nothing."""
    echo = {"ICMP": (8, 0), "ICMPv6": (128, 0)}.get(protocol)
    return (flow.icmp or echo) if echo is not None else None


def _through(packet: Packet, node: Endpoint, port: int) -> Packet:
    """A packet to a node's port: translated there, or at once where the sender runs on that node."""
    at_home = packet.source.node == node.node
    same_node = packet.destination.node == node.node
    return replace(packet, entry=None if at_home else (node, port), masked=None if same_node else node)
