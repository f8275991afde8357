"""Known cells against verdicts, in text, JSON and JUnit XML.

The JSON (`"version": 1`; keys are added, never renamed or removed, without a new version):

    {"version": 1, "steps": 58, "cells": 506, "agreeing": 505, "left_open": 0, "disputed": 0,
     "differing": [{"case": "…", "step": 1, "from": "x/a", "to": "y/b", "protocol": "TCP", "port": 80,
       "expected": true, "allowed": false, "why": ["…"]}]}
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from tui.output.machine import attribute, legal
from tui.output.terminal import clean, default_symbols

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grader.reachability.cases import Step, Tally

MOST_SHOWN = 20
"""Differing cells that are explained in text; JSON has all."""


def tally_json(tally: Tally) -> str:
    """The totals and every differing cell; see the module's description of the form."""
    differing = [
        {
            "case": each.step.case,
            "step": each.step.number,
            "from": each.expected.flow.source,
            "to": each.expected.flow.destination,
            "protocol": each.expected.flow.protocol,
            "port": each.expected.flow.port,
            "expected": each.expected.allowed,
            "allowed": each.verdict.allowed,
            "why": list(each.why),
        }
        for each in tally.differing
    ]
    counts = {name: getattr(tally, name) for name in ("steps", "cells", "agreeing", "left_open", "disputed")}
    return json.dumps({"version": 1, **counts, "differing": differing}, indent=2)


def tally_text(tally: Tally) -> str:
    """The first differing cells with their explanation, then the totals on one line."""
    symbols = default_symbols()
    lines: list[str] = []
    for each in tally.differing[:MOST_SHOWN]:
        asked = "open" if each.expected.allowed else "dropped"
        lines.append(f"{clean(each.step.case, symbols)}, step {each.step.number}: expected {asked}")
        lines += [f"  {clean(line, symbols)}" for line in each.why]
    if len(tally.differing) > MOST_SHOWN:
        lines.append(f"and {len(tally.differing) - MOST_SHOWN} more (--output json has all)")
    apart = ((tally.left_open, "left open by the specification"), (tally.disputed, "disputed"))
    more = "".join(f", {count} {word}" for count, word in apart if count)
    totals = f"{tally.agreeing} agree, {len(tally.differing)} differ{more}"
    return "\n".join([*lines, f"{tally.cells} cells in {tally.steps} steps: {totals}"])


def tally_junit(tally: Tally, steps: Iterable[Step]) -> str:
    """JUnit XML: one test case a step, which fails with its differing cells."""
    by_step: dict[tuple[str, int], list[str]] = {(step.case, step.number): [] for step in steps}
    for each in tally.differing:
        asked = "open" if each.expected.allowed else "dropped"
        by_step.setdefault((each.step.case, each.step.number), []).append("\n".join((f"expected {asked}:", *each.why)))
    failing = sum(map(bool, by_step.values()))
    count = f'tests="{len(by_step)}" failures="{failing}" errors="0" skipped="0"'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="netdojo reach check" {count}>',
        f'  <testsuite name="cases" {count}>',
    ]
    for (case, number), why in by_step.items():
        head = f"    <testcase classname={attribute(case)} name={attribute(f'step {number}')}"
        if not why:
            lines.append(f"{head}/>")
            continue
        message = attribute(f"{len(why)} cells differ" if len(why) > 1 else "1 cell differs")
        text = escape(legal("\n\n".join(why)))
        lines += [f"{head}>", f'      <failure type="traffic" message={message}>{text}</failure>', "    </testcase>"]
    return "\n".join([*lines, "  </testsuite>", "</testsuites>"])
