"""What a backend is: it makes, finds and removes clusters for labs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from content.model import Topology
    from grader.ports import Capabilities, Cluster, Manifest


class Phase(StrEnum):
    """The life of a lab's cluster."""

    ABSENT = "absent"
    STARTING = "starting"
    READY = "ready"
    BROKEN = "broken"
    """Something is left of it that does not answer; `stop` or `start` cleans up."""


@dataclass(frozen=True, slots=True)
class Request:
    """A cluster that somebody wants.

    Attributes:
        name: the instance's name: a lab's id, or what `sandbox up --name` says. It names the folder on disk.
        topology: nodes and families.
        objects: manifests to apply before it counts as ready.
        hosts: outside hosts by name.
        namespace: the namespace of the kubeconfig's context, for commands that give none.
        needs: what the cluster must have (see `content.model.Need`), for what only a running one shows.
        transient: it ends with the process that started it, however that ends (a demo, a proof).
    """

    name: str
    topology: Topology
    objects: Sequence[Manifest] = ()
    hosts: tuple[str, ...] = ()
    namespace: str = "default"
    transient: bool = False
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Running:
    """A cluster as a later command finds it."""

    name: str
    backend: str
    phase: Phase
    folder: Path
    kubeconfig: Path | None = None
    pid: int = 0
    detail: str = ""


class Backend(Protocol):
    """Makes, finds and removes clusters. All methods raise `grader.errors.InfrastructureError` when they cannot."""

    name: str

    def can(self) -> Capabilities:
        """What a cluster made here would be capable of, without making one.

        Raises:
            grader.errors.NotCapableError: nothing can run here; the remedy says what would help.
        """
        ...

    async def start(self, request: Request, folder: Path, progress: Callable[[str], None]) -> Running:
        """Make it, or find it: starting twice is starting once. Cancelling cleans up."""
        ...

    async def find(self, name: str, folder: Path) -> Running:
        """What is there now; cleans up what a killed process left."""
        ...

    async def connect(self, running: Running) -> Cluster:
        """The port for a ready cluster."""
        ...

    async def stop(self, name: str, folder: Path, *, delete: bool = False) -> None:
        """Remove it; nothing there is fine.

        A backend whose clusters take long to make may clean this one and keep it for the next lab; `delete` says not
        to. Either way `folder` is gone afterwards.
        """
        ...
