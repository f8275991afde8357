"""Screens that close once.

Keys that are pressed quickly are in a screen's queue already when it closes. Left alone, the second Enter or Escape
would close the screen below as well.
"""

from __future__ import annotations

from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen, Screen

Answer = TypeVar("Answer")


class ClosingScreen(Screen[None]):
    """A screen of its own with an action that closes it."""

    def action_close(self) -> None:
        """Back to the screen below."""
        if self.is_current:
            self.app.pop_screen()


class Dialog(ModalScreen[Answer]):
    """A small screen on top of another."""

    def dismiss(self, result: Answer | None = None) -> AwaitComplete:
        """Close with a result; what comes after that is ignored."""
        return super().dismiss(result) if self.is_current else AwaitComplete()
