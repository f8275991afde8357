"""Where a Service sends a packet: its endpoints, as far as traffic policies let a node use them.

`internalTrafficPolicy: Local` and `externalTrafficPolicy: Local` drop where the node has no endpoint; in-cluster
traffic to an external address or a node's port uses every endpoint. `loadBalancerSourceRanges` count at the addresses
of a load balancer only. Source: Kubernetes `pkg/proxy/topology.go`, `pkg/proxy/serviceport.go`, KEP-1669, KEP-2086.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from grader.policy.matches import Block

if TYPE_CHECKING:
    from grader.kube.model import Service
    from grader.policy.model import Endpoint
    from grader.reachability.endpoints import Endpoints
    from grader.reachability.verdict import Flow


def behind(
    endpoints: Endpoints, service: Service, flow: Flow, source: Endpoint, node: Endpoint | None
) -> tuple[Endpoint, ...]:
    """Return the endpoints that may get a packet; `node` is the one whose port was addressed."""
    if _refused(service, flow, source):
        return ()
    found = tuple(
        backend
        for backend in endpoints.backends(service)
        if backend.selectable or backend.host_network or backend.address(flow.family) is not None
    )
    local = _local_node(service, flow, source, node)
    # Where it is not known on which node a pod runs, nothing can be said against it.
    return tuple(each for each in found if each.node in ("", local.node)) if local is not None and local.node else found


def why_none(endpoints: Endpoints, service: Service, flow: Flow, source: Endpoint, node: Endpoint | None) -> str:
    """Say what leaves a Service without endpoints here; empty when nothing does."""
    if _refused(service, flow, source):
        return f"loadBalancerSourceRanges ({', '.join(map(str, service.source_ranges))}) do not hold {source.ref}"
    local = _local_node(service, flow, source, node)
    if local is not None and local.node:
        field = "externalTrafficPolicy" if node is not None else "internalTrafficPolicy"
        return f"{field} is Local, and node {local.node} has none"
    if service.selector is None and endpoints.backends(service):
        return "it has no selector, and no EndpointSlice has a port of that name"
    return ""


def _refused(service: Service, flow: Flow, source: Endpoint) -> bool:
    """Tell whether the load balancer's address is not open to a sender."""
    if not service.source_ranges or not flow.destination.startswith("ip:"):
        return False
    if ip_address(flow.destination[3:]) not in service.balancer:
        return False
    return not any(Block(net).matches(source, flow.family) for net in service.source_ranges)


def _local_node(service: Service, flow: Flow, source: Endpoint, node: Endpoint | None) -> Endpoint | None:
    """The node (or what runs on it) whose endpoints alone may be used; None for no such limit."""
    in_cluster = source.selectable or source.host_network or bool(source.node)
    if node is not None:
        return node if service.external_local and not in_cluster else None
    if flow.destination.startswith("ip:") and ip_address(flow.destination[3:]) in service.outside:
        return None
    return source if service.internal_local and in_cluster and not service.headless else None
