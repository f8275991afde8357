"""Commands in nodes and outside hosts: `labs.kube.probing.Runner` over the container engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.errors import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labs.kind.engine import Engine
    from labs.kube.probing.runner import Finished

_HOST = "host:"


def host_container(cluster: str, host: str) -> str:
    """The name of the container that stands for an outside host."""
    return f"{cluster}-host-{host}"


class EngineRunner:
    """Runs commands in the containers of one cluster.

    Args:
        engine: where they run.
        cluster: the cluster's name; kind calls nodes and their containers alike.
    """

    def __init__(self, engine: Engine, cluster: str) -> None:
        self._engine = engine
        self._cluster = cluster

    async def run(self, machine: str, argv: Sequence[str], stdin: bytes, seconds: float) -> Finished:
        """Run a command in a node, or in an outside host (`host:NAME`).

        Raises:
            InfrastructureError: it does not run there, or not within the limit.
        """
        if machine.startswith(_HOST):
            container = host_container(self._cluster, machine.removeprefix(_HOST))
        elif machine.startswith(f"{self._cluster}-"):
            container = machine
        else:
            raise InfrastructureError(
                f"the node {machine} is no machine of the cluster {self._cluster}", remedy="start the lab again"
            )
        return await self._engine.exec(container, argv, stdin, seconds)
