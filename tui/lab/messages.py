"""What the lab's workers report to the screen. Workers touch no widget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from pathlib import Path

    from grader.report import Cell, CellKey, Report
    from labs.base import Running
    from labs.session import Prediction


class Progressed(Message):
    """Starting or resetting has come further."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class Ready(Message):
    """The lab runs."""

    def __init__(self, running: Running) -> None:
        super().__init__()
        self.running = running


class Observed(Message):
    """The matrix as it is now. `objects_changed`: the cluster's objects are others than at the last look."""

    def __init__(self, cells: tuple[Cell, ...], *, objects_changed: bool = False) -> None:
        super().__init__()
        self.cells = cells
        self.objects_changed = objects_changed


class Checked(Message):
    """A grading; `by_hand` when the learner asked for it."""

    def __init__(self, report: Report, *, by_hand: bool) -> None:
        super().__init__()
        self.report = report
        self.by_hand = by_hand


class Explained(Message):
    """Why a cell is what it is."""

    def __init__(self, key: CellKey, lines: tuple[str, ...]) -> None:
        super().__init__()
        self.key = key
        self.lines = lines


class Predicted(Message):
    """What the text in the editor would do."""

    def __init__(self, prediction: Prediction) -> None:
        super().__init__()
        self.prediction = prediction


class Applied(Message):
    """`kubectl apply` has ended; `output` is what it printed."""

    def __init__(self, path: Path, output: str, *, succeeded: bool) -> None:
        super().__init__()
        self.path = path
        self.output = output
        self.succeeded = succeeded


class FilesChanged(Message):
    """A file of the work folder is another than at the last look."""


class WasReset(Message):
    """The lab is back at its start."""


class Failed(Message):
    """Something could not run. It says nothing about the learner's answer.

    Attributes:
        action: which operation: "start", "check", "observe", "apply", "reset", "explain", "predict".
        message: what happened.
        remedy: what to do.
    """

    def __init__(self, action: str, message: str, remedy: str = "") -> None:
        super().__init__()
        self.action = action
        self.message = message
        self.remedy = remedy
