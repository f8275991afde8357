"""Where the learner works: a shell, an editor, and the report of the last check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical, VerticalScroll
from textual.widgets import ContentSwitcher, Static

from content.errors import NetdojoError
from tui.lab.shell import prepare
from tui.widgets.editor import Editor
from tui.widgets.tab_line import TabLine
from tui.widgets.terminal.view import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from textual.app import ComposeResult
    from textual.content import Content

    from labs.session import LabSession

WORKS = ("shell", "editor", "report")


class WorkPane(Vertical):
    """One of the three is shown, the others go on behind it."""

    DEFAULT_CSS = """
    WorkPane #work { height: 1fr; }
    WorkPane #report { padding: 0 1; }
    WorkPane #report-text { height: auto; }
    """

    def __init__(
        self,
        session: LabSession,
        make_terminal: Callable[[], Terminal],
        *,
        id: str | None = None,  # noqa: A002 - Textual's name
    ) -> None:
        super().__init__(id=id)
        self._session = session
        self._make_terminal = make_terminal

    def compose(self) -> ComposeResult:
        """A line of tabs above what is shown."""
        yield TabLine((("shell", "Shell F6"), ("editor", "Editor e"), ("report", "Report F5")), id="works")
        with ContentSwitcher(initial="shell", id="work"):
            yield self._make_terminal()
            yield Editor(self._session.work, self._session.lab.spec.namespace, id="editor")
            with VerticalScroll(id="report"):
                yield Static("F5 checks all tasks by traffic.", id="report-text", markup=False)

    @property
    def terminal(self) -> Terminal:
        """The shell's terminal."""
        return self.query_one(Terminal)

    @property
    def editor(self) -> Editor:
        """The editor."""
        return self.query_one(Editor)

    @property
    def active(self) -> str:
        """Which of `WORKS` is shown."""
        return self.query_one("#works", TabLine).active

    @property
    def takes_typing(self) -> bool:
        """True when the shell or the editor has the focus."""
        return self.terminal.has_focus or self.editor.area.has_focus

    def start_shell(self, outside: Mapping[str, str]) -> str:
        """Start the lab's shell unless it runs; why not, when it cannot be started."""
        if self.terminal.running:
            return ""
        try:
            shell = prepare(self._session, outside)
        except (OSError, NetdojoError) as error:
            return str(error)
        self.terminal.run(shell.command, shell.environment, shell.folder)
        return ""

    def show(self, work: str) -> None:
        """Show one of `WORKS` and give it the keys."""
        self.query_one("#works", TabLine).activate(work)
        self.query_one("#work", ContentSwitcher).current = work
        widget = {"shell": self.terminal, "editor": self.editor.area}.get(work, self.query_one("#report"))
        self.screen.set_focus(widget)  # now: `widget.focus()` waits, and keys would go where the focus was

    def show_next(self) -> None:
        """Show the next of `WORKS`, or give the keys to the one that is shown."""
        inside = self.screen.focused is not None and self in self.screen.focused.ancestors
        self.show(WORKS[(WORKS.index(self.active) + 1) % len(WORKS)] if inside else self.active)

    def report(self, text: str | Content) -> None:
        """Replace the report's text."""
        self.query_one("#report-text", Static).update(text)
