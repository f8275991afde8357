"""Where labs run, as the learner chooses it in the app."""

from __future__ import annotations

from typing import Any

import pytest
from textual.widgets import Static

from labs.base import Phase
from tui.screens.choice import Choice
from tui.screens.home import Home
from tui.screens.lab import LabScreen
from tui.widgets.lab_header import LabHeader, LabStatus
from tui.widgets.matrix import Matrix

pytestmark = pytest.mark.slow  # the whole app is drawn


async def test_b_makes_kind_the_place_for_all_labs(make_app: Any, services: Any, until: Any) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: isinstance(app.screen, Home))
        await pilot.press("b")
        await until(lambda: isinstance(app.screen, Choice))
        await pilot.press("k")
        await until(lambda: services.settings.backend == "kind")


async def test_b_moves_a_lab_and_ends_it_where_it_was(make_app: Any, services: Any, until: Any) -> None:
    app = make_app(open_lab="default-deny")
    first = services.session(services.courses()[0].chapters[0].labs[0])
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: isinstance(app.screen, LabScreen) and app.screen.query(Matrix))
        await until(lambda: app.screen.query_one(LabHeader).status.phase == "ready")
        assert app.screen.query_one(LabHeader).status.backend == "sandbox"
        await pilot.press("b")
        await until(lambda: isinstance(app.screen, Choice))
        await pilot.press("k")
        await until(
            lambda: isinstance(app.screen, LabScreen) and app.screen.query_one(LabHeader).status.backend == "kind"
        )
        await until(lambda: first.phase is Phase.ABSENT)
        assert "stop" in first.calls
        await until(lambda: app.screen.query_one(LabHeader).status.phase == "ready")


async def test_a_long_start_shows_seconds_and_how_to_cancel(make_app: Any, services: Any, until: Any) -> None:
    session = services.session(services.courses()[0].chapters[0].labs[0])
    ended: list[str] = []

    async def slow(progress: Any) -> None:
        import asyncio

        progress("making the node with kind …")
        progress("  Starting control-plane")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cleaned up")
            raise

    session.start = slow
    app = make_app(open_lab="default-deny")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(lambda: isinstance(app.screen, LabScreen) and app.screen.query("#starting"))
        await until(lambda: "Starting control-plane" in str(app.screen.query_one("#starting", Static).render()))
        said = str(app.screen.query_one("#starting", Static).render())
        assert "making the node with kind … 0 s" in said
        assert "Escape cancels" in said
        await pilot.press("escape")
        await until(lambda: isinstance(app.screen, Home))
        await until(lambda: ended == ["cleaned up"])


@pytest.mark.parametrize(
    ("width", "said"),
    [(120, "kind ● ready"), (80, "kind ● ready ─ 2/3 tasks"), (60, "─ ● ready")],
)
def test_the_title_says_where_the_lab_runs(width: int, said: str) -> None:
    line = LabStatus("3.2 Default deny", "kind", "ready", 2, 3, 14, 20).line(width, 372)
    assert said in line
    assert line.endswith(" 06:12 ")
    assert len(line) == width
