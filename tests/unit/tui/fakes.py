"""Stand-ins for what is behind the app: a course, a session with canned cells, a store in memory."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from content.arrows import Port
from content.model import (
    Chapter,
    Check,
    Connectivity,
    Course,
    Hint,
    Lab,
    LabSpec,
    Lesson,
    Manifest,
    Mistake,
    Question,
    Quiz,
    Task,
)
from content.model import Option as Answer
from grader.report import Cell, CellKey, CheckReport, Expectation, Report, State, TaskReport
from labs.base import Phase, Running
from labs.progress import LabProgress
from labs.session import LabSession, Prediction
from tui.services import AppSettings, Machine
from tui.widgets.terminal.view import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

INSTRUCTIONS = """## Open what the app needs

The front end talks to *summary*, and *summary* talks to *database*. Nothing else may.

## How to begin

1. Look at the matrix: everything is open.
2. Isolate the namespace with an empty policy.
3. Open what the tasks ask for.

```sh
kubectl get networkpolicy -n yaobank
```
"""

LESSON = (
    "# How a packet is judged\n\nA pod that no policy selects accepts everything.\n\n"
    + "\n\n".join(
        f"## Part {n}\n\n" + "A policy selects pods by their labels; it says what may come in and go out. " * 6
        for n in range(1, 9)
    )
    + "\n\n```text\n# no heading\nclient -> server\n```\n"
)

PORTS = {"customer": (80,), "summary": (80,), "database": (2379,), "internet": (443,)}
NEEDED = {("internet", "customer"), ("customer", "summary"), ("summary", "database")}


def make_task(name: str, title: str, points: int, hints: tuple[Hint, ...] = (), text: str = "") -> Task:
    check = Check(connectivity=Connectivity(allow=("customer -> summary",)))
    return Task(id=name, title=title, points=points, text=text, hints=hints, checks=(check,))


def make_lab(folder: Path) -> Lab:
    policy = "kind: NetworkPolicy\nmetadata:\n  name: deny\n"
    mistake = Mistake(title="opens too much", fails={"isolate": {"opens": ("internet -> database",)}})
    return Lab(
        folder=folder,
        chapter=3,
        spec=LabSpec(
            id="default-deny",
            title="Default deny",
            summary="Close everything, then open what is needed.",
            minutes=15,
            namespace="yaobank",
            tasks=(
                make_task("isolate", "isolate the namespace", 8, text="Nothing may come in that is not named."),
                make_task(
                    "front",
                    "let customer reach summary",
                    8,
                    hints=(Hint(text="Which labels has *summary*?"), Hint(text="Use a podSelector.", cost=2)),
                ),
                make_task("dns", "keep DNS", 4),
            ),
            mistakes={"open": mistake, "closed": mistake},
        ),
        instructions=INSTRUCTIONS,
        start=(),
        solution=(Manifest(path=folder / "solution" / "deny.yaml", text=policy, objects=()),),
        mistakes={},
    )


def make_course(folder: Path) -> Course:
    quiz = Quiz(
        questions=(
            Question(
                id="first",
                text="What does a pod accept that no policy selects?",
                options=(
                    Answer(text="everything", right=True, why="no policy isolates it"),
                    Answer(text="nothing", why="a policy has to select it first"),
                ),
            ),
            Question(
                id="second",
                text="What can a peer be?",
                several=True,
                options=(
                    Answer(text="a podSelector", right=True, why="pods by labels"),
                    Answer(text="an ipBlock", right=True, why="addresses"),
                    Answer(text="a Service", why="policies see pods, not Services"),
                ),
            ),
        )
    )
    lessons = (
        Lesson(id="judged", title="How a packet is judged", minutes=6, path=folder / "a.md", text=LESSON),
        Lesson(id="selectors", title="Selectors", minutes=5, path=folder / "b.md", text="# Selectors\n\nShort.\n"),
    )
    chapter = Chapter(
        number=3,
        id="network-policy",
        title="Network policy",
        summary="Who may talk to whom.",
        folder=folder,
        lessons=lessons,
        labs=(make_lab(folder),),
        quiz=quiz,
    )
    return Course(id="core", title="Kubernetes networking", summary="From packets", folder=folder, chapters=(chapter,))


def make_cells(opened: Callable[[str, str], bool]) -> tuple[Cell, ...]:
    cells = []
    for source in PORTS:
        for destination, ports in PORTS.items():
            if source == destination:
                continue
            for number in ports:
                is_open, wanted = opened(source, destination), (source, destination) in NEEDED
                state = (
                    State.AS_EXPECTED
                    if is_open == wanted
                    else State.OVER_PERMISSION
                    if is_open
                    else State.OVER_RESTRICTION
                )
                expected = Expectation.OPEN if wanted else Expectation.CLOSED
                why = () if is_open == wanted else (f"{destination} is not isolated for ingress",)
                cells.append(Cell(CellKey(source, destination, Port(number)), expected, state, is_open, why=why))
    return tuple(cells)


def everything(_source: str, _destination: str) -> bool:
    return True


def needed(source: str, destination: str) -> bool:
    return (source, destination) in NEEDED


class FakeSession(LabSession):
    """Answers from what a test has set."""

    def __init__(self, lab: Lab, work: Path, place: str = "sandbox") -> None:
        self.lab = lab
        self.backend: Any = SimpleNamespace(name=place)
        self.work = work
        self.opened: Callable[[str, str], bool] = everything
        self.revision = 1
        self.taken: dict[str, int] = {}
        self.phase = Phase.ABSENT
        self.fail: dict[str, Exception] = {}
        self.calls: list[str] = []
        self.prediction = Prediction()
        self.simulated = False

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name in self.fail:
            raise self.fail[name]

    def change(self, opened: Callable[[str, str], bool]) -> None:
        self.opened = opened
        self.revision += 1

    async def status(self) -> Running:
        return Running(self.lab.id, self.backend.name, self.phase, self.work)

    async def start(self, progress: Callable[[str], None]) -> Running:
        progress("namespaces and links")
        self._called("start")
        progress("4 pods")
        self.phase = Phase.READY
        return await self.status()

    async def check(self) -> Report:
        self._called("check")
        cells = make_cells(self.opened)
        held = all(cell.state is State.AS_EXPECTED for cell in cells)
        tasks = tuple(
            TaskReport(
                task.id,
                task.title,
                task.points,
                task.points if held else task.points // 4,
                held,
                (CheckReport("connectivity", held, 1.0 if held else 0.25, cells),),
            )
            for task in self.lab.spec.tasks
        )
        return Report(self.lab.id, "sandbox", "nftables", self.simulated, tasks)

    async def matrix(self) -> tuple[Cell, ...]:
        self._called("matrix")
        return make_cells(self.opened)

    async def explain(self, key: CellKey) -> tuple[str, ...]:
        self._called("explain")
        return (
            f"{key}  open" if self.opened(key.source, key.destination) else f"{key}  dropped",
            f"ingress: no policy selects {key.destination}, so everything may come in",
            "to close it: select the pod with a policy of type Ingress",
        )

    async def predict(self, manifest: str) -> Prediction:
        self.calls.append(f"predict {manifest!r}")
        return self.prediction

    async def version(self) -> str:
        if "version" in self.fail:
            raise self.fail["version"]
        return str(self.revision)

    def hints(self, task: str) -> tuple[Hint, ...]:
        found = next(t for t in self.lab.spec.tasks if t.id == task)
        return found.hints[: self.taken.get(task, 0)]

    def take_hint(self, task: str) -> Hint | None:
        self.taken[task] = self.taken.get(task, 0) + 1
        return self.hints(task)[-1]

    def environment(self) -> Mapping[str, str]:
        return {"KUBECONFIG": str(self.work / "kubeconfig"), "PATH": os.environ["PATH"], "NETDOJO_LAB": self.lab.id}

    async def reset(self, progress: Callable[[str], None]) -> None:
        self._called("reset")
        progress("removing")
        self.change(everything)

    async def stop(self, *, delete: bool = False) -> None:
        self._called("stop, delete" if delete else "stop")
        self.phase = Phase.ABSENT


class FakeProgress:
    def __init__(self) -> None:
        self.labs: dict[str, LabProgress] = {}
        self.read: set[str] = set()

    def lab(self, lab: str) -> LabProgress:
        return self.labs.get(lab, LabProgress(lab))

    def lesson_read(self, lesson: str) -> bool:
        return lesson in self.read

    def mark_lesson(self, lesson: str) -> None:
        self.read.add(lesson)


class FakeServices:
    def __init__(self, folder: Path, **settings: Any) -> None:
        self.settings = AppSettings(**{"animation": False, **settings})
        self.progress: Any = FakeProgress()
        self._courses = (make_course(folder),)
        self._folder = folder
        self.sessions: dict[str, FakeSession] = {}

    def courses(self) -> tuple[Course, ...]:
        return self._courses

    def session(self, lab: Lab, on: str = "") -> FakeSession:
        known = self.sessions.get(lab.id)
        if known is None or on not in {"", known.backend.name}:
            self.sessions[lab.id] = FakeSession(lab, self._folder / "work", on or "sandbox")
        return self.sessions[lab.id]

    async def machine(self) -> Machine:
        return Machine("sandbox ready (nftables, rootless)", details=("Docker is not needed",))

    def remember(self, settings: AppSettings) -> None:
        self.settings = settings


class StubTerminal(Terminal):
    """Shows fixed text and starts nothing."""

    def run(self, command: Any, environment: Any, folder: Any) -> None:
        del environment, folder
        self.started = command
        self._emulator.feed(b"(default-deny) work $ kubectl get pods\r\n\x1b[32mcustomer-5d9f\x1b[0m   1/1   Running")
        self._emulator.parse(1.0)
