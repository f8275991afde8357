"""Services to rules: the same table on every node, as kube-proxy writes it.

A cluster IP is translated where a packet enters a node, or where a node sends it, to one of the ready endpoints. What
still has a cluster IP as its destination later has no endpoint or no such port, and is refused. A pod that reaches
itself through a Service, and whoever comes through a NodePort, is masqueraded: the answer must take the same way back.

Source: https://kubernetes.io/docs/reference/networking/virtual-ips/ and kube-proxy's nftables mode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.sandbox.dataplane.nftables.ruleset import (
    PROTOCOLS,
    Action,
    Addresses,
    Balance,
    Chain,
    Family,
    Goto,
    Hook,
    Jump,
    LocalDestination,
    Mark,
    Marked,
    Masquerade,
    Match,
    OwnAddress,
    Place,
    Ports,
    Protocol,
    Reject,
    Rule,
    Side,
    Table,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.kube.model import Address, Objects, Service, ServicePort
    from labs.sandbox.dataplane.nftables.backends import Backends, Endpoint

_MASQUERADE_MARK = 0x4000
_DESTINATION_NAT, _SOURCE_NAT = -100, 100
_AFTER_EGRESS_POLICY = 5
_NODE_PORT_TYPES = {"NodePort", "LoadBalancer"}


def cluster_addresses(objects: Objects) -> tuple[Address, ...]:
    """All cluster IPs, sorted."""
    found = {a for service in objects.services for a in service.addresses}
    return tuple(sorted(found, key=lambda a: (a.version, int(a))))


def compile_services(objects: Objects, backends: Backends) -> Table:
    """Return the table of Services."""
    cluster: list[Rule] = []
    node: list[Rule] = []
    reflexive: dict[int, set[int]] = {4: set(), 6: set()}
    for service in objects.services:
        for port in service.ports:
            endpoints = backends.of(service, port)
            cluster += _cluster_rules(service, port, endpoints)
            if port.node_port and service.type in _NODE_PORT_TYPES:
                node += _node_port_rules(service, port, endpoints)
            for address, _ in endpoints:
                reflexive[address.version].add(int(address))
    own = tuple(
        Rule((Family(version), OwnAddress(version, tuple(sorted(addresses)))), Masquerade(), "a pod to itself")
        for version, addresses in reflexive.items()
        if addresses
    )
    marked = Rule((Marked(_MASQUERADE_MARK),), Masquerade(), "came through a NodePort")
    refused = tuple(_refusals(objects))
    chains = (
        Chain("cluster-ips", tuple(cluster)),
        Chain("node-ports", tuple(node)),
        Chain("refused", refused),
        *_entry("arrive", Place.PREROUTING),
        *_entry("leave", Place.OUTPUT),
        Chain("masquerade", (*own, marked), Hook("nat", Place.POSTROUTING, _SOURCE_NAT)),
        Chain("refuse-forward", (_ask("refused"),), Hook("filter", Place.FORWARD, _AFTER_EGRESS_POLICY)),
        Chain("refuse-output", (_ask("refused"),), Hook("filter", Place.OUTPUT, _AFTER_EGRESS_POLICY)),
    )
    return Table("services", chains)


def _ask(chain: str) -> Rule:
    return Rule((), Jump(chain))


def _entry(name: str, place: Place) -> Iterator[Chain]:
    rules = (_ask("cluster-ips"), Rule((LocalDestination(),), Goto("node-ports"), "to the node itself"))
    yield Chain(name, rules, Hook("nat", place, _DESTINATION_NAT))


def _cluster_rules(service: Service, port: ServicePort, endpoints: tuple[Endpoint, ...]) -> Iterator[Rule]:
    for address in service.addresses:
        behind = _balance(address.version, endpoints)
        if behind is not None:
            version, number = address.version, int(address)
            matches: tuple[Match, ...] = (
                Family(version),
                Addresses(Side.DESTINATION, version, ((number, number),)),
                *_port(port.protocol, port.port),
            )
            yield Rule(matches, behind, f"Service {service.namespace}/{service.name} port {port.port}")


def _node_port_rules(service: Service, port: ServicePort, endpoints: tuple[Endpoint, ...]) -> Iterator[Rule]:
    for version in (4, 6):
        behind = _balance(version, endpoints)
        if behind is not None:
            matches = (Family(version), *_port(port.protocol, port.node_port))
            comment = f"Service {service.namespace}/{service.name} node port {port.node_port}"
            steps: tuple[Action, ...] = (Mark(_MASQUERADE_MARK), behind)
            yield from (Rule(matches, step, comment) for step in steps)


def _port(protocol: str, number: int) -> tuple[Protocol, Ports]:
    return Protocol(PROTOCOLS[protocol]), Ports(((number, number),))


def _balance(version: int, endpoints: tuple[Endpoint, ...]) -> Balance | None:
    """To the endpoints of one family; None when there are none."""
    behind = tuple((int(address), port) for address, port in endpoints if address.version == version)
    return Balance(version, behind) if behind else None


def _refusals(objects: Objects) -> Iterator[Rule]:
    for version in (4, 6):
        numbers = tuple((int(a), int(a)) for a in cluster_addresses(objects) if a.version == version)
        if numbers:
            matches = (Family(version), Addresses(Side.DESTINATION, version, numbers))
            comment = "a cluster IP without an endpoint for this port"
            # kube-proxy sends ICMP for TCP too. Within one machine such a message comes while the client's socket is
            # still busy with sending, and IPv6 then forgets it: the client would hear of it a second later.
            yield Rule((*matches, Protocol(PROTOCOLS["TCP"])), Reject(reset=True), comment)
            yield Rule(matches, Reject(), comment)
