"""The matrix with its legend and, below, why the cell under the cursor is what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Static

from tui.widgets import grid
from tui.widgets.matrix import Matrix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual.app import ComposeResult

    from grader.report import Cell, CellKey

_DEBOUNCE = 0.12  # seconds: the explanation follows the cursor once it rests


class MatrixPane(Vertical):
    """Shows steps of the start until there are cells."""

    DEFAULT_CSS = """
    MatrixPane #starting { height: 1fr; padding: 1 2; }
    MatrixPane #legend { height: 1; color: $text-muted; background: $surface; }
    MatrixPane #explanation { height: 1fr; border-top: solid $primary 40%; background: $background; padding: 0 1; }
    MatrixPane #matrix { max-height: 60%; }
    MatrixPane.-large #matrix { max-height: 6; }
    MatrixPane #explanation-text { height: auto; }
    MatrixPane.-starting #matrix, MatrixPane.-starting #legend, MatrixPane.-starting #explanation { display: none; }
    MatrixPane.-started #starting { display: none; }
    """

    class ExplanationWanted(Message):
        """The cursor rests on a cell that has not been explained since it was observed."""

        def __init__(self, key: CellKey) -> None:
            super().__init__()
            self.key = key

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes="-starting")
        self._explained: dict[CellKey, tuple[str, ...]] = {}

    def compose(self) -> ComposeResult:
        """Steps or matrix, legend, explanation."""
        yield Static("starting the lab…", id="starting", markup=False)
        yield Matrix(id="matrix")
        yield Static(grid.LEGEND, id="legend", markup=False)
        with VerticalScroll(id="explanation"):
            yield Static("", id="explanation-text", markup=False)

    @property
    def matrix(self) -> Matrix:
        """The table."""
        return self.query_one(Matrix)

    def steps(self, steps: Sequence[str]) -> None:
        """Show how far the start is."""
        lines = ["starting the lab…", *(f"  {step}" for step in steps), "", "Escape cancels"]
        self.query_one("#starting", Static).update("\n".join(lines))

    def show(self, cells: tuple[Cell, ...]) -> None:
        """Show what was observed; cells that turned since the last time are marked."""
        self.set_class(False, "-starting")
        self.set_class(True, "-started")
        self._explained.clear()
        self.matrix.show(cells, grid.changed_keys(self.matrix.cells, cells))
        self._ask_soon(self.matrix.cursor_key)

    def predict(self, after: Mapping[CellKey, bool | None]) -> None:
        """Mark what would change."""
        self.matrix.predict(after)
        self._show_text(self.matrix.cursor_key)

    def explain(self, key: CellKey, lines: tuple[str, ...]) -> None:
        """An explanation has come."""
        self._explained[key] = lines
        if key == self.matrix.cursor_key:
            self._show_text(key)

    @on(Matrix.Moved)
    def _moved(self, message: Matrix.Moved) -> None:
        message.stop()
        self.remove_class("-large")
        self._ask_soon(message.key)

    @on(Matrix.Opened)
    def _opened(self, message: Matrix.Opened) -> None:
        message.stop()
        self.toggle_class("-large")
        self._ask_soon(message.key)

    def _ask_soon(self, key: CellKey | None) -> None:
        self._show_text(key)
        if key is not None and key not in self._explained:
            self.set_timer(_DEBOUNCE, lambda: self._ask(key))

    def _ask(self, key: CellKey) -> None:
        if key == self.matrix.cursor_key and key not in self._explained:
            self.post_message(self.ExplanationWanted(key))

    def _show_text(self, key: CellKey | None) -> None:
        cell = self.matrix.cell(key) if key is not None else None
        lines: list[str] = []
        if cell is not None:
            lines = [grid.sentence(cell, self.matrix.predicted(cell.key))]
            lines += self._explained.get(cell.key, (f"{cell.key} …",))
        self.query_one("#explanation-text", Static).update("\n".join(lines))
