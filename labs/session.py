"""One lab as a person meets it: everything the app and the commands do with it, in one place.

Both front ends call this and nothing below it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from content.model import Hint, Lab
    from grader.report import Cell, CellKey, Report
    from labs.base import Running


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the matrix would be after a manifest is applied: computed, not probed.

    `cells` has the whole matrix; `changed` the keys that differ from the matrix of the objects as they are now.
    `error` is the reader's message when the text is no usable manifest (the cells are then empty).
    """

    cells: tuple[Cell, ...] = ()
    changed: frozenset[CellKey] = frozenset()
    error: str = ""


class LabSession:
    """A lab and where it runs.

    Attributes:
        lab: as loaded.
        work: the learner's own folder for this lab; never deleted by netdojo, `reset` included.
    """

    lab: Lab
    work: Path

    async def status(self) -> Running:
        """What is there now."""
        raise NotImplementedError

    async def start(self, progress: Callable[[str], None]) -> Running:
        """Start the lab, or find it running. The untouched start files are applied; the work folder is made."""
        raise NotImplementedError

    async def check(self) -> Report:
        """Grade by traffic now; progress is recorded."""
        raise NotImplementedError

    async def matrix(self) -> tuple[Cell, ...]:
        """The whole matrix as it is now, with what the tasks together expect (`ANY`: nothing)."""
        raise NotImplementedError

    async def explain(self, key: CellKey) -> tuple[str, ...]:
        """Why a cell is what it is, as sentences; the first is the verdict."""
        raise NotImplementedError

    async def predict(self, manifest: str) -> Prediction:
        """What applying this text would do to the matrix."""
        raise NotImplementedError

    async def version(self) -> str:
        """Changes whenever an object of the cluster changes; cheap enough to ask every half second (watch mode)."""
        raise NotImplementedError

    def hints(self, task: str) -> tuple[Hint, ...]:
        """The hints taken so far."""
        raise NotImplementedError

    def take_hint(self, task: str) -> Hint | None:
        """Take the next hint at its cost; None when there are no more."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """Variables for a shell on this lab: KUBECONFIG, PATH with kubectl first, and the lab's name."""
        raise NotImplementedError

    async def reset(self, progress: Callable[[str], None]) -> None:
        """Back to the untouched start; the work folder stays."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Remove the cluster; the work folder and the progress stay."""
        raise NotImplementedError
