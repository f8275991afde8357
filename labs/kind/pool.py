"""Running clusters, and who has them: one is made for a topology, and serves one lab after the other."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from functools import partial
from typing import TYPE_CHECKING

from grader.errors import InfrastructureError
from labs.kind import config, loading
from labs.kind.engine import KIND_CLUSTER
from labs.kind.state import PREFIX, Record, Stage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

    from labs.kind.calico.sources import Calico
    from labs.kind.config import Plan
    from labs.kind.create import Maker
    from labs.kind.engine import Engine
    from labs.kind.phases import Phases
    from labs.kind.reset import Cleaner
    from labs.kind.state import Pool
    from labs.locks import FileLock

    Begin = Callable[[Record], Awaitable[None]]

_MOST = 64


class Clusters:
    """All clusters of one home.

    Args:
        engine: where they run.
        maker: makes and removes them.
        cleaner: takes them back to how they were.
        pool: the folder of their records.
        home: whose they are.
    """

    def __init__(self, engine: Engine, maker: Maker, cleaner: Cleaner, pool: Pool, home: str) -> None:
        self._engine = engine
        self._maker = maker
        self._cleaner = cleaner
        self._pool = pool
        self._home = home

    async def take(
        self, lab: str, plan: Plan, calico: Calico, images: Iterable[str], phases: Phases, begin: Begin
    ) -> Record:
        """A clean cluster for a lab: one that runs for nobody, or a new one.

        `begin` is called with it when its objects are known to be as they were, while the rest is still looked at.

        Raises:
            InfrastructureError: there is none and none can be made.
        """
        wanted, images = config.key(plan, self._home), tuple(images)
        for record in self._pool.records():
            if record.key == wanted and record.stage is Stage.FREE:
                taken = await self._reuse(record.name, lab, images, phases, begin)
                if taken is not None:
                    return taken
        return await self._make(lab, wanted, plan, calico, images, phases, begin)

    async def _reuse(self, name: str, lab: str, images: Iterable[str], phases: Phases, begin: Begin) -> Record | None:
        """Take a free cluster after a checked reset; None when another lab has it by then, or it had to be removed."""
        async with self._pool.locked(name, phases.tell):  # who has it may be giving it back just now
            record = self._pool.read(name)
            if record is None or record.stage is not Stage.FREE:
                return None
            with phases.phase(f"taking the running cluster {name}"):
                nodes = [node.name for node in await self._maker.nodes(name)]
                if not nodes and await self._maker.is_elsewhere(record):
                    phases.tell(f"{name} runs on another Docker engine: it is left alone")
                    return None
                known = await self._maker.images(name)
                loaded = asyncio.ensure_future(loading.load(self._engine, nodes, images, phases.tell, known))
                try:
                    cleaning = self._cleaner.clean(record, phases.tell, partial(begin, record))
                    if not await self._back(record, cleaning, phases.tell):
                        return None
                    await loaded
                finally:
                    loaded.cancel()
                    await asyncio.gather(loaded, return_exceptions=True)
            taken = dataclasses.replace(record, stage=Stage.TAKEN, lab=lab, hosts=())
            self._pool.write(taken)
            return taken

    async def _make(
        self, lab: str, key: str, plan: Plan, calico: Calico, images: Iterable[str], phases: Phases, begin: Begin
    ) -> Record:
        name, lock = await self._name(key, phases.tell)
        families = tuple(4 if family == "ipv4" else 6 for family in plan.families)
        record = Record(name, key, plan.describe(), Stage.MAKING, lab, families=families, dataplane=plan.dataplane)
        try:
            record = dataclasses.replace(record, engine=await self._maker.engine_id())
            self._pool.write(record)
            try:
                await self._maker.make(name, plan, calico, images, phases)
                with phases.phase("keeping what the new cluster looks like"):
                    await self._cleaner.remember(record, partial(begin, record))
                nodes = tuple(node.id for node in await self._maker.nodes(name))
                record = dataclasses.replace(record, stage=Stage.TAKEN, nodes=nodes, made=time.time())
                self._pool.write(record)
            except BaseException:
                phases.tell(f"removing what there is of {name}")
                await finish(self._maker.remove(name))
                raise
        finally:
            lock.remove()
        return record

    async def _name(self, key: str, tell: Callable[[str], None]) -> tuple[str, FileLock]:
        """A name that nobody has: neither a record here nor a container of the engine."""
        for number in range(1, _MOST):
            name = f"{PREFIX}{key}-{number}"
            if self._pool.of(name).exists():
                continue
            lock = self._pool.lock(name)
            if lock is None:
                continue
            if not self._pool.of(name).exists():
                try:
                    strangers = await self._engine.containers({KIND_CLUSTER: name})
                except BaseException:
                    lock.remove()
                    raise
                if not strangers:
                    return name, lock
                tell(f"the cluster {name} is not one that is known here: it is left alone")
            lock.remove()
        raise InfrastructureError(
            f"there are {_MOST - 1} clusters of this topology already", remedy="netdojo lab stop --delete ends a lab's"
        )

    async def give_back(self, name: str, tell: Callable[[str], None], *, delete: bool = False) -> None:
        """A lab is done with its cluster: clean it for the next one, or remove it.

        Raises:
            InfrastructureError: it cannot be removed.
        """
        async with self._pool.locked(name, tell):
            record = self._pool.read(name)
            if record is None:
                return
            if delete or record.stage is Stage.MAKING:
                tell(f"removing the cluster {name}")
                await self._maker.remove(name)
                return
            record = dataclasses.replace(record, stage=Stage.FREE, lab="")
            self._pool.write(record)  # before it is clean: whoever takes it looks, and cleans what is left
            if await self._back(record, self._cleaner.tidy(record, tell), tell):
                self._pool.write(dataclasses.replace(record, hosts=()))

    async def end_kept(self, name: str, tell: Callable[[str], None]) -> bool:
        """Remove a cluster that runs for nobody, and tell whether it did: one that a lab has taken meanwhile stays.

        Raises:
            InfrastructureError: it cannot be removed.
        """
        async with self._pool.locked(name, tell):
            record = self._pool.read(name)
            if record is None or record.stage is not Stage.FREE:
                return False
            tell(f"removing the cluster {name}")
            await self._maker.remove(name)
            return True

    async def sweep(self, tell: Callable[[str], None]) -> None:
        """Remove clusters whose making was ended from outside, and records of those that are gone."""
        for record in self._pool.records():
            if record.stage is not Stage.MAKING:
                continue
            lock = self._pool.lock(record.name)
            if lock is None:
                continue  # somebody is making it
            try:
                found = self._pool.read(record.name)
                if found is not None and found.stage is Stage.MAKING and not await self._maker.is_elsewhere(found):
                    tell(f"removing {record.name}, whose making was ended")
                    await self._maker.remove(record.name)
            finally:
                lock.remove()

    async def _back(self, record: Record, cleaning: Awaitable[None], tell: Callable[[str], None]) -> bool:
        """Take a cluster back to how it was; one that does not come back is removed, and False is returned."""
        try:
            await cleaning
        except InfrastructureError as error:
            tell(f"{record.name} does not come back to how it was ({error.message}): it is removed")
            await self._maker.remove(record.name)
            return False
        return True


async def finish(work: Coroutine[None, None, None]) -> None:
    """Let work end that must not be left half done, however often the caller is cancelled; raises its error."""
    task = asyncio.create_task(work)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            continue
    task.result()  # the last cancellation may have come in the turn in which it failed
