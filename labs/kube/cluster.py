"""`grader.ports.Cluster` for any Kubernetes API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.ports import Capabilities, Observation, Probe
    from labs.kube.api import Api


class Probing(Protocol):
    """What makes probes (see `labs.kube.probing`)."""

    async def probe(self, probes: Sequence[Probe]) -> tuple[Observation, ...]:
        """Make all probes, and answer in their order."""
        ...


class KubeCluster:
    """A cluster behind a Kubernetes API; see `grader.ports.Cluster` for what each method returns and raises.

    Args:
        api: the API (`labs.kube.client.connect`).
        prober: makes the probes.
        capabilities: what the backend knows of it.
        namespace: that of objects which name none.
    """

    def __init__(self, api: Api, prober: Probing, capabilities: Capabilities, *, namespace: str = "default") -> None:
        self._api = api
        self._prober = prober
        self._capabilities = capabilities
        self._namespace = namespace

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._capabilities
