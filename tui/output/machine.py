"""Reports for programs: JSON and JUnit XML.

The form is documented, with an example, in `docs/reports.md`. Keys are added, never renamed or removed, without a new
`version`.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tui.output.text import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from grader.ports import Observation
    from grader.report import Cell, Report, TaskReport

VERSION = 1
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write (https://www.w3.org/TR/xml/#charsets)."""


def report_json(report: Report) -> str:
    """A report as JSON."""
    document = {
        "version": VERSION,
        "lab": report.lab,
        "backend": report.backend,
        "dataplane": report.dataplane,
        "simulated": report.simulated,
        "held": report.held,
        "points": report.points,
        "earned": report.earned,
        "hint_cost": report.hint_cost,
        "tasks": [_task(task) for task in report.tasks],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def cells_json(cells: Iterable[Cell]) -> str:
    """A matrix as JSON: `version` and `cells`, the same as in a report."""
    return json.dumps({"version": VERSION, "cells": [_cell(cell) for cell in cells]}, indent=2, ensure_ascii=False)


def report_junit(report: Report) -> str:
    """A report as JUnit XML: one test case a task, with what differs as the failure's text."""
    failures = sum(not task.held for task in report.tasks)
    count = f'tests="{len(report.tasks)}" failures="{failures}" errors="0" skipped="0"'
    properties = {
        "backend": report.backend,
        "dataplane": report.dataplane,
        "simulated": str(report.simulated).lower(),
        "points": report.points,
        "earned": report.earned,
        "hint_cost": report.hint_cost,
    }
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="netdojo" {count}>',
        f"  <testsuite name={attribute(report.lab)} {count}>",
        "    <properties>",
        *(f'      <property name="{name}" value={attribute(str(value))}/>' for name, value in properties.items()),
        "    </properties>",
        *(line for task in report.tasks for line in _case(report.lab, task)),
        "  </testsuite>",
        "</testsuites>",
    ]
    return "\n".join(lines)


def _task(task: TaskReport) -> dict[str, Any]:
    return {
        "id": task.id,
        "title": task.title,
        "points": task.points,
        "earned": task.earned,
        "held": task.held,
        "checks": [
            {
                "kind": check.kind,
                "held": check.held,
                "share": round(check.share, 4),
                "messages": list(check.messages),
                "requirements": [asdict(requirement) for requirement in check.requirements],
                "cells": [_cell(cell) for cell in check.cells],
            }
            for check in task.checks
        ],
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "source": cell.key.source,
        "destination": cell.key.destination,
        "port": cell.key.port.number,
        "protocol": cell.key.port.protocol,
        "via": cell.key.via,
        "expected": str(cell.expected),
        "state": str(cell.state),
        "open": cell.is_open,
        "why": list(cell.why),
        "probes": [_probe(seen) for seen in cell.observations],
    }


def _probe(seen: Observation) -> dict[str, Any]:
    probe = seen.probe
    return {
        "source": probe.source,
        "destination": probe.destination,
        "port": probe.port,
        "protocol": probe.protocol,
        "family": probe.family,
        "via": probe.via,
        "outcome": str(seen.outcome),
        "answered_by": seen.answered_by,
        "seen_as": seen.seen_as,
        "milliseconds": round(seen.milliseconds, 3),
        "detail": seen.detail,
    }


def _case(lab: str, task: TaskReport) -> Iterator[str]:
    name = f"    <testcase classname={attribute(lab)} name={attribute(task.id)}"
    if task.held:
        yield f"{name}/>"
        return
    from xml.sax.saxutils import escape  # loads much, and few commands write XML

    differing = [cell for check in task.checks for cell in check.cells if cell.state in WORDS]
    count = "1 cell differs" if len(differing) == 1 else f"{len(differing)} cells differ"
    messages = [message for check in task.checks for message in check.messages]
    for item in (item for check in task.checks for item in check.unmet):
        messages += [f"{item.asked}: not so", *item.found]
    count = count if differing or not messages else messages[0]
    message = f"{task.title}: {task.earned} of {task.points} points, {count}"
    lines = [line for cell in differing for line in (f"{cell.key}  {WORDS[cell.state]}", *cell.why)]
    text = "\n".join([*messages, *lines])
    yield f"{name}>"
    yield f'      <failure type="traffic" message={attribute(message)}>{escape(legal(text))}</failure>'
    yield "    </testcase>"


def attribute(text: str) -> str:
    """Return text as a quoted attribute of XML."""
    from xml.sax.saxutils import quoteattr

    return quoteattr(legal(text))


def legal(text: str) -> str:
    """Return text without what XML 1.0 has no way to write."""
    return NOT_XML.sub("\ufffd", text)
