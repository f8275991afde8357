"""Ways in that are no endpoints: Services, node ports, addresses outside that Services have, and requests by host.

Nodes that are alike for a node port are asked once. A Service that is limited to the client's node is one entry for the
clients of each node with an endpoint: on the others nothing answers, whatever the policies say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.reachability.matrix import Column
from grader.reachability.requests import PORTS, parse_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grader.kube.http_model import Listener, Route
    from grader.kube.model import Service
    from grader.reachability.world import World

SERVICE, NODE_PORT, EXTERNAL, REQUEST = "service", "node-port", "external", "request"
_SCHEMES = {"HTTP": "http", "HTTPS": "https"}
_ANY = "any"
"""The label that stands for what a wildcard means."""


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One way in.

    Attributes:
        kind: service, node-port, external or request.
        name: what flows call it.
        port: number.
        protocol: TCP, UDP or SCTP.
        clients_on: the node whose clients alone are meant; empty for all.
    """

    kind: str
    name: str
    port: int
    protocol: str = "TCP"
    clients_on: str = ""

    @property
    def column(self) -> Column:
        """It as a destination."""
        return Column(self.name, self.port, self.protocol)


def entries(world: World) -> dict[Entry, Entry]:
    """Return every way in, in order, each with the one that is asked for it."""
    found = dict(pair for service in world.objects.services for pair in _of_service(world, service))
    found.update((entry, entry) for entry in _requests(world))
    return {entry: found[entry] for entry in sorted(found)}


def _of_service(world: World, service: Service) -> Iterator[tuple[Entry, Entry]]:
    if service.type == "ExternalName":
        return
    ref = f"service:{service.namespace}/{service.name}"
    backends = world.endpoints.backends(service)
    homes = sorted({each.node for each in backends if each.node}) if service.internal_local else []
    for port in service.ports:
        for home in homes if homes and not service.headless else [""]:
            entry = Entry(SERVICE, ref, port.port, port.protocol, home)
            yield entry, entry
        for address in service.outside:
            entry = Entry(EXTERNAL, f"ip:{address}", port.port, port.protocol)
            yield entry, entry
        if not port.node_port or service.type not in ("NodePort", "LoadBalancer"):
            continue
        asked: dict[tuple[str, ...], Entry] = {}
        for node in world.objects.nodes:
            # A node with endpoints of its own is unlike every other one.
            own = tuple(each.ref for each in backends if each.node == node.name)
            entry = Entry(NODE_PORT, f"node:{node.name}", port.node_port, port.protocol)
            yield entry, asked.setdefault(own, entry)


def _requests(world: World) -> Iterator[Entry]:
    for ingress in world.objects.ingresses:
        schemes = ("http", "https") if ingress.tls else ("http",)
        for rule in ingress.rules:
            for path in rule.paths:
                for scheme in schemes:
                    yield _request(scheme, rule.host, PORTS[scheme], path.path.path)
    for route in world.objects.routes:
        for listener in _listeners(world, route):
            served = _SCHEMES.get(listener.protocol)
            for host in route.hostnames or (listener.hostname,):
                for match in (match for rule in route.rules for match in rule.matches):
                    if served and match.path.kind != "RegularExpression":
                        yield _request(served, host, listener.port, match.path.path)


def _listeners(world: World, route: Route) -> Sequence[Listener]:
    gateways = {(each.namespace, each.name): each for each in world.objects.gateways}
    return [
        listener
        for parent in route.parents
        if (parent.namespace, parent.name) in gateways
        for listener in gateways[parent.namespace, parent.name].listeners
        if parent.section in ("", listener.name) and parent.port in (0, listener.port)
    ]


def _request(scheme: str, host: str, port: int, path: str) -> Entry:
    name = host.replace("*", _ANY, 1) or f"{_ANY}.example"
    shown = "" if port == PORTS[scheme] else f":{port}"
    return Entry(REQUEST, str(parse_request(f"{scheme}://{name}{shown}{path}")), port)
