"""F1: what a screen is for and which keys it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Markdown

from tui.screens.closing import Dialog

if TYPE_CHECKING:
    from textual.app import ComposeResult

EVERYWHERE = """
## Everywhere

| Key | Does |
|---|---|
| F1 | this page |
| Ctrl+K | all commands: every lesson, lab and action by name, and the themes |
| Tab, Shift+Tab | to the next or previous part of the screen |
| Escape | back |
| Ctrl+Q | quit |
"""


class Page(Dialog[None]):
    """A page of Markdown on top of the screen."""

    BINDINGS: ClassVar = [Binding("escape,f1,q,enter", "dismiss", "Back")]
    DEFAULT_CSS = """
    Page { align: center middle; background: $background 60%; }
    Page > VerticalScroll {
        width: 76; max-width: 100%; height: 90%; background: $panel; border: round $primary; padding: 0 1;
    }
    Page Markdown { background: transparent; margin: 0; padding: 0; }
    Page MarkdownH1, Page MarkdownH2 { margin: 0 0 1 0; content-align: left middle; }
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """One page."""
        with VerticalScroll():
            yield Markdown(self._text, open_links=False)
