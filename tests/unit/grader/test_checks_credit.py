"""Partial credit pays for work, and for nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from content.arrows import Port
from grader.checks.credit import points, share
from grader.report import Cell, CellKey, Expectation, State


def cells_of(expected: list[bool], actual: list[bool]) -> list[Cell]:
    made = []
    for number, (want, got) in enumerate(zip(expected, actual, strict=True)):
        key = CellKey("a", f"b{number}", Port(80))
        wrong = State.OVER_PERMISSION if got else State.OVER_RESTRICTION
        state = State.AS_EXPECTED if want is got else wrong
        made.append(Cell(key, Expectation.OPEN if want else Expectation.CLOSED, state, got))
    return made


def earned(expected: list[bool], start: list[bool], actual: list[bool], whole: int = 100) -> int:
    cells = cells_of(expected, actual)
    return points(cells, {cell.key: was for cell, was in zip(cells, start, strict=True)}, whole)


O, C = True, False  # noqa: E741 - rows of a table


@pytest.mark.parametrize(
    ("expected", "start", "actual", "got"),
    [
        ([O, C, C, C], [O, O, O, O], [O, C, C, C], 100),
        ([O, C, C, C], [O, O, O, O], [O, O, O, O], 0),  # untouched
        ([O, C, C, C], [O, O, O, O], [C, C, C, C], 0),  # everything closed
        ([O, O, O, C, C, C], [O] * 6, [O, O, O, C, O, O], 33),  # one of three closed
        ([O, O, O, C, C, C], [O] * 6, [C, O, O, C, C, O], 33),  # two closed, one that was right broken
        ([O, O, O, C, C, C], [O] * 6, [C, C, O, C, O, O], 0),  # broke more than it mended
        ([C, C, C, C], [O, O, O, O], [C, C, O, O], 50),  # all must be closed: closing is the work
        ([C, C, C, C], [O, O, O, O], [C, C, C, C], 100),
        ([O, C], [O, C], [O, C], 100),  # right at the start and still so
        ([O, C], [O, C], [O, O], 0),
    ],
)
def test_credit_is_the_improvement(expected: list[bool], start: list[bool], actual: list[bool], got: int) -> None:
    assert earned(expected, start, actual) == got


def test_points_are_rounded_down() -> None:
    assert earned([O, O, O, C, C, C], [O] * 6, [O, O, O, C, C, O], whole=4) == 2


def test_nothing_judged_is_right() -> None:
    assert share([], {}) == 1.0


matrices = st.integers(1, 12).flatmap(
    lambda size: st.tuples(*[st.lists(st.booleans(), min_size=size, max_size=size)] * 3)
)


@given(matrices, st.integers(1, 100))
def test_credit_stays_within_its_limits(matrix: tuple[list[bool], list[bool], list[bool]], whole: int) -> None:
    expected, start, actual = matrix
    got = earned(expected, start, actual, whole)
    assert 0 <= got <= whole
    assert (got == whole) == (expected == actual)


@given(matrices)
def test_opening_everything_or_closing_everything_earns_nothing_unless_it_is_right(
    matrix: tuple[list[bool], list[bool], list[bool]],
) -> None:
    expected, start, _ = matrix
    for lazy in ([True] * len(expected), [False] * len(expected), start):
        assert earned(expected, start, lazy) == (100 if lazy == expected else 0)


@given(matrices, st.data())
def test_mending_a_cell_never_costs(matrix: tuple[list[bool], list[bool], list[bool]], data: st.DataObject) -> None:
    expected, start, actual = matrix
    number = data.draw(st.integers(0, len(expected) - 1))
    mended = [*actual[:number], expected[number], *actual[number + 1 :]]
    assert earned(expected, start, mended) >= earned(expected, start, actual)


def test_cells_that_nobody_asks_about_do_not_count() -> None:
    key = CellKey("x", "y", Port(1))
    cells = [*cells_of([O, C], [O, C]), Cell(key, Expectation.ANY, State.NOT_JUDGED, is_open=True)]
    baseline = {cell.key: True for cell in cells}
    assert share(cells, baseline) == 1.0
