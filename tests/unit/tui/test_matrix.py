"""The table behind the matrix, and how the widget draws it."""

from __future__ import annotations

from typing import Any

import pytest
from textual.app import App, ComposeResult

from content.arrows import Port
from grader.report import Cell, CellKey, Expectation, State
from tui.widgets import grid
from tui.widgets.matrix import Matrix


def cell(
    source: str,
    destination: str,
    port: int,
    is_open: bool | None = True,
    state: State = State.AS_EXPECTED,
    via: str = "pod",
) -> Cell:
    return Cell(CellKey(source, destination, Port(port), via), Expectation.OPEN, state, is_open)


def test_columns_follow_the_rows_and_ports_stand_side_by_side() -> None:
    cells = [
        cell("web", "out", 443),
        cell("web", "db", 5432),
        cell("db", "web", 8080),
        cell("db", "web", 80),
        cell("db", "web", 80, via="service"),
    ]
    table = grid.arrange(cells)
    assert table.rows == ("web", "db")
    assert [(column.destination, column.label) for column in table.columns] == [
        ("web", "80"),
        ("web", "8080"),
        ("web", "svc:80"),
        ("db", "5432"),
        ("out", "443"),
    ]
    assert table.at(cells[1].key) == (0, 3)
    assert table.at(CellKey("web", "nobody", Port(1))) is None
    assert (0, 0) not in table.cells


@pytest.mark.parametrize(
    ("is_open", "state", "predicted", "changed", "text"),
    [
        (True, State.AS_EXPECTED, None, False, "✓  "),
        (False, State.AS_EXPECTED, None, False, "✗  "),
        (True, State.NOT_JUDGED, None, True, "✓ *"),
        (True, State.OVER_PERMISSION, None, False, "✓! "),
        (False, State.OVER_RESTRICTION, None, True, "✗!*"),
        (None, State.COULD_NOT_RUN, None, False, "?  "),
        (True, State.OVER_PERMISSION, False, True, "✓Δ✗"),
    ],
)
def test_every_state_has_a_sign_of_its_own(
    is_open: bool | None, state: State, predicted: bool | None, changed: bool, text: str
) -> None:
    assert grid.text_of(cell("a", "b", 1, is_open, state), predicted=predicted, changed=changed) == text


def test_only_cells_that_turned_are_changed() -> None:
    before = [cell("a", "b", 1), cell("b", "a", 1)]
    after = [cell("a", "b", 1, False), cell("b", "a", 1), cell("c", "a", 1)]
    assert grid.changed_keys(before, after) == {before[0].key}


class Host(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.moved: list[Any] = []
        self.opened: list[CellKey] = []

    def compose(self) -> ComposeResult:
        yield Matrix()

    def on_matrix_moved(self, message: Matrix.Moved) -> None:
        self.moved.append(message.key)

    def on_matrix_opened(self, message: Matrix.Opened) -> None:
        self.opened.append(message.key)


def big(size: int, wrong: tuple[int, int] | None = None) -> list[Cell]:
    state = {wrong: State.OVER_PERMISSION} if wrong else {}
    return [
        cell(f"pod-{r:02d}", f"pod-{c:02d}", 80, state=state.get((r, c), State.AS_EXPECTED))
        for r in range(size)
        for c in range(size)
        if r != c
    ]


def drawn(matrix: Matrix) -> list[str]:
    return [matrix.render_line(y).text for y in range(matrix.size.height)]


async def test_headers_stay_while_a_big_matrix_scrolls() -> None:
    app = Host()
    async with app.run_test(size=(40, 12)) as pilot:
        matrix = app.query_one(Matrix)
        matrix.show(big(30))
        matrix.focus()
        await pilot.pause()
        assert drawn(matrix)[0].startswith("from\\to  pod-00")
        await pilot.press("end", *["pagedown"] * 3)
        lines = drawn(matrix)
        assert "pod-29" in lines[0]
        assert "pod-00" not in lines[0]
        assert any(line.startswith("pod-29") for line in lines)
        assert matrix.cursor_key == CellKey("pod-29", "pod-29", Port(80)) or app.moved[-1] is None
        await pilot.press("home", *["pageup"] * 3)
        assert drawn(matrix)[2].startswith("pod-00")
        assert "pod-00" in drawn(matrix)[0]


async def test_the_cursor_starts_at_what_differs_and_stays_on_its_cell() -> None:
    app = Host()
    async with app.run_test(size=(60, 12)) as pilot:
        matrix = app.query_one(Matrix)
        matrix.show(big(4, wrong=(2, 1)))
        assert str(matrix.cursor_key) == "pod-02 -> pod-01:80"
        matrix.show(big(6, wrong=(0, 1)))
        assert str(matrix.cursor_key) == "pod-02 -> pod-01:80"
        matrix.focus()
        await pilot.press("n", "enter")
        assert str(app.opened[-1]) == "pod-00 -> pod-01:80"
        matrix.show([])
        await pilot.press("down", "n", "enter")
        assert matrix.cursor_key is None


async def test_a_click_opens_a_cell() -> None:
    app = Host()
    async with app.run_test(size=(60, 12)) as pilot:
        matrix = app.query_one(Matrix)
        matrix.show(big(3))
        await pilot.pause()
        at = drawn(matrix)[3].index("✓")
        await pilot.click(Matrix, offset=(at, 3))
        assert str(app.opened[-1]) == "pod-01 -> pod-00:80"
        await pilot.click(Matrix, offset=(1, 0))
        assert len(app.opened) == 1


async def test_no_colour_is_needed() -> None:
    app = Host()
    async with app.run_test(size=(60, 8)) as pilot:
        matrix = app.query_one(Matrix)
        matrix.show([cell("a", "b", 80, True, State.OVER_PERMISSION), cell("b", "a", 80)])
        await pilot.pause()
        strip = matrix.render_line(2)
        style = next(segment.style for segment in strip if "!" in segment.text)
        assert style.bold
        assert style.reverse
