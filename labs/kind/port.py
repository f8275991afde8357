"""The port to a kind cluster, and what it is made of."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol

from grader.ports import Cluster
from labs.kind.emptiness import Looked

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from grader.ports import Capabilities, Manifest
    from labs.kube.api import Api
    from labs.kube.probing.runner import Runner


@dataclasses.dataclass(frozen=True, slots=True)
class Parts:
    """What the port to a cluster is made of; see `labs.kube.cluster.KubeCluster`."""

    api: Api
    runner: Runner
    capabilities: Capabilities
    namespace: str
    image: str
    lock: Path


class Port(Cluster, Looked, Protocol):
    """A port that holds watches until it is closed."""

    async def begin(self, objects: Iterable[Manifest]) -> None:
        """Write these and wait for nothing."""
        ...

    def close(self) -> None:
        """Follow the cluster no more."""
        ...


def connect_api(kubeconfig: Path) -> Api:
    """The API behind a kubeconfig."""
    from labs.kube.client import connect

    return connect(kubeconfig)


def make(parts: Parts) -> Port:
    """The port to a cluster with these parts."""
    from labs.kind.cluster import KindCluster
    from labs.kube.probing import Prober

    return KindCluster(
        parts.runner,
        parts.api,
        lambda objects: Prober(parts.runner, objects, parts.capabilities.hosts),
        parts.capabilities,
        namespace=parts.namespace,
        image=parts.image,
        lock=parts.lock,
        kept=parts.lock.with_name("turns.json"),
    )
