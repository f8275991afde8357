"""A lab's session over a backend whose clusters are computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from content.errors import UsageError
from content.load import find_lab
from content.model import LabSpec
from grader.errors import InfrastructureError
from grader.ports import Capabilities
from grader.simulate import SimulatedCluster
from labs import author
from labs.base import Phase, Request, Running
from labs.progress import ProgressStore
from labs.session import LabSession, in_namespace, objects_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class ComputedBackend:
    """Clusters in memory."""

    name = "computed"

    def __init__(self) -> None:
        self.clusters: dict[str, SimulatedCluster] = {}
        self.started: list[str] = []

    def can(self) -> Capabilities:
        return Capabilities(self.name, "model", simulated=True, has=frozenset({"multi-node"}))

    async def start(self, request: Request, folder: Path, progress: Callable[[str], None]) -> Running:
        progress("starting")
        self.started.append(request.name)
        objects = in_namespace([dict(item) for item in request.objects], request.namespace)
        self.clusters.setdefault(request.name, SimulatedCluster(objects))
        return await self.find(request.name, folder)

    async def find(self, name: str, folder: Path) -> Running:
        phase = Phase.READY if name in self.clusters else Phase.ABSENT
        return Running(name, self.name, phase, folder)

    async def connect(self, running: Running) -> SimulatedCluster:
        return self.clusters[running.name]

    async def stop(self, name: str, folder: Path, *, delete: bool = False) -> None:
        del folder, delete
        self.clusters.pop(name, None)


@pytest.fixture
def backend() -> ComputedBackend:
    return ComputedBackend()


@pytest.fixture
def session(backend: ComputedBackend, tmp_path: Path) -> LabSession:
    progress = ProgressStore(tmp_path / "progress.db")
    return LabSession(find_lab("first-policy"), backend, tmp_path / "cluster", tmp_path / "work", progress)


async def solve(session: LabSession) -> None:
    cluster = await session.cluster()
    await cluster.apply(in_namespace(objects_of(session.lab.solution), session.lab.spec.namespace))


def ignore(_phase: str) -> None:
    """Nobody looks at the progress."""


async def test_from_start_to_finish_and_again(session: LabSession) -> None:
    await session.start(ignore)
    report = await session.check()
    assert (report.held, report.earned) == (False, 0)
    before = {cell.key: cell.is_open for cell in await session.matrix()}
    version = await session.version()
    await solve(session)
    assert await session.version() != version
    assert (await session.check()).held
    after = {cell.key: cell.is_open for cell in await session.matrix()}
    assert before.keys() == after.keys()
    assert before != after
    assert session.progress is not None
    assert session.progress.lab("first-policy").finished > 0
    await session.reset(ignore)
    assert {cell.key: cell.is_open for cell in await session.matrix()} == before
    await session.stop()
    with pytest.raises(UsageError, match="absent"):
        await session.check()


async def test_a_prediction_is_what_applying_then_does(session: LabSession) -> None:
    await session.start(ignore)
    now = {cell.key: cell.is_open for cell in await session.matrix()}
    predicted = await session.predict("---\n".join(manifest.text for manifest in session.lab.solution))
    assert predicted.error == ""
    assert {cell.key: cell.is_open for cell in await session.matrix()} == now, "predicting must change nothing"
    await solve(session)
    then = {cell.key: cell.is_open for cell in await session.matrix()}
    assert {cell.key: cell.is_open for cell in predicted.cells} == then
    assert predicted.changed == {key for key in then if then[key] != now[key]} != frozenset()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: [", "line"),
        ("a: &a [*a]", ""),
        (
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x}\nspec: {podSelector: 3}",
            "podSelec",
        ),
    ],
)
async def test_text_that_is_no_manifest_is_told_and_not_raised(session: LabSession, text: str, said: str) -> None:
    await session.start(ignore)
    predicted = await session.predict(text)
    assert predicted.cells == ()
    assert predicted.error
    assert said in predicted.error


async def test_hints_are_taken_one_by_one_and_cost_points(session: LabSession) -> None:
    task = session.lab.spec.tasks[0]
    taken = []
    while hint := session.take_hint(task.id):
        taken.append(hint)
    assert tuple(taken) == task.hints == session.hints(task.id)
    assert session.hint_cost() == sum(hint.cost for hint in task.hints)
    await session.start(ignore)
    await solve(session)
    report = await session.check()
    assert report.held
    assert report.earned == report.points - session.hint_cost()
    with pytest.raises(UsageError, match="no task 'nothing'"):
        session.take_hint("nothing")


async def test_the_learners_files_are_never_written_over(session: LabSession) -> None:
    await session.start(ignore)
    copied = sorted((session.work / "start").iterdir())
    assert [file.name for file in copied] == sorted(manifest.path.name for manifest in session.lab.start)
    copied[0].write_text("mine")
    (session.work / "policy.yaml").write_text("mine too")
    await session.reset(ignore)
    await session.stop()
    assert copied[0].read_text() == "mine"
    assert (session.work / "policy.yaml").read_text() == "mine too"


async def test_a_work_folder_that_cannot_be_made_is_no_wrong_answer(session: LabSession) -> None:
    session.work.write_text("a file where the folder should be")
    with pytest.raises(InfrastructureError, match="cannot be written"):
        await session.start(ignore)


async def test_needs_are_checked_before_anything_starts(session: LabSession, backend: ComputedBackend) -> None:
    spec = session.lab.spec.model_copy(update={"needs": ("ebpf",)})
    session.lab = session.lab.model_copy(update={"spec": spec})
    with pytest.raises(UsageError, match="needs ebpf"):
        await session.start(ignore)
    assert backend.started == []


async def test_an_arrow_is_explained_cell_by_cell(session: LabSession) -> None:
    await session.start(ignore)
    lines = await session.explain_arrow("customer,summary -> database:2379")
    assert sum("database" in line and "open" in line for line in lines) >= 2
    with pytest.raises(UsageError):
        await session.explain_arrow("nobody -> database:2379")


async def test_every_claim_of_the_lab_is_proven_and_nothing_is_left(
    session: LabSession, backend: ComputedBackend
) -> None:
    claims = await author.prove(session, 1, ignore)
    assert [claim.answer for claim in claims] == ["start", "solution", *session.lab.mistakes]
    assert [claim.problems for claim in claims if not claim.held] == []
    assert backend.clusters == {}


Break = Any


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        pytest.param(
            lambda spec: {**spec, "tasks": easy(spec)}, "already holds at the untouched start", id="asks nothing"
        ),
        pytest.param(lambda spec: {**spec, "mistakes": swapped(spec)}, "less than the lab says", id="wrong cells"),
    ],
)
async def test_a_lab_that_claims_too_much_is_caught(session: LabSession, spec: Break, problem: str) -> None:
    broken = LabSpec.model_validate(spec(session.lab.spec.model_dump()))
    session.lab = session.lab.model_copy(update={"spec": broken})
    claims = await author.prove(session, 1, ignore)
    assert any(problem in text for claim in claims for text in claim.problems)


def easy(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The tasks, with a first one that asks for what is so already."""
    asked = {"connectivity": {"allow": ["customer -> summary:80"]}}
    return [{**spec["tasks"][0], "checks": [asked]}, *spec["tasks"][1:]]


def swapped(spec: dict[str, Any]) -> dict[str, Any]:
    """The mistakes, each claiming to close what it opens and the other way round."""
    return {
        name: {
            **mistake,
            "fails": {
                task: {"opens": failure["closes"], "closes": failure["opens"]}
                for task, failure in mistake["fails"].items()
            },
        }
        for name, mistake in spec["mistakes"].items()
    }
