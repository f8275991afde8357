"""The matrix as a table: cells arranged into rows and columns, and how each one is shown. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grader.report import Cell, CellKey, Expectation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from content.arrows import Port

OPEN, CLOSED, UNKNOWN, NO_CELL = "✓", "✗", "?", "·"
DIFFERS, PREDICTED, CHANGED = "!", "Δ", "*"
LEGEND = f"{OPEN} open  {CLOSED} closed  {DIFFERS} not expected  {PREDICTED} would change  {CHANGED} changed"

_WAYS = {"pod": "", "service": "svc:", "nodeport": "node:"}


@dataclass(frozen=True, slots=True)
class Column:
    """A destination, one of its ports, and the way there."""

    destination: str
    port: Port
    via: str

    @property
    def label(self) -> str:
        """The port as the header shows it."""
        return f"{_WAYS.get(self.via, self.via + ':')}{self.port}"


@dataclass(frozen=True, slots=True)
class Grid:
    """Sources from top to bottom, destinations and ports from left to right."""

    rows: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    cells: Mapping[tuple[int, int], Cell] = field(default_factory=dict)

    def at(self, key: CellKey) -> tuple[int, int] | None:
        """Row and column of a cell."""
        column = Column(key.destination, key.port, key.via)
        if key.source not in self.rows or column not in self.columns:
            return None
        return self.rows.index(key.source), self.columns.index(column)

    def differing(self) -> tuple[tuple[int, int], ...]:
        """Where cells are not as expected, in reading order."""
        return tuple(sorted(at for at, cell in self.cells.items() if differs(cell)))


def arrange(cells: Iterable[Cell]) -> Grid:
    """Build the table; ports of one destination stand side by side."""
    cells = tuple(cells)
    rows = tuple(dict.fromkeys(cell.key.source for cell in cells))
    served = dict.fromkeys(cell.key.destination for cell in cells)
    # The same order in both directions, so that the diagonal is one.
    destinations = (*(name for name in rows if name in served), *(name for name in served if name not in rows))
    rank = {name: at for at, name in enumerate(destinations)}
    columns = sorted(
        {Column(cell.key.destination, cell.key.port, cell.key.via) for cell in cells},
        key=lambda column: (rank[column.destination], list(_WAYS).index(column.via), column.port),
    )
    row_of = {name: at for at, name in enumerate(rows)}
    column_of = {column: at for at, column in enumerate(columns)}
    table = {
        (row_of[cell.key.source], column_of[Column(cell.key.destination, cell.key.port, cell.key.via)]): cell
        for cell in cells
    }
    return Grid(rows, tuple(columns), table)


def differs(cell: Cell) -> bool:
    """True when the traffic is not what is expected."""
    return cell.state.wrong


def symbol(is_open: bool | None) -> str:
    """The sign of an outcome."""
    if is_open is None:
        return UNKNOWN
    return OPEN if is_open else CLOSED


def text_of(cell: Cell, *, predicted: bool | None = None, changed: bool = False) -> str:
    """Three characters: the outcome, whether it differs, and whether it just changed; or what it would turn into.

    Args:
        cell: as observed.
        predicted: what it would be after the edit; None when that does not change it.
        changed: it turned since the last look.
    """
    if predicted is not None:
        return f"{symbol(cell.is_open)}{PREDICTED}{symbol(predicted)}"
    return symbol(cell.is_open) + (DIFFERS if differs(cell) else " ") + (CHANGED if changed else " ")


def sentence(cell: Cell, predicted: bool | None = None) -> str:
    """What a cell shows, in words."""
    words = {True: "open", False: "closed", None: "could not be probed"}
    expected = {Expectation.OPEN: ", expected open", Expectation.CLOSED: ", expected closed"}.get(cell.expected, "")
    mark = DIFFERS if differs(cell) else symbol(cell.is_open)
    turning = f"; {PREDICTED} {words[predicted]} after the edit" if predicted is not None else ""
    return f"{mark} {words[cell.is_open]}{expected}{turning}"


def changed_keys(before: Iterable[Cell], after: Iterable[Cell]) -> frozenset[CellKey]:
    """The cells that turned; cells that were not there before have not."""
    was = {cell.key: cell.is_open for cell in before}
    return frozenset(cell.key for cell in after if cell.key in was and was[cell.key] != cell.is_open)
