"""The lesson reader. A lesson counts as read when its end has been in view."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding
from textual.message import Message
from textual.widgets import Static

from tui.notices import telling
from tui.screens.closing import ClosingScreen
from tui.widgets.key_line import KeyLine
from tui.widgets.sections import Sections

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from content.model import Lesson
    from labs.progress import ProgressStore
    from tui.course_map import Entry

HELP = """# A lesson

| Key | Does |
|---|---|
| Up, Down, PageUp, PageDown, Home, End | scroll |
| Space | a page down |
| n, p | what follows in the course, what comes before |
| Escape | back to the course |

It counts as read when you have seen its end.
"""


class LessonScreen(ClosingScreen):
    """One lesson."""

    HELP_TEXT: ClassVar[str] = HELP
    CSS = """
    LessonScreen #title { height: 1; background: $primary 25%; text-style: bold; padding: 0 1; }
    LessonScreen Sections { align-horizontal: center; }
    LessonScreen Sections Markdown { max-width: 100; }
    """
    BINDINGS: ClassVar = [
        Binding("f1", "app.help", "Help"),
        Binding("space", "page", "Page down", show=False),
        Binding("n", "go(1)", "Next"),
        Binding("p", "go(-1)", "Previous"),
        Binding("escape,q", "close", "Back"),
    ]

    class Go(Message):
        """What follows (1) or comes before (-1) is wanted."""

        def __init__(self, entry: Entry, step: int) -> None:
            super().__init__()
            self.entry = entry
            self.step = step

    def __init__(self, entry: Entry, progress: ProgressStore) -> None:
        super().__init__()
        self._entry = entry
        self._lesson: Lesson = entry.item  # type: ignore[assignment] # the app opens lessons only
        self._progress = progress

    def compose(self) -> ComposeResult:
        """The text between a title and the keys."""
        yield Static(self._title(read=False), id="title", markup=False)
        yield Sections(self._lesson.text, id="text")
        yield KeyLine()

    def on_mount(self) -> None:
        """Keys scroll at once."""
        self.query_one(Sections).focus()
        with telling(self.app):
            read = self._progress.lesson_read(self._lesson.id)
            self.query_one("#title", Static).update(self._title(read=read))

    def _title(self, *, read: bool) -> str:
        mark = "✓ read" if read else f"{self._lesson.minutes} min"
        return f"{self._entry.place}  {self._lesson.title}  ({mark})"

    @on(Sections.EndReached)
    def _read(self) -> None:
        with telling(self.app):
            self._progress.mark_lesson(self._lesson.id)
            self.query_one("#title", Static).update(self._title(read=True))

    def action_page(self) -> None:
        """A page down."""
        self.query_one(Sections).scroll_page_down(animate=False)

    def action_go(self, step: int) -> None:
        """Ask for another entry."""
        self.post_message(self.Go(self._entry, step))
