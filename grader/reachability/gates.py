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
        same_node = bool(set(other.addresses) & set(gate.host_addresses))
        return None if same_node else gate
    same_node = (bool(other.node) and other.node == gate.node) or bool(
        set(other.host_addresses) & set(gate.host_addresses)
    )
    return gate if gate.every_interface and not same_node else None
