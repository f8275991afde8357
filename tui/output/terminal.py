"""What the terminal can show, and text that is safe to show on it."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

NARROWEST, WIDEST = 40, 160
"""Columns: below, lines are broken no further; above, lines would be too long to read."""


@dataclass(frozen=True, slots=True)
class Symbols:
    """The signs of a matrix and of a task list. None carries its meaning by colour."""

    open: str
    closed: str
    done: str
    todo: str
    arrow: str
    none: str
    cut: str
    ascii: bool = False


UNICODE = Symbols(open="✓", closed="✗", done="☑", todo="☐", arrow="→", none="·", cut="…")
ASCII = Symbols(open="o", closed="x", done="[x]", todo="[ ]", arrow="->", none=".", cut="~", ascii=True)


def symbols_of(encoding: str | None) -> Symbols:
    """Unicode signs where this encoding has all of them, else ASCII."""
    try:
        f"{UNICODE.open}{UNICODE.closed}{UNICODE.done}{UNICODE.todo}{UNICODE.arrow}{UNICODE.cut}".encode(
            encoding or "ascii"
        )
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


def default_symbols() -> Symbols:
    """The signs that standard output can show."""
    return symbols_of(getattr(sys.stdout, "encoding", None))


def terminal_width() -> int:
    """Columns to use: the terminal's (or `$COLUMNS`), 80 where there is none."""
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size((80, 24)).columns))


def wants_color() -> bool:
    """Tell whether standard output shall be coloured: a terminal that can, unless `$NO_COLOR` is set."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


GREEN, RED, YELLOW, DIM, BOLD = "32", "1;31", "33", "2", "1"
"""SGR parameters (ECMA-48)."""


def paint(text: str, style: str, *, color: bool) -> str:
    """The text in a style, or as it is."""
    return f"\x1b[{style}m{text}\x1b[0m" if color and style else text


def clean(text: str, symbols: Symbols) -> str:
    """One line of a stranger's text: what moves the cursor or turns the direction of writing is replaced."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return shown.encode("ascii", "replace").decode("ascii") if symbols.ascii else shown


def wrap(text: str, width: int, indent: str, hanging: str = "") -> list[str]:
    """Lines of at most `width` columns; words are broken only where one is longer than a line."""
    return textwrap.wrap(
        text, max(width, NARROWEST), initial_indent=indent, subsequent_indent=hanging or indent, break_on_hyphens=False
    )


def sentences(lines: Iterable[str], width: int) -> str:
    """An explanation's lines, wrapped and indented; one that belongs to the line before it stays below that."""
    symbols = default_symbols()
    wrapped: list[str] = []
    for line in lines:
        inner = " " * (len(line) - len(line.lstrip(" ")))
        wrapped += wrap(clean(line.lstrip(" "), symbols), width, f"  {inner}", f"    {inner}")
    return "\n".join(wrapped)


def fit(text: str, width: int, symbols: Symbols) -> str:
    """The text cut to a width, with a sign where something is missing."""
    return text if len(text) <= width else text[: width - 1] + symbols.cut
