"""How the screens look. After a wanted change: `pytest tests/snapshot --snapshot-update`, and look at the pictures."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from textual.widgets import Static

from tui.screens.lab import LabScreen
from tui.screens.lesson import LessonScreen
from tui.screens.quiz import QuizScreen
from tui.screens.report import ReportScreen
from tui.widgets.matrix import Matrix
from tui.widgets.task_list import TaskList

SIZES = [(60, 15), (80, 24), (120, 40)]
LIMIT = 20.0


def name_of(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


async def until(pilot: Any, condition: Any) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "the screen never came to what the picture shows"
        await asyncio.sleep(0.01)
    await pilot.pause()


def lab(pilot: Any) -> Any:
    return next(screen for screen in pilot.app.screen_stack if isinstance(screen, LabScreen))


async def lab_ready(pilot: Any) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, LabScreen) and pilot.app.screen.query(Matrix))
    await until(pilot, lambda: "no policy selects" in str(lab(pilot).query_one("#explanation-text", Static).render()))
    await until(pilot, lambda: not lab(pilot).query_one("#instructions")._waiting or lab(pilot).size.height < 20)


@pytest.mark.parametrize("size", SIZES, ids=name_of)
def test_home(snap_compare: Any, make_app: Any, size: tuple[int, int]) -> None:
    async def ready(pilot: Any) -> None:
        await until(pilot, lambda: "sandbox" in str(pilot.app.screen.query_one("#machine", Static).render()))

    assert snap_compare(make_app(), terminal_size=size, run_before=ready)


@pytest.mark.parametrize("size", SIZES, ids=name_of)
def test_lesson(snap_compare: Any, make_app: Any, size: tuple[int, int]) -> None:
    async def ready(pilot: Any) -> None:
        pilot.app.open_entry(pilot.app.entries[0])
        await until(pilot, lambda: isinstance(pilot.app.screen, LessonScreen) and pilot.app.screen.query("Markdown"))

    assert snap_compare(make_app(), terminal_size=size, run_before=ready)


@pytest.mark.parametrize("size", SIZES, ids=name_of)
@pytest.mark.parametrize("key", ["1", "2", "3"])
def test_lab(snap_compare: Any, make_app: Any, size: tuple[int, int], key: str) -> None:
    async def ready(pilot: Any) -> None:
        await lab_ready(pilot)
        await pilot.press(key)

    assert snap_compare(make_app("default-deny"), terminal_size=size, run_before=ready)


@pytest.mark.parametrize("theme", ["light", "contrast"])
def test_lab_in_other_colours(snap_compare: Any, make_app: Any, theme: str) -> None:
    async def ready(pilot: Any) -> None:
        await lab_ready(pilot)
        await pilot.press("2")

    assert snap_compare(make_app("default-deny", theme=theme), terminal_size=(120, 40), run_before=ready)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=name_of)
def test_explanation_open(snap_compare: Any, make_app: Any, size: tuple[int, int]) -> None:
    async def ready(pilot: Any) -> None:
        await lab_ready(pilot)
        await pilot.press("2", "enter")

    assert snap_compare(make_app("default-deny"), terminal_size=size, run_before=ready)


def test_cells_turn(snap_compare: Any, make_app: Any, fakes: Any) -> None:
    async def ready(pilot: Any) -> None:
        await lab_ready(pilot)
        lab(pilot).session.change(fakes.needed)
        await until(pilot, lambda: len(lab(pilot).query_one(TaskList).held) == 3)
        await pilot.press("2")
        pilot.app.clear_notifications()

    assert snap_compare(make_app("default-deny"), terminal_size=(120, 40), run_before=ready)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=name_of)
def test_editor_with_a_prediction(snap_compare: Any, make_app: Any, fakes: Any, size: tuple[int, int]) -> None:
    from labs.session import Prediction

    cells = fakes.make_cells(fakes.needed)

    async def ready(pilot: Any) -> None:
        await lab_ready(pilot)
        changed = frozenset(c.key for c in cells if (c.key.source, c.key.destination) not in fakes.NEEDED)
        lab(pilot).session.prediction = Prediction(cells, changed)
        await pilot.press("e")
        await until(pilot, lambda: "would open" in str(lab(pilot).query_one("#editor-prediction", Static).render()))

    assert snap_compare(make_app("default-deny"), terminal_size=size, run_before=ready)


@pytest.mark.parametrize("size", [(60, 15), (120, 40)], ids=name_of)
def test_a_check_that_does_not_hold(snap_compare: Any, make_app: Any, size: tuple[int, int]) -> None:
    async def ready(pilot: Any) -> None:
        await lab_ready(pilot)
        await pilot.press("f5")
        await until(pilot, lambda: "0 of 3" in str(lab(pilot).query_one("#report-text", Static).render()))

    assert snap_compare(make_app("default-deny"), terminal_size=size, run_before=ready)


@pytest.mark.parametrize("size", [(60, 15), (80, 24)], ids=name_of)
def test_a_start_that_fails(snap_compare: Any, make_app: Any, size: tuple[int, int]) -> None:
    from grader.errors import NotCapableError

    app = make_app("default-deny")
    session = app.services.session(app.courses[0].chapters[0].labs[0])
    session.fail["start"] = NotCapableError(
        "this system refuses user namespaces", remedy="sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
    )

    async def ready(pilot: Any) -> None:
        await until(pilot, lambda: pilot.app.screen.query("#trouble.shown"))

    assert snap_compare(app, terminal_size=size, run_before=ready)


def test_report(snap_compare: Any, make_app: Any, fakes: Any) -> None:
    async def ready(pilot: Any) -> None:
        await lab_ready(pilot)
        lab(pilot).session.opened = fakes.needed
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReportScreen))

    assert snap_compare(make_app("default-deny"), terminal_size=(80, 24), run_before=ready)


def test_quiz_answered(snap_compare: Any, make_app: Any) -> None:
    async def ready(pilot: Any) -> None:
        pilot.app.open_entry(pilot.app.entries[2])
        await until(pilot, lambda: isinstance(pilot.app.screen, QuizScreen) and pilot.app.screen.query("#question"))
        await pilot.press("down", "enter")

    assert snap_compare(make_app(), terminal_size=(80, 24), run_before=ready)


def test_help(snap_compare: Any, make_app: Any) -> None:
    async def ready(pilot: Any) -> None:
        await lab_ready(pilot)
        await pilot.press("2", "f1")
        await until(pilot, lambda: pilot.app.screen.query("MarkdownTable"))

    assert snap_compare(make_app("default-deny"), terminal_size=(80, 24), run_before=ready)
