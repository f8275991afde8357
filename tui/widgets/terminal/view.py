"""The terminal as a widget: draws the emulated screen, passes keys, pastes and the mouse wheel to the program.

Every key but those in `passed_on` goes to the program, Ctrl-C and Escape included.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from rich.color import ColorParseError
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.widgets.terminal.child import Child, spawn
from tui.widgets.terminal.emulator import Emulator
from tui.widgets.terminal.keys import encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from textual import events

_SLICE = 0.012  # seconds of parsing before keys and painting get their turn
_PAUSE = 0.004
_FRAME = 1 / 30
_WHEEL = 3
_CURSOR_UP, _CURSOR_DOWN = "\x1b[A", "\x1b[B"


class Terminal(Widget, can_focus=True):
    """A program's terminal. Nothing runs until `run` is called and the widget has a size.

    Args:
        passed_on: keys that the program never sees; the screen's bindings get them.
    """

    DEFAULT_CSS = """
    Terminal { background: $background; color: $foreground; }
    """

    class Exited(Message):
        """The program has ended."""

        def __init__(self, status: int) -> None:
            super().__init__()
            self.status = status

    class Unable(Message):
        """The program could not be started."""

        def __init__(self, reason: str) -> None:
            super().__init__()
            self.reason = reason

    takes_all_keys: ClassVar[bool] = True
    """The app's own keys ask for this before they do anything."""

    def __init__(self, *, passed_on: frozenset[str] = frozenset({"f6"}), id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._passed_on = passed_on
        self._emulator = Emulator(80, 24, self._type)
        self._child: Child | None = None
        self._wanted: tuple[Sequence[str], Mapping[str, str], Path] | None = None
        self._back = 0
        self._cursor = (0, 0, False)

    @property
    def running(self) -> bool:
        """True while the program runs."""
        return self._child is not None

    @property
    def text(self) -> str:
        """The screen as plain lines, without the scrollback."""
        screen = self._emulator.screen
        return "\n".join(
            "".join(screen.buffer[y][x].data for x in range(screen.columns)).rstrip() for y in range(screen.lines)
        )

    def run(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        """Start a program, now or as soon as the widget has a size."""
        self._wanted = (tuple(command), environment, folder)
        self._start()

    def on_mount(self) -> None:
        """Look for changed lines 30 times a second rather than painting at every byte."""
        self.set_interval(_FRAME, self._paint)

    async def on_unmount(self) -> None:
        """Hang up."""
        child, self._child = self._child, None
        if child is not None:
            await child.close()

    def _start(self) -> None:
        width, height = self.size
        if self._wanted is None or self._child is not None or width < 2 or height < 1:
            return
        (command, environment, folder), self._wanted = self._wanted, None
        self._emulator.resize(width, height)
        try:
            self._child = spawn(
                command, environment, folder, (width, height), on_output=self._take, on_exit=self._ended
            )
        except OSError as error:
            self.post_message(self.Unable(str(error)))

    def _take(self, data: bytes) -> None:
        self._emulator.feed(data)
        self._parse()

    def _parse(self) -> None:
        if self._child is None:
            return
        if self._emulator.parse(_SLICE):
            self._child.resume()
        else:
            asyncio.get_running_loop().call_later(_PAUSE, self._parse)

    def _ended(self, status: int) -> None:
        if self._child is not None:
            self._child = None
            self.post_message(self.Exited(status))

    def _type(self, text: str) -> None:
        if self._child is not None:
            self._child.write(text.encode("utf-8", "replace"))

    def on_resize(self) -> None:
        """Take the content's size: the event's would include a border."""
        width, height = self.size
        if width < 2 or height < 1:
            return
        self._emulator.resize(width, height)
        if self._child is not None:
            self._child.resize(width, height)
        self._start()

    def _paint(self) -> None:
        screen = self._emulator.screen
        cursor = (screen.cursor.x, screen.cursor.y, screen.cursor.hidden)
        if cursor != self._cursor:
            screen.dirty.update((self._cursor[1], cursor[1]))
            self._cursor = cursor
        rows = [y for y in screen.dirty if y < self.size.height]
        screen.dirty.clear()
        if self._back or len(rows) > self.size.height // 2:
            self.refresh()
        elif rows:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in rows))

    def render_line(self, y: int) -> Strip:
        """One line of the screen, or of the scrollback."""
        screen = self._emulator.screen
        width = self.size.width
        line = screen.line(self._back, y)
        at = screen.cursor.x if self._shows_cursor(y) else -1
        segments: list[Segment] = []
        run: list[str] = []
        before: tuple[Any, bool] | None = None
        style = Style()
        for x in range(min(width, screen.columns)):
            cell = line[x]
            look = (cell[1:], x == at)
            if look != before:
                if run:
                    segments.append(Segment("".join(run), style))
                    run = []
                before = look
                style = _style(cell[1:])
                if look[1]:
                    style += Style(reverse=not style.reverse)
            run.append(cell.data)
        if run:
            segments.append(Segment("".join(run), style))
        return Strip(segments).adjust_cell_length(width).apply_style(self.rich_style)

    def _shows_cursor(self, y: int) -> bool:
        cursor = self._emulator.screen.cursor
        return bool(self.has_focus and not self._back and y == cursor.y and not cursor.hidden)

    def on_key(self, event: events.Key) -> None:
        """Type into the program, or page through the scrollback."""
        if event.key in self._passed_on:
            return
        event.stop()
        event.prevent_default()
        if event.key in {"shift+pageup", "shift+pagedown"}:
            self._scroll_back((self.size.height - 1) * (1 if event.key == "shift+pageup" else -1))
            return
        text = encode(event.key, event.character, application_cursor=self._emulator.screen.application_cursor)
        if text:
            self._scroll_back(-self._back)
            self._type(text)

    def on_paste(self, event: events.Paste) -> None:
        """Type what was pasted, marked as pasted where the program asks for it."""
        event.stop()
        event.prevent_default()
        # The mark's end inside the pasted text would let the rest count as typed.
        text = event.text.replace("\x1b[201~", "").replace("\r\n", "\n").replace("\n", "\r")
        self._type(f"\x1b[200~{text}\x1b[201~" if self._emulator.screen.bracketed_paste else text)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Back into the past; a full-screen program gets cursor keys."""
        event.stop()
        self._wheel(_WHEEL, _CURSOR_UP)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Towards now; a full-screen program gets cursor keys."""
        event.stop()
        self._wheel(-_WHEEL, _CURSOR_DOWN)

    def _wheel(self, lines: int, key: str) -> None:
        if self._emulator.screen.alternate:
            self._type(key * _WHEEL)
        else:
            self._scroll_back(lines)

    def _scroll_back(self, lines: int) -> None:
        back = max(0, min(len(self._emulator.screen.history), self._back + lines))
        if back != self._back:
            self._back = back
            self.refresh()

    def on_focus(self) -> None:
        """Show the cursor."""
        self._emulator.screen.dirty.add(self._emulator.screen.cursor.y)

    def on_blur(self) -> None:
        """Hide the cursor."""
        self._emulator.screen.dirty.add(self._emulator.screen.cursor.y)


@lru_cache(maxsize=4096)
def _style(attributes: tuple[Any, ...]) -> Style:
    foreground, background, bold, italic, underline, strike, reverse, _blink = attributes
    try:
        return Style(
            color=_colour(foreground),
            bgcolor=_colour(background),
            bold=bold,
            italic=italic,
            underline=underline,
            strike=strike,
            reverse=reverse,
        )
    except ColorParseError:
        return Style()


def _colour(name: str) -> str | None:
    """Rich's name for pyte's: `brown` is ANSI yellow, six hexadecimal digits are a colour of the large palettes."""
    if name == "default":
        return None
    name = name.replace("brown", "yellow").replace("bfight", "bright")  # the latter is a misspelling in pyte
    if len(name) == 6 and all(digit in "0123456789abcdef" for digit in name.lower()):
        return f"#{name}"
    return name.replace("bright", "bright_")
