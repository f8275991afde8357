"""The traffic notation of labs: `summary -> database:2379`.

    arrow       = names "->" names [":" ports] ["via" path] ["seen as" name]
    names       = "*" | name {"," name}
    name        = workload ["." namespace]           (a Deployment, StatefulSet, DaemonSet or Pod; or an outside host)
    ports       = port {"," port}
    port        = number ["/" protocol] | "icmp"     (tcp when no protocol is given)
    path        = "service" | "nodeport"             (straight to the pod's address when left out)

Without ports an arrow covers every port that the destination serves.
"""

from __future__ import annotations

from dataclasses import dataclass

from content.errors import NetdojoError


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """A workload or an outside host; `namespace` is empty where the arrow gives none."""

    workload: str
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.workload}.{self.namespace}" if self.namespace else self.workload


ANY = Name("*")
"""The `*` of an arrow: every endpoint of the lab's matrix."""


@dataclass(frozen=True, slots=True, order=True)
class Port:
    """A destination port; ICMP has number 0."""

    number: int
    protocol: str = "TCP"

    def __str__(self) -> str:
        if self.protocol == "ICMP":
            return "icmp"
        return str(self.number) if self.protocol == "TCP" else f"{self.number}/{self.protocol.lower()}"


@dataclass(frozen=True, slots=True)
class Arrow:
    """A parsed arrow. `ports` is empty for "every port that the destination serves"."""

    sources: tuple[Name, ...]
    destinations: tuple[Name, ...]
    ports: tuple[Port, ...] = ()
    via: str = "pod"
    seen_as: Name | None = None


class ArrowError(NetdojoError):
    """Text that is no arrow; `column` counts from 1."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.column = column


def parse(text: str) -> Arrow:
    """Read one arrow.

    Raises:
        ArrowError: with the column and what was expected there.
    """
    raise NotImplementedError(text)
