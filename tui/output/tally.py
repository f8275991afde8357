"""Known cells against verdicts, in text and JSON.

The JSON (`"version": 1`; keys are added, never renamed or removed, without a new version):

    {"version": 1, "steps": 58, "cells": 506, "agreeing": 505, "left_open": 0, "disputed": 0,
     "differing": [{"case": "…", "step": 1, "from": "x/a", "to": "y/b", "protocol": "TCP", "port": 80,
       "expected": true, "allowed": false, "why": ["…"]}]}
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tui.output.terminal import clean, default_symbols

if TYPE_CHECKING:
    from grader.reachability.cases import Tally

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
