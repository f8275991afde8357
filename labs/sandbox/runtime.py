"""The port between the sandbox's controllers and what carries pods: a kernel with nftables, or the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from grader.ports import Capabilities, Manifest, Observation, Probe


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A node: its name and its addresses on the underlay (IPv4 first)."""

    name: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostSpec:
    """An outside host on the underlay."""

    name: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServedPort:
    """A port that a container declares, and so answers."""

    number: int
    protocol: str = "TCP"
    name: str = ""


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """A container: the image's name selects what it answers (see `labs.sandbox.workloads`)."""

    name: str
    image: str
    ports: tuple[ServedPort, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class PodSpec:
    """A scheduled pod with its addresses, as the runtime needs it."""

    uid: str
    namespace: str
    name: str
    node: str
    addresses: tuple[str, ...]
    containers: tuple[ContainerSpec, ...]
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    host_network: bool = False


class ExecSession(Protocol):
    """A running command inside a pod."""

    def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """Chunks as they come: (1, …) standard output, (2, …) standard error; ends when the process has."""
        ...

    async def write(self, data: bytes) -> None:
        """To its standard input; empty data closes it."""
        ...

    def resize(self, columns: int, rows: int) -> None:
        """Tell its terminal's size, when it has one."""
        ...

    async def wait(self) -> int:
        """Its exit status (128 + n for signal n)."""
        ...

    def kill(self) -> None:
        """End it and everything it started."""
        ...


class Runtime(Protocol):
    """Carries nodes and pods and enforces policy. Called from the daemon's event loop only.

    Every method raises `grader.errors.InfrastructureError` when the system refuses.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What this runtime can do."""
        ...

    def add_node(self, node: NodeSpec) -> None:
        """Make a node and join it to the underlay."""
        ...

    def add_host(self, host: HostSpec) -> None:
        """Make an outside host on the underlay."""
        ...

    def start_pod(self, pod: PodSpec) -> None:
        """Make the pod's namespace, link, addresses and routes, and start what its containers answer."""
        ...

    def stop_pod(self, uid: str) -> None:
        """Stop its servers and commands, and free its namespace. An unknown uid is fine."""
        ...

    def program(self, objects: Sequence[Manifest]) -> None:
        """Enforce the policies and carry the Services of this snapshot; returns when packets see it.

        Cheap when nothing that decides traffic has changed.
        """
        ...

    def allowed_until_programmed(self) -> bool:
        """False: a new pod's packets are dropped until the first `program` that knows it."""
        ...

    async def probe(self, probes: Sequence[Probe]) -> tuple[Observation, ...]:
        """Make all probes, and answer in their order."""
        ...

    async def prove_enforcement(self) -> None:
        """As in `grader.ports.Cluster`."""
        ...

    async def exec(self, uid: str, container: str, argv: Sequence[str], *, tty: bool = False) -> ExecSession:
        """Start a command in the pod's namespaces."""
        ...

    def logs(self, uid: str, container: str) -> Sequence[str]:
        """The lines that the container has written so far (access log)."""
        ...

    def close(self) -> None:
        """Stop everything."""
        ...
