"""What the lab screen knows about how far the learner is. Pure; the screen replaces it as messages come."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from content.model import Hint, Lab
    from grader.report import Report
    from labs.progress import LabProgress


@dataclass(frozen=True, slots=True)
class LabState:
    """Tasks and points.

    Attributes:
        held: tasks that hold.
        earned: points by task.
        hints: hints taken, by task.
        report: the last grading of this sitting.
        tries: gradings that did not hold, after something was changed or by hand: honest tries.
    """

    lab: Lab
    held: frozenset[str] = frozenset()
    earned: Mapping[str, int] = field(default_factory=dict)
    hints: Mapping[str, tuple[Hint, ...]] = field(default_factory=dict)
    report: Report | None = None
    tries: int = 0

    @classmethod
    def of(cls, lab: Lab, known: LabProgress, hints: Mapping[str, tuple[Hint, ...]]) -> LabState:
        """From what is kept of earlier sittings."""
        held = known.held_tasks & {task.id for task in lab.spec.tasks}
        earned = {task.id: task.points for task in lab.spec.tasks if task.id in held}
        return cls(lab, held, earned, hints)

    @property
    def points(self) -> int:
        """What can be had."""
        return sum(task.points for task in self.lab.spec.tasks)

    @property
    def total(self) -> int:
        """What was had, after hints."""
        cost = sum(hint.cost for taken in self.hints.values() for hint in taken)
        return max(0, sum(self.earned.values()) - cost)

    @property
    def finished(self) -> bool:
        """True when every task holds."""
        return len(self.held) == len(self.lab.spec.tasks)

    @property
    def may_see_solution(self) -> bool:
        """After an honest try."""
        return self.tries > 0 or self.finished

    def graded(self, report: Report) -> LabState:
        """After a grading."""
        return replace(
            self,
            held=frozenset(task.id for task in report.tasks if task.held),
            earned={task.id: task.earned for task in report.tasks},
            report=report,
            tries=self.tries + (not report.held),
        )

    def restarted(self) -> LabState:
        """After a reset: nothing holds any more; tries and hints stay."""
        return replace(self, held=frozenset(), earned={}, report=None)

    def solution_text(self) -> str:
        """The solution as Markdown."""
        files = (f"### {manifest.path.name}\n\n~~~~yaml\n{manifest.text}\n~~~~\n" for manifest in self.lab.solution)
        return (
            f"# A solution of {self.lab.spec.title}\n\n"
            "One of many: whatever gives the same traffic is as right.\n\n" + "\n".join(files)
        )
