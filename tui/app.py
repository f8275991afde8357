"""The Textual app: which screen is shown, and what is kept between screens.

`run_app` is what the command line calls; `can_run` tells it beforehand whether a terminal is there.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import App
from textual.binding import Binding

from tui.course_map import Entry, after, entries
from tui.notices import telling
from tui.palette import Command, Commands, Palette
from tui.screens.home import Home
from tui.screens.lab_leave import LeaveMemory
from tui.themes import DARK, THEMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from content.model import Lab
    from labs.session import LabSession
    from tui.screens.lab import LabScreen
    from tui.screens.lab_setup import LabFinished, LabLeft, LabMoved
    from tui.screens.lesson import LessonScreen
    from tui.screens.quiz import QuizScreen
    from tui.screens.report import ReportScreen
    from tui.services import Services
    from tui.widgets.terminal.view import Terminal

SMALLEST = (40, 10)
"""Columns and lines below which nothing useful can be shown."""


class NetdojoApp(App[int], inherit_bindings=False):
    """The app. Ctrl+P, Ctrl+Q and Ctrl+C are left to the shell when that has the focus.

    Screens are imported when they are opened: the course map is painted in half the time.
    """

    TITLE = "netdojo"
    COMMANDS = {Commands}  # noqa: RUF012 - as Textual declares it
    BINDINGS: ClassVar = [
        Binding("f1", "help", "Help", show=False),
        Binding("ctrl+q", "quit", "Quit", show=False),
        Binding("ctrl+k", "command_palette", "Commands", priority=True),
    ]

    def __init__(
        self,
        services: Services,
        *,
        clock: Callable[[], float] = time.monotonic,
        make_terminal: Callable[[], Terminal] | None = None,
        open_lab: str = "",
    ) -> None:
        """`open_lab` is a lab to open at once; `clock` and `make_terminal` are replaced by tests."""
        # Textual takes NO_COLOR out of the environment; the lab's shell gets it back.
        self._outside = dict(os.environ)
        super().__init__()
        self.services = services
        self._clock = clock
        self._make_terminal = make_terminal or _terminal
        self._lab_screen: LabScreen | None = None
        self._open_first = open_lab
        self._leave = LeaveMemory()
        self._quizzes: dict[str, tuple[int, int]] = {}
        self.courses = services.courses()
        self.entries = entries(self.courses)
        if not services.settings.animation:
            self.animation_level = "none"

    def on_mount(self) -> None:
        """Themes, then the course map."""
        for theme in THEMES:
            self.register_theme(theme)
        wanted = self.services.settings.theme
        self.theme = wanted if wanted in {theme.name for theme in THEMES} else DARK.name
        self.push_screen(Home(self.services, self.courses, self._quizzes))
        first = next((e for e in self.entries if e.kind == "lab" and e.item.id == self._open_first), None)  # type: ignore[union-attr] # a Lab
        if first is not None:
            self.open_entry(first)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The app's keys belong to the shell while that has the focus."""
        if action in {"command_palette", "help", "quit"} and getattr(self.focused, "takes_all_keys", False):
            return False
        return super().check_action(action, parameters)

    def commands(self) -> Iterator[Command]:
        """What the palette offers everywhere."""
        for entry in self.entries:
            kind = f"{entry.kind} {entry.place}"
            yield Command(f"{kind}: {entry.title}", entry.chapter.title, partial(self.open_entry, entry))
        for theme in THEMES:
            yield Command(
                f"Theme: {theme.name}", "colours, kept for the next start", partial(self.use_theme, theme.name)
            )
        yield Command("Help", "what this screen is for, and its keys", self.action_help)
        yield Command("Quit", "leave netdojo; running labs are asked about once", self.action_quit)

    def use_theme(self, name: str) -> None:
        """Change the colours and keep them."""
        self.theme = name
        with telling(self):
            self.services.remember(replace(self.services.settings, theme=name))

    def action_command_palette(self) -> None:
        """Search everything by name."""
        if self.use_command_palette and not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def action_help(self) -> None:
        """The help of the screen that is shown."""
        text = getattr(self.screen, "HELP_TEXT", "")
        if text:
            from tui.screens.help import EVERYWHERE, Page

            self.push_screen(Page(text + EVERYWHERE))

    async def action_quit(self) -> None:
        """Quit; an open lab asks first what it has to ask."""
        lab = self._open_lab_screen
        if lab is None:
            self.exit(0)
        elif lab is self.screen:
            lab.leave(quit_app=True)
        else:
            self.notify("Escape first: a lab is open below")

    # --- opening ---

    def _go_home(self) -> None:
        while not isinstance(self.screen, Home):
            self.pop_screen()

    @on(Home.Open)
    def _open(self, message: Home.Open) -> None:
        self.open_entry(message.entry)

    def open_entry(self, entry: Entry, on_backend: str = "") -> None:
        """Show a lesson, a quiz or a lab, which runs on this backend, or where it is wanted otherwise."""
        if self._open_lab_screen is not None:
            self.notify("leave the open lab first (Escape)")
            return
        self._go_home()
        match entry.kind:
            case "lesson":
                from tui.screens.lesson import LessonScreen

                self.push_screen(LessonScreen(entry, self.services.progress))
            case "quiz":
                from tui.screens.quiz import QuizScreen

                self.push_screen(QuizScreen(entry))
            case _:
                lab: Lab = entry.item  # type: ignore[assignment] # by its kind
                self._open_lab(entry, lab, on_backend)

    @property
    def _open_lab_screen(self) -> LabScreen | None:
        return self._lab_screen if self._lab_screen in self.screen_stack else None

    def _open_lab(self, entry: Entry, lab: Lab, on_backend: str) -> None:
        from tui.screens.consent import let_ask
        from tui.screens.lab import LabScreen
        from tui.screens.lab_setup import LabSetup

        with telling(self):
            session = self.services.session(lab, on_backend)
            let_ask(self, session)
            setup = LabSetup(
                lab=lab,
                number=entry.place,
                session=session,
                progress=self.services.progress,
                outside=self._outside,
                watch=self.services.settings.watch,
                clock=self._clock,
                make_terminal=self._make_terminal,
                leave=self._leave,
            )
            self._lab_screen = LabScreen(setup)
            self.push_screen(self._lab_screen)

    def on_lesson_screen_go(self, message: LessonScreen.Go) -> None:
        """The next or the previous part of the course."""
        order = self.entries if message.step > 0 else tuple(reversed(self.entries))
        following = after(order, message.entry)
        self._go_home()
        if following is not None:
            self.open_entry(following)

    def on_quiz_screen_scored(self, message: QuizScreen.Scored) -> None:
        """Keep a quiz's score for this sitting."""
        self._quizzes[message.entry.id] = (message.right, message.questions)

    # --- labs ---

    def _lab_entry(self, lab: str) -> Entry:
        return next(entry for entry in self.entries if entry.kind == "lab" and entry.item.id == lab)  # type: ignore[union-attr] # a Lab

    def on_lab_finished(self, message: LabFinished) -> None:
        """Show what a finished lab gave."""
        entry = self._lab_entry(message.report.lab)
        following = after(self.entries, entry)
        from tui.screens.report import ReportScreen

        self.push_screen(ReportScreen(entry, message.report, following))

    def on_report_screen_next(self, message: ReportScreen.Next) -> None:
        """Leave the lab for what follows."""
        self.pop_screen()
        if self._open_lab_screen is not None:
            self._open_lab_screen.leave(then=message.entry)

    def on_lab_left(self, message: LabLeft) -> None:
        """Stop or keep a lab that was left, and go where the learner wants."""
        if message.stop_lab:
            self.run_worker(self._stop(message.session, quit_app=message.quit_app), group="stop", exit_on_error=False)
        self._go_home()
        if message.quit_app and not message.stop_lab:
            self.exit(0)
        elif message.then is not None:
            self.open_entry(message.then)

    def on_lab_moved(self, message: LabMoved) -> None:
        """End a lab where it runs, and open it on another backend."""
        self.run_worker(self._stop(message.session, quit_app=False), group="stop", exit_on_error=False)
        self._go_home()
        self.open_entry(self._lab_entry(message.session.lab.id), message.backend)

    async def _stop(self, session: LabSession, *, quit_app: bool) -> None:
        with telling(self):
            await session.stop()
        if quit_app:
            self.exit(0)


def _terminal() -> Terminal:
    from tui.widgets.terminal.view import Terminal

    return Terminal(id="shell")


def can_run() -> str:
    """Why the app cannot be shown here: empty when it can."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return "not a terminal: input or output goes elsewhere"
    if os.environ.get("TERM", "") in {"", "dumb"}:
        return "TERM says that this terminal shows plain text only"
    size = os.get_terminal_size(sys.stdout.fileno())
    if size.columns < SMALLEST[0] or size.lines < SMALLEST[1]:
        return f"the terminal has {size.columns}x{size.lines}; the app needs {SMALLEST[0]}x{SMALLEST[1]}"
    return ""


def run_app(services: Services, *, open_lab: str = "") -> int:
    """Show the app until the learner quits; the command's exit status.

    Raises:
        content.errors.BrokenContentError: a course that cannot be used.
        grader.errors.InfrastructureError: the progress file cannot be opened.
    """
    from tui.escape import keep_escape

    keep_escape()
    # Opened here: what is wrong with it is the command's to say, before the screen is taken.
    _ = services.progress
    app = NetdojoApp(services, open_lab=open_lab)
    status = app.run()
    return app.return_code or status or 0
