"""Partial credit: what an answer improved, never what came for free.

    floor  = the most cells that are right without any work
    credit = (right - floor) / (judged - floor), not below 0

Three answers take no work: leave the start untouched, open everything, close everything. Those of them that would be
right in every cell say nothing about the work and are left out of the maximum. So a matrix of 10 open and 80 closed
cells that starts all open gives nothing for closing everything (80 right, floor 80), half for closing everything and
opening 5, and nothing for leaving it as it is. Cells that were right at the start and are broken now are no longer
among the right ones, so they cost as much as a mended cell earns.

A requirement that is no cell (a dataplane on every node) counts as one more that no start and no policy meets.

Whole points: rounded down, in integers, so all points come only with every cell right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.report import Expectation, State

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from grader.report import Cell, CellKey, Requirement


def credit(
    cells: Iterable[Cell], baseline: Mapping[CellKey, bool], requirements: Collection[Requirement] = ()
) -> tuple[int, int]:
    """Improved cells of those that needed improving; the second is 0 when there was nothing to improve.

    Args:
        cells: judged cells, of one check or of all checks of a task.
        baseline: what is open at the untouched start.
        requirements: judged requirements of the same check or task.
    """
    judged = [cell for cell in cells if cell.expected is not Expectation.ANY]
    right = sum(cell.state is State.AS_EXPECTED for cell in judged)
    at_start = sum(baseline[cell.key] is (cell.expected is Expectation.OPEN) for cell in judged)
    opened = sum(cell.expected is Expectation.OPEN for cell in judged)
    free = (at_start, opened, len(judged) - opened)
    count = len(judged) + len(requirements)
    floor = max((least for least in free if least < count), default=0)
    right += sum(requirement.held for requirement in requirements)
    return max(0, right - floor), count - floor


def share(cells: Iterable[Cell], baseline: Mapping[CellKey, bool], requirements: Collection[Requirement] = ()) -> float:
    """Partial credit from 0 to 1; 1 only when every cell is right."""
    improved, needed = credit(cells, baseline, requirements)
    return improved / needed if needed else 1.0


def points(
    cells: Iterable[Cell], baseline: Mapping[CellKey, bool], whole: int, requirements: Collection[Requirement] = ()
) -> int:
    """The points of a task that has `whole` of them."""
    improved, needed = credit(cells, baseline, requirements)
    return whole * improved // needed if needed else whole
