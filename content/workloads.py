"""The endpoints of a lab's matrix, as far as its files tell: names and declared ports, without a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from content.arrows import Name, Port

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from content.model import Lab

KINDS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Pod"})
PROVIDED = {Name("coredns", "kube-system"): frozenset({Port(53, "UDP"), Port(53, "TCP")})}
"""What the cluster brings, and arrows may name."""


@dataclass(frozen=True, slots=True)
class Workloads:
    """Workloads of the start manifests, outside hosts, and what the cluster provides.

    `home` is the lab's namespace: of names that give none. An outside host has no namespace and no known ports.
    `services` are the names of the start's Services, as checks write them.
    """

    home: str
    known: dict[Name, frozenset[Port]]
    hosts: frozenset[str]
    namespaces: set[str]
    services: frozenset[str] = frozenset()

    @classmethod
    def of(cls, lab: Lab) -> Workloads:
        """Read them from a lab's start manifests."""
        home = lab.spec.namespace
        objects = [value for manifest in lab.start for value in manifest.objects]
        known = dict(PROVIDED)
        namespaces = {"default", "kube-system"}
        services: set[str] = set()
        for value in objects:
            metadata = _mapping(value.get("metadata"))
            name = str(metadata.get("name", ""))
            if value.get("kind") == "Namespace":
                namespaces.add(name)
            elif value.get("kind") == "Service":
                namespace = str(metadata.get("namespace") or home)
                services.add(name if namespace == home else f"{name}.{namespace}")
            elif value.get("kind") in KINDS:
                namespace = str(metadata.get("namespace") or home)
                known[Name(name, namespace)] = frozenset(_ports(value))
        return cls(home, known, frozenset(lab.spec.topology.hosts), namespaces, frozenset(services))

    @property
    def names(self) -> tuple[str, ...]:
        """Every name, as arrows write it."""
        return tuple(sorted([*(str(self.short(name)) for name in self.known), *self.hosts]))

    def knows(self, name: Name) -> bool:
        """Tell whether this is an endpoint."""
        return self._full(name) in self.known or (not name.namespace and name.workload in self.hosts)

    def ports(self, name: Name) -> frozenset[Port] | None:
        """The ports that a workload declares; None where they are not known (a host, `*`)."""
        return self.known.get(self._full(name))

    def short(self, name: Name) -> Name:
        """The name without the lab's own namespace, which is how the matrix writes it."""
        return Name(name.workload) if name.namespace == self.home else name

    def _full(self, name: Name) -> Name:
        return name if name.namespace else Name(name.workload, self.home)


def _ports(workload: dict[str, object]) -> Iterator[Port]:
    spec = _mapping(workload.get("spec"))
    if workload.get("kind") != "Pod":
        spec = _mapping(_mapping(spec.get("template")).get("spec"))
    for container in _list(spec.get("containers")):
        for port in _list(container.get("ports")):
            number = port.get("containerPort")
            if isinstance(number, int):
                yield Port(number, str(port.get("protocol", "TCP")))


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Iterable[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
