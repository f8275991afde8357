"""Cells to probes: every pod of the source to every pod of the destination, in each IP family of the lab."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.ports import Probe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from grader.kube.model import Service, ServicePort
    from grader.matrix import Endpoint, Matrix
    from grader.report import CellKey


@dataclass(frozen=True, slots=True)
class Planned:
    """What has to be probed for one cell.

    Attributes:
        key: the cell.
        probes: empty when there is nothing that could be probed; then `problem` says why.
        servers: the pods (namespace/name) that may answer.
        problem: what is missing, in one sentence: the learner's doing, so a wrong answer.
    """

    key: CellKey
    probes: tuple[Probe, ...] = ()
    servers: frozenset[str] = frozenset()
    problem: str = ""


def plan(matrix: Matrix, keys: Iterable[CellKey]) -> dict[CellKey, Planned]:
    """The probes of each cell, each cell once."""
    return {key: _planned(matrix, key) for key in dict.fromkeys(keys)}


def _planned(matrix: Matrix, key: CellKey) -> Planned:
    source, destination = matrix.endpoints[key.source], matrix.endpoints[key.destination]
    for endpoint in (source, destination):
        if not endpoint.refs:
            return Planned(key, problem=f"there is no workload {endpoint.name} with pods any more")
    targets = tuple(_targets(matrix, destination, key))
    if not targets:
        return Planned(key, problem=f"no Service in front of {key.destination} serves {key.port} via {key.via}")
    probes = tuple(
        Probe(ref, target, number, key.port.protocol, family, key.via)
        for family in matrix.families
        for ref in source.refs
        for target, number in targets
    )
    return Planned(key, probes, frozenset(destination.refs))


def _targets(matrix: Matrix, destination: Endpoint, key: CellKey) -> Iterator[tuple[str, int]]:
    """Where the probes of a cell go: endpoint strings of `grader.ports` with a port number."""
    if key.via == "pod":
        yield from ((ref, key.port.number) for ref in destination.refs)
        return
    found = _service_port(destination, key)
    if found is None:
        return
    service, port = found
    if key.via == "service":
        yield f"service:{service.namespace}/{service.name}", port.port
    elif port.node_port:
        yield from ((f"node:{name}", port.node_port) for name in matrix.nodes)


def _service_port(destination: Endpoint, key: CellKey) -> tuple[Service, ServicePort] | None:
    for service in destination.services:
        for port in service.ports:
            if (port.port, port.protocol) == (key.port.number, key.port.protocol):
                return service, port
    return None
