"""The course map: chapters with their lessons, quiz and labs, how far each is, and what this machine can run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static, Tree

from content.errors import NetdojoError
from tui.course_map import NOT_BEGUN, Entry, Mark, entries, mark_of, next_up
from tui.notices import telling
from tui.widgets.key_line import KeyLine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.app import ComposeResult
    from textual.widgets.tree import TreeNode

    from content.model import Course
    from tui.services import Machine, Services

_DETAILS_FROM = 96  # columns

HELP = """# The course

Chapters with lessons to read, a quiz, and labs on live clusters.

| Key | Does |
|---|---|
| Up, Down | move |
| Enter | open a lesson, quiz or lab; fold or unfold a chapter |
| n | go to the next thing that is not done |
| b | where labs run: in the sandbox, on kind, on a cluster of yours |
| q | quit |

`✓` done, `◐` begun, `○` not begun, `●` a lab that is running.
"""


class Home(Screen[None]):
    """Where the app begins."""

    HELP_TEXT: ClassVar[str] = HELP
    CSS = """
    Home #title { height: 1; background: $primary 25%; text-style: bold; padding: 0 1; }
    Home #map { width: 3fr; background: $background; padding: 0 1; }
    Home #details { width: 2fr; border-left: vkey $primary 40%; padding: 0 1; display: none; }
    Home.-details #details { display: block; }
    Home #details-text { height: auto; }
    Home #machine { height: auto; max-height: 4; background: $surface; padding: 0 1; }
    """
    BINDINGS: ClassVar = [
        Binding("f1", "app.help", "Help"),
        Binding("enter", "select", "Open", show=True),
        Binding("n", "next", "Next to do"),
        Binding("b", "place", "Labs run on"),
        Binding("q", "app.quit", "Quit"),
    ]

    class Open(Message):
        """An entry was chosen."""

        def __init__(self, entry: Entry) -> None:
            super().__init__()
            self.entry = entry

    class MachineKnown(Message):
        """What the machine can run."""

        def __init__(self, machine: Machine, running: frozenset[str]) -> None:
            super().__init__()
            self.machine = machine
            self.running_labs = running

    def __init__(self, services: Services, courses: tuple[Course, ...], quizzes: Mapping[str, tuple[int, int]]) -> None:
        super().__init__()
        self._services = services
        self._courses = courses
        self._quizzes = quizzes
        self._entries = entries(courses)
        self._running_labs: frozenset[str] = frozenset()
        self._leaves: dict[str, TreeNode[Entry | None]] = {}

    def compose(self) -> ComposeResult:
        """The map, what is known of the highlighted entry, the machine."""
        title = " · ".join(course.title for course in self._courses) or "no course"
        yield Static(f"netdojo  {title}", id="title", markup=False)
        with Horizontal():
            tree: Tree[Entry | None] = Tree("course", id="map")
            tree.show_root = False
            tree.guide_depth = 2
            yield tree
            with VerticalScroll(id="details", can_focus=False):
                yield Static("", id="details-text", markup=False)
        yield Static("looking at this machine…", id="machine", markup=False)
        yield KeyLine()

    def on_mount(self) -> None:
        """Fill the map, and ask for the machine in the background."""
        tree = self._tree()
        for course in self._courses:
            for chapter in course.chapters:
                branch = tree.root.add(f"{chapter.number}  {chapter.title}", expand=True)
                for entry in self._entries:
                    if entry.chapter is chapter:
                        self._leaves[entry.id] = branch.add_leaf(entry.title, data=entry)
        self._show_marks()
        tree.focus()
        self.call_after_refresh(self.action_next)

    def _tree(self) -> Tree[Entry | None]:
        return self.query_one("#map", Tree)

    def on_resize(self) -> None:
        """Details where there is room."""
        self.set_class(self.app.size.width >= _DETAILS_FROM, "-details")

    def on_screen_resume(self) -> None:
        """Back from somewhere: marks may be others now, and so may what runs."""
        if self._leaves:
            self._show_marks()
        self.run_worker(self._ask_machine(), group="machine", exclusive=True, exit_on_error=False)

    def _marks(self) -> dict[str, Mark]:
        marks = dict.fromkeys((entry.id for entry in self._entries), Mark(NOT_BEGUN))
        with telling(self.app):
            for entry in self._entries:
                marks[entry.id] = mark_of(entry, self._services.progress, self._quizzes)
        return marks

    def _show_marks(self) -> None:
        for entry_id, mark in self._marks().items():
            node = self._leaves[entry_id]
            entry = node.data
            if entry is not None:
                running = " ● running" if entry.kind == "lab" and entry.item.id in self._running_labs else ""  # type: ignore[union-attr] # a Lab
                kind = "" if entry.kind == "quiz" else f"{entry.kind} {entry.place}  "
                note = f"  ({mark.note})" if mark.note else ""
                node.set_label(f"{mark.symbol} {kind}{entry.title}{note}{running}")

    async def _ask_machine(self) -> None:
        from tui.services import Machine

        try:
            machine = await self._services.machine()
        except NetdojoError as error:
            machine = Machine(error.message, ready=False, details=(error.remedy,) if error.remedy else ())
        running = set()
        for entry in self._entries:
            if entry.kind == "lab":
                try:
                    status = await self._services.session(entry.item).status()  # type: ignore[arg-type] # a Lab
                except (NetdojoError, OSError):
                    continue
                if status.phase == "ready":
                    running.add(status.name)
        self.post_message(self.MachineKnown(machine, frozenset(running)))

    @on(MachineKnown)
    def _show_machine(self, message: MachineKnown) -> None:
        machine = message.machine
        mark = "●" if machine.ready else "✗"
        simulated = "  simulated: traffic is computed, not sent" if machine.simulated else ""
        text = "\n".join([f"{mark} {machine.summary}{simulated}", *machine.details])
        self.query_one("#machine", Static).update(text)
        self._running_labs = message.running_labs
        self._show_marks()

    @on(Tree.NodeSelected)
    def _selected(self, event: Tree.NodeSelected[Entry | None]) -> None:
        if event.node.data is not None:
            self.post_message(self.Open(event.node.data))

    @on(Tree.NodeHighlighted)
    def _highlighted(self, event: Tree.NodeHighlighted[Entry | None]) -> None:
        entry = event.node.data
        details = self.query_one("#details-text", Static)
        if entry is None:
            chapter = next((e.chapter for e in self._entries if str(event.node.label).endswith(e.chapter.title)), None)
            details.update(f"{chapter.title}\n\n{chapter.summary}" if chapter else "")
        else:
            details.update(_describe(entry))

    def action_place(self) -> None:
        """Where labs run, kept for the next start; a lab that runs stays where it is."""
        from tui.screens.choice import Choice
        from tui.screens.lab_leave import PLACES

        auto = ("auto", "a", "as it suits: the sandbox, and kind for labs that need it")
        now = self._services.settings.backend
        self.app.push_screen(Choice(f"Where shall labs run? Now: {now}", (auto, *PLACES)), self._place)

    def _place(self, answer: str | None) -> None:
        if answer:
            with telling(self.app):
                self._services.remember(replace(self._services.settings, backend=answer))
            self.run_worker(self._ask_machine(), group="machine", exclusive=True, exit_on_error=False)

    def action_select(self) -> None:
        """Open what is highlighted."""
        self._tree().action_select_cursor()

    def action_next(self) -> None:
        """Put the cursor on the next thing to do."""
        entry = next_up(self._entries, self._marks()) or (self._entries[0] if self._entries else None)
        if entry is not None:
            self._tree().move_cursor(self._leaves[entry.id])


def _describe(entry: Entry) -> str:
    head = f"{entry.kind} {entry.place}\n{entry.title}\n"
    match entry.kind:
        case "lab":
            spec = entry.item.spec  # type: ignore[union-attr] # a Lab
            tasks = "\n".join(f"  {task.points:>3}  {task.title}" for task in spec.tasks)
            return f"{head}\n{spec.summary}\n\nabout {spec.minutes} minutes, {spec.topology.nodes} node(s)\n\n{tasks}"
        case "quiz":
            return f"{head}\n{len(entry.item.questions)} questions"  # type: ignore[union-attr] # a Quiz
        case _:
            return f"{head}\nabout {entry.item.minutes} minutes to read"  # type: ignore[union-attr] # a Lesson
