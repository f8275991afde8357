"""Long Markdown, cut into sections that are mounted as they come into view.

One Markdown widget for a 30 kB lesson takes two to three seconds to mount; its first section takes a few hundredths.
"""

from __future__ import annotations

import re

from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Markdown

_HEADING = re.compile(r"#{1,3} ")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


def split_sections(text: str) -> tuple[str, ...]:
    """Cut before every heading of the first three levels; what is inside a code fence is no heading."""
    sections: list[list[str]] = [[]]
    fence = ""
    for line in text.splitlines():
        found = _FENCE.match(line)
        if fence:
            if found and found[1].startswith(fence):
                fence = ""
        elif found:
            fence = found[1]
        elif _HEADING.match(line) and any(part.strip() for part in sections[-1]):
            sections.append([])
        sections[-1].append(line)
    return tuple("\n".join(lines) for lines in sections if any(line.strip() for line in lines))


class Sections(VerticalScroll):
    """Scrolls by keys; posts `EndReached` once when the last line has been in view."""

    DEFAULT_CSS = """
    Sections { background: $background; padding: 0; scrollbar-size-vertical: 1; }
    Sections Markdown { margin: 0; padding: 0 1; background: transparent; }
    Sections MarkdownH1, Sections MarkdownH2, Sections MarkdownH3 { margin: 0 0 1 0; content-align: left middle; }
    Sections MarkdownFence { margin: 0 0 1 0; max-height: 100; }
    Sections MarkdownBlock:last-child { margin-bottom: 1; }
    """

    class EndReached(Message):
        """Everything has been in view."""

    def __init__(self, text: str, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._waiting = list(split_sections(text))
        self._reached = False
        self._mounting = False

    def on_mount(self) -> None:
        """Begin, and look again after every scroll and change of size."""
        self.watch(self, "scroll_y", self._look, init=False)
        self.call_after_refresh(self._look)

    def on_resize(self) -> None:
        """More may fit now."""
        self.call_after_refresh(self._look)

    async def _look(self) -> None:
        if self._mounting or not self.is_attached or not self.size.height:
            return
        self._mounting = True
        try:
            below = self.virtual_size.height - self.scroll_offset.y - self.size.height
            if self._waiting and below < self.size.height:
                await self.mount(Markdown(self._waiting.pop(0), open_links=False))
                self.call_after_refresh(self._look)
            elif not self._waiting and not self._reached and self.scroll_offset.y >= self.max_scroll_y - 1:
                self._reached = True
                self.post_message(self.EndReached())
        finally:
            self._mounting = False
