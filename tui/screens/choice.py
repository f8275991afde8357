"""A question with a few answers, each with a key of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui.screens.closing import Dialog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.app import ComposeResult


class Choice(Dialog[str]):
    """Dismisses with the chosen answer's name; with "" on Escape.

    Args:
        question: what is asked.
        answers: name, key and text of each; the first is the default.
    """

    BINDINGS: ClassVar = [Binding("escape", "dismiss('')", "Back")]
    DEFAULT_CSS = """
    Choice { align: center middle; background: $background 60%; }
    Choice > Vertical {
        width: 64; max-width: 95%; height: auto; max-height: 90%;
        background: $panel; border: round $primary; padding: 0 1; overflow-y: auto;
    }
    Choice Static { height: auto; margin-bottom: 1; }
    Choice OptionList { height: auto; border: none; background: $panel; padding: 0; }
    Choice OptionList:focus { border: none; }
    """

    def __init__(self, question: str, answers: Sequence[tuple[str, str, str]]) -> None:
        super().__init__()
        self._question = question
        self._answers = tuple(answers)

    def compose(self) -> ComposeResult:
        """The question above its answers."""
        with Vertical():
            yield Static(self._question, markup=False)
            yield OptionList(*(Option(f"\\[{key}] {text}", id=name) for name, key, text in self._answers))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter or a click."""
        event.stop()
        self.dismiss(event.option_id or "")

    def on_key(self, event: events.Key) -> None:
        """An answer's own key."""
        for name, key, _ in self._answers:
            if event.key == key:
                event.stop()
                self.dismiss(name)
