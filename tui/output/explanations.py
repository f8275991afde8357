"""Explanations of flows with the edits that turn them, in text and JSON. The JSON is documented in `docs/reach.md`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tui.output.findings import policy_json
from tui.output.terminal import clean, default_symbols, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.edits.search import Edit
    from grader.reachability.verdict import Explanation

Explained = tuple["Explanation", int, "Sequence[Edit]"]
"""An explanation, how many flows it is for, and edits that turn the verdict."""


def explanations_text(explained: Sequence[Explained], width: int = 80) -> str:
    """Each explanation with its edits, an empty line between two."""
    return "\n\n".join("\n".join(_lines(*each, width)) for each in explained)


def _lines(explanation: Explanation, count: int, edits: Sequence[Edit], width: int) -> list[str]:
    symbols = default_symbols()
    head, *rest = (clean(line, symbols) for line in explanation.lines())
    lines = [head + (f"  (and {count - 1} more alike)" if count > 1 else "")]
    for line in rest:
        indent = " " * (2 + len(line) - len(line.lstrip()))
        lines += wrap(line.strip(), width, indent, f"{indent}    ")
    verb = "close" if explanation.verdict.allowed else "open"
    for number, edit in enumerate(edits):
        word = f"to {verb} it" if number == 0 else "or"
        lines += wrap(clean(f"{word}: {edit.words} ({edit.besides})", symbols), width, "  ", "      ")
    return lines


def explanations_json(explained: Sequence[tuple[Explanation, Sequence[Edit]]]) -> str:
    """Everything; see `docs/reach.md`."""
    return json.dumps({"version": 1, "flows": [_flow(*each) for each in explained]}, indent=2)


def _flow(explanation: Explanation, edits: Sequence[Edit]) -> dict[str, Any]:
    verdict = explanation.verdict
    return {
        **asdict(verdict.flow),
        "action": str(verdict.action),
        "allowed": verdict.allowed,
        "egress": asdict(verdict.egress),
        "ingress": asdict(verdict.ingress),
        "near_misses": [asdict(miss) for miss in explanation.near_misses],
        "edits": [_edit(edit) for edit in edits],
        "lines": list(explanation.lines()),
    }


def _edit(edit: Edit) -> dict[str, Any]:
    steps = [
        {
            "words": step.words,
            "policy": policy_json(step.policy) if step.policy is not None else None,
            "patch": list(step.patch),
            "manifest": step.manifest or None,
        }
        for step in edit.steps
    ]
    witness = asdict(edit.witness) if edit.witness is not None else None
    return {"steps": steps, "opens": edit.opens, "closes": edit.closes, "witness": witness}
