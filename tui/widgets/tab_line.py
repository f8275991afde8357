"""One line of tabs: Textual's own take three."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.message import Message
from textual.widgets import Static

if TYPE_CHECKING:
    from collections.abc import Sequence


class TabLine(Static):
    """Names side by side; the active one is reversed and in brackets."""

    DEFAULT_CSS = """
    TabLine {
        height: 1; background: $panel; color: $foreground;
        link-style: none; link-color: $foreground; link-background: transparent;
        link-style-hover: underline; link-color-hover: $foreground; link-background-hover: transparent;
    }
    """

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, line: TabLine, tab: str) -> None:
            super().__init__()
            self.line = line
            self.tab = tab

    def __init__(self, tabs: Sequence[tuple[str, str]], *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        """`tabs` are pairs of a name and the text shown."""
        super().__init__(id=id)
        self._tabs = tuple(tabs)
        self._active = self._tabs[0][0]

    @property
    def active(self) -> str:
        """The active tab's name."""
        return self._active

    def activate(self, tab: str) -> None:
        """Mark another tab as the active one."""
        self._active = tab
        self.refresh(layout=True)

    def render(self) -> Content:
        """The line; every tab can be clicked."""
        parts = []
        for name, text in self._tabs:
            shown = f"[{text}]" if name == self._active else f" {text} "
            style = "bold reverse" if name == self._active else ""
            parts.append(Content.styled(shown, style).stylize(f"@click=choose('{name}')"))
        return Content(" ").join(parts)

    def action_choose(self, tab: str) -> None:
        """A click on a tab."""
        self.post_message(self.Chosen(self, tab))
