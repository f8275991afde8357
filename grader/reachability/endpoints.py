"""Endpoint names of flows to what policies see of them.

An `ip:` that belongs to a pod, a node or a Service means that pod, node or Service: packets carry addresses only.
"""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from ipaddress import ip_address
from typing import TYPE_CHECKING

from content.errors import UsageError
from grader.calico.labels import LabelViews
from grader.kube.model import NO_LABELS
from grader.policy.model import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from grader.kube.model import Address, ContainerPort, EndpointSlice, Node, Objects, Pod, Service, ServicePort


class Endpoints:
    """Every endpoint of a snapshot by name and by address.

    Args:
        objects: the parsed snapshot.
        hosts: addresses of outside hosts by name.
    """

    def __init__(self, objects: Objects, hosts: Mapping[str, Iterable[Address]]) -> None:
        labels = {namespace.name: namespace.labels for namespace in objects.namespaces}
        nodes = {node.name: node for node in objects.nodes}
        views = LabelViews(objects) if objects.is_calico else None
        self.pods: dict[str, Endpoint] = {}
        self.finished: set[str] = set()
        self.services: dict[str, Service] = {f"{each.namespace}/{each.name}": each for each in objects.services}
        self._node_ports = {
            (port.node_port, port.protocol): service
            for service in objects.services
            for port in service.ports
            if port.node_port and service.type in ("NodePort", "LoadBalancer")
        }
        self._others: dict[str, Endpoint] = {}
        self._by_label: dict[tuple[str, str, str], list[Endpoint]] | None = None
        self._by_address: dict[Address, str] = {}
        for pod in objects.pods:
            if pod.finished:
                self.finished.add(pod.ref)
                continue
            seen = views.pod(pod) if views is not None and not pod.host_network else None
            endpoint = _pod_endpoint(pod, labels.get(pod.namespace, NO_LABELS), nodes.get(pod.node), seen)
            self.pods[pod.ref] = endpoint
            if not pod.host_network:
                self._by_address.update(dict.fromkeys(pod.addresses, pod.ref))
        for node in objects.nodes:
            ref = f"node:{node.name}"
            self._others[ref] = Endpoint(
                ref,
                addresses=node.addresses,
                node=node.name,
                node_labels=node.labels,
            )
            self._by_address.update(dict.fromkeys(node.addresses, ref))
        for endpoint in host_endpoints(objects, views) if views is not None else ():
            self._others[endpoint.ref] = endpoint
            self._by_address.update(dict.fromkeys(endpoint.addresses, endpoint.ref))
        if objects.host_endpoints:
            self.pods = {ref: self._as_host(pod) if pod.host_network else pod for ref, pod in self.pods.items()}
        for service_ref, service in self.services.items():
            here = dict.fromkeys((*service.addresses, *service.outside), f"service:{service_ref}")
            self._by_address.update(here)
        self._slices: dict[tuple[str, str], list[EndpointSlice]] = {}
        for each in objects.endpoint_slices:
            self._slices.setdefault((each.namespace, each.service), []).append(each)
        for name, addresses in hosts.items():
            host = Endpoint(f"host:{name}", addresses=tuple(addresses))
            self._others[host.ref] = host
            self._by_address.update(dict.fromkeys(host.addresses, host.ref))

    def everyone(self) -> tuple[Endpoint, ...]:
        """Return every pod, node and host."""
        return (*self.pods.values(), *self._others.values())

    def canonical(self, ref: str) -> str:
        """Return the name of what owns an address; any other name as it is.

        Raises:
            UsageError: the text after `ip:` is no address.
        """
        if not ref.startswith("ip:"):
            return ref
        try:
            return self._by_address.get(ip_address(ref[3:]), ref)
        except ValueError as error:
            raise UsageError(f"{ref[3:]!r} is no IP address") from error

    def find(self, ref: str) -> Endpoint:
        """Return an endpoint that is no Service.

        Raises:
            UsageError: nothing of that name exists, or the pod has finished.
        """
        asked, ref = ref, self.canonical(ref)
        endpoint = self.pods.get(ref) or self._others.get(ref)
        if endpoint is not None:
            return _seen_at(endpoint, asked) if asked != ref else endpoint
        if ref.startswith("ip:"):
            return Endpoint(ref, addresses=(ip_address(ref[3:]),))
        if ref.startswith("host:"):
            return Endpoint(ref)
        if ref in self.finished:
            raise UsageError(f"pod {ref} has finished: it has no traffic")
        kind = "node" if ref.startswith("node:") else "pod"
        raise UsageError(f"there is no {kind} {ref.removeprefix('node:')}", remedy=self._suggest(ref))

    def gate(self, endpoint: Endpoint) -> Endpoint | None:
        """Return the host endpoint through which a pod's traffic leaves and enters its node; None without one."""
        if endpoint.host_endpoint:
            return endpoint
        for other in self._others.values():
            if other.host_endpoint and (
                (other.node and other.node == endpoint.node) or set(other.addresses) & set(endpoint.host_addresses)
            ):
                return other
        return None

    def _as_host(self, pod: Endpoint) -> Endpoint:
        """A pod in its node's network is its node to Calico: the host endpoint judges it."""
        gate = self.gate(pod)
        if gate is None:
            return pod
        return replace(pod, calico=gate.calico, host_endpoint=gate.host_endpoint, every_interface=gate.every_interface)

    def service(self, ref: str) -> Service:
        """Return a Service by `service:namespace/name`.

        Raises:
            UsageError: there is none.
        """
        service = self.services.get(ref.removeprefix("service:"))
        if service is None:
            raise UsageError(f"there is no Service {ref.removeprefix('service:')}")
        return service

    def service_at(self, ref: str, port: int, protocol: str) -> Service | None:
        """Return the Service that answers there: the one named, or the one of a node's port; None for no Service.

        Raises:
            UsageError: a Service is named that does not exist.
        """
        if ref.startswith("service:"):
            return self.service(ref)
        return self._node_ports.get((port, protocol)) if ref.startswith("node:") else None

    def backends(self, service: Service) -> tuple[Endpoint, ...]:
        """Return the pods that a Service selects, in order of their names; without a selector, its EndpointSlices'."""
        if service.selector is None:
            slices = self._slices.get((service.namespace, service.name), ())
            listed = dict.fromkeys(address for each in slices for address in each.addresses)
            return tuple(self.find(f"ip:{address}") for address in listed)
        if self._by_label is None:
            self._by_label = {}
            for pod in self.pods.values():
                for item in pod.labels.items():
                    self._by_label.setdefault((pod.namespace, *item), []).append(pod)
        wanted = service.selector.items()
        candidates = (self._by_label.get((service.namespace, *item), []) for item in wanted)
        return tuple(pod for pod in min(candidates, key=len) if wanted <= pod.labels.items())

    def target_port(
        self, service: Service, backend: Endpoint, port: int, protocol: str, *, by_node: bool = False
    ) -> int | None:
        """Return an endpoint's port behind a Service's; None where it has no such port, or the name is unknown.

        A headless Service has no address of its own: clients reach the pod's own ports. `by_node`: it is the node's.
        """
        if service.headless and not by_node:
            return port
        for entry in service.ports:
            if (entry.node_port if by_node else entry.port) == port and entry.protocol == protocol:
                return self._target(service, entry, backend)
        return None

    def port_behind(self, service: Service, backend: Endpoint, port: int | str) -> int | None:
        """Return an endpoint's TCP port behind a Service's, by number or name, for who addresses endpoints directly."""
        for entry in service.ports:
            if port in (entry.port, entry.name) and entry.protocol == "TCP":
                return self._target(service, entry, backend)
        return None

    def _target(self, service: Service, entry: ServicePort, backend: Endpoint) -> int | None:
        """Without a selector a slice's port of the same name is meant, whatever the target port (KEP-752)."""
        if service.selector is None:
            for each in self._slices.get((service.namespace, service.name), ()):
                if set(each.addresses) & set(backend.addresses):
                    for port in each.ports:
                        if (port.name, port.protocol) == (entry.name, entry.protocol):
                            return port.number or entry.port
            return None
        if isinstance(entry.target, int):
            return entry.target
        return min(backend.ports.get((entry.target, entry.protocol), ()), default=None)

    def _suggest(self, ref: str) -> str:
        close = get_close_matches(ref, [*self.pods, *self._others])
        return f"did you mean {', '.join(close)}?" if close else ""


def host_endpoints(objects: Objects, views: LabelViews) -> Iterator[Endpoint]:
    """Yield what policies see of hosts with HostEndpoints; a node's second one has a name of its own.

    Without expectedIPs it has the node's addresses.
    """
    nodes = {node.name: node for node in objects.nodes}
    known: set[str] = set()
    for host in objects.host_endpoints:
        node = nodes.get(host.node)
        own = node.addresses if node is not None else ()
        ref = f"node:{host.node}" if host.node not in known else f"node:{host.node}/{host.name}"
        known.add(host.node)
        yield Endpoint(
            ref,
            addresses=host.addresses or own,
            ports=_named_ports(host.ports),
            node=host.node,
            host_addresses=tuple(dict.fromkeys((*host.addresses, *own))),
            node_labels=node.labels if node is not None else None,
            calico=views.host(host),
            host_endpoint=host.name,
            every_interface=host.interface == "*",
        )


def _seen_at(endpoint: Endpoint, asked: str) -> Endpoint:
    """The endpoint with the address first that a packet to it carries."""
    address = ip_address(asked.removeprefix("ip:"))
    return replace(endpoint, addresses=(address, *(each for each in endpoint.addresses if each != address)))


def _pod_endpoint(
    pod: Pod, namespace_labels: Mapping[str, str], node: Node | None, calico: Mapping[str, str] | None
) -> Endpoint:
    host = node.addresses if node is not None else ()
    if pod.host_address is not None and pod.host_address not in host:
        host = (*host, pod.host_address)
    return Endpoint(
        ref=pod.ref,
        namespace=pod.namespace,
        selectable=not pod.host_network,
        addresses=(pod.addresses or host) if pod.host_network else pod.addresses,
        ports=_named_ports(pod.ports),
        node=pod.node,
        host_addresses=host,
        host_network=pod.host_network,
        labels=pod.labels,
        namespace_labels=namespace_labels,
        node_labels=node.labels if node is not None and pod.host_network else None,
        calico=calico,
    )


def _named_ports(ports: Iterable[ContainerPort]) -> dict[tuple[str, str], frozenset[int]]:
    named: dict[tuple[str, str], frozenset[int]] = {}
    for port in ports:
        if port.name:
            key = port.name, port.protocol
            named[key] = named.get(key, frozenset()) | {port.number}
    return named
