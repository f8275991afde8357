"""What could not run, and what to do about it, above the panes. It never speaks about the learner's answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Static

if TYPE_CHECKING:
    from tui.lab.messages import Failed

_WHAT = {
    "start": "The lab could not start",
    "check": "The check could not run; it says nothing about your answer",
    "observe": "The matrix could not be observed",
    "reset": "The reset could not run",
    "apply": "The file could not be applied",
    "explain": "No explanation",
    "predict": "No prediction",
}


class Trouble(Static):
    """Hidden until something fails.

    Attributes:
        action: what failed last, as `Failed.action` has it; empty when all is well.
    """

    DEFAULT_CSS = """
    Trouble {
        height: auto; max-height: 8; background: $error 20%; color: $foreground; border-left: thick $error;
        padding: 0 1; display: none;
    }
    Trouble.shown { display: block; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, markup=False)
        self.action = ""

    def show(self, failed: Failed) -> None:
        """Say what failed."""
        self.action = failed.action
        lines = [f"✗ {_WHAT[failed.action]}: {failed.message}", *([f"→ {failed.remedy}"] if failed.remedy else [])]
        self.update("\n".join([*lines, "Ctrl+R tries again (outside the shell)"]))
        self.add_class("shown")

    def clear(self, action: str = "") -> None:
        """All is well again: with `action`, only when that is what had failed."""
        if action in {"", self.action}:
            self.action = ""
            self.remove_class("shown")
