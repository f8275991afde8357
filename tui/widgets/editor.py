"""The editor tab: the lab's YAML files, for those who have no favourite editor.

Unsaved text is kept as a draft beside the file after each pause in typing, so it survives whatever happens to the app.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static, TextArea

from tui.lab.workfiles import LARGEST, WorkFiles, template

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from textual import events
    from textual.app import ComposeResult
    from textual.theme import Theme
    from textual.timer import Timer

FIRST_FILE = "policy.yaml"
_PAUSE = 0.4  # seconds without a key before the text is predicted and its draft kept


class YamlArea(TextArea):
    """A text area that keeps the indentation, with spaces only: YAML refuses tabs."""

    BINDINGS: ClassVar = [
        # A text area has meanings of its own for these two keys.
        Binding("f6", "screen.shell", "Leave editor", show=False),
        Binding("f7", "apply", "Apply"),
    ]

    class ApplyPressed(Message):
        """F7."""

    def action_apply(self) -> None:
        """Ask the editor to apply."""
        self.post_message(self.ApplyPressed())

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter" and not self.read_only:
            event.stop()
            event.prevent_default()
            row, column = self.cursor_location
            before = self.document.get_line(row)[:column]
            indent = before[: len(before) - len(before.lstrip(" "))]
            if before.rstrip().endswith(":"):
                indent += "  "
            self.replace("\n" + indent, *self.selection)
            return
        await super()._on_key(event)


class Editor(Vertical):
    """One file at a time."""

    BINDINGS: ClassVar = [
        Binding("ctrl+s", "save", "Save"),
        Binding("ctrl+o", "open", "Open"),
        Binding("ctrl+n", "new", "New"),
    ]
    DEFAULT_CSS = """
    Editor > #editor-file { height: 1; background: $panel; }
    Editor > TextArea { height: 1fr; border: none; padding: 0; }
    Editor > TextArea:focus { border: none; }
    Editor > #editor-prediction, Editor > #editor-note {
        height: auto; max-height: 4; background: $surface; color: $foreground;
    }
    """

    class Paused(Message):
        """Typing has stopped for a moment; the text can be predicted."""

    class ApplyWanted(Message):
        """The file is saved and shall be applied."""

        def __init__(self, path: Path) -> None:
            super().__init__()
            self.path = path

    class PickWanted(Message):
        """Another file is wanted; `new` when it shall be made."""

        def __init__(self, *, new: bool) -> None:
            super().__init__()
            self.new = new

    def __init__(self, folder: Path, namespace: str, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.files = WorkFiles(folder)
        self._namespace = namespace
        self._file = ""
        self._saved: str | None = None  # the text on disk as far as we know; None: no file yet
        self._conflict = False
        self._pause: Timer | None = None

    def compose(self) -> ComposeResult:
        """File line, text, notes."""
        yield Static("", id="editor-file", markup=False)
        coloured = has_grammar()
        area = YamlArea(
            language="yaml" if coloured else None,
            theme=_theme(dark=self.app.current_theme.dark) if coloured else "css",
            show_line_numbers=True,
            tab_behavior="indent",
            soft_wrap=False,
            id="editor-text",
        )
        area.indent_width = 2
        yield area
        yield Static("", id="editor-prediction", markup=False)
        yield Static("", id="editor-note", markup=False)

    def on_mount(self) -> None:
        """Open what was left unsaved, else the first file, else a new one."""
        self.app.theme_changed_signal.subscribe(self, self._recolour)
        names = (*self.files.drafts(), *self.files.names())
        self.open(names[0] if names else FIRST_FILE)

    def _recolour(self, theme: Theme) -> None:
        if self.area.language is not None:
            self.area.theme = _theme(dark=theme.dark)

    @property
    def area(self) -> TextArea:
        """The text."""
        return self.query_one("#editor-text", TextArea)

    @property
    def name_open(self) -> str:
        """The open file's name."""
        return self._file

    @property
    def unsaved(self) -> bool:
        """True when there is text that is not on disk. An untouched template is nothing to lose."""
        text = self.area.text
        return text != (template(self._namespace) if self._saved is None else self._saved)

    def note(self, text: str) -> None:
        """Show a note under the text."""
        self.query_one("#editor-note", Static).update(text)

    def show_prediction(self, after: Collection[bool | None], error: str) -> None:
        """Say what applying the text would do: `after` has what each changed cell would become."""
        text = error
        if after and not error:
            opens = sum(value is True for value in after)
            text = f"applying this would open {opens} and close {len(after) - opens} cells (Δ on the matrix)"
        elif not error and self.unsaved:
            text = "applying this would change no cell"
        # A line of its own: a prediction must not wipe what kubectl has just said.
        self.query_one("#editor-prediction", Static).update(text)

    def open(self, name: str) -> bool:
        """Open a file, or start a new one of that name. False when it cannot be read; the note says why."""
        try:
            path = self.files.path(name)
            saved = self.files.read(name) if path.exists() else None
        except (OSError, ValueError) as error:
            self.note(f"cannot open {name}: {error}")
            return False
        draft = self.files.draft(name)
        self._file, self._saved, self._conflict = name, saved, False
        text = draft if draft is not None else saved
        self.area.load_text(template(self._namespace) if text is None else text)
        self.note("")
        if draft is not None and draft != saved:
            self.note("unsaved text from last time is back; ctrl+s saves it")
        self._show_name()
        return True

    def action_save(self) -> None:
        """Save."""
        self.save()

    def save(self) -> bool:
        """Save; False when it could not be, or when the file changed on disk meanwhile and the learner must decide."""
        text = self.area.text
        if self._conflict:
            self._conflict = False
            self.note(f"{self._file} was changed outside since you opened it: ctrl+s again overwrites, ctrl+o reads it")
            return False
        try:
            if len(text) > LARGEST:
                self.note(f"not saved: more than {LARGEST} characters")
                return False
            self.files.write(self._file, text)
        except (OSError, ValueError) as error:
            self.note(f"not saved: {error}. The text stays here; make room or rights, then ctrl+s")
            return False
        self._saved = text
        self.note("saved")
        self._show_name()
        return True

    def discard(self) -> None:
        """Give the unsaved text up, draft included."""
        try:
            self.files.drop_draft(self._file)
        except (OSError, ValueError) as error:
            self.note(f"the draft could not be removed: {error}")
        self.area.load_text(template(self._namespace) if self._saved is None else self._saved)
        self._show_name()

    @on(YamlArea.ApplyPressed)
    def apply(self) -> None:
        """Save, then ask for `kubectl apply`."""
        if self.save():
            self.note(f"applying {self._file}…")
            self.post_message(self.ApplyWanted(self.files.path(self._file)))

    def action_open(self) -> None:
        """Ask which file."""
        self.post_message(self.PickWanted(new=False))

    def action_new(self) -> None:
        """Ask for a new file's name."""
        self.post_message(self.PickWanted(new=True))

    def files_changed(self) -> None:
        """Something in the folder changed: read the open file again, unless that would lose text."""
        try:
            text = self.files.read(self._file) if self.files.path(self._file).exists() else None
        except (OSError, ValueError):
            return
        if text in {None, self._saved}:
            return
        if self.unsaved:
            self._conflict = text != self.area.text
            if self._conflict:
                self.note(f"{self._file} was changed outside; your text is kept here")
            return
        self._saved = text
        at = self.area.cursor_location
        self.area.load_text(text or "")
        self.area.move_cursor(at)
        self.note("read again: it was changed outside")

    @on(TextArea.Changed)
    def _typed(self, event: TextArea.Changed) -> None:
        event.stop()
        self._show_name()
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(_PAUSE, self._paused)

    def _paused(self) -> None:
        self.keep_draft()
        self.post_message(self.Paused())

    def keep_draft(self) -> None:
        """Keep unsaved text beside the file now."""
        try:
            if self.unsaved:
                self.files.keep_draft(self._file, self.area.text)
            else:
                self.files.drop_draft(self._file)
        except (OSError, ValueError) as error:
            self.note(f"unsaved text could not be kept on disk: {error}")

    def _show_name(self) -> None:
        state = "unsaved" if self.unsaved else ("new" if self._saved is None else "saved")
        self.query_one("#editor-file", Static).update(
            f" {self._file} ({state})   ctrl+s save  F7 apply  ctrl+o open  ctrl+n new"
        )


def has_grammar() -> bool:
    """Whether YAML can be coloured: the compiled grammars are an extra."""
    return importlib.util.find_spec("tree_sitter_yaml") is not None


def _theme(*, dark: bool) -> str:
    return "vscode_dark" if dark else "github_light"
