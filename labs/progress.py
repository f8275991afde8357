"""What the learner has done, in SQLite under the platform's data folder; it survives a crash at any moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from grader.report import Report


@dataclass(frozen=True, slots=True)
class LabProgress:
    """A lab's best and last result; `finished` is when all tasks first held (seconds since the epoch, 0: not yet)."""

    lab: str
    best: int = 0
    last: int = 0
    points: int = 0
    finished: float = 0.0
    held_tasks: frozenset[str] = frozenset()


class ProgressStore:
    """Opened once per front end. Safe for several processes at once (WAL)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lab(self, lab: str) -> LabProgress:
        """What is known of a lab."""
        raise NotImplementedError

    def record(self, report: Report) -> None:
        """Keep a grading."""
        raise NotImplementedError

    def hints(self, lab: str, task: str) -> int:
        """How many hints have been taken."""
        raise NotImplementedError

    def add_hint(self, lab: str, task: str) -> None:
        """One more hint was taken."""
        raise NotImplementedError

    def lesson_read(self, lesson: str) -> bool:
        """Tell whether a lesson was read to its end."""
        raise NotImplementedError

    def mark_lesson(self, lesson: str) -> None:
        """The lesson was read to its end."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the file."""
        raise NotImplementedError
