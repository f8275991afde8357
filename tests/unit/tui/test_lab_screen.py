"""The lab screen: what a learner does, by keys, against a session with canned cells."""

from __future__ import annotations

from typing import Any

import pytest
from textual import events
from textual.widgets import Static

from content.errors import NetdojoError
from grader.errors import ClusterGoneError, InfrastructureError, NotCapableError
from labs.session import Prediction
from tui.screens.choice import Choice
from tui.screens.home import Home
from tui.screens.lab import LabScreen
from tui.screens.report import ReportScreen
from tui.widgets.editor import Editor
from tui.widgets.lab_header import LabHeader
from tui.widgets.matrix import Matrix
from tui.widgets.task_list import TaskList
from tui.widgets.terminal.view import Terminal

pytestmark = pytest.mark.slow  # the whole app is drawn


@pytest.fixture
def session(services: Any) -> Any:
    return services.session(services.courses()[0].chapters[0].labs[0])


@pytest.fixture
def app(make_app: Any) -> Any:
    return make_app(open_lab="default-deny")


def lab(app: Any) -> LabScreen:
    return next(screen for screen in app.screen_stack if isinstance(screen, LabScreen))


def shown(app: Any, selector: str) -> str:
    return str(lab(app).query_one(selector, Static).render())


def matrix(app: Any) -> Matrix:
    return lab(app).query_one(Matrix)


async def observed(app: Any, until: Any) -> None:
    await until(lambda: isinstance(app.screen, LabScreen) and app.screen.query(Matrix) and matrix(app).cells)


async def test_starting_shows_steps_then_the_matrix(app: Any, session: Any, until: Any) -> None:
    async with app.run_test(size=(120, 40)):
        await observed(app, until)
        assert session.calls[:2] == ["start", "matrix"]
        assert "namespaces and links" in shown(app, "#starting")
        assert lab(app).query_one(LabHeader).status.phase == "ready"
        assert matrix(app).text_lines()[3] == "summary   ✓!         ·         ✓          ✓!"
        await until(lambda: "no policy selects" in shown(app, "#explanation-text"))
        assert lab(app).query_one("#shell").started[0].endswith("bash")


async def test_the_cursor_explains_the_cell(app: Any, until: Any) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await observed(app, until)
        await pilot.press("2")
        await until(lambda: app.focused is matrix(app))
        await pilot.press("home", "pageup", "down")
        await until(lambda: "summary -> customer:80  open" in shown(app, "#explanation-text"))
        assert shown(app, "#explanation-text").startswith("! open, expected closed")
        await pilot.press("n")
        await until(lambda: "summary -> internet:443" in shown(app, "#explanation-text"))


async def test_a_check_that_does_not_hold_shows_why(app: Any, until: Any) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await observed(app, until)
        await pilot.press("f5")
        await until(lambda: "0 of 3 tasks hold" in shown(app, "#report-text"))
        report = shown(app, "#report-text")
        assert "! customer -> database:2379  open, should be closed" in report
        assert "database is not isolated" in report
        assert lab(app).query_one(LabHeader).status.earned == 5
        assert lab(app).state.tries == 1


async def test_watch_turns_cells_and_checks_and_the_result_comes_on_demand(
    app: Any, session: Any, until: Any, fakes: Any
) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await observed(app, until)
        session.change(fakes.needed)
        await until(lambda: any("✗ *" in line for line in matrix(app).text_lines()))
        await until(lambda: len(lab(app).query_one(TaskList).held) == 3)
        assert isinstance(app.screen, LabScreen), "a result must not come up while the learner types"
        await pilot.press("f5")
        await until(lambda: isinstance(app.screen, ReportScreen))
        assert "3 of 3 tasks hold, 20/20 points" in str(app.screen.query_one("#report", Static).render())


async def test_watch_off_asks_nothing(app: Any, until: Any) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await observed(app, until)
        await pilot.press("w")
        await until(lambda: not [worker for worker in app.workers if worker.group == "watch" and worker.is_running])
        assert not lab(app).query_one(LabHeader).status.watching


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NotCapableError("no user namespaces here", remedy="sudo sysctl …"), ("no user namespaces", "sudo sysctl")),
        (OSError(28, "No space left on device"), ("No space left", "doctor")),
        (RuntimeError("unforeseen"), ("RuntimeError: unforeseen", "doctor")),
        (NotImplementedError(), ("NotImplementedError", "doctor")),
    ],
)
async def test_a_start_that_fails_says_why_and_can_be_tried_again(
    app: Any, session: Any, until: Any, error: Exception, words: tuple[str, ...]
) -> None:
    session.fail["start"] = error
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: isinstance(app.screen, LabScreen) and app.screen.query("#trouble.shown"))
        assert all(word in shown(app, "#trouble") for word in ("could not start", *words))
        assert lab(app).query_one(LabHeader).status.phase == "broken"
        session.fail.clear()
        await pilot.press("ctrl+r")
        await observed(app, until)
        assert not lab(app).query("#trouble.shown")


async def test_a_check_that_could_not_run_is_no_wrong_answer(app: Any, session: Any, until: Any) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await observed(app, until)
        session.fail["check"] = InfrastructureError("the canary got through", remedy="netdojo lab reset")
        await pilot.press("f5")
        await until(lambda: lab(app).query("#trouble.shown"))
        assert "says nothing about your answer" in shown(app, "#trouble")
        assert lab(app).state.tries == 0
        session.fail.clear()
        await pilot.press("ctrl+r")
        await until(lambda: lab(app).state.tries == 1)


async def test_a_cluster_that_goes_away_is_said_once_and_found_again(app: Any, session: Any, until: Any) -> None:
    async with app.run_test(size=(120, 40)):
        await observed(app, until)
        session.fail["version"] = ClusterGoneError("the lab does not answer", remedy="press r")
        await until(lambda: lab(app).query("#trouble.shown"))
        session.fail.clear()
        session.revision += 1
        await until(lambda: not lab(app).query("#trouble.shown"))


async def test_hints_cost_what_was_agreed(app: Any, session: Any, until: Any) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await observed(app, until)
        await pilot.press("down", "h")
        await until(lambda: session.taken == {"front": 1})
        await pilot.press("h")
        await until(lambda: isinstance(app.screen, Choice))
        await pilot.press("n")
        await until(lambda: isinstance(app.screen, LabScreen))
        assert session.taken == {"front": 1}
        await pilot.press("h")
        await until(lambda: isinstance(app.screen, Choice))
        await pilot.press("y")
        await until(lambda: session.taken == {"front": 2})
        option = str(lab(app).query_one(TaskList).get_option("front").prompt)
        assert "hint 2 (-2): Use a podSelector." in option
        await pilot.press("f5")
        await until(lambda: lab(app).query_one(LabHeader).status.earned == 3)


async def test_the_solution_opens_after_an_honest_try(app: Any, until: Any) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await observed(app, until)
        await pilot.press("s")
        assert isinstance(app.screen, LabScreen)
        await pilot.press("f5")
        await until(lambda: lab(app).state.tries == 1)
        await pilot.press("s")
        await until(lambda: type(app.screen).__name__ == "Page")
        assert "name: deny" in app.screen._text


async def test_reset_asks_first(app: Any, session: Any, until: Any) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await observed(app, until)
        await pilot.press("r", "n")
        assert "reset" not in session.calls
        await pilot.press("r", "y")
        await until(lambda: "reset" in session.calls)
        await until(lambda: lab(app).query_one(LabHeader).status.phase == "ready")


async def test_leaving_asks_once_and_keeps_or_stops(app: Any, session: Any, until: Any) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await observed(app, until)
        await pilot.press("escape")
        await until(lambda: isinstance(app.screen, Choice))
        await pilot.press("escape")
        await until(lambda: isinstance(app.screen, LabScreen))
        await pilot.press("escape")
        await until(lambda: isinstance(app.screen, Choice))
        await pilot.press("enter")
        await until(lambda: isinstance(app.screen, Home))
        assert "stop" not in session.calls
        app.open_entry(app.entries[-1])
        await observed(app, until)
        await pilot.press("escape")
        await until(lambda: isinstance(app.screen, Home))


async def test_stopping_on_leaving(app: Any, session: Any, until: Any) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await observed(app, until)
        await pilot.press("escape")
        await until(lambda: isinstance(app.screen, Choice))
        await pilot.press("s")
        await until(lambda: "stop" in session.calls)
        await until(lambda: isinstance(app.screen, Home))


async def test_views_at_80_columns(app: Any, until: Any) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await observed(app, until)
        panes = {name: lab(app).query_one(f"#{name}") for name in ("left", "right", "lower", "task-line")}

        def visible() -> set[str]:
            return {name for name, pane in panes.items() if pane.size.area}

        for key, pane in (
            ("2", "right"),
            ("3", "lower"),
            ("f6", "right"),
            ("1", "left"),
            ("f3", "right"),
            ("f2", "left"),
        ):
            await pilot.press(key)
            await until(lambda pane=pane: visible() == {pane, "task-line"}, f"{key} shows {pane}")
        await pilot.resize_terminal(120, 40)
        await until(lambda: visible() == {"left", "right", "lower"})
        await pilot.resize_terminal(60, 15)
        await until(lambda: visible() == {"left", "task-line"})


@pytest.mark.parametrize("size", [(40, 10), (60, 15), (100, 28)])
async def test_no_size_breaks_it(app: Any, until: Any, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await observed(app, until)
        for key in ("1", "2", "3", "f6", "2", "enter", "e", "f6", "f5"):
            await pilot.press(key)
        await until(lambda: "0 of 3" in shown(app, "#report-text"))


async def test_while_in_the_shell_only_f6_is_the_apps(app: Any, session: Any, until: Any) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await observed(app, until)
        await pilot.press("f6")
        await until(lambda: isinstance(app.focused, Terminal))
        keys = {
            key for key, active in app.screen.active_bindings.items() if active.node is app.screen and active.enabled
        }
        assert "f6" in keys
        await pilot.press("f5", "escape", "ctrl+k", "h", "r", "q", "f1")
        assert isinstance(app.screen, LabScreen)
        assert session.calls.count("check") == 0
        await pilot.press("f6")
        await until(lambda: app.focused is matrix(app))


async def test_an_edit_is_predicted_before_it_is_applied(app: Any, session: Any, until: Any, fakes: Any) -> None:
    cells = fakes.make_cells(fakes.needed)
    changed = frozenset(c.key for c in cells if c.is_open != fakes.everything(c.key.source, c.key.destination))
    session.prediction = Prediction(cells, changed)
    async with app.run_test(size=(120, 40)) as pilot:
        await observed(app, until)
        await pilot.press("e")
        await until(lambda: app.focused is lab(app).query_one(Editor).area)
        await pilot.press("x")
        await until(lambda: any("✓Δ✗" in line for line in matrix(app).text_lines()))
        assert "would open 0 and close 9 cells" in shown(app, "#editor-prediction")
        session.prediction = Prediction(error="line 3: not a mapping")
        await pilot.press("y")
        await until(lambda: "line 3: not a mapping" in shown(app, "#editor-prediction"))
        assert not any("Δ" in line for line in matrix(app).text_lines())


async def test_unsaved_text_is_asked_about(app: Any, session: Any, until: Any) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await observed(app, until)
        await pilot.press("e", "x", "f6", "escape")
        await until(lambda: isinstance(app.screen, Choice))
        await pilot.press("s")
        await until(lambda: isinstance(app.screen, Choice) and "running" in app.screen._question)
        assert (session.work / "policy.yaml").read_text().startswith("x")


@pytest.mark.parametrize(
    ("script", "words"), [("echo created; exit 0", "created"), ("echo refused: bad >&2; exit 1", "bad")]
)
async def test_f7_applies_the_saved_file(
    app: Any, session: Any, until: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    kubectl = folder / "kubectl"
    kubectl.write_text(f'#!/bin/sh\necho "$@" > "{tmp_path}/called"\n{script}\n')
    kubectl.chmod(0o755)
    monkeypatch.setattr(session, "environment", lambda: {"PATH": f"{folder}:/usr/bin:/bin", "KUBECONFIG": "none"})
    async with app.run_test(size=(120, 40)) as pilot:
        await observed(app, until)
        await pilot.press("e", "f7")
        await until(lambda: words in shown(app, "#editor-note"))
        assert (tmp_path / "called").read_text() == f"apply -f {session.work}/policy.yaml\n"


async def test_without_kubectl_that_is_said(
    app: Any, session: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "environment", lambda: {"PATH": "/nowhere"})
    async with app.run_test(size=(120, 40)) as pilot:
        await observed(app, until)
        await pilot.press("e", "f7")
        await until(lambda: lab(app).query("#trouble.shown"))
        assert "kubectl is not on the lab's PATH" in shown(app, "#trouble")


async def test_quitting_from_a_lab_asks_and_quits(app: Any, session: Any, until: Any) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await observed(app, until)
        await pilot.press("ctrl+q")
        await until(lambda: isinstance(app.screen, Choice))
        await pilot.press("s")
        await until(lambda: "stop" in session.calls)
        await until(lambda: app.return_code == 0)


async def test_a_lab_that_cannot_be_opened_is_said(app: Any, services: Any) -> None:
    def refuse(_lab: Any, _on: str = "") -> None:
        raise NetdojoError("this lab needs kind", remedy="install Docker")

    services.session = refuse
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.pause()
        assert isinstance(app.screen, Home)
        assert any("this lab needs kind" in note.message for note in app._notifications)


async def test_escape_pressed_too_quickly_asks_once(app: Any, session: Any, until: Any) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await observed(app, until)
        for _ in range(3):
            app.post_message(events.Key("escape", None))
        await pilot.pause()
        assert sum(isinstance(screen, Choice) for screen in app.screen_stack) <= 1
        if not isinstance(app.screen, Choice):
            await pilot.press("escape")
        await until(lambda: isinstance(app.screen, Choice))
        for _ in range(3):
            app.post_message(events.Key("s", None))
        await until(lambda: isinstance(app.screen, Home))
        await until(lambda: "stop" in session.calls)
        assert len(app.screen_stack) == 2
