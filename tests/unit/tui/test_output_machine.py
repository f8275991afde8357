"""Reports for programs: the promised keys, and well-formed whatever they hold."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from content.arrows import Port
from grader.ports import Observation, Outcome, Probe
from grader.report import Cell, CellKey, CheckReport, Expectation, Report, State, TaskReport
from tui.output import cells_json, report_json, report_junit

SEEN = Observation(
    Probe("shop/web-0", "shop/db-0", 5432), Outcome.OPEN, "shop/db-0", "10.0.0.7", milliseconds=0.81234, detail=""
)
CELL = Cell(
    CellKey("web", "db", Port(5432)),
    Expectation.CLOSED,
    State.OVER_PERMISSION,
    is_open=True,
    observations=(SEEN,),
    why=("db takes everybody",),
)
CHECK = CheckReport("connectivity", held=False, share=2 / 3, cells=(CELL,))
TASKS = (TaskReport("one", "Protect", 8, 5, held=False, checks=(CHECK,)), TaskReport("two", "Look", 2, 2, held=True))
REPORT = Report("bank", "sandbox", "nftables", simulated=False, tasks=TASKS, hint_cost=1)

CELL_JSON = {
    "source": "web",
    "destination": "db",
    "port": 5432,
    "protocol": "TCP",
    "via": "pod",
    "expected": "closed",
    "state": "over-permission",
    "open": True,
    "why": ["db takes everybody"],
    "probes": [
        {
            "source": "shop/web-0",
            "destination": "shop/db-0",
            "port": 5432,
            "protocol": "TCP",
            "family": 4,
            "via": "pod",
            "outcome": "open",
            "answered_by": "shop/db-0",
            "seen_as": "10.0.0.7",
            "milliseconds": 0.812,
            "detail": "",
        }
    ],
}


def test_the_json_of_a_report_is_as_documented() -> None:
    check = {
        "kind": "connectivity",
        "held": False,
        "share": 0.6667,
        "messages": [],
        "requirements": [],
        "cells": [CELL_JSON],
    }
    assert json.loads(report_json(REPORT)) == {
        "version": 1,
        "lab": "bank",
        "backend": "sandbox",
        "dataplane": "nftables",
        "simulated": False,
        "held": False,
        "points": 10,
        "earned": 6,
        "hint_cost": 1,
        "tasks": [
            {"id": "one", "title": "Protect", "points": 8, "earned": 5, "held": False, "checks": [check]},
            {"id": "two", "title": "Look", "points": 2, "earned": 2, "held": True, "checks": []},
        ],
    }


def shape(value: object) -> object:
    """The keys of a document and the types of its values."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value)


def test_the_example_of_the_documentation_has_this_form() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reports.md").read_text(encoding="utf-8")
    example = json.loads(page.partition("```json\n")[2].partition("```")[0])
    report = Report("bank", "sandbox", "nftables", simulated=False, tasks=TASKS[:1], hint_cost=1)
    assert shape(example) == shape(json.loads(report_json(report)))
    for kind in (State, Expectation, Outcome):
        assert all(f"`{value}`" in page for value in kind)


def test_the_json_of_a_matrix_is_as_documented() -> None:
    assert json.loads(cells_json([CELL])) == {"version": 1, "cells": [CELL_JSON]}


def test_a_cell_that_could_not_run_is_null() -> None:
    stuck = Cell(CellKey("web", "db", Port(0, "ICMP")), Expectation.ANY, State.COULD_NOT_RUN, is_open=None)
    (got,) = json.loads(cells_json([stuck]))["cells"]
    assert (got["open"], got["port"], got["protocol"], got["state"]) == (None, 0, "ICMP", "could not run")


def test_junit_has_a_case_a_task_and_says_what_differs() -> None:
    root = ET.fromstring(report_junit(REPORT))  # noqa: S314 - our own text
    suite = root.find("testsuite")
    assert suite is not None
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("bank", "2", "1")
    properties = {item.get("name"): item.get("value") for item in suite.iter("property")}
    assert properties["dataplane"] == "nftables"
    assert properties["earned"] == "6"
    one, two = suite.findall("testcase")
    failure = one.find("failure")
    assert failure is not None
    assert failure.get("message") == "Protect: 5 of 8 points, 1 cell differs"
    assert failure.text == "web -> db:5432  open, should be closed\ndb takes everybody"
    assert two.get("name") == "two"
    assert two.find("failure") is None


@given(st.text(), st.text(), st.text())
def test_whatever_a_text_holds_the_documents_stay_well_formed(name: str, title: str, why: str) -> None:
    cell = Cell(CELL.key, CELL.expected, CELL.state, is_open=True, why=(why,))
    check = CheckReport("connectivity", held=False, share=0.0, cells=(cell,))
    report = Report(
        name, name, title, simulated=True, tasks=(TaskReport("t", title, 1, 0, held=False, checks=(check,)),)
    )
    ET.fromstring(report_junit(report).encode())  # noqa: S314 - our own text
    assert json.loads(report_json(report))["tasks"][0]["checks"][0]["cells"][0]["why"] == [why]
