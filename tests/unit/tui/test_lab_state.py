from __future__ import annotations

from typing import Any

import pytest

from content.model import Hint
from grader.report import Report, TaskReport
from labs.progress import LabProgress
from tui.lab.state import LabState
from tui.widgets.findings import headline, report_text
from tui.widgets.lab_header import LabStatus


@pytest.fixture
def lab(services: Any) -> Any:
    return services.courses()[0].chapters[0].labs[0]


def report(earned: dict[str, int], held: set[str], *, cost: int = 0, simulated: bool = False) -> Report:
    points = {"isolate": 8, "front": 8, "dns": 4}
    tasks = tuple(TaskReport(name, name, points[name], earned.get(name, 0), name in held) for name in points)
    return Report("default-deny", "sandbox", "nftables", simulated, tasks, cost)


def test_a_lab_never_seen_is_at_nothing(lab: Any) -> None:
    state = LabState.of(lab, LabProgress("default-deny"), {})
    assert (state.total, state.points, state.finished, state.may_see_solution) == (0, 20, False, False)


def test_what_was_done_earlier_counts(lab: Any) -> None:
    known = LabProgress("default-deny", held_tasks=frozenset({"isolate", "a-task-that-is-gone"}))
    state = LabState.of(lab, known, {"front": (Hint(text="x", cost=2),)})
    assert state.held == {"isolate"}
    assert state.total == 6


def test_a_grading_replaces_and_counts_as_a_try_only_when_it_does_not_hold(lab: Any) -> None:
    state = LabState.of(lab, LabProgress("default-deny"), {}).graded(report({"isolate": 8, "front": 3}, {"isolate"}))
    assert (state.total, state.tries, state.finished, state.may_see_solution) == (11, 1, False, True)
    state = state.graded(report({"isolate": 8, "front": 8, "dns": 4}, {"isolate", "front", "dns"}))
    assert (state.total, state.tries, state.finished) == (20, 1, True)
    state = state.restarted()
    assert (state.total, state.tries, state.held) == (0, 1, frozenset())


def test_points_never_fall_below_nothing(lab: Any) -> None:
    state = LabState.of(lab, LabProgress("default-deny"), {"front": (Hint(text="x", cost=50),)})
    assert state.total == 0


def test_the_solution_is_shown_as_files(lab: Any) -> None:
    text = LabState(lab).solution_text()
    assert "### deny.yaml" in text
    assert "~~~~yaml\nkind: NetworkPolicy" in text


@pytest.mark.parametrize(
    ("cost", "simulated", "line"),
    [
        (0, False, "1 of 3 tasks hold, 8/20 points  (sandbox, nftables)"),
        (2, True, "1 of 3 tasks hold, 6/20 points (2 lost by hints)  (sandbox, nftables, simulated)"),
    ],
)
def test_a_report_begins_with_a_line(cost: int, simulated: bool, line: str) -> None:
    found = report({"isolate": 8}, {"isolate"}, cost=cost, simulated=simulated)
    assert headline(found) == line
    assert str(report_text(found)).splitlines()[0] == line


@pytest.mark.parametrize(
    ("width", "start"),
    [
        (120, " 3.2 Default deny ─ sandbox ● ready ─ simulated ─ 2 of 3 tasks ─ 14/20 points ─ watch off ───"),
        (80, " 3.2 Default deny ─ sandbox sim ● ready ─ 2/3 tasks ─ 14/20 p ────"),
        (60, " 3.2 Default d… ─ sim ● ready ─ 2/3 tasks ─ 14/20 p ─"),
        (40, " … ─ sim ● ready ─ 2/3 tasks ─ 14/20 p"),
    ],
)
def test_the_header_keeps_the_numbers(width: int, start: str) -> None:
    status = LabStatus("3.2 Default deny", "sandbox", "ready", 2, 3, 14, 20, simulated=True, watching=False)
    line = status.line(width, 372.0)
    assert line.startswith(start)
    assert width <= 40 or (line.endswith(" 06:12 ") and len(line) == width)
