"""`grader.ports.Cluster` on somebody's cluster: what is written goes by the keeper first."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from grader.ports import Capabilities, Cluster, Execution, Manifest, Observation, Probe
    from labs.kubeconfig.keeper import Keeper


class KeptCluster:
    """A cluster on which a lab keeps to its own.

    Args:
        inner: carries everything out.
        keeper: admits what is written.
    """

    def __init__(self, inner: Cluster, keeper: Keeper) -> None:
        self._inner = inner
        self._keeper = keeper

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._inner.capabilities

    async def snapshot(self) -> tuple[Manifest, ...]:
        """Every object that decides traffic, those of others included: their policies count."""
        return await self._inner.snapshot()

    async def version(self) -> str:
        """Changes whenever such an object changes."""
        return await self._inner.version()

    async def probe(self, probes: Sequence[Probe]) -> tuple[Observation, ...]:
        """Make all probes, and answer in their order."""
        return await self._inner.probe(probes)

    async def prove_enforcement(self) -> None:
        """Show that a policy stops a packet here."""
        await self._inner.prove_enforcement()

    async def apply(self, objects: Iterable[Manifest]) -> None:
        """Apply what may be applied here; nothing of it where one object may not."""
        await self._inner.apply(await self._keeper.admit(objects))

    async def delete(self, objects: Iterable[Manifest]) -> None:
        """Delete what is the lab's."""
        await self._inner.delete(await self._keeper.own(objects))

    async def exec(self, pod: str, argv: Sequence[str], *, stdin: str = "", seconds: float = 30.0) -> Execution:
        """Run a command inside a pod."""
        return await self._inner.exec(pod, argv, stdin=stdin, seconds=seconds)
