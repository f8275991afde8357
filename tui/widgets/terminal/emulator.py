"""Bytes of the program in, a screen and the terminal's answers out; no input makes it fail."""

from __future__ import annotations

import codecs
import contextlib
import time
from typing import TYPE_CHECKING

from tui.widgets.terminal.screen import Screen, Stream
from tui.widgets.terminal.sequences import Repair

if TYPE_CHECKING:
    from collections.abc import Callable

_PIECE = 512


class Emulator:
    """Parses in slices, so that a flood of output leaves the app time for keys.

    Attributes:
        screen: what is shown.
    """

    def __init__(self, columns: int, lines: int, reply: Callable[[str], None]) -> None:
        self.screen = Screen(columns, lines, reply)
        self._stream = Stream(self.screen)
        # With pyte's UTF-8 switch on, the sequences that select line drawing characters are ignored.
        self._stream.use_utf8 = False
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._repair = Repair()
        self._pending = ""

    def feed(self, data: bytes) -> None:
        """Take in output; `parse` works it off."""
        self._pending += self._repair(self._decoder.decode(data))

    def parse(self, seconds: float) -> bool:
        """Work off output for at most about `seconds`; True when nothing is left."""
        end = time.perf_counter() + seconds
        at = 0
        while at < len(self._pending):
            piece = self._pending[at : at + _PIECE]
            at += _PIECE
            # pyte resets its parser when a sequence fails; a terminal goes on after any bytes.
            with contextlib.suppress(Exception):
                self._stream.feed(piece)
            if time.perf_counter() >= end:
                break
        self._pending = self._pending[at:]
        return not self._pending

    def resize(self, columns: int, lines: int) -> None:
        """Change the size of the screen."""
        self.screen.resize(lines, columns)
