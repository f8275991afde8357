"""How much more than required passes, in text, JSON and Markdown. The JSON is documented in `docs/reach.md`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tui.output.differences import MOST_SHOWN, escaped
from tui.output.spaces import Names, groups_json, ports_json, ports_text
from tui.output.terminal import GREEN, RED, clean, default_symbols, paint, wrap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grader.reachability.diff import Change
    from grader.synthesize.privilege import Amount, Privilege


def privilege_text(found: Privilege, owners: Mapping[str, str], width: int = 80, *, color: bool = False) -> str:
    """What is missing, what is too much (most ports first), and the counts as the last lines."""
    symbols = default_symbols()
    names = Names(found.difference.space, owners)
    lines: list[str] = []
    for sign, word, style, changes in (
        ("-", "missing", RED, found.difference.closed),
        ("+", "not required", GREEN, found.difference.opened),
    ):
        for change in changes[:MOST_SHOWN]:
            where = change.where
            head = f"{sign} {word}: {names.short(where.sources)} -> {names.short(where.destinations)}: "
            head = clean(f"{head}{ports_text(where.ports)}", symbols)
            lines += [paint(line, style, color=color) for line in wrap(head, width, "", "      ")]
            lines += wrap(clean(f"for example {where.witness}", symbols), width, "    ", "      ")
        if len(changes) > MOST_SHOWN:
            lines.append(f"{sign} and {len(changes) - MOST_SHOWN} more (--output json has all)")
    table = [
        f"  {word:<13}{amount.pairs:>12,}{amount.flows:>22,}"
        for word, amount in (
            ("required", found.required),
            ("open", found.open),
            ("not required", found.excess),
            ("missing", found.missing),
        )
    ]
    return "\n".join([*lines, *([""] if lines else []), f"{'pairs':>27}{'pairs by ports':>22}", *table])


def privilege_json(found: Privilege) -> str:
    """Everything; see `docs/reach.md`."""
    groups = found.difference.space.groups
    document = {
        "version": 1,
        "family": found.difference.space.family,
        "required": _amount(found.required),
        "open": _amount(found.open),
        "excess": {**_amount(found.excess), "rectangles": _rectangles(found.difference.opened)},
        "missing": {**_amount(found.missing), "rectangles": _rectangles(found.difference.closed)},
        "groups": groups_json(groups),
    }
    return json.dumps(document, indent=2 if len(groups) <= 100 else None)


def _amount(amount: Amount) -> dict[str, int]:
    return {"pairs": amount.pairs, "flows": amount.flows}


def _rectangles(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [
        {
            "sources": [group.number for group in change.where.sources],
            "destinations": [group.number for group in change.where.destinations],
            "ports": ports_json(change.where.ports),
            "pairs": change.where.pairs,
            "flows": change.where.flows,
        }
        for change in changes
    ]


def privilege_markdown(found: Privilege, owners: Mapping[str, str]) -> str:
    """Two tables: the counts, and what differs."""
    names = Names(found.difference.space, owners)
    lines = ["| | Pairs | Pairs by ports |", "|---|---:|---:|"]
    for word, amount in (
        ("required", found.required),
        ("open", found.open),
        ("not required", found.excess),
        ("missing", found.missing),
    ):
        lines.append(f"| {word} | {amount.pairs} | {amount.flows} |")
    rows = [
        (
            word,
            names.short(change.where.sources),
            names.short(change.where.destinations),
            ports_text(change.where.ports),
        )
        for word, changes in (("missing", found.difference.closed), ("not required", found.difference.opened))
        for change in changes[:MOST_SHOWN]
    ]
    if rows:
        lines += ["", "| | From | To | Ports |", "|---|---|---|---|"]
        lines += ["| " + " | ".join(escaped(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)
