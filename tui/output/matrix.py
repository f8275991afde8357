"""The matrix in text: sources down, destinations with their ports across, one sign a cell.

A matrix that is wider than the terminal is folded between destinations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.report import Expectation, State
from tui.output.terminal import DIM, GREEN, RED, clean, default_symbols, fit, paint, wrap

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from grader.report import Cell, CellKey
    from tui.output.terminal import Symbols

Column = tuple[str, str]
"""A destination and what stands under its name: port and way."""

LONGEST_SOURCE = 28
VIA = {"pod": "", "service": " svc", "nodeport": " node"}


def matrix_text(cells: Iterable[Cell], width: int = 80, *, color: bool = False, symbols: Symbols | None = None) -> str:
    """The matrix of these cells with a legend, in lines of at most `width` columns."""
    symbols = symbols or default_symbols()
    table = {(cell.key.source, _column(cell.key)): cell for cell in cells}
    if not table:
        return "The matrix is empty."
    # The lab's own workloads come first; the names of others have a dot (`visitor.lobby`).
    sources = sorted(dict.fromkeys(source for source, _ in table), key=lambda source: "." in source)
    order = {source: number for number, source in enumerate(sources)}
    columns = sorted(dict.fromkeys(column for _, column in table), key=lambda column: order.get(column[0], len(order)))
    left = min(LONGEST_SOURCE, max(4, *(len(source) for source in sources)))
    lines: list[str] = []
    room = width - left - 1
    for part in _folded(columns, room):
        lines += _table(part, sources, (left, room), table, symbols, color=color)
        lines.append("")
    return "\n".join([*lines, *wrap(_legend(table.values(), symbols), width, "")])


def changes_text(
    before: Iterable[Cell], after: Iterable[Cell], *, width: int = 80, symbols: Symbols | None = None
) -> tuple[str, ...]:
    """What changed from one matrix to another, in lines; cells that share a destination are told together."""
    symbols = symbols or default_symbols()
    was = {cell.key: cell.is_open for cell in before}
    groups: dict[tuple[str, str, str], list[str]] = {}
    for cell in after:
        if cell.key in was and was[cell.key] is not cell.is_open:
            key = cell.key
            target = f"{key.destination}:{key.port}" + (f" via {key.via}" if key.via != "pod" else "")
            groups.setdefault((_change(cell), target, _verdict(cell)), []).append(key.source)
    if not groups:
        return ("  nothing",)
    lines: list[str] = []
    for (change, target, verdict), sources in sorted(groups.items()):
        text = f"{change:7} {', '.join(sources)} {symbols.arrow} {target}  ({verdict})"
        lines += wrap(clean(text, symbols), width, "  ", " " * 10)
    return tuple(lines)


def _change(cell: Cell) -> str:
    return {True: "opened", False: "closed", None: "unknown"}[cell.is_open]


def _verdict(cell: Cell) -> str:
    if cell.expected is Expectation.ANY:
        return "no task asks about it"
    if cell.state is State.MISSING:
        return "not there any more"
    return "as asked" if cell.state is State.AS_EXPECTED else f"should be {cell.expected}"


def _column(key: CellKey) -> Column:
    return key.destination, f"{key.port}{VIA[key.via]}"


def _folded(columns: Sequence[Column], width: int) -> list[list[Column]]:
    """Columns in parts that fit; the ports of one destination stay together where they can."""
    parts: list[list[Column]] = [[]]
    for destination in dict.fromkeys(name for name, _ in columns):
        group = [column for column in columns if column[0] == destination]
        if parts[-1] and _total([*parts[-1], *group], width) > width:
            parts.append([])
        for column in group:
            if parts[-1] and _total([*parts[-1], column], width) > width:
                parts.append([])
            parts[-1].append(column)
    return parts


def _total(columns: Sequence[Column], width: int) -> int:
    return sum(size + 1 for size in _sizes(columns, width).values()) - 1


def _sizes(columns: Sequence[Column], width: int) -> dict[Column, int]:
    """Each column's width: its port or sign, and the last of a destination makes room for the name, if it can be."""
    sizes = {column: max(2, len(column[1])) for column in columns}
    for destination in dict.fromkeys(name for name, _ in columns):
        group = [column for column in columns if column[0] == destination]
        sizes[group[-1]] += max(0, min(len(destination), width) - sum(sizes[column] + 1 for column in group) + 1)
    return sizes


def _table(
    columns: Sequence[Column],
    sources: Sequence[str],
    room: tuple[int, int],
    table: Mapping[tuple[str, Column], Cell],
    symbols: Symbols,
    *,
    color: bool,
) -> list[str]:
    """`room` is the width of the sources' names, and of the columns together."""
    left, width = room
    sizes = _sizes(columns, width)
    names = []
    for destination in dict.fromkeys(name for name, _ in columns):
        own = sum(sizes[column] + 1 for column in columns if column[0] == destination) - 1
        names.append(fit(clean(destination, symbols), own, symbols).ljust(own))
    lines = [
        f"{'to'.rjust(left)} {' '.join(names)}".rstrip(),
        f"{'from'.ljust(left)} {' '.join(column[1].ljust(sizes[column]) for column in columns)}".rstrip(),
    ]
    for source in sources:
        signs = []
        for column in columns:
            cell = table.get((source, column))
            sign = _sign(cell, symbols)
            signs.append(paint(sign, _style(cell), color=color) + " " * (sizes[column] - len(sign)))
        lines.append(f"{fit(clean(source, symbols), left, symbols).ljust(left)} {' '.join(signs)}".rstrip())
    return lines


def _sign(cell: Cell | None, symbols: Symbols) -> str:
    if cell is None:
        return symbols.none
    if cell.is_open is None:
        return "?"
    mark = "!" if cell.state.wrong else "~" if cell.state is State.NOT_JUDGED else ""
    return (symbols.open if cell.is_open else symbols.closed) + mark


def _style(cell: Cell | None) -> str:
    if cell is None or cell.state is State.NOT_JUDGED:
        return DIM
    if cell.state is not State.AS_EXPECTED:
        return RED
    return GREEN if cell.is_open else DIM


def _legend(cells: Iterable[Cell], symbols: Symbols) -> str:
    """Only the signs that are there need a word."""
    states = {cell.state for cell in cells}
    parts = [f"{symbols.open} open", f"{symbols.closed} closed"]
    if any(state.wrong for state in states):
        parts.append("! differs from what is asked")
    if State.NOT_JUDGED in states:
        parts.append("~ no task asks")
    if State.COULD_NOT_RUN in states:
        parts.append("? not probed")
    return "   ".join(parts)
