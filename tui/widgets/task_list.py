"""The lab's tasks: held or not, points, what to do, and the hints taken."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from content.model import Hint, Task

HELD, NOT_HELD = "☑", "☐"


class TaskList(OptionList):
    """One option a task; the highlighted one is the task that hints and the task line are about."""

    DEFAULT_CSS = """
    TaskList { height: auto; max-height: 60%; background: $surface; border: none; padding: 0; }
    TaskList:focus { border: none; }
    """

    def __init__(self, tasks: Sequence[Task], *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._tasks = tuple(tasks)
        self._held: frozenset[str] = frozenset()
        self._earned: Mapping[str, int] = {}
        self._hints: Mapping[str, tuple[Hint, ...]] = {}

    def on_mount(self) -> None:
        """Show the tasks; what is known of them comes later."""
        self._fill()

    @property
    def current(self) -> Task:
        """The highlighted task, else the first that does not hold."""
        if self.highlighted is not None:
            return self._tasks[self.highlighted]
        return next((task for task in self._tasks if task.id not in self._held), self._tasks[-1])

    @property
    def held(self) -> frozenset[str]:
        """The tasks that hold."""
        return self._held

    def show(self, held: frozenset[str], earned: Mapping[str, int], hints: Mapping[str, tuple[Hint, ...]]) -> None:
        """Show marks, points and hints taken; all by task id."""
        moved_on = held != self._held
        self._held, self._earned, self._hints = held, dict(earned), dict(hints)
        self._fill(forward=moved_on)

    def _fill(self, *, forward: bool = True) -> None:
        at = self.highlighted
        self.clear_options()
        self.add_options(Option(self._prompt(task), id=task.id) for task in self._tasks)
        if forward or at is None:
            at = next((n for n, task in enumerate(self._tasks) if task.id not in self._held), len(self._tasks) - 1)
        self.highlighted = at

    def on_resize(self) -> None:
        """Text is wrapped to the width by hand, to keep its indentation."""
        self._refresh_prompts()

    def on_option_list_option_highlighted(self) -> None:
        """Only the highlighted task shows what to do."""
        self._refresh_prompts()

    def _refresh_prompts(self) -> None:
        for at, task in enumerate(self._tasks[: self.option_count]):
            self.replace_option_prompt_at_index(at, self._prompt(task, open_=at == self.highlighted))

    def _prompt(self, task: Task, *, open_: bool = False) -> Content:
        parts = [Content.styled(self.line(task), "bold")]
        if not open_:
            return parts[0]
        parts += [Content(line) for line in self._wrap(task.text)]
        taken = self._hints.get(task.id, ())
        for n, hint in enumerate(taken, 1):
            parts += [Content.styled(line, "italic") for line in self._wrap(f"hint {n} (-{hint.cost}): {hint.text}")]
        left = len(task.hints) - len(taken)
        if left and task.id not in self._held:
            cost = task.hints[len(taken)].cost
            parts.append(Content.styled(f"  h: a hint, {f'costs {cost}' if cost else 'costs nothing'}", "dim"))
        return Content("\n").join(parts)

    def _wrap(self, text: str) -> list[str]:
        width = max(20, self.scrollable_content_region.width - 1)
        return textwrap.wrap(" ".join(text.split()), width, initial_indent="  ", subsequent_indent="  ")

    def line(self, task: Task) -> str:
        """A task in one line."""
        mark = HELD if task.id in self._held else NOT_HELD
        return f"{mark} {task.title}  {self._earned.get(task.id, 0)}/{task.points}"
