"""`labs.base.Backend` for a cluster that the user already has: start, find, connect, stop.

Every change is made under one lock beside the lab's folder, so that two starts at once make one lab.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
from dataclasses import replace
from typing import TYPE_CHECKING

from content.errors import NetdojoError
from grader.errors import ClusterGoneError, InfrastructureError, NotCapableError
from grader.ports import Capabilities
from labs import store
from labs.base import Phase, Running
from labs.kind.pool import finish
from labs.kind.state import locked
from labs.kubeconfig import agents, journal, removal, rights, settings, target
from labs.kubeconfig.cluster import KeptCluster
from labs.kubeconfig.journal import HOLDER, KUBECONFIG, Journal
from labs.kubeconfig.keeper import Keeper, is_marked
from labs.kubeconfig.settings import AGENTS, CONTAINERS
from labs.locks import FileLock, is_held

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from grader.ports import Cluster, Manifest
    from labs.base import Request
    from labs.kind.engine import Engine
    from labs.kube.api import Api
    from labs.kube.cluster import KubeCluster
    from labs.kube.probing import Prober
    from labs.kube.probing.runner import Runner
    from labs.kubeconfig.contexts import Context
    from labs.kubeconfig.settings import Settings
    from labs.kubeconfig.target import Target

    Objects = Callable[[], Awaitable[Sequence[Manifest]]]


class KubeconfigBackend:
    """Labs on clusters that are there already.

    Args:
        chosen: the user's settings; read where left out.
        connect: makes the API's client from a kubeconfig.
        engine: where nodes that are containers run; Docker's, where left out.
        port: puts a cluster's port together; `KubeCluster` where left out.

    Attributes:
        agree: asked before anything is touched that is not a namespace of the lab's own; the front end sets it.
    """

    name = target.NAME

    def __init__(
        self,
        chosen: Settings | None = None,
        *,
        connect: Callable[[Path], Api] | None = None,
        engine: Callable[[], Engine] | None = None,
        port: Callable[..., KubeCluster] | None = None,
    ) -> None:
        self._settings = settings.load() if chosen is None else chosen
        self._connect = _connect if connect is None else connect
        self._engine = _engine if engine is None else engine
        self._port = _port if port is None else port
        self._open: dict[tuple[Path, str], KubeCluster] = {}
        self._apis: dict[Path, tuple[str, Api]] = {}
        self._held: list[FileLock] = []
        self.agree: Callable[[Sequence[str]], Awaitable[bool]] = _nobody

    def can(self) -> Capabilities:
        """What such a cluster may be capable of; which of it this one has is seen at the start.

        Raises:
            NotCapableError: there is no context, or the client is not installed.
        """
        if importlib.util.find_spec("kubernetes") is None:
            raise NotCapableError(
                "the kubeconfig backend needs packages that are not installed", remedy="pip install 'netdojo[kind]'"
            )
        if not self._settings.contexts().names:
            looked = ", ".join(map(str, self._settings.files))
            raise NotCapableError(f"there is no context in {looked}", remedy="set KUBECONFIG to your cluster's file")
        return Capabilities(
            self.name,
            "cluster",
            simulated=False,
            families=(4, 6),
            has=frozenset({"multi-node", "calico", "ipv6"}),
        )

    async def start(self, request: Request, folder: Path, progress: Callable[[str], None]) -> Running:
        """Make the lab there, or find it. Cancelling removes what was made.

        Raises:
            InfrastructureError: it cannot run there, with what to do.
            UsageError: what it would do was not agreed to.
            BrokenContentError: an object was refused.
        """
        store.make_private(folder.parent)
        async with locked(_lock_path(folder), request.name, progress):
            found = await self._look(request.name, folder)
            if found.phase is Phase.READY:
                progress(f"{request.name} is running already")
                return found
            await self._clear(folder)
            context, asked = self._context()
            progress(f"asking {context.server} (context {context.name})")
            store.make_private(folder)
            try:
                if request.transient:
                    self._hold(folder)
                with rights.explained(context.name):
                    await self._make(request, folder, progress, context, asked)
            except BaseException:
                with contextlib.suppress(InfrastructureError):  # what is left stays in the journal
                    await finish(self._clear(folder))
                raise
            return await self._look(request.name, folder)

    async def find(self, name: str, folder: Path) -> Running:
        """What is there now; what a killed command left is removed.

        Raises:
            InfrastructureError: the cluster does not answer, so that it cannot be removed.
        """
        found = await self._look(name, folder)
        if found.phase is not Phase.STARTING:
            return found
        lock = FileLock.acquire(_lock_path(folder))
        if lock is None:
            return found  # a command is at work on it
        try:
            await self._clear(folder)
        finally:
            lock.remove()
        return Running(name, self.name, Phase.ABSENT, folder)

    async def connect(self, running: Running) -> Cluster:
        """The port for a lab that is ready.

        Raises:
            ClusterGoneError: it is not there any more.
        """
        known = journal.read(running.folder)
        if known is None or not known.ready:
            raise ClusterGoneError(
                f"{running.name} is not running there", remedy=f"netdojo lab start {running.name} --on {self.name}"
            )
        api = self._api(known, running.folder)
        inner = self._open.get((running.folder, known.identity))
        if inner is None:
            found = await target.look(api, self._server(known.context))
            _same(known, found.identity)
            inner = await self._cluster(api, known, running.folder, found)
        return KeptCluster(inner, Keeper(api, running.folder, known, self._agreed))

    async def stop(self, name: str, folder: Path, *, delete: bool = False) -> None:
        """Remove what the lab made there, and nothing else; nothing there is fine.

        Raises:
            InfrastructureError: the cluster does not answer: what is left is still known, and stopping again goes on.
        """
        del delete  # nothing is kept for the next lab
        if not _is_there(folder.parent):
            return
        async with locked(_lock_path(folder), name, lambda _: None):
            await self._clear(folder)

    # --- start

    async def _agreed(self, lines: Sequence[str]) -> bool:
        return self._settings.yes or await self.agree(lines)

    def _context(self) -> tuple[Context, list[str]]:
        """The context, and what is to be agreed to where nobody named it."""
        known = self._settings.contexts()
        if self._settings.context:
            return known.named(self._settings.context), []
        if not known.current:
            raise NotCapableError(
                f"no context is named, and none is current (there are: {', '.join(known.names) or 'none'})",
                remedy="set kubeconfig.context (NETDOJO_KUBECONFIG_CONTEXT) to the one that labs may use",
            )
        context = known.named(known.current)
        return context, [
            f"use the context {context.name} ({context.server}), which nobody named: it is the current one"
        ]

    async def _make(
        self, request: Request, folder: Path, progress: Callable[[str], None], context: Context, asked: list[str]
    ) -> None:
        text = context.alone(request.namespace)
        with store.explained("write", folder / KUBECONFIG):
            store.write_atomically(folder / KUBECONFIG, text)
        api = self._connect(folder / KUBECONFIG)
        self._apis[folder] = text, api
        await rights.demand(api, context.name)
        found = await target.look(api, context.server)
        target.fits(found, request, progress)
        way = await target.way_of(api, found, self._settings, self._engine)
        known = Journal(
            request.name, context.name, found.identity, _home(folder), ways=way, namespace=request.namespace
        )
        known = replace(known, transient=request.transient, canary=await removal.takes_canary(api, known))
        made: tuple[Manifest, ...] = ()
        if way == AGENTS:
            names = [str(node["metadata"]["name"]) for node in found.nodes]
            made = agents.agent_objects(request.name, names, self._settings.agent_image)
            asked.append(
                f"run a privileged pod on each of {len(names)} nodes ({self._settings.agent_image}, "
                f"namespace {agents.home(request.name)}), from which the pods' networks are entered"
            )
        keeper = Keeper(api, folder, known, self._agreed)
        admitted = await keeper.admit([*made, *request.objects], asked)
        progress(f"applying {len(admitted)} objects in {', '.join(keeper.journal.namespaces)} (probing by {way})")
        cluster = await self._cluster(api, keeper.journal, folder, found)
        await cluster.apply(admitted)
        replace(keeper.journal, ready=True).write(folder)

    async def _cluster(self, api: Api, known: Journal, folder: Path, found: Target) -> KubeCluster:
        """The port: kept, since its watches are worth keeping."""
        key = (folder, known.identity)
        if key not in self._open:
            runner = await self._runner(api, known, found)
            as_seen = agents.as_machines if known.ways == settings.PODS else list
            self._open[key] = self._port(
                api,
                lambda objects: _prober(runner, objects, as_seen),
                found.capabilities,
                namespace=known.namespace,
                image=self._settings.workload_image,
            )
        return self._open[key]

    async def _runner(self, api: Api, known: Journal, found: Target) -> Runner:
        if known.ways == AGENTS:
            return agents.AgentRunner(api, known.name)
        if known.ways != CONTAINERS:
            return agents.DebugRunner(api, self._settings.agent_image)
        cluster = await target.containers(found.nodes, self._engine)
        if not cluster:
            raise InfrastructureError(
                "the cluster's nodes were containers of a Docker engine here, and that does not answer any more",
                remedy=f"start Docker, or stop the lab and start it again with kubeconfig.agents = {AGENTS!r}",
            )
        from labs.kind.runner import EngineRunner

        return EngineRunner(self._engine(), cluster)

    # --- what is there

    async def _look(self, name: str, folder: Path) -> Running:
        """What is there, changing nothing."""
        known = journal.read(folder)
        if known is None:
            return Running(name, self.name, Phase.STARTING if _is_there(folder) else Phase.ABSENT, folder)
        if not known.ready or (known.transient and not is_held(folder / HOLDER)):
            return Running(name, self.name, Phase.STARTING, folder)
        try:
            with rights.explained(known.context):
                wrong = await self._wrong(known, folder)
        except NetdojoError as error:
            wrong = error.message
        kubeconfig = folder / KUBECONFIG
        if wrong:
            return Running(name, self.name, Phase.BROKEN, folder, kubeconfig, detail=wrong)
        return Running(name, self.name, Phase.READY, folder, kubeconfig, detail=f"context {known.context}")

    async def _wrong(self, known: Journal, folder: Path) -> str:
        """Why a lab does not work; empty when it does."""
        api = self._api(known, folder)
        _same(known, await target.identity(api, self._server(known.context)))
        namespaces = await target.resource(api, "Namespace")
        for space in known.namespaces:
            found = await api.get(namespaces, "", space)
            if found is None or not is_marked(found, known):
                return f"its namespace {space} is gone"
            if found["metadata"].get("deletionTimestamp"):
                return f"its namespace {space} is being deleted"
        return ""

    def _api(self, known: Journal, folder: Path) -> Api:
        """The API; credentials are those that the user's own files have now, where they still have the context."""
        path = folder / KUBECONFIG
        with store.explained("read or write", path):
            text = path.read_text(encoding="utf-8") if path.is_file() else ""
            with contextlib.suppress(NetdojoError):
                now = self._settings.contexts().named(known.context).alone(known.namespace)
                if now != text:
                    store.write_atomically(path, now)
                text = now
        kept = self._apis.get(folder)
        if kept is None or kept[0] != text:
            kept = self._apis[folder] = text, self._connect(path)
        return kept[1]

    def _server(self, context: str) -> str:
        try:
            return self._settings.contexts().named(context).server
        except NetdojoError:
            return ""

    # --- end

    async def _clear(self, folder: Path) -> None:
        """Remove what a lab made, there and here."""
        known = journal.read(folder)
        for key in [key for key in self._open if key[0] == folder]:
            self._open.pop(key).close()
        if known is not None:
            api = self._api(known, folder)
            _same(known, await target.identity(api, self._server(known.context)))
            await removal.remove(api, known)
        journal.remove(folder)

    def _hold(self, folder: Path) -> None:
        """Hold a lock for as long as this process lives."""
        lock = FileLock.acquire(folder / HOLDER)
        if lock is not None:
            self._held.append(lock)


def _same(known: Journal, identity: str) -> None:
    if identity != known.identity:
        raise ClusterGoneError(
            f"the context {known.context} leads to another cluster than the one on which {known.name} was started",
            remedy="point it back to that one and stop the lab; if that cluster is gone for good, remove "
            f"the file {journal.FILE} in the lab's folder",
        )


def _home(folder: Path) -> str:
    """Whose labs these are: two users, or two folders of one, never touch each other's."""
    return hashlib.sha256(str(folder.parent.absolute()).encode()).hexdigest()[:12]


def _is_there(folder: Path) -> bool:
    return folder.is_dir()


def _lock_path(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.lock"


def _prober(runner: Runner, objects: Objects, as_seen: Callable[[Sequence[Manifest]], list[Manifest]]) -> Prober:
    from labs.kube.probing import Prober

    async def seen() -> Sequence[Manifest]:
        return as_seen(await objects())

    return Prober(runner, seen)


def _port(*args: object, **named: object) -> KubeCluster:
    from labs.kube.cluster import KubeCluster

    return KubeCluster(*args, **named)  # type: ignore[arg-type]


async def _nobody(_lines: Sequence[str]) -> bool:
    """What nobody is asked is not agreed to."""
    return False


def _connect(kubeconfig: Path) -> Api:
    from labs.kube.client import connect

    return connect(kubeconfig)


def _engine() -> Engine:
    from labs.kind import dockersdk

    return dockersdk.connect()
