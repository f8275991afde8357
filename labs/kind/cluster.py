"""A kind cluster as the grader sees it: any Kubernetes API, and nodes that can be looked into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labs.kind import dataplane
from labs.kube.cluster import KubeCluster

if TYPE_CHECKING:
    from grader.dataplane import DataplaneFacts, NodeFacts
    from labs.kube.probing.runner import Runner


class KindCluster(KubeCluster):
    """`grader.ports.Cluster` and `grader.dataplane.ShowsDataplane`.

    Args:
        runner: runs commands in the nodes.
        given: what `KubeCluster` takes.
        named: likewise.
    """

    def __init__(self, runner: Runner, *given: Any, **named: Any) -> None:  # noqa: ANN401 - KubeCluster's own
        super().__init__(*given, **named)
        self._runner = runner

    async def dataplane(self) -> DataplaneFacts:
        """What carries traffic on each node; a switch that is under way is waited for."""
        return await dataplane.look(self, self._runner)

    async def glance(self) -> tuple[NodeFacts, ...]:
        """What the nodes themselves show of it at this moment."""
        nodes = [str(item["metadata"]["name"]) for item in await self.places() if item["kind"] == "Node"]
        return await dataplane.glance(sorted(nodes), self._runner)
