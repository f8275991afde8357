"""One line about the lab: where, how it is, how far, how long."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from textual.content import Content
from textual.widgets import Static

if TYPE_CHECKING:
    from collections.abc import Callable

_MARKS = {"ready": "●", "starting": "◌", "checking": "◌", "absent": "○", "broken": "✗"}


@dataclass(frozen=True, slots=True)
class LabStatus:
    """What the header shows. `elapsed` is in seconds."""

    title: str
    backend: str = ""
    phase: str = "starting"
    held: int = 0
    tasks: int = 0
    earned: int = 0
    points: int = 0
    simulated: bool = False
    watching: bool = True

    def line(self, width: int, elapsed: float) -> str:
        """The line, cut to `width` where it must be: the numbers stay, the title gives way."""
        clock = f"{int(elapsed) // 60:02d}:{int(elapsed) % 60:02d}"
        mark = _MARKS.get(self.phase, "●")
        if width >= 90:
            parts = [
                f"{self.backend} {mark} {self.phase}".strip(),
                *(["simulated"] if self.simulated else []),
                f"{self.held} of {self.tasks} tasks",
                f"{self.earned}/{self.points} points",
                *([] if self.watching else ["watch off"]),
            ]
            tail = " ─ ".join(parts)
        else:
            place = f"{self.backend} " if width >= 76 else ""
            place += "sim " if self.simulated else ""
            tail = f"{place}{mark} {self.phase} ─ {self.held}/{self.tasks} tasks ─ {self.earned}/{self.points} p"
        room = width - len(tail) - len(clock) - 8
        title = self.title if len(self.title) <= room else self.title[: max(0, room - 1)] + "…"
        left = f" {title} ─ {tail} "
        return left + "─" * max(0, width - len(left) - len(clock) - 2) + f" {clock} "


class LabHeader(Static):
    """Shows a `LabStatus` and a running clock."""

    DEFAULT_CSS = """
    LabHeader { height: 1; background: $primary 25%; color: $foreground; text-style: bold; }
    """

    def __init__(self, status: LabStatus, clock: Callable[[], float]) -> None:
        super().__init__()
        self.status = status
        self._clock = clock
        self._since = clock()

    def on_mount(self) -> None:
        """Repaint once a second."""
        self.set_interval(1.0, self.refresh)

    def update_status(self, **changes: Any) -> None:  # noqa: ANN401 - fields of LabStatus
        """Change fields of the status."""
        self.status = replace(self.status, **changes)
        self.refresh()

    def render(self) -> Content:
        """The line."""
        return Content(self.status.line(self.size.width, self._clock() - self._since))
