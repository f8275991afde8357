"""`grader.ports.Cluster` for any Kubernetes API."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from content.errors import BrokenContentError, UsageError
from grader.errors import InfrastructureError
from grader.ports import Execution
from labs.kube import canary
from labs.kube.api import Refused
from labs.kube.apply import Writer
from labs.kube.deleting import Deletion
from labs.kube.mirror import Mirror
from labs.kube.resources import deciding
from labs.kube.settle import Barrier
from labs.kube.signals import WORKLOADS, has_own, touched
from labs.kube.snapshot import take
from labs.kube.waiting import Waiter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from grader.ports import Capabilities, Manifest, Observation, Probe
    from labs.kube.api import Api, Resource
    from labs.kube.waiting import Written


class Probing(Protocol):
    """What makes probes (see `labs.kube.probing`)."""

    async def probe(self, probes: Sequence[Probe]) -> tuple[Observation, ...]:
        """Make all probes, and answer in their order."""
        ...


class KubeCluster:
    """A cluster behind a Kubernetes API; see `grader.ports.Cluster` for what each method returns and raises.

    It may be kept and asked by one event loop after the other. Watches are begun when they are first needed.

    Args:
        api: the API (`labs.kube.client.connect`).
        prober: makes the prober, from what gives nodes, pods and Services as they are now:
            `lambda objects: Prober(runner, objects)`.
        capabilities: what the backend knows of it.
        namespace: that of objects which name none.
        image: what the canary's pods run; it has to be in the nodes, or where they can pull it.
        lock: a file by which processes that share the cluster take turns; one of the system's temporary folder when
            left out.
        kept: a file beside the lock, in a folder of the user's own, by which they spare one another work.
    """

    def __init__(
        self,
        api: Api,
        prober: Callable[[Callable[[], Awaitable[Sequence[Manifest]]]], Probing],
        capabilities: Capabilities,
        *,
        namespace: str = "default",
        image: str = canary.IMAGE,
        lock: Path | None = None,
        kept: Path | None = None,
    ) -> None:
        self._api = api
        self._prober = prober(self.places)
        self._capabilities = capabilities
        self._mirror = Mirror(api)
        self._waiter = Waiter(api, self._mirror)
        self._writer = Writer(api, self._mirror, namespace)
        self._barrier = Barrier(api, self._mirror, image=image, lock=lock or _lock(api.server), kept=kept)
        self._settled = ""
        """The word of the state that was last seen to be enforced."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._capabilities

    async def snapshot(self) -> tuple[Manifest, ...]:
        """Every object that decides traffic, by list calls, netdojo's canary left out."""
        return await take(self._api)

    async def places(self) -> tuple[Manifest, ...]:
        """Nodes, pods and Services as the watches tell them: what a prober needs to find its way."""
        kinds = {"Node", "Pod", "Service"}
        found = [each for each in deciding(await self._api.resources()) if not each.group and each.kind in kinds]
        await self._mirror.follow(found)
        return tuple(item for resource in found for item in self._mirror.objects(resource).values())

    async def version(self) -> str:
        """A word for the state of every object that decides traffic; heartbeats and counters do not change it."""
        await self._follow_all()
        return self._mirror.word()

    async def probe(self, probes: Sequence[Probe]) -> tuple[Observation, ...]:
        """Make all probes; what was changed before, by whomever, is enforced by then."""
        if await self.version() != self._settled:
            await self._catch_up(self._barrier.wait_all)
        return await self._prober.probe(probes)

    async def look(self, probes: Sequence[Probe]) -> tuple[Observation, ...]:
        """Make probes between what nobody changes at the moment: nothing is waited for."""
        return await self._prober.probe(probes)

    async def begin(self, objects: Iterable[Manifest]) -> None:
        """Write these and wait for nothing; who applies them afterwards waits, and is told what was refused."""
        await self._writer.apply(objects, again=True)

    async def prove_enforcement(self) -> None:
        """Show on every node that a policy stops a packet, lets another through, and that changes have arrived."""
        await self._catch_up(self._barrier.prove)

    async def sample_enforcement(self) -> None:
        """Show on every node that a policy stops a packet and lets another through, and that one change arrives."""
        await self._barrier.sample()

    async def apply(self, objects: Iterable[Manifest]) -> None:
        """Apply, wait until workloads run and Services follow, and until every node enforces it."""
        given = tuple(objects)
        known = await self._is_settled(given, workloads=False)
        written, refused = await self._writer.apply(given)
        await self._waiter.ready(written)
        await self._enforced(written, known=known)
        if refused:
            raise BrokenContentError(refused)

    async def delete(self, objects: Iterable[Manifest]) -> None:
        """Delete, wait until it is gone, pods included, and until no node enforces it any more."""
        given = tuple(objects)
        known = await self._is_settled(given, workloads=True)
        try:
            doomed = await self._writer.delete(given)
        except Refused as refused:
            raise InfrastructureError(
                f"the cluster does not delete what it was told to: {refused.message}",
                remedy="the kubeconfig's user needs the right to delete it",
            ) from refused
        followed = [each for each in doomed if each[0] in deciding(await self._api.resources())]
        await Deletion(self._api, self._mirror, self._waiter, followed).wait()
        await self._enforced(doomed, known=known)

    async def exec(self, pod: str, argv: Sequence[str], *, stdin: str = "", seconds: float = 30.0) -> Execution:
        """Run a command inside a pod (namespace/name)."""
        try:
            done = await self._api.exec(pod, argv, stdin.encode(), seconds)
        except TimeoutError:
            raise InfrastructureError(
                f"{argv[0]} in pod {pod} did not end within {seconds:.0f} s",
                remedy="give the command a time-out of its own, as curl does with --max-time",
            ) from None
        except Refused as refused:
            if refused.code == 404:
                namespace, _, name = pod.partition("/")
                raise UsageError(f"there is no pod {name!r} in namespace {namespace!r}") from refused
            raise InfrastructureError(
                f"no command can be run in pod {pod}: {refused.message}", remedy="kubectl describe pod shows its state"
            ) from refused
        out, err = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
        return Execution(done.code, out, err)

    def close(self) -> None:
        """Follow the cluster no more."""
        self._barrier.close()
        self._mirror.close()

    async def _follow_all(self) -> None:
        await self._waiter.follow(deciding(await self._api.resources()))

    async def _is_settled(self, objects: Sequence[Manifest], *, workloads: bool) -> bool:
        """Follow the kinds of these objects; whether all that was written until now is known to be enforced."""
        kinds = {(item.get("apiVersion"), item.get("kind")) for item in objects}
        await self._waiter.follow(
            (found for found in await self._api.resources() if (found.api_version, found.kind) in kinds),
            workloads=workloads,
        )
        return bool(self._settled) and await self.version() == self._settled

    async def _enforced(self, written: Sequence[Written], *, known: bool) -> None:
        """Return when the nodes enforce a change of these objects; `known`: what was before it, too."""
        homes = {_home(resource, item) for resource, item in written if resource.kind in {*WORKLOADS, "Service"}}
        services = await self._waiter.endpoints(homes) if homes else False
        signals = {signal for resource, _ in written for signal in touched(resource, services=services)}
        await self._barrier.wait(signals, unsignalled=any(not has_own(resource) for resource, _ in written))
        if known:
            self._settled = await self.version()

    async def _catch_up(self, barrier: Callable[[], Awaitable[None]]) -> None:
        """Bring the nodes up to everything that anybody has written until now."""
        await self._follow_all()
        await self._waiter.calm()
        word = self._mirror.word()
        await barrier()
        self._settled = word


def _home(resource: Resource, item: Manifest) -> str:
    return str(item["metadata"].get("namespace", "")) if resource.namespaced else str(item["metadata"]["name"])


def _lock(server: str) -> Path:
    name = hashlib.blake2b(server.encode(), digest_size=8).hexdigest()
    return Path(tempfile.gettempdir()) / f"netdojo-{getattr(os, 'getuid', int)()}-{name}.lock"
