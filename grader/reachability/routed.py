"""Requests by host and path: from the client to what serves the Ingress or Gateway, and from there to the endpoints.

Policies see two connections. The proxy sends to endpoints directly, so that no Service's traffic policy counts there.
Where the proxy's pods are not known, both connections are judged with an end that only rules for everybody mean; what
such rules deny, while others could allow it, is left open.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from grader.policy.model import EGRESS, INGRESS, Effect, Endpoint
from grader.reachability.explain import explain_packet
from grader.reachability.gateways import gateway_leads
from grader.reachability.ingresses import ingress_leads
from grader.reachability.proxies import Proxies
from grader.reachability.requests import parse_request
from grader.reachability.tiers import selecting_policies
from grader.reachability.verdict import Action, Decision, Explanation, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from grader.policy.model import Rulebook
    from grader.reachability.leads import Lead
    from grader.reachability.packet import Packet
    from grader.reachability.requests import Request
    from grader.reachability.verdict import Flow, NearMiss
    from grader.reachability.world import World

GUESSED = "left open"
"""How a reason begins that is not certain."""
_ACCOUNTED = 3
"""Names that are listed before the rest is counted."""


@dataclass(frozen=True, slots=True)
class Way:
    """What becomes of a request on one way: the packets of both connections, or why there are none."""

    lead: Lead
    verdict: Verdict
    first: tuple[Packet, ...] = ()
    second: tuple[Packet, ...] = ()


class Requests:
    """Answers questions about requests in one world; what an address means is worked out once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._proxies: Proxies | None = None
        self._leads: dict[str, tuple[tuple[Lead, ...], ...]] = {}

    def leads(self, url: str) -> tuple[tuple[Lead, ...], ...]:
        """Return for each class of Ingresses and each Gateway the ways of a request, in the order of asking.

        Raises:
            content.errors.UsageError: it is no address of a request.
        """
        found = self._leads.get(url)
        if found is None:
            objects, endpoints = self._world.objects, self._world.endpoints
            request = parse_request(url)
            self._proxies = self._proxies or Proxies(objects, endpoints)
            found = self._leads[url] = (
                *ingress_leads(objects, endpoints, self._proxies, request),
                *gateway_leads(objects, endpoints, self._proxies, request),
            )
        return found

    def verdict(self, flow: Flow) -> Verdict:
        """Return what decides on a request; its condition is what must hold of it besides host and path."""
        way = self.way(flow)
        return way.verdict if way is not None else self._nowhere(flow)

    def packets(self, flow: Flow) -> tuple[Packet, ...]:
        """Return the packets of both connections, on the way that decides."""
        way = self.way(flow)
        return (*way.first, *way.second) if way is not None else ()

    def way(self, flow: Flow) -> Way | None:
        """Return the way that decides: of several Gateways that take the request, one that does not let it pass."""
        ways = [_settled([self.judged(flow, lead) for lead in leads]) for leads in self.leads(flow.destination)]
        return next((way for way in ways if not way.verdict.allowed), ways[0] if ways else None)

    def judged(self, flow: Flow, lead: Lead) -> Way:
        """Return what becomes of a request that takes a way."""
        if (stopped := _stopped(lead)) is not None:
            return Way(lead, _denied(flow, stopped))
        world, request = self._world, parse_request(flow.destination)
        source = world.endpoints.find(flow.source)
        pods = lead.proxy.pods or (Endpoint(lead.proxy.name),)
        first = tuple(
            world.packet(source, pod, entry_port(world, pod, request), flow.family)
            for pod in pods
            if pod.ref != source.ref
        )
        second = tuple(world.packet(pod, end, port, flow.family) for pod in pods for end, port in self._ends(lead))
        if not second:
            return Way(
                lead, _denied(flow, f"{lead.sends[0].words} has no endpoints: the {lead.proxy.name} answers 503")
            )
        judged = [world.judge(flow, packet) for packet in (*first, *second)]
        verdict = next((each for each in judged if not each.allowed), judged[-1])
        if not lead.proxy.pods:
            verdict = _guessed(world.book, verdict, (*first, *second)[judged.index(verdict)], lead.proxy.why)
        if lead.condition and verdict.allowed:
            ingress = verdict.ingress
            both = f"{ingress.condition} and {lead.condition}" if ingress.condition else lead.condition
            verdict = replace(verdict, ingress=replace(ingress, condition=both))
        return Way(lead, verdict, first, second)

    def door(self, pod: Endpoint, url: str) -> int:
        """Return the port at which a proxy's pod takes a request."""
        return entry_port(self._world, pod, parse_request(url))

    def _ends(self, lead: Lead) -> Iterator[tuple[Endpoint, int]]:
        for send in lead.sends:
            if send.service is not None:
                for end in self._world.endpoints.backends(send.service):
                    port = self._world.endpoints.port_behind(send.service, end, send.port)
                    if port is not None:
                        yield end, port

    def _nowhere(self, flow: Flow) -> Verdict:
        request = parse_request(flow.destination)
        hosts = sorted(_hosts(self._world))
        served = f"; served are {', '.join(hosts[:_ACCOUNTED])}" if hosts else ": there is no Ingress and no route"
        more = f" and {len(hosts) - _ACCOUNTED} more" if len(hosts) > _ACCOUNTED else ""
        return _denied(flow, f"nothing serves {request.host}{request.path} at port {request.port}{served}{more}")

    def explain(self, flow: Flow) -> Explanation:
        """Return the verdict with both connections, hop by hop."""
        way = self.way(flow)
        if way is None or not way.second:
            verdict = way.verdict if way is not None else self._nowhere(flow)
            before = _lead_hops(way.lead) if way is not None else ()
            return Explanation(verdict, (*before, verdict.egress.reason))
        hops = list(_lead_hops(way.lead))
        misses: tuple[NearMiss, ...] = ()
        for number, packets, leads_to in ((1, way.first, "the proxy"), (2, way.second, "an endpoint")):
            packet = next(
                (p for p in packets if not self._world.judge(flow, p).allowed), packets[0] if packets else None
            )
            if packet is None:
                continue
            choice = f" (1 of {len(packets)})" if len(packets) > 1 else ""
            where = f"{leads_to}, {packet.destination.ref} port {packet.port}{choice}"
            hops.append(f"connection {number}: {packet.source.ref} to {where}")
            told = explain_packet(self._world.book, flow, packet, rule_line=self._world.rule_line)
            hops += [f"  {hop}" for hop in told.hops]
            misses = misses or told.near_misses
        hops += dict.fromkeys(
            each.reason for each in (way.verdict.egress, way.verdict.ingress) if each.reason.startswith(GUESSED)
        )
        return Explanation(way.verdict, tuple(hops), misses)


def _settled(ways: Sequence[Way]) -> Way:
    """The way of every request, unless only those that meet a condition pass, or may."""
    final = ways[-1]
    if final.lead.ends and final.verdict.allowed:
        return final
    passing = next((way for way in ways if way.verdict.allowed), None)
    if passing is not None:
        return passing
    if final.lead.ends:
        return final
    return next((way for way in ways if way.verdict.action is Action.OPEN), ways[0])


def entry_port(world: World, pod: Endpoint, request: Request) -> int:
    """Return the port of a proxy's pod for requests: that behind a Service with the request's port, or the same."""
    for service in world.endpoints.services.values():
        selector = service.selector
        if selector and service.namespace == pod.namespace and selector.items() <= pod.labels.items():
            port = world.endpoints.target_port(service, pod, request.port, "TCP")
            if port is None:
                port = world.endpoints.target_port(service, pod, request.port, "TCP", by_node=True)
            if port is not None:
                return port
    return request.port


def could_allow(book: Rulebook, direction: str, packet: Packet) -> bool:
    """Tell whether any rule about the subject opens this port to somebody."""
    subject, _ = packet.ends(direction)
    return any(
        rule.effect is Effect.ALLOW
        and rule.matches_port(packet.destination, packet.port, packet.protocol)
        and rule.matches_subject(subject, packet.family)
        for tier in book.tiers(direction)
        for policy in selecting_policies(tier, subject)
        for rule in policy.rules
    )


def _guessed(book: Rulebook, verdict: Verdict, packet: Packet, why: str) -> Verdict:
    """A verdict on a connection of which one end is not known."""

    def decision(found: Decision) -> Decision:
        if found.allowed or not could_allow(book, found.direction, packet):
            return found
        reason = f"{GUESSED}: {why}, and rules may mean them; {found.reason}"
        return replace(found, action=Action.OPEN, measured=Action.DENY, reason=reason)

    return replace(verdict, egress=decision(verdict.egress), ingress=decision(verdict.ingress))


def _stopped(lead: Lead) -> str | None:
    """Say why no backend gets the request; None where one does."""
    if lead.answered:
        return f"the {lead.proxy.name} answers with {lead.answered}: no backend gets the request"
    if not lead.sends:
        return f"the rule has no backend: the {lead.proxy.name} answers with an error"
    problem = next((send.problem for send in lead.sends if send.problem), None)
    return f"{problem}: the {lead.proxy.name} answers with an error" if problem else None


def _denied(flow: Flow, reason: str) -> Verdict:
    return Verdict(flow, Decision(EGRESS, Action.DENY, reason=reason), Decision(INGRESS, Action.DENY, reason=reason))


def _lead_hops(lead: Lead) -> tuple[str, ...]:
    leads_to = " and ".join(send.words for send in lead.sends)
    condition = f", if it is {lead.condition}" if lead.condition else ""
    hops = [f"{lead.rule}{condition}" + (f": leads to {leads_to}" if leads_to else "")]
    hops += (f"  {note}" for note in lead.notes)
    pods = lead.proxy.pods
    if pods:
        listed = ", ".join(pod.ref for pod in pods[:_ACCOUNTED])
        more = f" and {len(pods) - _ACCOUNTED} more" if len(pods) > _ACCOUNTED else ""
        hops.append(f"the {lead.proxy.name} is {listed}{more} (found {lead.proxy.why})")
    elif lead.proxy.why:
        hops.append(f"{lead.proxy.why}: judged as an end that only rules for everybody mean")
    return tuple(hops)


def _hosts(world: World) -> Iterable[str]:
    objects = world.objects
    found = {rule.host or "*" for ingress in objects.ingresses for rule in ingress.rules}
    found |= {host for route in objects.routes for host in route.hostnames or ("*",)}
    return found
