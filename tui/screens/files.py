"""Which of the lab's files to open, or the name of a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui.lab.workfiles import refuse_name
from tui.screens.closing import Dialog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult


class FilePicker(Dialog[str]):
    """Dismisses with a file's name; with "" on Escape. `names` is empty to ask for a new name only."""

    BINDINGS: ClassVar = [Binding("escape", "dismiss('')", "Back")]
    DEFAULT_CSS = """
    FilePicker { align: center middle; background: $background 60%; }
    FilePicker > Vertical {
        width: 64; max-width: 95%; height: auto; max-height: 90%;
        background: $panel; border: round $primary; padding: 0 1;
    }
    FilePicker OptionList { height: auto; max-height: 12; border: none; background: $panel; }
    FilePicker Input { height: 1; border: none; background: $surface; padding: 0; }
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._names = tuple(names)

    def compose(self) -> ComposeResult:
        """The files, and a line for a new name."""
        with Vertical():
            if self._names:
                yield Static("Open which file?", markup=False)
                yield OptionList(*(Option(name, id=name) for name in self._names))
            yield Static("A new file's name, ending in .yaml:", markup=False)
            yield Input(placeholder="allow-web.yaml")
            yield Static("", id="files-refused", markup=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A file."""
        event.stop()
        self.dismiss(event.option_id or "")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """A new name, if it can be one."""
        event.stop()
        reason = refuse_name(event.value)
        if reason:
            self.query_one("#files-refused", Static).update(reason)
        else:
            self.dismiss(event.value)
