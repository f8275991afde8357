"""The emulated screen: pyte's, with scrollback, an alternate screen and a resize that keeps the cursor's line.

pyte's own `HistoryScreen` is four to nine times slower, so `index` keeps the lines that scroll off here.
"""

from __future__ import annotations

import copy
import functools
from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, Any

import pyte
from pyte import charsets, modes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SCROLLBACK = 2000
"""Lines that are kept above the screen."""

_ALTERNATE = frozenset({47, 1047, 1049})
_COLUMNS_132 = 3  # DECCOLM: the widget's size decides, not the program
_APPLICATION_CURSOR = 1 << 5
_BRACKETED_PASTE = 2004 << 5


class Screen(pyte.Screen):  # type: ignore[misc] # pyte has no types
    """What the program has drawn. `reply` receives the terminal's answers to the program's questions."""

    columns: int
    lines: int
    cursor: Any
    buffer: Any
    margins: Any
    mode: set[int]

    def __init__(self, columns: int, lines: int, reply: Callable[[str], None]) -> None:
        self.history: deque[Mapping[int, Any]] = deque(maxlen=SCROLLBACK)
        self._reply = reply
        self._main: tuple[Any, Any, Any] | None = None
        self._last = " "
        self._cells: dict[tuple[str, Any], Any] = {}
        super().__init__(columns, lines)

    @property
    def alternate(self) -> bool:
        """True while a full-screen program has the screen to itself: nothing goes to the scrollback."""
        return self._main is not None

    @property
    def application_cursor(self) -> bool:
        """True when cursor keys are wanted in their other form (DECCKM)."""
        return _APPLICATION_CURSOR in self.mode

    @property
    def bracketed_paste(self) -> bool:
        """True when the program wants to tell pasted from typed text."""
        return _BRACKETED_PASTE in self.mode

    def reset(self) -> None:
        """RIS: everything but the scrollback."""
        self._main = None
        super().reset()

    def index(self) -> None:
        """Move down a line; at the bottom the first line goes to the scrollback."""
        bottom = self.margins.bottom if self.margins else self.lines - 1
        top = self.margins.top if self.margins else 0
        if self.cursor.y == bottom and top == 0 and not self.alternate:
            self.history.append(self.buffer[0])
        super().index()

    def draw(self, data: str) -> None:
        """Write text at the cursor. Plain ASCII, which is nearly everything, takes a way of its own."""
        if not data:
            return
        self._last = data[-1]
        plain = data.isascii() and data.isprintable() and not self.charset and self.g0_charset is charsets.LAT1_MAP
        if not plain or modes.IRM in self.mode or modes.DECAWM not in self.mode:
            super().draw(data)
            return
        at = 0
        while at < len(data):
            if self.cursor.x >= self.columns:
                self.carriage_return()
                self.linefeed()
            part = data[at : at + self.columns - self.cursor.x]
            line, x, attributes = self.buffer[self.cursor.y], self.cursor.x, self.cursor.attrs
            for offset, character in enumerate(part):
                line[x + offset] = self._cell(character, attributes)
            self.cursor.x += len(part)
            self.dirty.add(self.cursor.y)
            at += len(part)

    def _cell(self, character: str, attributes: Any) -> Any:  # noqa: ANN401 - pyte has no types
        key = (character, attributes)
        cell = self._cells.get(key)
        if cell is None:
            if len(self._cells) > 10_000:
                self._cells.clear()
            cell = self._cells[key] = attributes._replace(data=character)
        return cell

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        """Change the size; when lines go, the ones above the cursor go first, into the scrollback.

        pyte deletes rows at the top and leaves the cursor where it was.
        """
        lines = lines or self.lines
        if lines < self.lines:
            over = max(0, self.cursor.y - (lines - 1))
            if not self.alternate:
                self.history.extend(self.buffer[y] for y in range(over))
            kept = {y - over: row for y, row in self.buffer.items() if over <= y < over + lines}
            self.buffer.clear()
            self.buffer.update(kept)
            self.cursor.y -= over
            self.lines = lines
            self.margins = None
            self.dirty.update(range(lines))
        super().resize(lines, columns)
        self.cursor.x = min(self.cursor.x, self.columns)

    def repeat(self, count: int = 1) -> None:
        """REP: the last character again."""
        self.draw(self._last * (count or 1))

    def scroll_up(self, count: int = 1) -> None:
        """SU: the lines move up, the cursor stays."""
        self._scroll(count, self.margins.bottom if self.margins else self.lines - 1, super().index)

    def scroll_down(self, count: int = 1) -> None:
        """SD: the lines move down, the cursor stays."""
        self._scroll(count, self.margins.top if self.margins else 0, self.reverse_index)

    def _scroll(self, count: int, edge: int, step: Callable[[], None]) -> None:
        row, self.cursor.y = self.cursor.y, edge
        for _ in range(min(count or 1, self.lines)):
            step()
        self.cursor.y = row

    def set_mode(self, *numbers: int, **keywords: Any) -> None:  # noqa: ANN401 - pyte's signature
        """SM and DECSET; the alternate screen starts empty."""
        numbers = _without_width(numbers, keywords)
        if keywords.get("private") and _ALTERNATE.intersection(numbers) and not self.alternate:
            self._main = (copy.copy(self.buffer), copy.copy(self.cursor), self.margins)
            self.buffer.clear()
            self.dirty.update(range(self.lines))
            self.cursor_position()
        super().set_mode(*numbers, **keywords)

    def reset_mode(self, *numbers: int, **keywords: Any) -> None:  # noqa: ANN401 - pyte's signature
        """RM and DECRST; leaving the alternate screen shows the main one as it was."""
        numbers = _without_width(numbers, keywords)
        if keywords.get("private") and _ALTERNATE.intersection(numbers) and self._main is not None:
            self.buffer, self.cursor, self.margins = self._main
            self._main = None
            self.cursor.x, self.cursor.y = min(self.cursor.x, self.columns), min(self.cursor.y, self.lines - 1)
            if self.margins and self.margins.bottom >= self.lines:
                self.margins = None
            self.dirty.update(range(self.lines))
        super().reset_mode(*numbers, **keywords)

    def write_process_input(self, data: str) -> None:
        """Answer the program; the name is pyte's.

        Args:
            data: what a terminal would send.
        """
        self._reply(data)

    def line(self, back: int, y: int) -> Mapping[int, Any]:
        """Row `y` of the screen when it is scrolled `back` lines into the past."""
        at = len(self.history) - back + y
        row: Mapping[int, Any] = (
            self.history[at] if back and at < len(self.history) else self.buffer[at - len(self.history)]
        )
        return row


def _without_width(numbers: tuple[int, ...], keywords: dict[str, Any]) -> tuple[int, ...]:
    return tuple(n for n in numbers if n != _COLUMNS_132) if keywords.get("private") else numbers


def _tolerant(handler: Callable[..., None]) -> Callable[..., None]:
    """A terminal ignores parameters that it does not expect; pyte's handlers raise."""

    @functools.wraps(handler)
    def handle(*arguments: Any, **keywords: Any) -> None:  # noqa: ANN401 - pyte's signature
        try:
            handler(*arguments, **keywords)
        except (TypeError, ValueError, LookupError, AttributeError, AssertionError, UnboundLocalError):
            return

    return handle


class Stream(pyte.Stream):  # type: ignore[misc] # pyte has no types
    """pyte's parser, which dispatches three more sequences."""

    csi = {**pyte.Stream.csi, "S": "scroll_up", "T": "scroll_down", "b": "repeat"}  # noqa: RUF012 - as in pyte
    events = frozenset(chain(pyte.Stream.events, ["scroll_up", "scroll_down", "repeat"]))


for _name in Stream.events - {"draw"}:
    setattr(Screen, _name, _tolerant(getattr(Screen, _name)))
