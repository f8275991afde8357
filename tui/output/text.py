"""A report for people: tasks and points, what differs and why, the matrix, and the result as the last line."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from grader.report import State
from tui.output.matrix import matrix_text
from tui.output.terminal import BOLD, GREEN, RED, clean, default_symbols, fit, paint, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.report import Cell, CellKey, Report, TaskReport
    from tui.output.terminal import Symbols

MOST_EXPLAINED = 6
"""Groups of differing cells that are shown with their explanation; the others are named."""

WORDS = {
    State.OVER_PERMISSION: "open, should be closed",
    State.OVER_RESTRICTION: "closed, should be open",
    State.MISSING: "not there any more",
    State.COULD_NOT_RUN: "could not run",
}


def report_text(report: Report, width: int = 80, *, color: bool = False, symbols: Symbols | None = None) -> str:
    """The whole report in lines of at most `width` columns."""
    symbols = symbols or default_symbols()
    lines = [*_head(report, width, symbols), ""]
    lines += [_task(task, width, symbols, color=color) for task in report.tasks]
    cells = _cells(report)
    differing = [cell for cell in cells.values() if cell.state in WORDS]
    if differing:
        lines += ["", paint("What differs", BOLD, color=color), *_differences(differing, width, symbols, color=color)]
    lines += _on_nodes(report, width, symbols, color=color)
    if cells:
        lines += ["", paint("Who reaches whom", BOLD, color=color)]
        lines.append(matrix_text(cells.values(), width, color=color, symbols=symbols))
    return "\n".join([*lines, "", *_result(report, width, color=color)])


def _head(report: Report, width: int, symbols: Symbols) -> list[str]:
    text = f"{report.lab} on {report.backend} ({report.dataplane})"
    lines = wrap(clean(text, symbols), width, "")
    if report.simulated:
        lines += wrap("simulated: verdicts were computed from the objects, no packet was sent", width, "")
    return lines


def _task(task: TaskReport, width: int, symbols: Symbols, *, color: bool) -> str:
    mark = symbols.done if task.held else symbols.todo
    score = f"{task.earned}/{task.points}"
    title = fit(clean(task.title, symbols), width - len(mark) - len(score) - 3, symbols)
    gap = " " * (width - len(mark) - len(title) - len(score) - 2)
    return f"{paint(mark, GREEN if task.held else RED, color=color)} {title}{gap} {score}"


def _on_nodes(report: Report, width: int, symbols: Symbols, *, color: bool) -> Iterator[str]:
    """What is no matter of cells, each thing once, whatever number of tasks asks the same."""
    checks = [check for task in report.tasks for check in task.checks]
    told: dict[str, tuple[str, ...]] = {}
    for check in checks:
        told |= dict.fromkeys(check.messages, ()) | {f"{item.asked}: not so": item.found for item in check.unmet}
    if told:
        yield from ("", paint("Beside the traffic", BOLD, color=color))
    for head, found in told.items():
        yield from (paint(line, RED, color=color) for line in wrap(clean(f"! {head}", symbols), width, "  ", "    "))
        for sentence in found:
            yield from wrap(clean(sentence, symbols), width, "      ", "        ")


def _cells(report: Report) -> dict[CellKey, Cell]:
    """Every judged cell once; where tasks share a cell, the one that differs is shown."""
    cells: dict[CellKey, Cell] = {}
    for cell in (cell for task in report.tasks for check in task.checks for cell in check.cells):
        known = cells.get(cell.key)
        if known is None or (cell.state.wrong and not known.state.wrong):
            cells[cell.key] = cell
    return cells


def _differences(differing: list[Cell], width: int, symbols: Symbols, *, color: bool) -> Iterator[str]:
    """Cells that differ for the same reason are told together, the first of them with the reason."""
    groups: dict[tuple[object, ...], list[Cell]] = {}
    for cell in differing:
        groups.setdefault(_reason(cell), []).append(cell)
    for number, group in enumerate(groups.values()):
        head, why = _told(group)
        yield from (paint(line, RED, color=color) for line in wrap(clean(head, symbols), width, "  ", "    "))
        for sentence in why if number < MOST_EXPLAINED else ():
            yield from wrap(clean(sentence, symbols), width, "      ", "        ")


def _told(group: list[Cell]) -> tuple[str, tuple[str, ...]]:
    """The line for a group of cells, and the reason below it; for what is gone the reason is the line."""
    first = group[0]
    if first.state is State.MISSING and first.why:
        return f"! {first.why[0]} ({len(group)} {'cell' if len(group) == 1 else 'cells'})", first.why[1:]
    sources = ", ".join(cell.key.source for cell in group)
    return f"! {replace(first.key, source=sources)}  {WORDS[first.state]}", first.why


def _reason(cell: Cell) -> tuple[object, ...]:
    """What cells have in common that differ for the same reason, but for the names of their sources."""
    if cell.state is State.MISSING and cell.why:
        return cell.state, cell.why
    sources = {seen.probe.source for seen in cell.observations}
    why = cell.why
    for source in sources:
        why = tuple(sentence.replace(source, "") for sentence in why)
    return cell.state, cell.key.destination, cell.key.port, cell.key.via, why


def _result(report: Report, width: int, *, color: bool) -> list[str]:
    held = sum(task.held for task in report.tasks)
    hints = f" after hints (-{report.hint_cost})" if report.hint_cost else ""
    text = (
        f"{'All tasks hold' if report.held else 'Not there yet'}: {held} of {len(report.tasks)} tasks, "
        f"{report.earned} of {report.points} points{hints}."
    )
    return [paint(line, GREEN if report.held else RED, color=color) for line in wrap(text, width, "")]
