"""A cluster from nothing, phase by phase; and its end."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

from grader.errors import InfrastructureError, NotCapableError
from labs.kind import binary, health, images, loading
from labs.kind.calico import manifests, sources
from labs.kind.calico.install import Installer
from labs.kind.config import document
from labs.kind.engine import CLUSTER, HOME, KIND_CLUSTER
from labs.kind.hasten import hasten
from labs.kind.state import FILES, KIND_LOCK, KUBECONFIG
from labs.kube.api import Refused, Resource
from labs.kube.mirror import Mirror

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from pathlib import Path

    from grader.ports import Manifest
    from labs.kind.binary import Program
    from labs.kind.calico.sources import Calico
    from labs.kind.config import Plan
    from labs.kind.engine import Container, Engine
    from labs.kind.phases import Phases
    from labs.kind.state import Pool, Record
    from labs.kube.api import Api


_NODES = Resource("", "v1", "nodes", "Node", namespaced=False, verbs=frozenset({"list"}))
_READY_SECONDS = 300.0
_LATE_SECONDS, _REST_SECONDS, _AGAIN_SECONDS = 5.0, 2.0, 0.2
"""How long containers may take to appear that a killed kind had asked for, and to come to rest then."""


class Maker:
    """Makes and removes clusters.

    Args:
        engine: where they run.
        program: kind.
        pool: the folder of their records.
        home: whose they are: a word that no other folder of netdojo's shares.
        connect: gives the API behind a kubeconfig.
        check: raises where a cluster cannot be made here, and tells what is less than it should be.
    """

    def __init__(
        self,
        engine: Engine,
        program: Program,
        pool: Pool,
        home: str,
        connect: Callable[[Path], Api],
        check: Callable[[Plan, Callable[[str], None]], Awaitable[None]] | None = None,
    ) -> None:
        self._engine = engine
        self._program = program
        self._pool = pool
        self._home = home
        self._connect = connect
        self._check = check
        self._cut_short: set[str] = set()

    async def make(self, name: str, plan: Plan, calico: Calico, loaded: Iterable[str], phases: Phases) -> None:
        """Make a cluster and return when Calico and everything else in it works.

        Raises:
            InfrastructureError: it cannot be made, with what to do. What there is of it is left for `remove`.
        """
        if self._check is not None:
            await self._check(plan, phases.tell)
        objects = await self._read(calico, phases.tell)
        if not calico.operator and (why := manifests.lacking(objects, plan)):
            raise NotCapableError(why, remedy="leave the setting kind.calico at operator, or name newer files")
        plan = dataclasses.replace(plan, node_image=await self._node_image(plan.node_image, phases))
        with phases.phase(f"making {'the node' if plan.nodes == 1 else f'{plan.nodes} nodes'} with kind"):
            await self._kind_create(name, plan, phases.tell)
        nodes = await self.nodes(name)
        api = self._connect(self._pool.of(name) / KUBECONFIG)
        mirror = Mirror(api)
        try:
            async with asyncio.TaskGroup() as group:
                images = group.create_task(self._load(nodes, plan, objects, loaded, phases.tell))
                with phases.phase("images into the nodes, and Calico"):
                    installer = Installer(api, self._engine, nodes[0].name)
                    await installer.apply(objects, plan, by_operator=calico.operator, images=images)
                with phases.phase("waiting for Calico and the cluster"):
                    await api.resources(again=True)
                    hastening = group.create_task(hasten(api, mirror, _READY_SECONDS))
                    await health.wait(api, mirror, phases.tell, _READY_SECONDS)
                    hastening.cancel()
        except* InfrastructureError as group_of_errors:
            raise group_of_errors.exceptions[0] from None
        finally:
            mirror.close()

    async def nodes(self, name: str) -> tuple[Container, ...]:
        """The containers of a cluster's nodes, the control plane first, then by name."""
        found = await self._engine.containers({KIND_CLUSTER: name})
        return tuple(sorted(found, key=lambda node: (not node.name.endswith("control-plane"), node.name)))

    async def engine_id(self) -> str:
        """The identity of the engine that is talked to; empty where it has none."""
        return str((await self._engine.info()).get("ID", ""))

    async def is_elsewhere(self, record: Record | None) -> bool:
        """Whether a cluster was made on another engine than the one that is talked to."""
        return record is not None and bool(record.engine) and record.engine != await self.engine_id()

    async def images(self, name: str) -> Mapping[str, frozenset[str]]:
        """The images that each node of a running cluster says to have: its largest fifty, as of some minutes ago.

        Where the API does not tell, there are none: whoever needs one looks, and finds out why.
        """
        try:
            items = (await self._connect(self._pool.of(name) / KUBECONFIG).list(_NODES)).items
        except (InfrastructureError, Refused):
            return {}
        return {
            str(item["metadata"]["name"]): frozenset(
                name for image in (item.get("status") or {}).get("images") or () for name in image.get("names") or ()
            )
            for item in items
        }

    async def remove(self, name: str) -> None:
        """Remove a cluster with its outside hosts, whatever there is of it; nothing there is fine.

        Raises:
            InfrastructureError: it cannot be removed; its record stays.
        """
        folder = self._pool.of(name)
        if await binary.end_left(folder / KIND_LOCK) or name in self._cut_short:
            await self._come_to_rest(name)
        for host in await self._engine.containers({CLUSTER: name, HOME: self._home}):
            await self._engine.remove(host.id)
        if not await self._engine.containers({KIND_CLUSTER: name}):
            if await self.is_elsewhere(self._pool.read(name)):
                raise InfrastructureError(
                    f"the cluster {name} runs on another Docker engine than the one that answers now",
                    remedy="switch back to that engine (docker context use, or DOCKER_HOST), then try again; where it "
                    f"is gone for good, remove the folder {folder}",
                )
        else:
            arguments = ("delete", "cluster", "--name", name, "--kubeconfig", str(folder / KUBECONFIG))
            ended = await self._program.run(arguments, lambda _: None)
            if ended.code:
                raise binary.explain(f"remove the cluster {name}", ended)
        self._pool.forget(name)

    async def _come_to_rest(self, name: str) -> None:
        """Let the engine end what kind had asked it for: it makes a container that nobody waits for any more."""
        clock = asyncio.get_running_loop().time
        before, since = await self._engine.containers({KIND_CLUSTER: name}), clock()
        while clock() - since < (_REST_SECONDS if before else _LATE_SECONDS):
            await asyncio.sleep(_AGAIN_SECONDS)  # what does not come cannot be waited for
            found = await self._engine.containers({KIND_CLUSTER: name})
            if {each.id for each in found} != {each.id for each in before}:
                before, since = found, clock()
        self._cut_short.discard(name)

    async def _read(self, calico: Calico, tell: Callable[[str], None]) -> tuple[Manifest, ...]:
        cache = self._pool.folder / FILES
        found = [await asyncio.to_thread(sources.read, source, cache, tell) for source in calico.sources]
        return tuple(item for objects in found for item in objects)

    async def _node_image(self, image: str, phases: Phases) -> str:
        """The name under which the engine has the node image; it is fetched where it has none."""
        name = await images.resolve(self._engine, image)
        if name not in await self._engine.images((name,)):
            with phases.phase(f"fetching the node image {image} from {images.registry_of(image)}"):
                await self._engine.pull(image, phases.tell)
        return name

    async def _kind_create(self, name: str, plan: Plan, tell: Callable[[str], None]) -> None:
        folder = self._pool.of(name)
        arguments = ("create", "cluster", "--name", name, "--config", "-", "--kubeconfig", str(folder / KUBECONFIG))

        def progress(line: str) -> None:
            # One line a step, "• Starting control-plane" and so on; the pictures are of no use in a log.
            if line.strip().startswith("•"):
                tell("  " + line.strip().strip("•").encode("ascii", "ignore").decode().strip(" .").strip())

        self._cut_short.add(name)
        ended = await self._program.run(arguments, progress, document(plan, name), folder / KIND_LOCK)
        self._cut_short.discard(name)
        if ended.code:
            raise binary.explain("make the cluster", ended)

    async def _load(
        self,
        nodes: tuple[Container, ...],
        plan: Plan,
        objects: tuple[Manifest, ...],
        loaded: Iterable[str],
        tell: Callable[[str], None],
    ) -> None:
        wanted = (plan.workload_image, *loaded, *manifests.images(objects))
        await loading.load(self._engine, [node.name for node in nodes], wanted, tell)
