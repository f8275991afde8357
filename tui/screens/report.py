"""What a finished lab gave: points, what was shown, and what comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Static

from tui.screens.closing import ClosingScreen
from tui.widgets.findings import headline
from tui.widgets.key_line import KeyLine

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from grader.report import Report
    from tui.course_map import Entry

HELP = """# The result

| Key | Does |
|---|---|
| n, Enter | what comes next in the course |
| Escape | back to the lab |
"""


class ReportScreen(ClosingScreen):
    """Shown when all tasks hold."""

    HELP_TEXT: ClassVar[str] = HELP
    CSS = """
    ReportScreen #title { height: 1; background: $success 25%; text-style: bold; padding: 0 1; }
    ReportScreen VerticalScroll { padding: 1 2; }
    ReportScreen #report { height: auto; }
    """
    BINDINGS: ClassVar = [
        Binding("f1", "app.help", "Help"),
        Binding("n,enter", "next", "Next"),
        Binding("escape,q", "close", "Back to the lab"),
    ]

    class Next(Message):
        """What follows is wanted."""

        def __init__(self, entry: Entry) -> None:
            super().__init__()
            self.entry = entry

    def __init__(self, entry: Entry, report: Report, following: Entry | None) -> None:
        super().__init__()
        self._entry = entry
        self._report = report
        self._following = following

    def compose(self) -> ComposeResult:
        """Points, tasks, what comes next."""
        yield Static(f"✓ {self._entry.place}  {self._entry.title}", id="title", markup=False)
        with VerticalScroll():
            yield Static(self._text(), id="report", markup=False)
        yield KeyLine()

    def on_mount(self) -> None:
        """Keys scroll at once."""
        self.query_one(VerticalScroll).focus()

    def _text(self) -> str:
        lines = [headline(self._report), "", "Your traffic now shows that you can:"]
        for task in self._report.tasks:
            cells = {cell.key for check in task.checks for cell in check.cells}
            asked = [requirement.asked for check in task.checks for requirement in check.requirements]
            shown = "; ".join([*asked, *([f"{len(cells)} cells as expected"] if cells else [])])
            lines.append(f"  ☑ {task.title}  {task.earned}/{task.points}  ({shown})")
        if self._report.simulated:
            lines += ["", "Simulated: this machine computed the traffic instead of sending it."]
        following = self._following
        if following is not None:
            lines += ["", f"Next: {following.kind} {following.place}  {following.title}   (n)"]
        else:
            lines += ["", "That was the last part of the course."]
        return "\n".join(lines)

    def action_next(self) -> None:
        """Ask for what follows."""
        if self._following is not None:
            self.post_message(self.Next(self._following))
