"""What the lab screen is given, and what it tells the app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from content.model import Lab
    from grader.report import Report
    from labs.progress import ProgressStore
    from labs.session import LabSession
    from tui.course_map import Entry
    from tui.screens.lab_leave import LeaveMemory
    from tui.widgets.terminal.view import Terminal


@dataclass(frozen=True, slots=True)
class LabSetup:
    """What the screen needs.

    Attributes:
        lab: as loaded.
        number: the lab's place in the course, as in `3.2`.
        session: where it runs.
        progress: what was done earlier.
        outside: the environment of the app, for the shell.
        watch: follow changes from the start.
        clock: seconds, monotonic.
        make_terminal: builds the shell's widget.
        leave: what the learner wants on leaving.
    """

    lab: Lab
    number: str
    session: LabSession
    progress: ProgressStore
    outside: Mapping[str, str]
    watch: bool
    clock: Callable[[], float]
    make_terminal: Callable[[], Terminal]
    leave: LeaveMemory


class LabLeft(Message):
    """The learner has left.

    Attributes:
        session: the lab's.
        stop_lab: it shall not keep running.
        quit_app: the app shall end.
        then: what to open next.
    """

    def __init__(self, session: LabSession, *, stop_lab: bool, quit_app: bool, then: Entry | None) -> None:
        super().__init__()
        self.session = session
        self.stop_lab = stop_lab
        self.quit_app = quit_app
        self.then = then


class LabMoved(Message):
    """The learner wants the lab on another backend."""

    def __init__(self, session: LabSession, backend: str) -> None:
        super().__init__()
        self.session = session
        self.backend = backend


class LabFinished(Message):
    """All tasks hold, and the learner asked for the result."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report
