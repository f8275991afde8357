"""A lab and a cluster to a report: what the traffic does, against what the tasks ask."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from content.arrows import parse
from grader.baseline import baseline, world_of
from grader.checks import connectivity, credit, dataplane
from grader.checks.expect import combined, expect
from grader.dataplane import ShowsDataplane
from grader.errors import ClusterGoneError, InfrastructureError, NotCapableError
from grader.explanation import explain as explain_planned
from grader.explanation import why
from grader.kube.parse import read_objects
from grader.matrix import all_cells, build
from grader.plan import plan
from grader.ports import Outcome
from grader.reachability.world import World
from grader.report import CheckReport, Report, State, TaskReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from content.model import Check, Lab, Task
    from grader.checks.expect import Wanted
    from grader.dataplane import DataplaneFacts
    from grader.kube.model import Objects
    from grader.matrix import Matrix
    from grader.plan import Planned
    from grader.ports import Capabilities, Cluster, Manifest, Observation, Probe
    from grader.report import Cell, CellKey


class _StuckError(InfrastructureError):
    """Probes could not be made, twice."""


async def grade(lab: Lab, cluster: Cluster, *, hint_cost: int = 0, explain: bool = True) -> Report:
    """Grade a lab by traffic.

    Args:
        lab: what is asked.
        cluster: where it is judged.
        hint_cost: points lost by hints.
        explain: say for each differing cell which rule decided.

    Raises:
        NotEnforcedError: the dataplane lets a denied packet through, so nothing here would prove anything.
        InfrastructureError: a probe could not be made, and not on a second try either. Never a wrong answer.
        content.errors.BrokenContentError: the lab contradicts itself.
    """
    able = cluster.capabilities
    _require_families(lab, able)
    facts = await _look(lab, cluster)
    try:
        await cluster.prove_enforcement()
        try:
            tasks = await _grade_tasks(lab, cluster, facts, explain=explain)
        except _StuckError:
            # A rollout may have replaced pods between the snapshot and their probes: look again, once.
            tasks = await _grade_tasks(lab, cluster, facts, explain=explain)
    except ClusterGoneError:
        raise
    except InfrastructureError as error:
        # Where the lab is about the dataplane, an agent that does not work, or Services that nobody carries, are the
        # answer's doing: that is a wrong answer, and the traffic of such a cluster is not judged.
        if facts is None or not facts.broken:
            raise
        tasks = await _grade_broken(lab, cluster, facts, error)
    carried = "ebpf" if facts is not None and dataplane.is_ebpf(facts) else able.dataplane
    return Report(lab.id, able.backend, carried, able.simulated, tasks, hint_cost)


async def _look(lab: Lab, cluster: Cluster) -> DataplaneFacts | None:
    """What the nodes show, where a check of the lab asks about it."""
    if not any(check.dataplane for task in lab.spec.tasks for check in task.checks):
        return None
    if not isinstance(cluster, ShowsDataplane):
        raise NotCapableError(
            f"lab {lab.id} judges the nodes' dataplane, which {cluster.capabilities.backend} does not show",
            remedy=f"it runs on: {', '.join(lab.spec.backends)}",
        )
    return await cluster.dataplane()


async def _grade_tasks(
    lab: Lab, cluster: Cluster, facts: DataplaneFacts | None, *, explain: bool
) -> tuple[TaskReport, ...]:
    objects = read_objects(await cluster.snapshot())
    hosts = cluster.capabilities.hosts
    matrix = build(lab, objects, hosts)
    start = baseline(lab, objects, all_cells(lab, matrix), hosts)
    asked = {
        task.id: tuple(expect(lab, check, matrix, start) for check in task.connectivity) for task in lab.spec.tasks
    }
    planned = plan(matrix, (key for checks in asked.values() for check in checks for key in check))
    seen = await _probe(cluster, planned.values())
    world = world_of(objects, hosts) if explain else None
    tasks = []
    for task in lab.spec.tasks:
        judged = iter([_judge(matrix, planned, seen, wanted, world) for wanted in asked[task.id]])
        checks = []
        for check in task.checks:
            if check.dataplane is not None and facts is not None:
                checks.append(_on_nodes(check, facts, objects, lab.spec.namespace))
            else:
                cells = next(judged)
                _require_run(cells, matrix)
                checks.append(_by_traffic(cells, start))
        tasks.append(_task(task, checks, start))
    return tuple(tasks)


async def _grade_broken(
    lab: Lab, cluster: Cluster, facts: DataplaneFacts, error: InfrastructureError
) -> tuple[TaskReport, ...]:
    """Grade a cluster whose dataplane does not work: its nodes are judged, its traffic holds nowhere."""
    objects = read_objects(await cluster.snapshot())
    unproven = CheckReport("connectivity", held=False, share=0.0, messages=(f"traffic is not judged: {error.message}",))
    tasks = []
    for task in lab.spec.tasks:
        checks = [
            unproven if check.dataplane is None else _on_nodes(check, facts, objects, lab.spec.namespace)
            for check in task.checks
        ]
        held = all(check.held for check in checks)
        tasks.append(TaskReport(task.id, task.title, task.points, task.points if held else 0, held, tuple(checks)))
    return tuple(tasks)


async def observe(lab: Lab, cluster: Cluster) -> tuple[Cell, ...]:
    """The whole matrix as the traffic is now, each cell with what all tasks together ask (`ANY`: nothing).

    For looking, not for grading: enforcement is not proven first, and a cell whose probes could not be made is marked
    COULD_NOT_RUN.

    Raises:
        InfrastructureError: the cluster does not answer.
    """
    _require_families(lab, cluster.capabilities)
    objects = read_objects(await cluster.snapshot())
    hosts = cluster.capabilities.hosts
    matrix = build(lab, objects, hosts)
    wanted = combined(lab, matrix, baseline(lab, objects, all_cells(lab, matrix), hosts))
    planned = plan(matrix, wanted)
    return _judge(matrix, planned, await _probe(cluster, planned.values()), wanted, None)


def explain_cell(lab: Lab, snapshot: Iterable[Manifest], key: CellKey) -> tuple[str, ...]:
    """Why a cell is open or closed under the rules as they are, as sentences; the first is the verdict."""
    objects = read_objects(snapshot)
    return explain_planned(World(objects), plan(build(lab, objects), [key])[key])


def cells_of(lab: Lab, snapshot: Iterable[Manifest], arrow: str) -> tuple[CellKey, ...]:
    """The cells that an arrow means in a lab, in the order of its matrix.

    Raises:
        content.arrows.ArrowError: the text is no arrow.
        content.errors.UsageError: it names what the lab does not have.
    """
    return build(lab, read_objects(snapshot)).expand(parse(arrow))


def _require_families(lab: Lab, able: Capabilities) -> None:
    missing = {4 if family == "ipv4" else 6 for family in lab.spec.topology.families} - set(able.families)
    if missing:
        raise NotCapableError(
            f"lab {lab.id} needs IPv{min(missing)}, which pods of this cluster do not have",
            remedy="netdojo doctor says whether this machine has it",
        )


async def _probe(cluster: Cluster, planned: Iterable[Planned]) -> dict[Probe, Observation]:
    """Every probe once, and those that could not be made once more."""
    probes = list(dict.fromkeys(probe for item in planned for probe in item.probes))
    seen = dict(zip(probes, await cluster.probe(probes), strict=True))
    again = [probe for probe in probes if seen[probe].outcome is Outcome.ERROR]
    if again:
        seen |= zip(again, await cluster.probe(again), strict=True)
    return seen


def _judge(
    matrix: Matrix,
    planned: Mapping[CellKey, Planned],
    seen: Mapping[Probe, Observation],
    wanted: Mapping[CellKey, Wanted],
    world: World | None,
) -> tuple[Cell, ...]:
    cells = []
    for key, asked in wanted.items():
        observations = [seen[probe] for probe in planned[key].probes]
        clients = matrix.addresses(asked.seen_as) if asked.seen_as else frozenset[str]()
        cell = connectivity.judge(planned[key], asked, observations, clients)
        if world is not None and cell.state.wrong:
            cell = replace(cell, why=why(world, cell))
        cells.append(cell)
    return tuple(cells)


def _require_run(cells: Iterable[Cell], matrix: Matrix) -> None:
    stuck = [cell for cell in cells if cell.state is State.COULD_NOT_RUN]
    if not stuck:
        return
    pods = (pod for endpoint in matrix.endpoints.values() for pod in endpoint.pods)
    waiting = [pod.ref for pod in pods if not pod.addresses]
    reasons = [f"pod {ref} does not run" for ref in waiting] or [f"{cell.key}: {', '.join(cell.why)}" for cell in stuck]
    more = f" (and {len(reasons) - 3} more)" if len(reasons) > 3 else ""
    raise _StuckError(
        f"the lab could not be judged, the answer is neither right nor wrong: {'; '.join(reasons[:3])}{more}",
        remedy="look whether all pods run (kubectl get pods -A), then check again",
    )


def _by_traffic(cells: tuple[Cell, ...], start: Mapping[CellKey, bool]) -> CheckReport:
    return CheckReport(
        kind="connectivity",
        held=all(cell.state is State.AS_EXPECTED for cell in cells),
        share=credit.share(cells, start),
        cells=cells,
    )


def _on_nodes(check: Check, facts: DataplaneFacts, objects: Objects, namespace: str) -> CheckReport:
    judged = dataplane.judge(check.dataplane, facts, objects, namespace) if check.dataplane else ()
    return CheckReport(
        kind="dataplane",
        held=all(requirement.held for requirement in judged),
        share=credit.share((), {}, judged),
        requirements=judged,
    )


def _task(task: Task, checks: Sequence[CheckReport], start: Mapping[CellKey, bool]) -> TaskReport:
    cells = [cell for check in checks for cell in check.cells]
    requirements = [requirement for check in checks for requirement in check.requirements]
    earned = credit.points(cells, start, task.points, requirements)
    return TaskReport(task.id, task.title, task.points, earned, all(check.held for check in checks), tuple(checks))
