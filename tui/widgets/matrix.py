"""The live matrix: who reaches whom.

Drawn line by line, with pinned headers: 900 cells repaint in a few milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding
from textual.cache import LRUCache
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.widgets import grid
from tui.widgets.grid import Grid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from textual import events

    from grader.report import Cell, CellKey

_HEAD = 2  # lines: destinations, ports
_CELL = 5  # three characters, and room for the cursor's brackets
_LABEL = 20
_GAP = " "


class Matrix(ScrollView, can_focus=True):
    """Cells as they are, as they should be, and as they would be after an edit."""

    BINDINGS: ClassVar = [
        Binding("up", "move(0,-1)", "Up", show=False),
        Binding("down", "move(0,1)", "Down", show=False),
        Binding("left", "move(-1,0)", "Left", show=False),
        Binding("right", "move(1,0)", "Right", show=False),
        Binding("home", "move(-1000,0)", "First column", show=False),
        Binding("end", "move(1000,0)", "Last column", show=False),
        Binding("pageup", "move(0,-10)", "Ten up", show=False),
        Binding("pagedown", "move(0,10)", "Ten down", show=False),
        Binding("n", "next_difference", "Next !"),
        Binding("enter", "open", "Explain", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "matrix--open",
        "matrix--closed",
        "matrix--differs",
        "matrix--unknown",
        "matrix--head",
        "matrix--predicted",
    }
    DEFAULT_CSS = """
    Matrix { background: $surface; color: $foreground; height: auto; }
    Matrix > .matrix--open { color: $success; }
    Matrix > .matrix--closed { color: $text-muted; }
    Matrix > .matrix--differs { color: $error; text-style: bold reverse; }
    Matrix > .matrix--unknown { color: $warning; text-style: bold; }
    Matrix > .matrix--predicted { color: $accent; text-style: bold; }
    Matrix > .matrix--head { color: $foreground; text-style: bold; }
    """

    class Moved(Message):
        """The cursor is on another cell (or on none)."""

        def __init__(self, key: CellKey | None) -> None:
            super().__init__()
            self.key = key

    class Opened(Message):
        """A cell was chosen with Enter or a click."""

        def __init__(self, key: CellKey) -> None:
            super().__init__()
            self.key = key

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._grid = Grid()
        self._changed: frozenset[CellKey] = frozenset()
        self._predicted: Mapping[CellKey, bool | None] = {}
        self._cursor = (0, 0)
        self._widths: tuple[int, ...] = ()
        self._label_width = 0
        self._styles: LRUCache[tuple[str, str], Style] = LRUCache(32)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """What is shown."""
        return tuple(self._grid.cells.values())

    @property
    def cursor_key(self) -> CellKey | None:
        """The cell under the cursor."""
        cell = self._grid.cells.get(self._cursor)
        return cell.key if cell else None

    def cell(self, key: CellKey) -> Cell | None:
        """A cell as it is shown."""
        at = self._grid.at(key)
        return self._grid.cells.get(at) if at is not None else None

    def predicted(self, key: CellKey) -> bool | None:
        """What a cell would become; None when it would not change."""
        return self._predicted.get(key)

    def show(self, cells: Iterable[Cell], changed: frozenset[CellKey] = frozenset()) -> None:
        """Show these cells; `changed` ones are marked. The cursor stays on its cell where that is still there."""
        at = self.cursor_key
        self._grid = grid.arrange(cells)
        self._changed = changed
        self._cursor = (self._grid.at(at) if at else None) or self._first()
        self._lay_out()
        if self.cursor_key != at:
            self.post_message(self.Moved(self.cursor_key))

    def predict(self, predicted: Mapping[CellKey, bool | None]) -> None:
        """Mark what would change, by what it would become."""
        if predicted != self._predicted:
            self._predicted = dict(predicted)
            self.refresh()

    def text_lines(self) -> tuple[str, ...]:
        """The whole table as plain text."""
        return tuple(
            "".join(segment.text for segment in self._line(y)).rstrip() for y in range(_HEAD + len(self._grid.rows))
        )

    def _first(self) -> tuple[int, int]:
        differing = self._grid.differing()
        return differing[0] if differing else min(self._grid.cells, default=(0, 0))

    def _lay_out(self) -> None:
        columns = self._grid.columns
        widths = [max(_CELL, len(column.label) + 2) for column in columns]
        start = 0
        while start < len(columns):
            end = start
            while end < len(columns) and columns[end].destination == columns[start].destination:
                end += 1
            missing = min(len(columns[start].destination), _LABEL) + 3 - sum(widths[start:end])
            widths[end - 1] += max(0, missing)
            start = end
        self._widths = tuple(widths)
        longest = max((len(row) for row in self._grid.rows), default=0)
        self._label_width = min(max(longest, 7), _LABEL, max(8, self.size.width // 3)) + 1
        size = Size(self._label_width + sum(widths), _HEAD + len(self._grid.rows))
        changed, self.virtual_size = size != self.virtual_size, size
        self.refresh(layout=changed)

    def on_resize(self) -> None:
        """Names get at most a third of the width."""
        self._lay_out()

    def notify_style_update(self) -> None:
        """Another theme: look the colours up again."""
        super().notify_style_update()
        self._styles.clear()

    def _style(self, name: str) -> Style:
        key = (name, self.app.theme)
        if key not in self._styles:
            self._styles[key] = self.get_component_rich_style(f"matrix--{name}", partial=True)
        return self._styles[key]

    def render_line(self, y: int) -> Strip:
        """One line: the two of the header stay, and so does the row's name."""
        scroll_x, scroll_y = self.scroll_offset
        line = y if y < _HEAD else y + scroll_y
        width = self.size.width
        if line >= _HEAD + len(self._grid.rows):
            return Strip.blank(width, self.rich_style)
        label, *cells = self._line(line)
        body = Strip(cells).crop(scroll_x, scroll_x + max(0, width - self._label_width))
        return Strip([label, *body]).adjust_cell_length(width).apply_style(self.rich_style)

    def _line(self, line: int) -> list[Segment]:
        if line == 0:
            return [self._label("from\\to"), *self._destinations()]
        if line == 1:
            return [self._label(""), *self._ports()]
        row = line - _HEAD
        name = self._grid.rows[row]
        return [
            self._label(name, here=row == self._cursor[0] and self.has_focus),
            *(segment for column in range(len(self._grid.columns)) for segment in self._cell(row, column)),
        ]

    def _label(self, text: str, *, here: bool = False) -> Segment:
        room = self._label_width - 1
        text = text if len(text) <= room else text[: room - 1] + "…"
        return Segment(text.ljust(room) + _GAP, self._style("head") + Style(underline=here))

    def _destinations(self) -> Iterable[Segment]:
        columns, start = self._grid.columns, 0
        while start < len(columns):
            end = start
            while end < len(columns) and columns[end].destination == columns[start].destination:
                end += 1
            room = sum(self._widths[start:end])
            name = columns[start].destination
            name = name if len(name) <= room - 2 else name[: room - 3] + "…"
            here = self.has_focus and start <= self._cursor[1] < end
            yield Segment((" " + name).ljust(room - 1)[: room - 1], self._style("head") + Style(underline=here))
            yield Segment(_GAP)
            start = end

    def _ports(self) -> Iterable[Segment]:
        for column, width in zip(self._grid.columns, self._widths, strict=True):
            yield Segment((" " + column.label).ljust(width), self._style("head"))

    def _cell(self, row: int, column: int) -> tuple[Segment, Segment]:
        here = (row, column) == self._cursor
        cell = self._grid.cells.get((row, column))
        if cell is None:
            return self._framed(column, f"{grid.NO_CELL}  ", Style(dim=True), here=here)
        predicted = self._predicted.get(cell.key)
        text = grid.text_of(cell, predicted=predicted, changed=cell.key in self._changed)
        return self._framed(column, text, self._look(cell, predicted), here=here)

    def _look(self, cell: Cell, predicted: bool | None) -> Style:
        if predicted is not None:
            return self._style("predicted")
        if cell.is_open is None:
            return self._style("unknown")
        if grid.differs(cell):
            return self._style("differs")
        return self._style("open" if cell.is_open else "closed")

    def _framed(self, column: int, text: str, style: Style, *, here: bool) -> tuple[Segment, Segment]:
        framed = f"[{text}]" if here else f" {text} "
        if here and self.has_focus:
            style += Style(bold=True, underline=True, reverse=True)
        return Segment(framed, style), Segment(" " * (self._widths[column] - len(framed)))

    def action_move(self, right: int, down: int) -> None:
        """Move the cursor; it stops at the edges."""
        if not self._grid.rows:
            return
        row = max(0, min(len(self._grid.rows) - 1, self._cursor[0] + down))
        column = max(0, min(len(self._grid.columns) - 1, self._cursor[1] + right))
        self._go((row, column))

    def action_next_difference(self) -> None:
        """To the next cell that is not as expected."""
        differing = self._grid.differing()
        if differing:
            self._go(next((at for at in differing if at > self._cursor), differing[0]))

    def action_open(self) -> None:
        """Ask for the explanation of the cell."""
        if self.cursor_key is not None:
            self.post_message(self.Opened(self.cursor_key))

    def _go(self, cell: tuple[int, int]) -> None:
        self._cursor = cell
        row, column = cell
        left = sum(self._widths[:column])
        # The region is widened by what is pinned, so that a cell is never scrolled under a header.
        self.scroll_to_region(
            Region(left, row, self._label_width + self._widths[column], _HEAD + 1), animate=False, force=True
        )
        self.refresh()
        self.post_message(self.Moved(self.cursor_key))

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor and opens the cell."""
        offset = event.get_content_offset(self)
        if offset is None or offset.y < _HEAD or offset.x < self._label_width:
            return
        row = offset.y - _HEAD + self.scroll_offset.y
        x = offset.x - self._label_width + self.scroll_offset.x
        for column, width in enumerate(self._widths):
            if x < width:
                if row < len(self._grid.rows):
                    self._go((row, column))
                    self.action_open()
                return
            x -= width
