"""What `services` in a rule means: the endpoints behind a Service, as addresses with ports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grader.kube.model import Address, EndpointSlice, Objects, Pod, Service, ServicePort


@dataclass(frozen=True, slots=True)
class Backend:
    """One endpoint behind a Service. `ref` is empty for an address outside; ports of 0 are every port."""

    ref: str
    addresses: tuple[Address, ...]
    ports: frozenset[tuple[str, int]]


class Services:
    """The endpoints behind each Service of a snapshot: pods that it selects, else those of its EndpointSlices."""

    def __init__(self, objects: Objects) -> None:
        self._services = {(each.namespace, each.name): each for each in objects.services}
        self._pods: dict[str, list[Pod]] = {}
        for pod in objects.pods:
            if not pod.finished:
                self._pods.setdefault(pod.namespace, []).append(pod)
        self._slices: dict[tuple[str, str], list[EndpointSlice]] = {}
        for each in objects.endpoint_slices:
            self._slices.setdefault((each.namespace, each.service), []).append(each)

    def behind(self, namespace: str, name: str) -> tuple[Backend, ...]:
        """Return the endpoints of a Service; none where there is no such Service."""
        service = self._services.get((namespace, name))
        if service is not None and service.selector is not None:
            wanted = service.selector.items()
            return tuple(
                Backend(pod.ref, pod.addresses, _ports(service, pod))
                for pod in self._pods.get(namespace, ())
                if wanted <= pod.labels.items()
            )
        return tuple(
            Backend("", each.addresses, frozenset((port.protocol, port.number) for port in each.ports))
            for each in self._slices.get((namespace, name), ())
        )


def _ports(service: Service, pod: Pod) -> frozenset[tuple[str, int]]:
    found = ((port.protocol, _target(port, pod)) for port in service.ports)
    return frozenset((protocol, number) for protocol, number in found if number)


def _target(port: ServicePort, pod: Pod) -> int:
    if isinstance(port.target, int):
        return port.target
    named = (each.number for each in pod.ports if (each.name, each.protocol) == (port.target, port.protocol))
    return next(named, 0)
