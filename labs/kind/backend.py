"""`labs.base.Backend` for kind: start, find, connect, stop.

Every change to a lab's folder is made under one lock beside it, so that two starts at once make one cluster. Clusters
have records and locks of their own (`labs.kind.state`): a lab has one for as long as it runs.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING

import yaml

from grader.errors import ClusterGoneError, InfrastructureError, NotCapableError
from grader.ports import Capabilities
from labs import store
from labs.base import Phase, Running
from labs.kind import config, dataplane, emptiness, endpoint, hosts, labfolder, port, settings, state
from labs.kind.binary import KindProgram
from labs.kind.calico import manifests, sources
from labs.kind.create import Maker
from labs.kind.phases import Phases, heard
from labs.kind.pool import Clusters, finish
from labs.kind.port import Parts
from labs.kind.reset import Cleaner
from labs.kind.runner import EngineRunner
from labs.kind.state import Pool, Stage
from labs.kube.patience import awake
from labs.locks import FileLock, is_held

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from labs.base import Request
    from labs.kind.binary import Program
    from labs.kind.config import Plan
    from labs.kind.engine import Engine
    from labs.kind.port import Port
    from labs.kind.settings import KindSettings
    from labs.kind.state import Record
    from labs.kube.api import Api

_HAS = frozenset({"multi-node", "ipv6", "hosts", "calico", "ebpf"})
_PATIENCE_SECONDS = 15.0
"""What an API may take that was asleep with its machine, before a lab's cluster is given up for it."""


def _nobody(_line: str) -> None:
    """Hears no progress."""


class KindBackend:
    """Real clusters in containers.

    Args:
        chosen: the user's settings; read where left out.
        engine: where clusters run; Docker's, where left out.
        program: kind; the one that the settings name, where left out.
        pool: the folder of all clusters; that of the user's state, where left out.
        connect: gives the API behind a kubeconfig.
        make_port: makes the port to a cluster.
    """

    name = "kind"

    def __init__(
        self,
        chosen: KindSettings | None = None,
        *,
        engine: Engine | None = None,
        program: Program | None = None,
        pool: Path | None = None,
        connect: Callable[[Path], Api] = port.connect_api,
        make_port: Callable[[Parts], Port] = port.make,
    ) -> None:
        self._settings = settings.load() if chosen is None else chosen
        self._engine = engine
        self._program = KindProgram(self._settings.binary) if program is None else program
        self._pool = Pool(store.folders().state / state.FOLDER if pool is None else pool)
        self._connect_anew = connect
        self._port = make_port
        self._home = hashlib.sha256(str(self._pool.folder.absolute()).encode()).hexdigest()[:12]
        self._open: dict[tuple[str, str, int], Port] = {}
        self._apis: dict[tuple[Path, int], Api] = {}
        self._held: list[FileLock] = []

    def can(self) -> Capabilities:
        """What a cluster made here would be capable of.

        Raises:
            NotCapableError: the SDK or the kind program is missing.
            InfrastructureError: no engine answers.
        """
        if isinstance(self._program, KindProgram):
            self._program.found()
        if self._engine is None and (refusal := endpoint.diagnose(endpoint.find())) is not None:
            raise NotCapableError(refusal.reason, remedy="; or ".join(refusal.remedies))
        self._engine_here()
        return self._capabilities((4, 6), config.IPTABLES)

    async def start(self, request: Request, folder: Path, progress: Callable[[str], None]) -> Running:
        """Make it, or find it running. Cancelling cleans up.

        Raises:
            InfrastructureError: it cannot run here, with what to do.
            BrokenContentError: an object was refused.
        """
        progress = heard(progress)
        progress("looking at Docker and at the clusters that run")
        store.make_private(folder.parent)
        async with state.locked(labfolder.lock_path(folder), request.name, progress):
            found = await self._look(request.name, folder, _PATIENCE_SECONDS, progress)
            if found.phase is Phase.READY:
                progress(f"{request.name} is running already")
                return found
            clusters = self._clusters(request.namespace)
            # One that is broken had its time to answer; what else there is of the lab has not been looked at.
            await self._clear(folder, progress, patience=0 if found.phase is Phase.BROKEN else _PATIENCE_SECONDS)
            await clusters.sweep(progress)
            phases = Phases(progress)
            calico = sources.of(self._settings)
            plan = config.plan_of(request.topology, self._settings, calico.identity())
            images = manifests.images(request.objects)
            store.make_private(folder)
            try:
                labfolder.write(folder, "", request)
                if request.transient:
                    self._hold(folder)

                async def begin(record: Record) -> None:
                    await self._cluster(record, request.namespace).begin(emptiness.workloads(request.objects))

                record = await clusters.take(request.name, plan, calico, images, phases, begin)
                labfolder.write(folder, record.name, request)
                self._write_kubeconfig(record, folder, request.namespace)
                if request.hosts:
                    with phases.phase("outside hosts"):
                        record = await self._with_hosts(record, request.hosts)
                if "ebpf" in request.needs:
                    await dataplane.require_programs(self._cluster(record, request.namespace))
                with phases.phase("applying the lab's objects, until every node enforces them"):
                    await self._cluster(record, request.namespace).apply(request.objects)
                labfolder.write(folder, record.name, request, ready=True)
            except BaseException:
                await finish(self._clear(folder, progress))
                raise
            return await self._look(request.name, folder)

    async def find(self, name: str, folder: Path) -> Running:
        """What is there now; what a killed command left is removed.

        Raises:
            InfrastructureError: Docker does not answer.
        """
        found = await self._look(name, folder)
        if found.phase is Phase.STARTING:
            lock = FileLock.acquire(labfolder.lock_path(folder))
            if lock is None:
                return found  # a command is at work on it
            try:
                await self._clear(folder, _nobody)
            finally:
                lock.remove()
            return Running(name, self.name, Phase.ABSENT, folder)
        return found

    async def connect(self, running: Running) -> Port:
        """The port for a ready cluster.

        Raises:
            ClusterGoneError: it is not there any more.
        """
        lab = labfolder.read(running.folder)
        record = self._pool.read(str(lab.get("cluster", "")))
        if record is None or record.lab != running.name:
            raise ClusterGoneError(
                f"the cluster of {running.name} is gone", remedy=f"netdojo lab start {running.name} makes it again"
            )
        return self._cluster(record, str(lab.get("namespace", "default")))

    async def stop(self, name: str, folder: Path, *, delete: bool = False) -> None:
        """Give the cluster back, clean, for the next lab; `delete` removes it. Nothing there is fine.

        Raises:
            InfrastructureError: it cannot be removed.
        """
        if not folder.parent.is_dir():
            return
        async with state.locked(labfolder.lock_path(folder), name, _nobody):
            await self._clear(folder, _nobody, delete=delete)

    async def end_kept(self, tell: Callable[[str], None]) -> tuple[str, ...]:
        """Remove the clusters that run for nobody; the names of those that were removed.

        Raises:
            InfrastructureError: one cannot be removed.
        """
        free = [record.name for record in self._pool.records() if record.stage is Stage.FREE]
        return tuple([name for name in free if await self._clusters().end_kept(name, tell)])

    async def _look(
        self, name: str, folder: Path, patience: float = 0.0, tell: Callable[[str], None] = _nobody
    ) -> Running:
        """What is there, changing nothing; an API that says nothing has these seconds to find its words."""
        lab = labfolder.read(folder)
        if not lab and not folder.is_dir():  # noqa: ASYNC240 - one question to the local disk
            return Running(name, self.name, Phase.ABSENT, folder)
        if not lab.get("ready") or (lab["transient"] and not is_held(folder / state.HOLDER)):
            return Running(name, self.name, Phase.STARTING, folder)
        record = self._pool.read(str(lab.get("cluster", "")))
        kubeconfig = folder / state.KUBECONFIG
        if record is not None and (record.stage is not Stage.TAKEN or record.lab != name):
            return Running(name, self.name, Phase.STARTING, folder)  # a stop that was ended after it gave it back
        if record is None:
            return Running(name, self.name, Phase.BROKEN, folder, detail="its cluster was removed")
        try:
            wrong = await self._wrong(record, patience, tell)
        except InfrastructureError as error:
            wrong = error.message
        if wrong:
            return Running(name, self.name, Phase.BROKEN, folder, kubeconfig, detail=wrong)
        return Running(name, self.name, Phase.READY, folder, kubeconfig, detail=f"{record.name}, {record.dataplane}")

    async def _wrong(self, record: Record, patience: float, tell: Callable[[str], None]) -> str:
        """Why a lab's cluster does not work; empty when it does.

        Raises:
            InfrastructureError: the engine does not tell.
        """
        nodes = {node.id: node for node in await self._maker().nodes(record.name)}
        if not nodes and await self._maker().is_elsewhere(record):
            return f"the cluster {record.name} runs on another Docker engine than the one that answers now"
        if not nodes:
            return f"the cluster {record.name} was removed"
        for wanted in record.nodes:
            if wanted not in nodes:
                return f"a node of the cluster {record.name} was removed or made anew"
            if not nodes[wanted].runs:
                return f"the node {nodes[wanted].name} is {nodes[wanted].state}: Docker may have been restarted"
        try:
            await awake(self._connect(self._pool.of(record.name) / state.KUBECONFIG), patience, tell)
        except InfrastructureError as error:
            return error.message
        return ""

    async def _clear(
        self,
        folder: Path,
        tell: Callable[[str], None],
        *,
        delete: bool = False,
        patience: float | None = None,
    ) -> None:
        """End what there is of a lab: its cluster goes back to the pool, its folder is removed."""
        for record in self._pool.records():
            if record.lab == folder.name and record.stage is not Stage.FREE:
                self._forget_open(record)
                seconds = _PATIENCE_SECONDS if patience is None else patience
                broken = record.stage is Stage.TAKEN and bool(await self._wrong(record, seconds, tell))
                await self._clusters().give_back(record.name, tell, delete=delete or broken)
        labfolder.remove(folder)

    def _cluster(self, record: Record, namespace: str = "default") -> Port:
        """The port to a cluster: kept, since its watches are worth keeping."""
        self._forget_gone()
        folder = self._pool.of(record.name)
        key = (record.name, namespace, _age(folder / state.KUBECONFIG))
        if key not in self._open:
            runner = EngineRunner(self._engine_here(), record.name)
            able = self._capabilities(record.families, record.dataplane, dict(record.hosts))
            api = self._connect(folder / state.KUBECONFIG)
            image, lock = self._settings.workload_image, folder / "turn.lock"
            self._open[key] = self._port(Parts(api, runner, able, namespace, image, lock))
        return self._open[key]

    def _connect(self, kubeconfig: Path) -> Api:
        """The API behind a kubeconfig: kept for as long as the file is the same."""
        key = (kubeconfig, _age(kubeconfig))
        if key not in self._apis:
            self._apis[key] = self._connect_anew(kubeconfig)
        return self._apis[key]

    async def _with_hosts(self, record: Record, names: Sequence[str]) -> Record:
        """Have these outside hosts beside a cluster."""
        addresses = await hosts.ensure(self._engine_here(), await self._beside(record), names)
        found = dataclasses.replace(record, hosts=tuple(addresses.items()))
        self._pool.write(found)
        self._forget_open(record)  # a port that was made before does not know them
        return found

    async def _beside(self, record: Record) -> hosts.Beside:
        nodes = await self._maker().nodes(record.name)
        return hosts.Beside(record.name, self._home, self._settings.node_image, nodes, record.families)

    def _forget_open(self, record: Record) -> None:
        for key in [key for key in self._open if key[0] == record.name]:
            self._open.pop(key).close()

    def _forget_gone(self) -> None:
        """Follow no more what was removed, or made anew under the same name."""
        for key in [key for key in self._open if _age(self._pool.of(key[0]) / state.KUBECONFIG) != key[2]]:
            self._open.pop(key).close()
        for file in [file for file in self._apis if _age(file[0]) != file[1]]:
            del self._apis[file]

    def _capabilities(
        self, families: tuple[int, ...], dataplane: str, beside: Mapping[str, tuple[str, ...]] | None = None
    ) -> Capabilities:
        return Capabilities(
            self.name,
            dataplane,
            simulated=False,
            families=families,
            protocols=("TCP", "UDP", "ICMP"),
            has=_HAS if 6 in families else _HAS - {"ipv6"},
            hosts=beside or {},
        )

    def _engine_here(self) -> Engine:
        if self._engine is None:
            from labs.kind import dockersdk

            self._engine = dockersdk.connect()
        return self._engine

    def _maker(self) -> Maker:
        check = self._check if isinstance(self._program, KindProgram) else None
        return Maker(self._engine_here(), self._program, self._pool, self._home, self._connect, check)

    async def _check(self, plan: Plan, tell: Callable[[str], None]) -> None:
        """Look at the machine before anything is made on it."""
        from labs.kind import checkup

        ports = [(outside, protocol) for outside, _inside, protocol in plan.ports]
        for each in await checkup.require(self._engine_here(), self._program, self._settings, ports):
            tell(f"note: {each.what}: {each.detail}")

    def _clusters(self, namespace: str = "default") -> Clusters:
        engine = self._engine_here()
        cleaner = Cleaner(
            engine, self._pool, self._connect, lambda record: self._cluster(record, namespace), self._home
        )
        return Clusters(engine, self._maker(), cleaner, self._pool, self._home)

    def _write_kubeconfig(self, record: Record, folder: Path, namespace: str) -> None:
        text = (self._pool.of(record.name) / state.KUBECONFIG).read_text(encoding="utf-8")
        found = yaml.safe_load(text)
        for context in found["contexts"]:
            context["context"]["namespace"] = namespace
        with store.explained("write", folder / state.KUBECONFIG):
            store.write_atomically(folder / state.KUBECONFIG, yaml.safe_dump(found, sort_keys=False))

    def _hold(self, folder: Path) -> None:
        """Hold a lock for as long as this process lives."""
        lock = FileLock.acquire(folder / state.HOLDER)
        if lock is not None:
            self._held.append(lock)


def _age(file: Path) -> int:
    """When a file was last written; 0 when it is not there."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0
