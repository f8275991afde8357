"""What each cell should be: arrows, then `others` for the rest of the matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from content.arrows import Name, parse
from content.errors import BrokenContentError, Defect, UsageError
from grader.matrix import label, read_arrow
from grader.report import Expectation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from content.model import Connectivity, Lab
    from grader.matrix import Matrix
    from grader.report import CellKey


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a cell should be. `seen_as` names the client that the server should see; empty where nobody asked."""

    expectation: Expectation
    seen_as: str = ""


def expect(
    lab: Lab, connectivity: Connectivity, matrix: Matrix, baseline: Mapping[CellKey, bool]
) -> dict[CellKey, Wanted]:
    """What one check asks of each cell that it judges, in the order of the matrix and then of its arrows.

    Args:
        lab: the lab that the check is from, for messages.
        connectivity: the check.
        matrix: the endpoints.
        baseline: what is open at the untouched start, for `others: unchanged`.

    Raises:
        BrokenContentError: an arrow that means no cell, a name that no matrix has, arrows that contradict, or a check
            that judges nothing: it would pass by default.
    """
    listed: dict[CellKey, Wanted] = {}
    for text in connectivity.allow:
        _add(lab, matrix, text, Expectation.OPEN, listed)
    for text in connectivity.deny:
        _add(lab, matrix, text, Expectation.CLOSED, listed)
    wanted: dict[CellKey, Wanted] = {}
    if connectivity.others is not None:
        sources = _scope(lab, matrix, connectivity.between) or tuple(matrix.endpoints)
        destinations = _scope(lab, matrix, connectivity.to) or sources
        for key in matrix.cells(sources, destinations):
            wanted[key] = Wanted(_other(connectivity.others, key, baseline))
    if not wanted and not listed:
        raise _broken(lab, "a check judges no cell at all", "give it arrows, or `others` with more than one endpoint")
    return wanted | listed


def combined(lab: Lab, matrix: Matrix, baseline: Mapping[CellKey, bool]) -> dict[CellKey, Wanted]:
    """What all tasks together ask: the whole matrix, with ANY where no task judges.

    Raises:
        BrokenContentError: as `expect`, or two checks contradict, so that nobody could solve the lab.
    """
    wanted: dict[CellKey, Wanted] = {}
    for task in lab.spec.tasks:
        for connectivity in task.connectivity:
            for key, asked in expect(lab, connectivity, matrix, baseline).items():
                before = wanted.get(key)
                if before and before.expectation is not asked.expectation:
                    raise _broken(lab, f"task {task.id} asks that {key} is {asked.expectation}; another check differs")
                wanted[key] = asked if asked.seen_as or not before else before
    return dict.fromkeys(matrix.keys(), Wanted(Expectation.ANY)) | wanted


def cells_of(matrix: Matrix, arrows: Iterable[str]) -> frozenset[CellKey]:
    """The cells that these arrows mean.

    Raises:
        content.arrows.ArrowError: a text that is no arrow.
        content.errors.UsageError: an arrow names what the matrix does not have.
    """
    return frozenset(key for text in arrows for key in matrix.expand(parse(text)))


def _add(lab: Lab, matrix: Matrix, text: str, expectation: Expectation, listed: dict[CellKey, Wanted]) -> None:
    arrow = read_arrow(lab, text)
    keys = matrix.expand(arrow)
    if not keys:
        raise _broken(lab, f"the arrow '{text}' means no cell: nothing serves that, or it points to itself")
    seen_as = label(arrow.seen_as, matrix.namespace) if arrow.seen_as else ""
    for key in keys:
        before = listed.get(key)
        if before and before.expectation is not expectation:
            raise _broken(lab, f"{key} is in `allow` and in `deny`")
        listed[key] = Wanted(expectation, seen_as or (before.seen_as if before else ""))


def _scope(lab: Lab, matrix: Matrix, texts: Iterable[str]) -> tuple[str, ...]:
    """The endpoints that `between` or `to` name."""
    names = [Name(*text.split(".", 1)) for text in texts]
    try:
        return matrix.names(names)
    except UsageError as error:
        raise _broken(lab, f"`between` or `to`: {error.message}", error.remedy) from error


def _other(others: str, key: CellKey, baseline: Mapping[CellKey, bool]) -> Expectation:
    is_open = baseline[key] if others == "unchanged" else others == "allow"
    return Expectation.OPEN if is_open else Expectation.CLOSED


def _broken(lab: Lab, cause: str, remedy: str = "") -> BrokenContentError:
    return BrokenContentError([Defect(lab.folder / "lab.yaml", 0, cause, remedy)])
