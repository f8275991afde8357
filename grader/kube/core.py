"""Services, nodes and namespaces from JSON to the model."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from grader.kube.fields import is_number
from grader.kube.ingress import balancer_addresses
from grader.kube.model import ContainerPort, EndpointSlice, Namespace, Node, Service, ServiceAccount, ServicePort
from grader.kube.pods import read_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from grader.kube.fields import Problems
    from grader.kube.model import Address, Network, Origin

NAME_LABEL = "kubernetes.io/metadata.name"
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")


def read_namespace(manifest: Mapping[str, Any], name: str, origin: Origin, problems: Problems) -> Namespace:
    """Return the namespace with the label of its name, which the API server always sets."""
    metadata = problems.mapping(manifest.get("metadata"), "metadata")
    labels = problems.labels(metadata.get("labels"), "metadata.labels")
    return Namespace(name, {**labels, NAME_LABEL: name}, origin)


def read_node(manifest: Mapping[str, Any], name: str, problems: Problems) -> Node:
    """Return the node with its internal and external addresses."""
    metadata = problems.mapping(manifest.get("metadata"), "metadata")
    status = problems.mapping(manifest.get("status"), "status")
    addresses = []
    for index, value in enumerate(problems.sequence(status.get("addresses"), "status.addresses")):
        entry = problems.mapping(value, f"status.addresses[{index}]")
        if entry.get("type") in ("InternalIP", "ExternalIP"):
            address = read_address(entry.get("address"), f"status.addresses[{index}].address", problems)
            if address is not None and address not in addresses:
                addresses.append(address)
    return Node(name, problems.labels(metadata.get("labels"), "metadata.labels"), tuple(addresses))


def read_service(manifest: Mapping[str, Any], namespace: str, name: str, origin: Origin, problems: Problems) -> Service:
    """Return the Service; an empty selector is none (its endpoints are then somebody else's business)."""
    spec = problems.mapping(manifest.get("spec"), "spec")
    kind = problems.text(spec.get("type"), "spec.type") or "ClusterIP"
    if kind not in _TYPES:
        problems.unsupported("spec.type", kind, _TYPES)
    listed = list(problems.sequence(spec.get("clusterIPs"), "spec.clusterIPs")) or [spec.get("clusterIP")]
    headless = "None" in listed
    addresses = [] if headless else [read_address(entry, "spec.clusterIPs", problems) for entry in listed]
    ports = problems.sequence(spec.get("ports"), "spec.ports")
    selector = problems.labels(spec.get("selector"), "spec.selector")
    balancer = tuple(balancer_addresses(manifest, problems))
    return Service(
        namespace=namespace,
        name=name,
        type=kind,
        addresses=tuple(address for address in addresses if address is not None),
        selector=selector or None,
        ports=tuple(_read_port(entry, f"spec.ports[{index}]", problems) for index, entry in enumerate(ports)),
        headless=headless,
        origin=origin,
        outside=(*_external_addresses(spec, problems), *balancer),
        internal_local=_is_local(spec, "internalTrafficPolicy", problems),
        external_local=_is_local(spec, "externalTrafficPolicy", problems),
        balancer=balancer,
        source_ranges=tuple(_source_ranges(spec, problems)),
    )


def _is_local(spec: Mapping[str, Any], field: str, problems: Problems) -> bool:
    value = problems.text(spec.get(field), f"spec.{field}") or "Cluster"
    if value not in ("Cluster", "Local"):
        problems.unsupported(f"spec.{field}", value, ("Cluster", "Local"))
    return value == "Local"


def _external_addresses(spec: Mapping[str, Any], problems: Problems) -> Iterator[Address]:
    for index, entry in enumerate(problems.sequence(spec.get("externalIPs"), "spec.externalIPs")):
        address = read_address(entry, f"spec.externalIPs[{index}]", problems)
        if address is not None:
            yield address


def _source_ranges(spec: Mapping[str, Any], problems: Problems) -> Iterator[Network]:
    path = "spec.loadBalancerSourceRanges"
    for index, entry in enumerate(problems.sequence(spec.get("loadBalancerSourceRanges"), path)):
        try:
            yield ip_network(str(entry).strip(), strict=False)
        except ValueError:
            problems.invalid(f"{path}[{index}]", entry, "must be a valid CIDR value, (e.g. 10.9.8.0/24)")


def read_service_account(manifest: Mapping[str, Any], namespace: str, name: str, problems: Problems) -> ServiceAccount:
    """Return the service account with its labels."""
    metadata = problems.mapping(manifest.get("metadata"), "metadata")
    return ServiceAccount(namespace, name, problems.labels(metadata.get("labels"), "metadata.labels"))


def read_slice(manifest: Mapping[str, Any], namespace: str, name: str, problems: Problems) -> EndpointSlice:
    """Return the slice with every address, ready or not; it belongs to the Service that its label names."""
    metadata = problems.mapping(manifest.get("metadata"), "metadata")
    labels = problems.labels(metadata.get("labels"), "metadata.labels")
    ports = []
    for index, value in enumerate(problems.sequence(manifest.get("ports"), "ports")):
        fields = problems.mapping(value, f"ports[{index}]")
        number = problems.port(fields["port"], f"ports[{index}].port") if fields.get("port") is not None else 0
        protocol = problems.protocol(fields.get("protocol"), f"ports[{index}].protocol")
        ports.append(ContainerPort(number, protocol, problems.text(fields.get("name"), f"ports[{index}].name")))
    addresses = []
    if manifest.get("addressType") != "FQDN":
        for index, value in enumerate(problems.sequence(manifest.get("endpoints"), "endpoints")):
            path = f"endpoints[{index}].addresses"
            fields = problems.mapping(value, f"endpoints[{index}]")
            listed = problems.sequence(fields.get("addresses"), path)
            addresses += [read_address(entry, path, problems) for entry in listed]
    return EndpointSlice(
        namespace=namespace,
        name=name,
        service=labels.get("kubernetes.io/service-name", ""),
        addresses=tuple(address for address in addresses if address is not None),
        ports=tuple(ports),
    )


def _read_port(value: object, path: str, problems: Problems) -> ServicePort:
    fields = problems.mapping(value, path)
    port = problems.port(fields.get("port", 0), f"{path}.port")
    target = fields.get("targetPort")
    if isinstance(target, str) and target:
        target = problems.port_name(target, f"{path}.targetPort")
    elif target in (None, "", 0):
        target = port
    else:
        target = problems.port(target, f"{path}.targetPort")
    node_port = fields.get("nodePort")
    return ServicePort(
        port=port,
        target=target,
        protocol=problems.protocol(fields.get("protocol"), f"{path}.protocol"),
        name=problems.text(fields.get("name"), f"{path}.name"),
        node_port=node_port if is_number(node_port) else 0,
    )
