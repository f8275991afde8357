"""One lab as a person meets it: everything the app and the commands do with it, in one place.

Both front ends call this and nothing below it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from content.errors import BrokenContentError, UsageError
from content.yamlio import read_manifests
from grader.errors import InfrastructureError
from labs import kubectl
from labs.base import Phase, Request
from labs.located import locate, places
from labs.store import LAB_POINTER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from content import model
    from content.model import Hint, Lab
    from grader.ports import Cluster, Execution, Manifest
    from grader.report import Cell, CellKey, Report
    from labs.base import Backend, Running
    from labs.progress import ProgressStore


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the matrix would be after a manifest is applied: computed, not probed.

    `cells` has the whole matrix; `changed` the keys that differ from the matrix of the objects as they are now.
    `error` is the reader's message when the text is no usable manifest (the cells are then empty).
    """

    cells: tuple[Cell, ...] = ()
    changed: frozenset[CellKey] = frozenset()
    error: str = ""


def objects_of(manifests: Iterable[model.Manifest]) -> tuple[Manifest, ...]:
    """The objects of several files, in their order."""
    return tuple(dict(item) for manifest in manifests for item in manifest.objects)


class LabSession:
    """A lab and where it runs.

    Args:
        lab: as loaded.
        backend: where it runs.
        folder: the cluster's own folder on disk.
        work: the learner's own folder for this lab; never deleted by netdojo, `reset` included.
        progress: where results are kept; None for runs that do not count (a demo, a proof) and make no work folder.
        name: the cluster's name, when it is not the lab's.
    """

    def __init__(
        self,
        lab: Lab,
        backend: Backend,
        folder: Path,
        work: Path,
        progress: ProgressStore | None = None,
        *,
        name: str = "",
    ) -> None:
        self.lab = lab
        self.backend = backend
        self.folder = folder
        self.work = work
        self.progress = progress
        self.name = name or lab.id

    async def status(self) -> Running:
        """What is there now."""
        return await self.backend.find(self.name, self.folder)

    async def start(self, progress: Callable[[str], None]) -> Running:
        """Start the lab, or find it running. The untouched start files are applied; the work folder is made."""
        missing = set(self.lab.spec.needs) - self.backend.can().has
        if missing:
            raise UsageError(
                f"lab {self.lab.id} needs {', '.join(sorted(missing))}, which {self.backend.name} does not have here",
                remedy=f"the lab runs on: {', '.join(self.lab.spec.backends)}; netdojo doctor says what is missing",
            )
        request = Request(
            self.name,
            self.lab.spec.topology,
            objects_of(self.lab.start),
            self.lab.spec.topology.hosts,
            namespace=self.lab.spec.namespace,
            transient=self.progress is None,
            needs=self.lab.spec.needs,
        )
        try:
            running = await self.backend.start(request, self.folder, progress)
        except BrokenContentError as error:
            raise locate(error, places(self.lab.start)) from error
        if self.progress is not None:
            self._make_work_folder()
        return running

    def _make_work_folder(self) -> None:
        """The learner's folder with the start manifests to read; a file that is there is never written over."""
        try:
            start = self.work / "start"
            start.mkdir(parents=True, exist_ok=True)
            for manifest in self.lab.start:
                target = start / manifest.path.name
                if not target.exists():
                    target.write_text(manifest.text, encoding="utf-8")  # as it was read, whatever the file is now
            if not self.lab.chapter:  # it comes from a folder of the user's: later commands find it by its id
                (self.work / LAB_POINTER).write_text(str(self.lab.folder.resolve()), encoding="utf-8")
        except OSError as error:
            raise InfrastructureError(
                f"the work folder {self.work} cannot be written: {error.strerror or error}",
                remedy="free some space or mend its permissions, or set NETDOJO_HOME to another folder",
            ) from error

    async def cluster(self) -> Cluster:
        """The running cluster.

        Raises:
            UsageError: the lab is not running.
        """
        running = await self.status()
        if running.phase is not Phase.READY:
            raise UsageError(f"lab {self.name} is {running.phase}", remedy=f"netdojo lab start {self.lab.id}")
        return await self.backend.connect(running)

    async def check(self) -> Report:
        """Grade by traffic now; progress is recorded."""
        report = await self.grade()
        self.record(report)
        return report

    async def grade(self) -> Report:
        """Grade by traffic now, and record nothing."""
        from grader.grade import grade

        return await grade(self.lab, await self.cluster(), hint_cost=self.hint_cost())

    def record(self, report: Report) -> None:
        """Keep a grading, where it counts.

        Raises:
            InfrastructureError: it cannot be written; what was kept before is still there.
        """
        if self.progress is not None:
            self.progress.record(report)

    async def matrix(self) -> tuple[Cell, ...]:
        """The whole matrix as it is now, each cell with what the tasks together expect (`ANY`: nothing)."""
        from grader.grade import observe

        return await observe(self.lab, await self.cluster())

    async def explain(self, key: CellKey) -> tuple[str, ...]:
        """Why a cell is what it is, as sentences; the first is the verdict."""
        from grader.grade import explain_cell

        return explain_cell(self.lab, await (await self.cluster()).snapshot(), key)

    async def explain_arrow(self, arrow: str) -> tuple[str, ...]:
        """As `explain`, for every cell that an arrow covers.

        Raises:
            ArrowError: the text is no arrow.
            UsageError: it covers no cell of this lab.
        """
        from grader.grade import cells_of, explain_cell

        cluster = await self.cluster()
        snapshot = await cluster.snapshot()
        keys = cells_of(self.lab, snapshot, arrow)
        if not keys:
            raise UsageError(f"no cell of this lab is {arrow!r}", remedy="netdojo lab matrix shows them all")
        return tuple(line for key in keys for line in explain_cell(self.lab, snapshot, key))

    async def predict(self, manifest: str) -> Prediction:
        """What applying this text would do to the matrix."""
        from grader.grade import observe
        from grader.simulate import SimulatedCluster

        try:
            objects = [item for item, _line in read_manifests(manifest)]
        except BrokenContentError as error:
            return Prediction(error=error.message)
        simulated = SimulatedCluster(await (await self.cluster()).snapshot())
        before = {cell.key: cell.is_open for cell in await observe(self.lab, simulated)}
        try:
            await simulated.apply(in_namespace(objects, self.lab.spec.namespace))
            cells = await observe(self.lab, simulated)
        except BrokenContentError as error:
            return Prediction(error=error.message)
        changed = frozenset(cell.key for cell in cells if before.get(cell.key) != cell.is_open)
        return Prediction(cells, changed)

    async def version(self) -> str:
        """Changes whenever an object of the cluster changes; cheap enough to ask every half second (watch mode)."""
        return await (await self.cluster()).version()

    async def kubectl(self, *arguments: str) -> Execution:
        """Run kubectl on the lab, in the work folder."""
        return await kubectl.run(arguments, self.environment(), folder=self.work if self.work.is_dir() else None)

    def environment(self) -> Mapping[str, str]:
        """Variables for a shell on this lab: KUBECONFIG, PATH with kubectl, and the lab's name."""
        return kubectl.environment(self.folder / "kubeconfig", self.lab.id)

    def hints(self, task: str) -> tuple[Hint, ...]:
        """The hints taken so far."""
        taken = self.progress.hints(self.lab.id, task) if self.progress is not None else 0
        return self._task(task).hints[:taken]

    def take_hint(self, task: str) -> Hint | None:
        """Take the next hint at its cost; None when there are no more."""
        hints = self._task(task).hints
        taken = len(self.hints(task))
        if taken >= len(hints):
            return None
        if self.progress is not None:
            self.progress.add_hint(self.lab.id, task)
        return hints[taken]

    def hint_cost(self) -> int:
        """Points lost by the hints taken so far."""
        return sum(hint.cost for task in self.lab.spec.tasks for hint in self.hints(task.id))

    def _task(self, task: str) -> model.Task:
        for candidate in self.lab.spec.tasks:
            if candidate.id == task:
                return candidate
        known = ", ".join(candidate.id for candidate in self.lab.spec.tasks)
        raise UsageError(f"lab {self.lab.id} has no task {task!r}", remedy=f"its tasks are: {known}")

    async def reset(self, progress: Callable[[str], None]) -> None:
        """Back to the untouched start; the work folder stays."""
        await self.stop()
        await self.start(progress)

    async def stop(self, *, delete: bool = False) -> None:
        """Remove the cluster; the work folder and the progress stay.

        `delete`: also where a cluster would be kept for the next lab.
        """
        await self.backend.stop(self.name, self.folder, delete=delete)


CLUSTER_WIDE = frozenset(
    {
        *("Namespace", "Node", "ClusterNetworkPolicy", "GlobalNetworkPolicy", "Tier", "IngressClass", "GatewayClass"),
        *("FelixConfiguration", "IPPool", "GlobalNetworkSet", "HostEndpoint", "Profile", "Installation"),
    }
)


def in_namespace(objects: Iterable[Manifest], namespace: str) -> list[Manifest]:
    """The objects with the namespace that kubectl would give them: their own, else the context's."""
    return [
        item
        if item.get("kind") in CLUSTER_WIDE
        else {**item, "metadata": {**(item.get("metadata") or {}), "namespace": _namespace(item) or namespace}}
        for item in objects
    ]


def _namespace(item: Manifest) -> str:
    return str((item.get("metadata") or {}).get("namespace") or "")
