"""The lab screen: instructions and tasks, the live matrix, a shell and an editor.

Workers post messages (`tui.lab.messages`); the handlers here own what is shown.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Static

from tui.lab import messages
from tui.lab.operations import LabOperations
from tui.lab.state import LabState
from tui.lab.steps import Steps
from tui.notices import telling
from tui.screens.choice import Choice
from tui.screens.files import FilePicker
from tui.screens.help import Page
from tui.screens.lab_layout import CSS, HELP, classes_for, seen
from tui.screens.lab_leave import ask_about_lab, ask_about_place, ask_about_text
from tui.screens.lab_setup import LabFinished, LabLeft, LabMoved, LabSetup
from tui.widgets.editor import Editor
from tui.widgets.findings import report_text
from tui.widgets.key_line import KeyLine
from tui.widgets.lab_header import LabHeader, LabStatus
from tui.widgets.matrix_pane import MatrixPane
from tui.widgets.sections import Sections
from tui.widgets.tab_line import TabLine
from tui.widgets.task_list import TaskList
from tui.widgets.terminal.view import Terminal
from tui.widgets.trouble import Trouble
from tui.widgets.work_pane import WorkPane

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.app import ComposeResult

    from tui.course_map import Entry


class LabScreen(Screen[None]):
    """One lab."""

    HELP_TEXT: ClassVar[str] = HELP
    CSS = CSS
    BINDINGS: ClassVar = [
        Binding("f1", "app.help", "Help"),
        Binding("f2,1", "view('tasks')", "Tasks"),
        Binding("f3,2", "view('matrix')", "Matrix"),
        Binding("f4,3", "work", "Work"),
        Binding("f5", "check", "Check"),
        # First of all keys, and without delay: what is typed after it must not go where the focus was before.
        Binding("f6", "shell", "Shell in/out", priority=True),
        Binding("h", "hint", "Hint"),
        Binding("e", "editor", "Editor", show=False),
        Binding("s", "solution", "Solution", show=False),
        Binding("r", "reset", "Reset"),
        Binding("w", "watch", "Watch", show=False),
        Binding("b", "place", "Runs on", show=False),
        Binding("ctrl+r", "retry", "Try again", show=False),
        Binding("escape", "leave", "Back"),
    ]

    def __init__(self, setup: LabSetup) -> None:
        super().__init__()
        self.setup = setup
        self.lab = setup.lab
        self.session = setup.session
        self.operations = LabOperations(self.session, self.post_message)
        self.state = LabState.of(self.lab, setup.progress.lab(self.lab.id), self._hints())
        self._view = "tasks"
        self._phase = "starting"
        self._steps = Steps()
        self._watching = setup.watch
        self._checking = False

    def compose(self) -> ComposeResult:
        """All panes; the size decides which are seen."""
        title, place = f"{self.setup.number} {self.lab.spec.title}", self.session.backend.name
        yield LabHeader(LabStatus(title, backend=place), self.setup.clock)
        yield Trouble(id="trouble")
        yield Static("", id="task-line", markup=False)
        yield TabLine((("tasks", "1 Tasks"), ("matrix", "2 Matrix"), ("work", "3 Shell, editor")), id="views")
        with Horizontal(id="upper"):
            with Vertical(id="left"):
                yield Sections(self.lab.instructions, id="instructions")
                yield TaskList(self.lab.spec.tasks, id="tasks")
            yield MatrixPane(id="right")
        yield WorkPane(self.session, self.setup.make_terminal, id="lower")
        yield KeyLine()

    def on_mount(self) -> None:
        """Show what is known at once, and start the lab."""
        if self._filled:  # not when the app closes before this screen is complete
            self.on_resize()
            self.query_one(TaskList).focus()
            self._start()
            self.set_interval(1.0, self._show_steps)

    @property
    def _filled(self) -> bool:
        return bool(self.query(TaskList) and self.query(Editor))

    def on_resize(self) -> None:
        """Panes or views. The first size may come before there is anything to lay out."""
        if not self._filled:
            return
        for name, on_ in classes_for(self.app.size.width, self.app.size.height).items():
            self.set_class(on_, name)
        self._switch(self._view)
        self._show_state()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that the shell or a dialog would get do nothing here, also when they were pressed too quickly."""
        if not self.is_current or (isinstance(self.focused, Terminal) and action != "shell"):
            return False
        return super().check_action(action, parameters)

    # --- starting, and what can go wrong ---

    def _work(self, work: Callable[[], Awaitable[None]], group: str) -> None:
        self.run_worker(work, group=group, exclusive=True, exit_on_error=False)

    def _start(self) -> None:
        self._steps = Steps()
        self._set_phase("starting")
        self._work(self.operations.start, "life")

    def _set_phase(self, phase: str) -> None:
        self._phase = phase
        self._show_state()

    @on(messages.Progressed)
    def _progressed(self, message: messages.Progressed) -> None:
        self._steps = self._steps.told(message.text, self.setup.clock())
        self._show_steps()

    def _show_steps(self) -> None:
        if self._phase in {"starting", "resetting"} and self._steps != Steps():
            now = self.setup.clock()
            self._matrix_pane.steps(self._steps.lines(now))
            self.query_one("#task-line", Static).update(f"{self._phase}: {self._steps.line(now)}")

    @on(messages.Ready)
    def _ready(self, message: messages.Ready) -> None:
        self.query_one(LabHeader).update_status(
            backend=message.running.backend, simulated="simulated" in message.running.detail
        )
        self._trouble.clear()
        self._set_phase("ready")
        self._start_shell()
        if self._watching:
            self._work(self.operations.watch, "watch")

    def _start_shell(self) -> None:
        if reason := self._works.start_shell(self.setup.outside):
            self._no_shell(Terminal.Unable(reason))

    @property
    def _works(self) -> WorkPane:
        return self.query_one(WorkPane)

    @property
    def _matrix_pane(self) -> MatrixPane:
        return self.query_one(MatrixPane)

    @on(messages.Failed)
    def _could_not(self, message: messages.Failed) -> None:
        if message.action == "check":
            self._checking = False
        if message.action == "start":
            self._set_phase("broken")
        elif self._phase != "broken":
            self._set_phase("ready")
        self._trouble.show(message)

    @property
    def _trouble(self) -> Trouble:
        return self.query_one(Trouble)

    def action_retry(self) -> None:
        """Do again what could not run."""
        action = self._trouble.action
        self._trouble.clear()
        match action:
            case "check":
                self.action_check()
            case "reset":
                self._reset("yes")
            case "apply":
                self._works.editor.apply()
            case _:  # a start finds a cluster that runs, and makes one that is gone
                self._start()

    # --- the matrix ---

    @on(messages.Observed)
    def _observed(self, message: messages.Observed) -> None:
        self._trouble.clear("observe")
        self._matrix_pane.show(message.cells)
        self._predict()
        if message.objects_changed and not self._checking:
            self._work(partial(self.operations.check, by_hand=False), "check")

    @on(MatrixPane.ExplanationWanted)
    def _explain(self, message: MatrixPane.ExplanationWanted) -> None:
        if self._phase != "broken":
            self._work(partial(self.operations.explain, message.key), "explain")

    @on(messages.Explained)
    def _explained(self, message: messages.Explained) -> None:
        self._matrix_pane.explain(message.key, message.lines)

    # --- checking ---

    def action_check(self) -> None:
        """Grade all tasks."""
        if self._phase != "ready" or self._checking:
            self.notify("the lab is not ready yet" if self._phase != "ready" else "a check is running")
            return
        self._checking = True
        self._set_phase("checking")
        self._work(partial(self.operations.check, by_hand=True), "check")

    @on(messages.Checked)
    def _checked(self, message: messages.Checked) -> None:
        self._checking = False
        self._trouble.clear("check")
        finished_before = self.state.finished
        self.state = self.state.graded(message.report)
        self._set_phase("ready")
        self.query_one(LabHeader).update_status(simulated=message.report.simulated)
        self._works.report(report_text(message.report))
        if message.by_hand and message.report.held:
            self.post_message(LabFinished(message.report))
        elif message.by_hand:
            self._show_work("report")
        elif message.report.held and not finished_before:
            self.notify("All tasks hold. F5 shows your result.", title="Done")

    def _hints(self) -> dict[str, Any]:
        return {task.id: self.session.hints(task.id) for task in self.lab.spec.tasks}

    def _show_state(self) -> None:
        state, tasks = self.state, self.query_one(TaskList)
        tasks.show(state.held, state.earned, state.hints)
        count = len(self.lab.spec.tasks)
        self.query_one(LabHeader).update_status(
            phase=self._phase,
            held=len(state.held),
            tasks=count,
            earned=state.total,
            points=state.points,
            watching=self._watching,
        )
        self._show_task_line()

    @on(TaskList.OptionHighlighted)
    def _show_task_line(self) -> None:
        tasks = self.query_one(TaskList)
        self.query_one("#task-line", Static).update(f" {tasks.line(tasks.current)}")

    # --- hints, solution, reset ---

    def action_hint(self) -> None:
        """The next hint of the highlighted task; what costs points is asked for first."""
        task = self.query_one(TaskList).current
        taken = len(self.session.hints(task.id))
        if taken >= len(task.hints):
            self.notify(f"no more hints for: {task.title}", markup=False)
            return
        cost = task.hints[taken].cost
        if not cost:
            self._take_hint("yes")
            return
        question = f"The next hint for “{task.title}” costs {cost} of its {task.points} points."
        self.app.push_screen(Choice(question, (("yes", "y", "show it"), ("no", "n", "not yet"))), self._take_hint)

    def _take_hint(self, answer: str | None) -> None:
        if answer != "yes":
            return
        with telling(self.app):
            self.session.take_hint(self.query_one(TaskList).current.id)
            self.state = replace(self.state, hints=self._hints())
            self._show_state()
            self.action_view("tasks")

    def action_solution(self) -> None:
        """A solution, after an honest try."""
        if self.state.may_see_solution:
            self.app.push_screen(Page(self.state.solution_text()))
        else:
            self.notify("Try first: after a check that does not hold yet (F5), the solution opens.")

    def action_reset(self) -> None:
        """Back to the start, after a question."""
        question = "Reset the cluster to the untouched start? Your files and points stay."
        self.app.push_screen(Choice(question, (("no", "n", "no"), ("yes", "y", "reset"))), self._reset)

    def _reset(self, answer: str | None) -> None:
        if answer == "yes":
            self._steps = Steps()
            self._set_phase("resetting")
            self._work(self.operations.reset, "life")

    @on(messages.WasReset)
    def _was_reset(self) -> None:
        self.state = self.state.restarted()
        self._trouble.clear()
        self._set_phase("ready")
        self._works.report("The lab is back at its start. F5 checks all tasks by traffic.")

    def action_watch(self) -> None:
        """Follow changes by itself, or not."""
        self._watching = not self._watching
        if self._watching:
            self._work(self.operations.watch, "watch")
        else:
            self.workers.cancel_group(self, "watch")
        self._show_state()
        self.notify("watch is on: changes show by themselves" if self._watching else "watch is off: F5 checks")

    # --- the editor ---

    @on(Editor.Paused)
    def _predict(self) -> None:
        # An untouched template behind the shell would mark the matrix before anybody has written anything.
        editor = self._works.editor
        if self._phase == "ready" and (editor.unsaved or self._works.active == "editor"):
            self._work(partial(self.operations.predict, editor.area.text), "predict")

    @on(messages.Predicted)
    def _predicted(self, message: messages.Predicted) -> None:
        prediction = message.prediction
        after = {cell.key: cell.is_open for cell in prediction.cells if cell.key in prediction.changed}
        self._matrix_pane.predict(after)
        self._works.editor.show_prediction(after.values(), prediction.error)

    @on(Editor.ApplyWanted)
    def _apply(self, message: Editor.ApplyWanted) -> None:
        if self._phase == "ready":
            self._work(partial(self.operations.apply, message.path), "apply")
        else:
            self._works.editor.note("saved; the lab is not ready, so it was not applied")

    @on(messages.Applied)
    def _applied(self, message: messages.Applied) -> None:
        self._trouble.clear("apply")
        self._works.editor.note(message.output or ("applied" if message.succeeded else "refused"))
        if message.succeeded:
            self._matrix_pane.predict({})
            if not self._watching:
                self._work(self.operations.observe, "observe")

    @on(messages.FilesChanged)
    def _files_changed(self) -> None:
        self._works.editor.files_changed()

    @on(Editor.PickWanted)
    def _pick(self, message: Editor.PickWanted) -> None:
        editor = self._works.editor
        editor.keep_draft()
        self.app.push_screen(FilePicker(() if message.new else editor.files.names()), self._picked)

    def _picked(self, name: str | None) -> None:
        editor = self._works.editor
        if name and editor.open(name):
            editor.area.focus()

    # --- moving about ---

    @on(TabLine.Chosen)
    def _tab_chosen(self, message: TabLine.Chosen) -> None:
        if message.line.id == "works":
            self._show_work(message.tab)
        elif message.tab == "work":
            self._show_work(self._works.active)
        else:
            self.action_view(message.tab)

    def action_view(self, view: str) -> None:
        """Go to the tasks or the matrix; where there is no room for all, only that is shown."""
        self._switch(view)
        self.set_focus(self.query_one(TaskList) if view == "tasks" else self._matrix_pane.matrix)

    def _switch(self, view: str) -> None:
        self._view = view
        # Not by classes of the screen: those restyle everything on it at each key press.
        for pane, shown in seen(view, wide=self.has_class("-wide")).items():
            self.query_one(f"#{pane}").display = shown
        self.query_one("#views", TabLine).activate(view)

    def action_work(self) -> None:
        """To the shell, editor and report; from there to the next of them."""
        self._switch("work")
        self._works.show_next()
        self._predict()

    def _show_work(self, work: str) -> None:
        self._switch("work")
        self._works.show(work)
        self._predict()

    def action_editor(self) -> None:
        """To the editor."""
        self._show_work("editor")

    def action_shell(self) -> None:
        """Into the shell; out of it, and out of the editor, to the matrix."""
        if self._works.takes_typing:
            self.action_view("matrix")
            return
        if self._phase == "ready":
            self._start_shell()
        self._show_work("shell")

    @on(Terminal.Exited)
    def _shell_ended(self, message: Terminal.Exited) -> None:
        self.notify(f"the shell has ended (status {message.status}); F6 starts it again")
        if isinstance(self.focused, Terminal):
            self.action_view("matrix")

    @on(Terminal.Unable)
    def _no_shell(self, message: Terminal.Unable) -> None:
        self.notify(f"no shell: {message.reason}. The editor (e) works without it.", severity="error", markup=False)

    # --- leaving ---

    def action_place(self) -> None:
        """Run the lab elsewhere."""
        ask_about_place(self.app, self.session, self._works.editor, self._move)

    def _move(self, backend: str) -> None:
        self.post_message(LabMoved(self.session, backend))

    def action_leave(self) -> None:
        """Back to the course."""
        self.leave()

    def leave(self, *, quit_app: bool = False, then: Entry | None = None) -> None:
        """Leave, after questions about unsaved text and the running lab."""
        runs = self._phase not in {"broken", "starting"}
        memory = self.setup.leave

        def gone() -> None:
            stop = runs and memory.choice == "stop"
            self.post_message(LabLeft(self.session, stop_lab=stop, quit_app=quit_app, then=then))

        ask_about_text(self.app, self._works.editor, lambda: ask_about_lab(self.app, memory, gone) if runs else gone())
