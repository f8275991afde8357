"""Takes a cluster back to how it was when it was new, and proves that it is.

Proven: the nodes are the same containers and run; every object is as it was (`labs.kind.fingerprint`); everything in it
is ready; a change of policy arrives on each node and the empty matrix is what it was (`labs.kind.emptiness`). That what
was written before has arrived is proven where something had to be undone, and by whoever probes. What does not come
back in three rounds is not handed out: whoever asked removes the cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from grader.errors import InfrastructureError
from labs import store
from labs.kind import emptiness, fingerprint, health, hosts
from labs.kind.engine import KIND_CLUSTER
from labs.kind.fingerprint import Difference, Key, Picture, What
from labs.kind.state import BASELINE, KUBECONFIG
from labs.kube.api import Refused
from labs.kube.mirror import Mirror
from labs.kube.patience import awake

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    from grader.ports import Manifest
    from labs.kind.emptiness import Looked
    from labs.kind.engine import Container, Engine
    from labs.kind.state import Pool, Record
    from labs.kube.api import Api, Resource

    Begin = Callable[[], Awaitable[None]]

_ROUNDS = 3
_GONE_SECONDS = 60.0
_READY_SECONDS = 60.0
_AWAKE_SECONDS = 15.0
_VERSION = 2
_SAID = 6
"""Differences that are named one by one."""
_FIRST = ("validatingwebhookconfigurations", "mutatingwebhookconfigurations", "validatingadmissionpolicybindings")
"""What could refuse the rest of the repair goes before it."""


class Cleaner:
    """Remembers clusters, and takes them back.

    Args:
        engine: where they run.
        pool: the folder of their records.
        connect: gives the API behind a kubeconfig.
        cluster: the port to a cluster, for probes.
        home: whose clusters they are.
    """

    def __init__(
        self,
        engine: Engine,
        pool: Pool,
        connect: Callable[[Path], Api],
        cluster: Callable[[Record], Looked],
        home: str,
    ) -> None:
        self._engine = engine
        self._pool = pool
        self._connect = connect
        self._cluster = cluster
        self._home = home

    async def remember(self, record: Record, begin: Begin) -> None:
        """Keep what a new cluster looks like; what is to begin does so once its objects are known.

        Raises:
            InfrastructureError: it cannot be looked at, or not be kept.
        """
        folder = self._pool.of(record.name)
        try:
            api = self._connect(folder / KUBECONFIG)
            picture, _kinds = await fingerprint.take(api, await api.resources(again=True))
        except Refused as refused:
            raise InfrastructureError(f"a new cluster does not show all of its objects: {refused.message}") from refused
        async with _beside(begin):
            silent = await emptiness.look(self._cluster(record))
        with store.explained("write", folder / BASELINE):
            store.write_atomically(folder / BASELINE, json.dumps(_packed(picture, silent)))

    async def clean(self, record: Record, tell: Callable[[str], None], begin: Begin) -> None:
        """Return when the cluster is as it was, and proven to be; what is to begin does so once its objects are.

        Raises:
            InfrastructureError: it is not, and does not become so; the message says what differs.
        """
        # Looked at beside the rest, and briefly, for most clusters are clean. Where that shows anything else, or
        # something had to be undone, only everything proves it: all that was written before, and the matrix after it.
        glancing = asyncio.ensure_future(_glance(self._cluster(record)))
        try:
            async with self._objects(record, tell) as (api, mirror, now, silent, undone):
                if health.late((key.resource, item) for key, item in now.live.items()):
                    await health.wait(api, mirror, tell, _READY_SECONDS)
                services = (item for key, item in now.live.items() if key.resource == health.APIS)
                await health.discovered(api, services, _READY_SECONDS)
                async with _beside(begin):
                    if undone or await glancing != silent:
                        seen = await emptiness.look(self._cluster(record))
                        if changed := seen ^ silent:
                            words = "; ".join(sorted(changed)[:_SAID])
                            raise InfrastructureError(f"the empty matrix is not what it was: {words}")
        finally:
            glancing.cancel()
            await asyncio.gather(glancing, return_exceptions=True)

    async def tidy(self, record: Record, tell: Callable[[str], None]) -> None:
        """Return when the cluster's objects are as they were; what follows from them may take a moment more.

        Raises:
            InfrastructureError: they are not, and do not become so.
        """
        async with self._objects(record, tell):
            pass

    @contextlib.asynccontextmanager
    async def _objects(self, record: Record, tell: Callable[[str], None]) -> AsyncIterator[_Restored]:
        """Its objects taken back to how they were; what refuses to be, inside the block too, is raised as an error."""
        nodes = await self._same_nodes(record)
        beside = hosts.Beside(record.name, self._home, "", nodes, record.families)
        then, silent = self._remembered(record)
        api = self._connect(self._pool.of(record.name) / KUBECONFIG)
        mirror = Mirror(api)
        try:
            now, undone = await self._restore(api, mirror, then, tell)
            await hosts.remove(self._engine, beside, had_some=bool(record.hosts))
            yield _Restored(api, mirror, now, silent, undone)
        except Refused as refused:
            raise InfrastructureError(f"its API refuses to be cleaned: {refused.message}") from refused
        finally:
            mirror.close()

    async def _same_nodes(self, record: Record) -> tuple[Container, ...]:
        nodes = {node.id: node for node in await self._engine.containers({KIND_CLUSTER: record.name})}
        if set(nodes) != set(record.nodes) or not all(node.runs for node in nodes.values()):
            raise InfrastructureError("its nodes are not those that it was made with, or do not run")
        return tuple(nodes.values())

    def _remembered(self, record: Record) -> tuple[Picture, frozenset[str]]:
        found = store.read_json(self._pool.of(record.name) / BASELINE)
        try:
            return _unpacked(found)
        except (KeyError, TypeError, ValueError) as error:
            raise InfrastructureError("what it looked like when it was new is not known any more") from error

    async def _restore(
        self, api: Api, mirror: Mirror, then: Picture, tell: Callable[[str], None]
    ) -> tuple[Picture, bool]:
        """Undo what differs until nothing does: how it is then, and whether anything did.

        Raises:
            InfrastructureError: something does after all rounds.
        """
        for turn in range(_ROUNDS):
            now, kinds = await fingerprint.take(api, await awake(api, _AWAKE_SECONDS, tell))
            found = fingerprint.differences(then, now)
            if not found:
                return now, turn > 0
            for each in found[:_SAID]:
                tell(f"undoing: {each}")
            if len(found) > _SAID:
                tell(f"undoing {len(found) - _SAID} more")
            await _Repair(api, mirror, kinds, then, now).make(found)
        now, _kinds = await fingerprint.take(api, await awake(api, _AWAKE_SECONDS, tell))
        if left := fingerprint.differences(then, now):
            raise InfrastructureError(f"it still differs: {'; '.join(str(each) for each in left[:_SAID])}")
        return now, True


@contextlib.asynccontextmanager
async def _beside(begin: Begin) -> AsyncIterator[None]:
    """Have something begin beside a block, which does not end before it; the first error of both is raised."""
    task = asyncio.ensure_future(begin())
    try:
        yield
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _glance(cluster: Looked) -> frozenset[str] | None:
    """The empty matrix, seen briefly; None where that could not be."""
    try:
        return await emptiness.look(cluster, briefly=True)
    except (InfrastructureError, Refused):
        return None


class _Restored(NamedTuple):
    """A cluster whose objects are as they were: `silent` is what did not pass then; `undone`: one of them differed."""

    api: Api
    mirror: Mirror
    now: Picture
    silent: frozenset[str]
    undone: bool


class _Repair:
    """One round: what was added goes, what was removed comes back, what was changed is written as it was."""

    def __init__(self, api: Api, mirror: Mirror, kinds: Mapping[str, Resource], then: Picture, now: Picture) -> None:
        self._api = api
        self._mirror = mirror
        self._kinds = kinds
        self._then = then
        self._now = now

    async def make(self, found: tuple[Difference, ...]) -> None:
        """Undo these."""
        first = [each for each in found if each.key.resource.split(".")[0] in _FIRST]
        for group in (first, [each for each in found if each not in first and each.what is not What.EXTRA]):
            await self._all(group)
        extra = [each for each in found if each not in first and each.what is What.EXTRA]
        await self._empty({each.key.name for each in extra if each.key.resource == "namespaces"})
        await self._all(extra)
        await self._gone(extra)

    async def _all(self, found: list[Difference]) -> None:
        await asyncio.gather(*(self._undo(each) for each in found))

    async def _undo(self, each: Difference) -> None:
        resource, key = self._kinds.get(each.key.resource), each.key
        if resource is None:
            return  # a kind of which the definition is missing: it comes back first, its objects in the next round
        try:
            if each.what is What.EXTRA:
                await self._api.delete(resource, key.namespace, key.name, grace=0 if resource.kind == "Pod" else None)
            elif each.what is What.MISSING:
                await self._api.apply(resource, key.namespace, self._then.objects[key])
            else:
                await self._api.replace(resource, key.namespace, self._as_it_was(key))
        except Refused as refused:
            if refused.code not in {404, 409}:  # gone, or changed since: the next round looks again
                raise InfrastructureError(f"{each}, and cannot be undone: {refused.message}") from refused

    def _as_it_was(self, key: Key) -> Manifest:
        """The object as it was, over the one that is there now: what changes by itself stays as it is."""
        was, live = self._then.objects[key], self._now.live[key]
        restless = {name: value for name, value in live["metadata"].items() if name not in was["metadata"]}
        restless = {name: restless[name] for name in ("uid", "resourceVersion", "generation") if name in restless}
        made = {**was, "metadata": {**was["metadata"], **restless}}
        return made | ({"status": live["status"]} if "status" in live else {})

    async def _empty(self, namespaces: set[str]) -> None:
        """End the pods of namespaces that go, at once: their programs need not say good-bye."""
        pods = self._kinds["pods"]
        doomed = [key for key, _pod in self._now.each_pod() if key.namespace in namespaces]
        # Their makers first, or they would be made again.
        makers = [kind for name, kind in self._kinds.items() if name in _MAKERS]
        for kind in makers:
            for namespace in namespaces:
                items = [key for key in self._now.objects if key.resource == str(kind) and key.namespace == namespace]
                await asyncio.gather(*(self._api.delete(kind, key.namespace, key.name) for key in items))
        await asyncio.gather(*(self._api.delete(pods, key.namespace, key.name, grace=0) for key in doomed))

    async def _gone(self, extra: list[Difference]) -> None:
        """Return when what was deleted is gone, or after a limit: the next round looks."""
        kinds = {kind for each in extra if (kind := self._kinds.get(each.key.resource)) is not None}
        kinds = {kind for kind in kinds if kind.plural in {"namespaces", "pods", "customresourcedefinitions"}}
        if not kinds:
            return
        await self._mirror.follow(kinds)
        doomed = [(self._kinds[each.key.resource], each.key) for each in extra if each.key.resource in self._kinds]
        doomed = [(kind, key) for kind, key in doomed if kind in kinds]
        uids = {self._uid(key) for _kind, key in doomed}

        def gone() -> bool | None:
            for kind, key in doomed:
                there = self._mirror.objects(kind).get((key.namespace, key.name))
                if there is not None and there["metadata"].get("uid") in uids:
                    return None
            return True

        await self._mirror.until(gone, _GONE_SECONDS)

    def _uid(self, key: Key) -> str:
        item = self._now.live.get(key)
        return str(item["metadata"].get("uid", "")) if item else ""


_MAKERS = (
    "cronjobs.batch",
    "jobs.batch",
    "deployments.apps",
    "statefulsets.apps",
    "daemonsets.apps",
    "replicationcontrollers",
)


def _packed(picture: Picture, silent: frozenset[str]) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "objects": [[key.resource, key.namespace, key.name, item] for key, item in picture.objects.items()],
        "pods": [[*owner, [dict(each) for each in labels]] for owner, labels in picture.pods.items()],
        "silent": sorted(silent),
    }


def _unpacked(found: Mapping[str, Any]) -> tuple[Picture, frozenset[str]]:
    if found["version"] != _VERSION:
        raise ValueError
    objects = {Key(resource, namespace, name): item for resource, namespace, name, item in found["objects"]}
    pods = {(namespace, kind, name): tuple(labels) for namespace, kind, name, labels in found["pods"]}
    return Picture(objects, pods), frozenset(found["silent"])
