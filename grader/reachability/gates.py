"""Host endpoints that forward a packet between their interface and a pod of their node.

A host endpoint of one interface sees what comes from outside or goes there: between nodes pods' packets are taken to be
encapsulated, which Calico lets pass. One of every interface sees these too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grader.policy.model import Endpoint
    from grader.reachability.endpoints import Endpoints
    from grader.reachability.packet import Packet


def gate_in(endpoints: Endpoints, packet: Packet) -> Endpoint | None:
    """Return the host endpoint through which a packet comes to a pod; None for none."""
    if not packet.destination.selectable:
        return None
    node = packet.entry[0] if packet.entry is not None else packet.destination
    return crossed(endpoints.gate(node), packet.source)


def gate_out(endpoints: Endpoints, packet: Packet) -> Endpoint | None:
    """Return the host endpoint through which a pod's packet goes; None for none."""
    if not packet.source.selectable:
        return None
    other = packet.entry[0] if packet.entry is not None else packet.destination
    return crossed(endpoints.gate(packet.source), other)


def crossed(gate: Endpoint | None, other: Endpoint) -> Endpoint | None:
    """Return the gate if traffic between its node's pods and another endpoint goes through it; else None."""
    if gate is None or other.host_endpoint == gate.host_endpoint:
        return None
    in_cluster = other.selectable or other.host_network
    if not in_cluster:
        return None if set(other.addresses) & set(gate.host_addresses) else gate
    return gate if gate.every_interface and not on_node(other, gate) else None


def on_node(endpoint: Endpoint, host: Endpoint) -> bool:
    """Tell whether an endpoint is known to be on a host: by the node's name, or by an address of the node."""
    return (bool(endpoint.node) and endpoint.node == host.node) or bool(
        set(endpoint.host_addresses) & set(host.host_addresses)
    )
