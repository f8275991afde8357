"""What is asked of the container engine, whoever carries the questions: the port between backend and Docker's SDK.

Every method raises `grader.errors.InfrastructureError` where the engine does not answer or refuses, in its own words
and with a remedy. What is not there is an answer, not an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from labs.kube.probing.runner import Finished

KIND_CLUSTER = "io.x-k8s.kind.cluster"
"""The label by which kind marks its nodes: the cluster's name."""
CLUSTER, HOME, HOST = "netdojo.cluster", "netdojo.home", "netdojo.host"
"""Labels of outside hosts: the cluster they stand beside, whose clusters these are, and the host's name."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container as the engine lists it.

    Attributes:
        id: the engine's own, never used again for another.
        state: "running", "exited", "created", "paused", "dead" …
        addresses: on all of its networks, of both families.
    """

    id: str
    name: str
    state: str
    image: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    addresses: tuple[str, ...] = ()

    @property
    def runs(self) -> bool:
        """Whether commands can be run in it."""
        return self.state == "running"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A container to be made and started.

    Attributes:
        command: arguments; empty for the image's own.
        entrypoint: in place of the image's; empty for the image's own.
        network: the engine's network that it joins.
        capabilities: added to the engine's default ones.
    """

    name: str
    image: str
    labels: Mapping[str, str]
    network: str
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()


class Engine(Protocol):
    """A container engine with Docker's API."""

    async def info(self) -> Mapping[str, Any]:
        """What `docker info` knows, with the server's version under `Version`: plain JSON."""
        ...

    async def containers(self, labels: Mapping[str, str | None]) -> tuple[Container, ...]:
        """All containers with these labels, stopped ones too; None stands for any value."""
        ...

    async def inspect(self, container: str) -> Container | None:
        """One container by name or id."""
        ...

    async def run(self, wanted: Wanted) -> Container:
        """Make and start it."""
        ...

    async def remove(self, container: str) -> None:
        """End and remove it with its anonymous volumes; nothing there is fine."""
        ...

    async def exec(self, container: str, argv: Sequence[str], stdin: bytes = b"", seconds: float = 60.0) -> Finished:
        """Run a command as root in a running container, and feed it.

        Raises:
            InfrastructureError: the container does not run, or the command did not end in time.
        """
        ...

    async def images(self, references: Iterable[str]) -> Mapping[str, str]:
        """Those of these images that the engine has, with their ids."""
        ...

    async def pull(self, reference: str, progress: Callable[[str], None]) -> None:
        """Fetch an image from its registry."""
        ...

    async def tag(self, reference: str, name: str) -> None:
        """Give an image that the engine has one more name; a name that another image has moves to this one."""
        ...

    async def save(self, reference: str, target: Path) -> None:
        """Write an image as an archive, as `docker save` makes it."""
        ...

    async def load(self, archive: Path) -> tuple[str, ...]:
        """Load the images of an archive; their names."""
        ...

    async def import_image(self, reference: str, node: str) -> Finished:
        """Copy an image that the engine has into a node's own store (containerd, where kubelet looks)."""
        ...
