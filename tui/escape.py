"""Gives back Escape and Alt in front of punctuation.

Textual 8 takes `Escape` followed within a tenth of a second by `:` for Alt+colon and then drops the Alt, so that vim's
"leave insert mode, command" becomes a typed colon. Here the Escape is sent in front of such a character, which is also
what a terminal sends for Alt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual._xterm_parser import XTermParser

if TYPE_CHECKING:
    from collections.abc import Iterable


def keep_escape() -> None:
    """Mend the parser of this process; doing it twice is doing it once."""
    original = XTermParser._sequence_to_key_events  # noqa: SLF001 - there is no public place to mend this
    if getattr(original, "keeps_escape", False):
        return

    def sequence_to_key_events(self: XTermParser, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        keys = list(original(self, sequence, alt))
        if alt and keys and not any("alt+" in key.key for key in keys):
            yield events.Key("escape", "\x1b")
        yield from keys

    sequence_to_key_events.keeps_escape = True  # type: ignore[attr-defined] # marks our own
    XTermParser._sequence_to_key_events = sequence_to_key_events  # type: ignore[method-assign] # noqa: SLF001 - as above
