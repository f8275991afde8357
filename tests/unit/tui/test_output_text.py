"""Reports and matrices for people: at every width, in every encoding, whatever a stranger's text holds."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from content.arrows import Port
from grader.ports import Observation, Outcome, Probe
from grader.report import Cell, CellKey, CheckReport, Expectation, Report, State, TaskReport
from tui import output
from tui.output import changes_text, matrix_text, report_text
from tui.output.terminal import ASCII, UNICODE, symbols_of, terminal_width, wants_color

OPEN, CLOSED, ANY = Expectation.OPEN, Expectation.CLOSED, Expectation.ANY
GOOD, OVER, UNDER = State.AS_EXPECTED, State.OVER_PERMISSION, State.OVER_RESTRICTION


def cell(source: str, destination: str, *, is_open: bool | None, expected: Expectation = OPEN, **fields: Any) -> Cell:
    port = fields.pop("port", Port(80))
    key = CellKey(source, destination, port, fields.pop("via", "pod"))
    if is_open is None:
        state = State.COULD_NOT_RUN
    elif expected is ANY:
        state = State.NOT_JUDGED
    else:
        state = GOOD if is_open is (expected is OPEN) else OVER if is_open else UNDER
    return Cell(key, expected, state, is_open, **fields)


CELLS = (
    cell("web", "db", is_open=True),
    cell("guest.out", "db", is_open=True, expected=CLOSED, why=("db takes everybody",)),
    cell("web", "api", is_open=False, expected=CLOSED, port=Port(8080)),
    cell("web", "api", is_open=False, port=Port(53, "UDP"), why=("nothing allows it",)),
    cell("db", "web", is_open=False, expected=ANY),
    cell("db", "api", is_open=None, port=Port(0, "ICMP")),
    cell("guest.out", "api", is_open=True, port=Port(80), via="service"),
)


def report_of(*cells: Cell, **fields: Any) -> Report:
    wrong = any(item.state is not GOOD for item in cells)
    check = CheckReport("connectivity", held=not wrong, share=0.5, cells=cells)
    task = TaskReport("one", "Protect the database", 8, 3 if wrong else 8, not wrong, (check,))
    done = TaskReport("two", "Look around", 2, 2, held=True)
    report = Report("bank", "sandbox", "nftables", simulated=False, tasks=(task, done), hint_cost=1)
    return replace(report, **fields)


def test_the_matrix_as_a_person_sees_it() -> None:
    assert matrix_text(CELLS, symbols=UNICODE).splitlines() == [
        "       to web db api",
        "from      80  80 8080 53/udp icmp 80 svc",
        "web       ·   ✓  ✗    ✗!     ·    ·",
        "db        ✗~  ·  ·    ·      ?    ·",
        "guest.out ·   ✓! ·    ·      ·    ✓",
        "",
        "✓ open   ✗ closed   ! differs from what is asked   ~ no task asks   ? not probed",
    ]


def test_the_matrix_without_unicode_says_the_same() -> None:
    text = matrix_text(CELLS, symbols=ASCII)
    assert text.isascii()
    assert "web       .   o  x    x!     .    ." in text


def test_a_legend_explains_only_what_is_there() -> None:
    assert matrix_text(CELLS[:1], symbols=UNICODE).splitlines()[-1] == "✓ open   ✗ closed"


def test_an_empty_matrix_is_said() -> None:
    assert matrix_text(()) == "The matrix is empty."


def test_colour_adds_to_the_signs_and_replaces_none() -> None:
    coloured = matrix_text(CELLS, color=True, symbols=UNICODE)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == matrix_text(CELLS, symbols=UNICODE)


def test_a_wide_matrix_is_folded_between_destinations() -> None:
    names = [f"workload-{number}" for number in range(12)]
    cells = [cell(a, b, is_open=True) for a in names for b in names if a != b]
    lines = matrix_text(cells, 80, symbols=UNICODE).splitlines()
    assert max(map(len, lines)) <= 80
    heads = [line for line in lines if line.lstrip().startswith("to ")]
    assert " ".join(heads).replace("to ", "").split() == names


def test_the_report_as_a_person_sees_it() -> None:
    lines = report_text(report_of(*CELLS), symbols=UNICODE).splitlines()
    assert lines[:4] == [
        "bank on sandbox (nftables)",
        "",
        "☐ Protect the database" + " " * 55 + "3/8",
        "☑ Look around" + " " * 64 + "2/2",
    ]
    differs = lines.index("What differs")
    assert lines[differs + 1 : differs + 3] == [
        "  ! guest.out -> db:80  open, should be closed",
        "      db takes everybody",
    ]
    assert differs < lines.index("Who reaches whom")
    assert lines[-1] == "Not there yet: 1 of 2 tasks, 4 of 10 points after hints (-1)."


def test_a_report_that_holds() -> None:
    text = report_text(report_of(CELLS[0], hint_cost=0), symbols=UNICODE)
    assert "What differs" not in text
    assert text.splitlines()[-1] == "All tasks hold: 2 of 2 tasks, 10 of 10 points."


def test_a_simulated_report_says_so() -> None:
    assert "simulated: verdicts were computed" in report_text(report_of(simulated=True))


def differing(source: str, why: str) -> Cell:
    seen = Observation(Probe(f"ns/{source}-0", "ns/db-0", 80), Outcome.OPEN)
    return cell(source, "db", is_open=True, expected=CLOSED, observations=(seen,), why=(why.format(f"ns/{source}-0"),))


def test_cells_that_differ_for_one_reason_are_told_together() -> None:
    cells = [differing("a", "{} may"), differing("b", "{} may"), differing("c", "{} is special")]
    text = report_text(report_of(*cells))
    assert "! a, b -> db:80  open, should be closed" in text
    assert "! c -> db:80  open, should be closed" in text
    assert text.count("ns/a-0 may") == 1
    assert "ns/b-0 may" not in text


def test_what_is_gone_is_told_once() -> None:
    gone = [
        Cell(CellKey(source, "db", Port(80)), CLOSED, State.MISSING, is_open=False, why=("there is no workload db",))
        for source in ("a", "b")
    ]
    text = report_text(report_of(*gone))
    assert "! there is no workload db (2 cells)" in text
    assert text.count("no workload db") == 1


def test_many_reasons_are_cut_short_and_no_cell_is_left_out() -> None:
    cells = [differing(f"w{number}", f"reason {number}") for number in range(20)]
    text = report_text(report_of(*cells))
    assert all(f"! w{number} -> db:80" in text for number in range(20))
    assert text.count("reason") == 6


def test_a_cell_of_two_tasks_is_shown_once_and_as_wrong() -> None:
    right = replace(CELLS[1], state=GOOD, why=())
    check = CheckReport("connectivity", held=True, share=1.0, cells=(right,))
    report = report_of(CELLS[1])
    both = replace(report, tasks=(TaskReport("zero", "Z", 1, 1, held=True, checks=(check,)), *report.tasks))
    text = report_text(both, symbols=UNICODE)
    assert text.count("guest.out -> db") == 1
    assert "✓!" in text


def test_what_changed() -> None:
    before = [cell("web", "db", is_open=True), cell("guest", "db", is_open=True), cell("db", "web", is_open=False)]
    after = [
        cell("web", "db", is_open=True),
        cell("guest", "db", is_open=False, expected=CLOSED),
        cell("db", "web", is_open=True, expected=ANY),
    ]
    assert changes_text(before, after, symbols=UNICODE) == (
        "  closed  guest → db:80  (as asked)",
        "  opened  db → web:80  (no task asks about it)",
    )
    assert changes_text(after, before, symbols=UNICODE)[0] == "  closed  db → web:80  (should be open)"
    assert changes_text(before, before) == ("  nothing",)


def test_changes_to_one_destination_are_told_together() -> None:
    before = [cell(name, "db", is_open=True, expected=CLOSED) for name in "abc"]
    after = [cell(name, "db", is_open=False, expected=CLOSED) for name in "abc"]
    assert changes_text(before, after, symbols=ASCII) == ("  closed  a, b, c -> db:80  (as asked)",)


names = st.text(min_size=1, max_size=30)
strange_cells = st.builds(
    lambda source, destination, is_open, expected, why, *, gone: replace(
        made := cell(source, destination, is_open=is_open, expected=expected, why=tuple(why)),
        state=State.MISSING if gone else made.state,
    ),
    names,
    names,
    st.sampled_from([True, False, None]),
    st.sampled_from(list(Expectation)),
    st.lists(st.text(max_size=200), max_size=3),
    gone=st.booleans(),
)


@given(st.lists(strange_cells, max_size=8), names, st.integers(40, 160), st.sampled_from([UNICODE, ASCII]))
def test_no_text_of_a_stranger_breaks_the_page(cells: list[Cell], title: str, width: int, symbols: Any) -> None:
    task = TaskReport("t", title, 3, 1, held=False, checks=(CheckReport("connectivity", False, 0.0, tuple(cells)),))
    report = Report(title, "sandbox", "nftables", simulated=True, tasks=(task,))
    text = report_text(report, width, symbols=symbols)
    assert all(character == "\n" or character.isprintable() for character in text)
    assert max(len(line) for line in text.split("\n")) <= width
    if symbols is ASCII:
        assert text.isascii()


@pytest.mark.parametrize(
    ("encoding", "symbols"),
    [("utf-8", UNICODE), ("UTF-16", UNICODE), ("ascii", ASCII), ("latin-1", ASCII), (None, ASCII), ("nonsense", ASCII)],
)
def test_signs_follow_the_encoding(encoding: str | None, symbols: Any) -> None:
    assert symbols_of(encoding) is symbols


@pytest.mark.parametrize(
    ("variables", "tty", "color"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm"}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({}, True, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, True),
        ({"TERM": "xterm", "FORCE_COLOR": "1"}, False, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
    ],
)
def test_when_there_is_colour(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], *, tty: bool, color: bool
) -> None:
    for name in ("TERM", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: tty, raising=False)
    assert wants_color() is color


@pytest.mark.parametrize(("columns", "width"), [("20", 40), ("100", 100), ("999", 160)])
def test_the_width_stays_readable(monkeypatch: pytest.MonkeyPatch, columns: str, width: int) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert terminal_width() == width


def test_everything_promised_is_there() -> None:
    assert all(callable(getattr(output, name)) for name in output.__all__)
