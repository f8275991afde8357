"""Proofs that a lab works, by traffic.

The untouched start fails every task, the solution passes every task, and each known mistake fails exactly where the lab
says. A lab that cannot prove this is not shipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.grade import cells_of, grade
from grader.report import State
from labs.fitting import fit
from labs.session import in_namespace, objects_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from content.model import Lab
    from grader.ports import Cluster, Manifest
    from grader.report import Report, TaskReport
    from labs.session import LabSession


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that a lab claims, and whether it held: `answer` is start, solution or a mistake's name."""

    lab: str
    answer: str
    round: int
    held: bool
    problems: tuple[str, ...] = ()


async def prove(session: LabSession, rounds: int, progress: Callable[[str], None]) -> list[Claim]:
    """Prove every claim of a lab, `rounds` times over, and leave nothing running.

    Raises:
        grader.errors.InfrastructureError: it could not run, which says nothing about the lab.
    """
    claims: list[Claim] = []
    try:
        for number in range(1, rounds + 1):
            for name, objects in answers(session.lab):
                progress(f"{session.lab.id}: round {number} of {rounds}, {name}")
                await session.stop()
                await session.start(lambda _phase: None)
                cluster = await session.cluster()
                fitting = fit(objects, await cluster.snapshot())
                await cluster.apply(in_namespace(fitting, session.lab.spec.namespace))
                claims.append(await examine(session.lab, cluster, name, number))
    finally:
        await session.stop()
    return claims


def answers(lab: Lab) -> Iterator[tuple[str, tuple[Manifest, ...]]]:
    """Every state that is proven: the untouched start (nothing applied), the solution, each mistake."""
    yield "start", ()
    yield "solution", objects_of(lab.solution)
    for name, manifests in lab.mistakes.items():
        yield name, objects_of(manifests)


async def examine(lab: Lab, cluster: Cluster, name: str, number: int) -> Claim:
    """Compare what the traffic is, with an answer in place, with what the lab claims of that answer."""
    report = await grade(lab, cluster, explain=False)
    snapshot = await cluster.snapshot()

    def cells(arrows: Iterable[str]) -> frozenset[str]:
        return frozenset(str(key) for arrow in arrows for key in cells_of(lab, snapshot, arrow))

    problems = tuple(judge(lab, name, report, cells))
    return Claim(lab.id, name, number, held=not problems, problems=problems)


def judge(lab: Lab, name: str, report: Report, cells: Callable[[Iterable[str]], frozenset[str]]) -> Iterator[str]:
    """What a report shows that the lab does not claim; `cells` gives the matrix cells that arrows mean."""
    if name == "start":
        for task in report.tasks:
            if task.held:
                yield f"task {task.id} already holds at the untouched start: it asks for nothing"
            elif task.earned:
                yield f"task {task.id} earns {task.earned} points at the untouched start"
        return
    fails = lab.spec.mistakes[name].fails if name in lab.spec.mistakes else {}
    for task in report.tasks:
        opened, closed = _differing(task, State.OVER_PERMISSION), _differing(task, State.OVER_RESTRICTION)
        if task.id not in fails:
            if not task.held:
                differing = sorted(opened | closed | _unmet(task))
                yield f"task {task.id} fails with {name}: {', '.join(differing) or 'no cell differs'}"
            continue
        if task.held:
            yield f"task {task.id} passes with the mistake {name}, and should fail"
        yield from _compare(f"task {task.id}: opens", opened, cells(fails[task.id].opens))
        yield from _compare(f"task {task.id}: closes", closed, cells(fails[task.id].closes))
        yield from _compare(f"task {task.id}: dataplane lacks", _unmet(task), frozenset(fails[task.id].dataplane))


def _differing(task: TaskReport, state: State) -> frozenset[str]:
    return frozenset(str(cell.key) for check in task.checks for cell in check.cells if cell.state is state)


def _unmet(task: TaskReport) -> frozenset[str]:
    return frozenset(item.name for check in task.checks for item in check.unmet)


def _compare(what: str, seen: frozenset[str], claimed: frozenset[str]) -> Iterator[str]:
    if extra := seen - claimed:
        yield f"{what} what the lab does not say: {', '.join(sorted(extra))}"
    if missing := claimed - seen:
        yield f"{what} less than the lab says: {', '.join(sorted(missing))} did not differ"
