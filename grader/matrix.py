"""The matrix of a lab: which workloads there are, which ports they serve, and which cells an arrow means.

The rows and columns are the workloads that the lab's untouched start defines, its outside hosts, and every name that an
arrow of the lab mentions (`coredns.kube-system`). They do not depend on what the learner has done since: a workload
that was deleted keeps its cells, and they fail.

A destination's ports are those that its pods declare at the start (of a workload that is not the lab's own: now), plus
every port that an arrow names for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from content.arrows import ANY, ArrowError, Name, Port, parse
from content.errors import BrokenContentError, Defect, UsageError
from grader.kube.parse import read_objects
from grader.report import CellKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from content.arrows import Arrow
    from content.model import Lab, LabSpec
    from grader.kube.model import Objects, Pod, Service

Workload = tuple[str, str]
"""Namespace and name of the owner of pods."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A workload of the matrix, or an outside host.

    Attributes:
        name: as arrows write it.
        workload: namespace and name; the namespace of a host is empty.
        ports: what its pods serve, by what the lab says.
        service_ports: what the Service in front of it serves, by what the lab says.
        pods: its pods as they are now, without those that have finished.
        services: the Services that select one of its pods now; the one of the same name first.
    """

    name: str
    workload: Workload
    ports: tuple[Port, ...] = ()
    service_ports: tuple[Port, ...] = ()
    pods: tuple[Pod, ...] = ()
    services: tuple[Service, ...] = ()

    @property
    def refs(self) -> tuple[str, ...]:
        """What probes call it: each of its pods, or the host; empty when it is not there any more."""
        namespace, name = self.workload
        return tuple(pod.ref for pod in self.pods) if namespace else (f"host:{name}",)


@dataclass(frozen=True, slots=True)
class Matrix:
    """All endpoints by name, in the order of the lab's start files, and what addresses names have."""

    namespace: str
    endpoints: Mapping[str, Endpoint]
    families: tuple[int, ...] = (4,)
    nodes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def keys(self) -> tuple[CellKey, ...]:
        """The complete matrix, straight to pods: every workload to every other, on each port that it serves."""
        return self.cells(tuple(self.endpoints), tuple(self.endpoints))

    def cells(self, sources: Iterable[str], destinations: Sequence[str]) -> tuple[CellKey, ...]:
        """The part of the complete matrix between these names."""
        return tuple(
            CellKey(source, destination, port)
            for source in sources
            for destination in destinations
            if source != destination
            for port in self.endpoints[destination].ports
        )

    def expand(self, arrow: Arrow) -> tuple[CellKey, ...]:
        """The cells that an arrow means. A workload to itself is none; `*` with a port means those that serve it.

        Raises:
            UsageError: it names what the matrix does not have.
        """
        return tuple(
            CellKey(source, destination, port, arrow.via)
            for source in self.names(arrow.sources)
            for destination in self.names(arrow.destinations)
            if source != destination
            for port in self._ports(arrow, destination)
        )

    def names(self, names: Iterable[Name]) -> tuple[str, ...]:
        """The endpoints that these names mean, each once.

        Raises:
            UsageError: the matrix has no such endpoint.
        """
        found: dict[str, None] = {}
        for name in names:
            meant = tuple(self.endpoints) if name == ANY else (label(name, self.namespace),)
            if unknown := [each for each in meant if each not in self.endpoints]:
                known = ", ".join(self.endpoints)
                raise UsageError(f"this lab has no workload {unknown[0]}", remedy=f"it has: {known}")
            found.update(dict.fromkeys(meant))
        return tuple(found)

    def addresses(self, name: str) -> frozenset[str]:
        """Every address that a client of this name can be seen as: of a workload's pods, a node, an outside host."""
        endpoint = self.endpoints.get(name)
        pods = endpoint.pods if endpoint else ()
        others = (*self.nodes.get(name, ()), *self.hosts.get(name, ()))
        return frozenset([*(str(address) for pod in pods for address in pod.addresses), *others])

    def _ports(self, arrow: Arrow, destination: str) -> tuple[Port, ...]:
        endpoint = self.endpoints[destination]
        served = endpoint.ports if arrow.via == "pod" else endpoint.service_ports
        if not arrow.ports:
            return tuple(port for port in served if port.protocol != "ICMP")
        if ANY in arrow.destinations:
            return tuple(port for port in arrow.ports if port in served or port.protocol == "ICMP")
        return arrow.ports


def label(name: Name, namespace: str) -> str:
    """A name as cells write it: without its namespace where that is the lab's own."""
    return str(Name(name.workload, "" if name.namespace == namespace else name.namespace))


def build(lab: Lab, objects: Objects, hosts: Mapping[str, tuple[str, ...]] | None = None) -> Matrix:
    """The matrix of a lab on a cluster with these objects, and these addresses of outside hosts.

    Raises:
        content.errors.BrokenContentError: the lab's own start files or arrows cannot be read.
    """
    spec = lab.spec
    start = start_objects(lab)
    arrows = tuple(arrows_of(lab))
    at_start, now = pods_by_workload(start), pods_by_workload(objects)
    outside = {host: Endpoint(host, ("", host)) for host in spec.topology.hosts}
    workloads = (*_in_file_order(lab, at_start), *_mentioned(spec, arrows))
    endpoints: dict[str, Endpoint] = {}
    for workload in dict.fromkeys(workloads):
        name = label(Name(workload[1], workload[0]), spec.namespace)
        if name not in outside:
            pods = now.get(workload, ())
            services = _services(objects, pods, workload)
            first = at_start.get(workload)
            behind = _services(start, first, workload) if first else services
            service_ports = dict.fromkeys(Port(port.port, port.protocol) for item in behind for port in item.ports)
            ports = _declared(first or pods)
            endpoints[name] = Endpoint(name, workload, ports, tuple(service_ports), pods, services)
    endpoints |= outside
    for arrow in arrows:
        endpoints |= dict(_with_ports(spec.namespace, endpoints, arrow))
    nodes = {node.name: frozenset(str(address) for address in node.addresses) for node in objects.nodes}
    families = tuple(4 if family == "ipv4" else 6 for family in spec.topology.families)
    return Matrix(spec.namespace, endpoints, families, nodes, hosts or {})


def start_objects(lab: Lab) -> Objects:
    """The objects of the lab's untouched start, as a new cluster would read them."""
    manifests = [manifest for file in lab.start for manifest in file.objects]
    return read_objects(manifests, default_namespace=lab.spec.namespace)


def arrows_of(lab: Lab) -> Iterator[Arrow]:
    """Every arrow of a lab's tasks."""
    for task in lab.spec.tasks:
        for check in task.connectivity:
            for text in (*check.allow, *check.deny):
                yield read_arrow(lab, text)


def read_arrow(lab: Lab, text: str) -> Arrow:
    """An arrow of the lab's own file.

    Raises:
        content.errors.BrokenContentError: it is none.
    """
    try:
        return parse(text)
    except ArrowError as error:
        raise BrokenContentError(
            [Defect(lab.folder / "lab.yaml", 0, f"the arrow '{text}': {error.message}")]
        ) from error


def all_cells(lab: Lab, matrix: Matrix) -> tuple[CellKey, ...]:
    """The complete matrix, and the cells by way of Services that the lab's arrows mean; each once."""
    listed = (key for arrow in arrows_of(lab) for key in matrix.expand(arrow))
    return tuple(dict.fromkeys((*matrix.keys(), *listed)))


def pods_by_workload(objects: Objects) -> dict[Workload, tuple[Pod, ...]]:
    """Pods that have traffic, by the workload that owns them; a bare pod is its own workload."""
    groups: dict[Workload, list[Pod]] = {}
    for pod in objects.pods:
        if not pod.finished:
            groups.setdefault((pod.namespace, pod.owner or pod.name), []).append(pod)
    return {workload: tuple(pods) for workload, pods in groups.items()}


def _in_file_order(lab: Lab, at_start: Iterable[Workload]) -> list[Workload]:
    """The workloads of the start, in the order in which its files define them."""
    order: dict[Workload, int] = {}
    for manifest in (manifest for file in lab.start for manifest in file.objects):
        metadata = manifest.get("metadata")
        if isinstance(metadata, dict):
            workload = (str(metadata.get("namespace") or lab.spec.namespace), str(metadata.get("name")))
            order.setdefault(workload, len(order))
    return sorted(at_start, key=lambda workload: (order.get(workload, len(order)), workload))


def _mentioned(spec: LabSpec, arrows: Iterable[Arrow]) -> Iterator[Workload]:
    for arrow in arrows:
        for name in (*arrow.sources, *arrow.destinations):
            if name != ANY:
                yield (name.namespace or spec.namespace, name.workload)


def _declared(pods: Iterable[Pod]) -> tuple[Port, ...]:
    return tuple(dict.fromkeys(Port(port.number, port.protocol) for pod in pods for port in pod.ports))


def _services(objects: Objects, pods: Iterable[Pod], workload: Workload) -> tuple[Service, ...]:
    selecting = (
        service
        for service in objects.services
        if service.namespace == workload[0]
        and service.selector
        and any(service.selector.items() <= pod.labels.items() for pod in pods)
    )
    return tuple(sorted(selecting, key=lambda service: (service.name != workload[1], service.name)))


def _with_ports(namespace: str, endpoints: Mapping[str, Endpoint], arrow: Arrow) -> Iterator[tuple[str, Endpoint]]:
    """The destinations of an arrow, with the ports that it names for them."""
    if arrow.via != "pod" or not arrow.ports:
        return
    for destination in arrow.destinations:
        for name in endpoints if destination == ANY else (label(destination, namespace),):
            endpoint = endpoints[name]
            named = arrow.ports if destination != ANY else tuple(p for p in arrow.ports if p.protocol == "ICMP")
            ports = tuple(dict.fromkeys((*endpoint.ports, *named)))
            yield name, replace(endpoint, ports=ports)
