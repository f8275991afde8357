"""What came out of a grading, as plain data; `tui` turns it into text, JSON and JUnit."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from content.arrows import Port
    from grader.ports import Observation


class Expectation(StrEnum):
    """What a cell should be."""

    OPEN = "open"
    CLOSED = "closed"
    ANY = "any"
    """Not judged (no `others` given)."""


class State(StrEnum):
    """How a cell came out."""

    AS_EXPECTED = "as expected"
    OVER_PERMISSION = "over-permission"
    """Open, should be closed."""
    OVER_RESTRICTION = "over-restriction"
    """Closed, should be open."""
    MISSING = "missing"
    """A workload or Service that the lab began with is gone: wrong whatever was asked, for silence proves nothing."""
    NOT_JUDGED = "not judged"
    COULD_NOT_RUN = "could not run"

    @property
    def wrong(self) -> bool:
        """True when the cell counts as a wrong answer."""
        return self in {State.OVER_PERMISSION, State.OVER_RESTRICTION, State.MISSING}


@dataclass(frozen=True, slots=True, order=True)
class CellKey:
    """A cell of the matrix: workload to workload, as an arrow writes them (`name` or `name.namespace`)."""

    source: str
    destination: str
    port: Port
    via: str = "pod"

    def __str__(self) -> str:
        port = f":{self.port}"
        via = "" if self.via == "pod" else f" via {self.via}"
        return f"{self.source} -> {self.destination}{port}{via}"


@dataclass(frozen=True, slots=True)
class Cell:
    """A judged cell.

    Attributes:
        key: which.
        expected: what the check asks.
        state: how it came out.
        is_open: what the traffic did; None when it could not run. Several pods of a workload must agree to be open.
        observations: every probe that went into it (a workload of n pods has n, or n times m).
        why: sentences of the explanation, for cells that differ from what is expected.
    """

    key: CellKey
    expected: Expectation
    state: State
    is_open: bool | None
    observations: tuple[Observation, ...] = ()
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Requirement:
    """A judged requirement that is no cell.

    Attributes:
        name: its field in the check.
        asked: what is asked, in words.
        held: it is so.
        found: what was found instead, in sentences; empty where it is so.
    """

    name: str
    asked: str
    held: bool
    found: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckReport:
    """One check: `kind` is its name in lab.yaml; `share` from 0 to 1 is the partial credit."""

    kind: str
    held: bool
    share: float
    cells: tuple[Cell, ...] = ()
    messages: tuple[str, ...] = ()
    requirements: tuple[Requirement, ...] = ()

    @property
    def unmet(self) -> tuple[Requirement, ...]:
        """The requirements that do not hold."""
        return tuple(requirement for requirement in self.requirements if not requirement.held)


@dataclass(frozen=True, slots=True)
class TaskReport:
    """One task. `earned` is a whole number of points before hints; all points only when every check held."""

    id: str
    title: str
    points: int
    earned: int
    held: bool
    checks: tuple[CheckReport, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """A whole grading.

    Attributes:
        lab: its id.
        backend: where it ran.
        dataplane: what enforced.
        simulated: probes were computed, not sent.
        tasks: in the lab's order.
        hint_cost: points lost by hints.
    """

    lab: str
    backend: str
    dataplane: str
    simulated: bool
    tasks: tuple[TaskReport, ...]
    hint_cost: int = 0

    @property
    def points(self) -> int:
        """What could be had."""
        return sum(task.points for task in self.tasks)

    @property
    def earned(self) -> int:
        """What was had, after hints; never below 0."""
        return max(0, sum(task.earned for task in self.tasks) - self.hint_cost)

    @property
    def held(self) -> bool:
        """True when every task held, hints or not."""
        return all(task.held for task in self.tasks)
