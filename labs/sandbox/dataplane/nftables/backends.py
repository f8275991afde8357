"""The ready endpoints behind each port of each Service.

EndpointSlices say it where there are any, as kube-proxy reads them; else the selector and the pods' readiness.
"""

from __future__ import annotations

from collections import defaultdict
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from grader.kube.model import Address, Objects, Pod, Service, ServicePort
    from grader.ports import Manifest

_SERVICE_LABEL = "kubernetes.io/service-name"

Endpoint = tuple["Address", int]
_Slices = dict[tuple[str, str], dict[tuple[str, str], list[Endpoint]]]
"""By namespace and Service, then by the port's name and protocol."""


class Backends:
    """Answers who is behind a Service's port."""

    def __init__(
        self, objects: Objects, manifests: Sequence[Manifest], addresses: Mapping[str, Sequence[Address]]
    ) -> None:
        self._slices = _read_slices(manifests)
        self._pods: dict[str, list[Pod]] = defaultdict(list)
        for pod in objects.pods:
            if not pod.finished:
                self._pods[pod.namespace].append(pod)
        self._unready = set(_unready(manifests))
        self._addresses = addresses

    def of(self, service: Service, port: ServicePort) -> tuple[Endpoint, ...]:
        """The ready endpoints of one port, of both families, sorted."""
        slices = self._slices.get((service.namespace, service.name))
        found = self._selected(service, port) if slices is None else slices.get((port.name, port.protocol), ())
        return tuple(sorted(set(found), key=lambda e: (e[0].version, int(e[0]), e[1])))

    def _selected(self, service: Service, port: ServicePort) -> Iterator[Endpoint]:
        if not service.selector:
            return
        wanted = service.selector.items()
        for pod in self._pods[service.namespace]:
            if pod.ref in self._unready or not wanted <= pod.labels.items():
                continue
            number = _target(port, pod)
            if number:
                yield from ((address, number) for address in self._addresses.get(pod.ref, pod.addresses))


def _target(port: ServicePort, pod: Pod) -> int:
    """The port's number on this pod; 0 when the pod has no port of that name."""
    if isinstance(port.target, int):
        return port.target
    return next((p.number for p in pod.ports if p.name == port.target and p.protocol == port.protocol), 0)


def _read_slices(manifests: Iterable[Manifest]) -> _Slices:
    found: _Slices = {}
    for manifest in manifests:
        if manifest.get("kind") != "EndpointSlice":
            continue
        metadata = manifest.get("metadata") or {}
        name = (metadata.get("labels") or {}).get(_SERVICE_LABEL)
        if not name:
            continue
        ports = found.setdefault((metadata.get("namespace") or "default", name), defaultdict(list))
        addresses = list(_ready_addresses(manifest))
        for port in manifest.get("ports") or ():
            key = port.get("name") or "", port.get("protocol") or "TCP"
            ports[key] += ((address, port["port"]) for address in addresses if port.get("port"))
    return found


def _ready_addresses(manifest: Manifest) -> Iterator[Address]:
    for endpoint in manifest.get("endpoints") or ():
        # Not said counts as ready (discovery/v1 EndpointConditions).
        if (endpoint.get("conditions") or {}).get("ready") is not False:
            yield from (ip_address(a) for a in endpoint.get("addresses") or ())


def _unready(manifests: Iterable[Manifest]) -> Iterator[str]:
    """Pods that say that they are not ready, as `namespace/name`."""
    for manifest in manifests:
        if manifest.get("kind") == "Pod" and _says_unready(manifest.get("status") or {}):
            metadata = manifest.get("metadata") or {}
            yield f"{metadata.get('namespace') or 'default'}/{metadata.get('name')}"


def _says_unready(status: Mapping[str, Any]) -> bool:
    return any(c.get("type") == "Ready" and c.get("status") != "True" for c in status.get("conditions") or ())
