"""A report as text: tasks, points, and every cell that is not as expected, with why. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from grader.report import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.report import Cell, CheckReport, Report, TaskReport

_WHY = 3  # sentences a cell
_NAMES = {
    State.OVER_PERMISSION: "open, should be closed",
    State.OVER_RESTRICTION: "closed, should be open",
    State.MISSING: "not there any more",
    State.COULD_NOT_RUN: "could not be probed",
}


def report_text(report: Report) -> Content:
    """The whole report; what differs comes first within each task."""
    lines: list[Content] = [Content.styled(headline(report), "bold")]
    for task in report.tasks:
        lines += [Content(""), *_task_lines(task)]
    return Content("\n").join(lines)


def headline(report: Report) -> str:
    """Points and where they were had."""
    held = sum(task.held for task in report.tasks)
    text = f"{held} of {len(report.tasks)} tasks hold, {report.earned}/{report.points} points"
    if report.hint_cost:
        text += f" ({report.hint_cost} lost by hints)"
    where = f"{report.backend}, {report.dataplane}" + (", simulated" if report.simulated else "")
    return f"{text}  ({where})"


def _task_lines(task: TaskReport) -> Iterator[Content]:
    yield Content.styled(f"{'☑' if task.held else '☐'} {task.title}  {task.earned}/{task.points}", "bold")
    for check in task.checks:
        yield from _check_lines(check)


def _check_lines(check: CheckReport) -> Iterator[Content]:
    for message in check.messages:
        yield Content(f"  {message}")
    for item in check.unmet:
        yield Content.assemble("  ", ("! ", "bold"), (item.asked, "bold"), ": not so")
        for sentence in item.found:
            yield Content.styled(f"      {sentence}", "dim")
    for state, name in _NAMES.items():
        for cell in check.cells:
            if cell.state is state:
                yield from _cell_lines(cell, name)


def _cell_lines(cell: Cell, name: str) -> Iterator[Content]:
    yield Content.assemble("  ", ("! ", "bold"), (str(cell.key), "bold"), f"  {name}")
    for sentence in cell.why[:_WHY]:
        yield Content.styled(f"      {sentence}", "dim")
    if cell.state is State.COULD_NOT_RUN:
        for detail in dict.fromkeys(seen.detail for seen in cell.observations if seen.detail):
            yield Content.styled(f"      {detail}", "dim")
