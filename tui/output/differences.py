"""What a change opens and closes, in text, JSON and Markdown. The JSON is documented in `docs/reach.md`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tui.output.entries import entries_json, entries_text
from tui.output.spaces import Names, groups_json, ports_json, ports_text
from tui.output.terminal import GREEN, RED, clean, default_symbols, paint, wrap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grader.reachability.diff import Change, Difference
    from grader.reachability.entry_changes import EntryChange
    from grader.reachability.verdict import Verdict
    from tui.output.terminal import Symbols

MOST_SHOWN = 20
"""Changes of each kind that text and Markdown show; JSON has all."""


def difference_text(
    difference: Difference,
    owners: Mapping[str, str],
    width: int = 80,
    *,
    color: bool = False,
    entries: Sequence[EntryChange] = (),
) -> str:
    """One paragraph a change, with a witness and what decides it; then Services and the like, and the totals."""
    symbols = default_symbols()
    names = Names(difference.space, owners)
    lines: list[str] = []
    for sign, word, style, changes in (
        ("+", "opens", GREEN, difference.opened),
        ("-", "closes", RED, difference.closed),
    ):
        for change in changes[:MOST_SHOWN]:
            head = f"{sign} {word} {names.short(change.where.sources)} -> {names.short(change.where.destinations)}"
            head = clean(f"{head}: {ports_text(change.where.ports)}", symbols)
            lines += [paint(line, style, color=color) for line in wrap(head, width, "", "      ")]
            lines += wrap(clean(f"for example {change.where.witness}", symbols), width, "    ", "      ")
            for when, verdict in (("before", change.before), ("now", change.after)):
                lines += wrap(clean(f"{when}: {_reason(verdict)}", symbols), width, "      ", "          ")
        if len(changes) > MOST_SHOWN:
            lines.append(
                f"{sign} and {len(changes) - MOST_SHOWN} more changes that {word[:-1]} (--output json has all)"
            )
    lines += _entries(entries, names, symbols, width, color=color)
    for word, refs in (("new", difference.added), ("gone", difference.removed)):
        if refs:
            listed = sorted({owners.get(ref, ref) for ref in refs})
            more = f" and {len(listed) - 10} more" if len(listed) > 10 else ""
            lines += wrap(clean(f"{word}: {', '.join(listed[:10])}{more}", symbols), width, "", "  ")
    return "\n".join([*lines, *([""] if lines else []), totals(difference, entries)])


def _entries(entries: Sequence[EntryChange], names: Names, symbols: Symbols, width: int, *, color: bool) -> list[str]:
    lines: list[str] = []
    for change in entries[:MOST_SHOWN]:
        sign, word, style = ("+", "opens", GREEN) if change.opened else ("-", "closes", RED)
        head = clean(f"{sign} {word} {names.short(change.sources)} -> {entries_text(change.entries)}", symbols)
        lines += [paint(line, style, color=color) for line in wrap(head, width, "", "      ")]
        for when, verdict in (("before", change.before), ("now", change.after)):
            lines += wrap(clean(f"{when}: {_reason(verdict)}", symbols), width, "      ", "          ")
    if len(entries) > MOST_SHOWN:
        lines.append(f"and {len(entries) - MOST_SHOWN} more changes at Services and the like (--output json has all)")
    return lines


def totals(difference: Difference, entries: Sequence[EntryChange] = ()) -> str:
    """How many Services and the like open and close, then in one line how many pairs of endpoints."""
    if not difference.changes and not entries:
        return "Nothing opens and nothing closes."
    text = f"{_counted(difference.opened, 'opens', 'open')}; {_counted(difference.closed, 'closes', 'close')}."
    parts = []
    for opened, word in ((True, "opens"), (False, "closes")):
        count = sum(len(each.entries) for each in entries if each.opened is opened)
        if count:
            parts.append(f"{count} {word}" if count == 1 else f"{count} {word[:-1]}")
    return f"Of Services, node ports and requests {'; '.join(parts)}.\n{text}" if parts else text


def _counted(changes: Sequence[Change], one: str, many: str) -> str:
    pairs = sum(change.where.pairs for change in changes)
    return f"{pairs} pair {one}" if pairs == 1 else f"{pairs} pairs {many}" if pairs else f"nothing {one}"


def _reason(verdict: Verdict | None) -> str:
    """What decided: the closed side where it is closed, else the side that a rule opened."""
    if verdict is None:
        return "one end does not exist"
    sides = (verdict.egress, verdict.ingress)
    if verdict.allowed:
        decided = [side for side in sides if side.policy is not None] or [sides[1]]
        return "open: " + "; ".join(f"{side.direction}: {side.reason}" for side in decided)
    if verdict.egress.reason == verdict.ingress.reason:
        return f"closed: {verdict.egress.reason}"
    return "closed: " + "; ".join(f"{side.direction}: {side.reason}" for side in sides if not side.allowed)


def difference_json(difference: Difference, entries: Sequence[EntryChange] = ()) -> str:
    """Everything; see `docs/reach.md`."""
    groups = difference.space.groups

    def change_json(change: Change) -> dict[str, Any]:
        flow = change.where.witness
        return {
            "sources": [group.number for group in change.where.sources],
            "destinations": [group.number for group in change.where.destinations],
            "ports": ports_json(change.where.ports),
            "pairs": change.where.pairs,
            "flows": change.where.flows,
            "witness": {
                "source": flow.source,
                "destination": flow.destination,
                "port": flow.port,
                "protocol": flow.protocol,
                "before": _reason(change.before),
                "after": _reason(change.after),
            },
        }

    document = {
        "version": 1,
        "family": difference.space.family,
        "groups": groups_json(groups),
        "opened": [change_json(change) for change in difference.opened],
        "closed": [change_json(change) for change in difference.closed],
        "entries": [
            {
                "opened": change.opened,
                "entries": entries_json(change.entries),
                "sources": [group.number for group in change.sources],
                "witness": {
                    "source": change.witness.source,
                    "destination": change.witness.destination,
                    "port": change.witness.port,
                    "protocol": change.witness.protocol,
                    "before": _reason(change.before),
                    "after": _reason(change.after),
                },
            }
            for change in entries
        ],
        "added": list(difference.added),
        "removed": list(difference.removed),
    }
    return json.dumps(document, indent=2 if len(groups) <= 100 else None)


def difference_markdown(difference: Difference, owners: Mapping[str, str], entries: Sequence[EntryChange] = ()) -> str:
    """A table for a review's comment."""
    names = Names(difference.space, owners)
    lines = ["| | From | To | Ports | Pairs | For example |", "|---|---|---|---|---|---|"]
    for word, changes in (("opens", difference.opened), ("closes", difference.closed)):
        for change in changes[:MOST_SHOWN]:
            ends = (
                names.short(change.where.sources),
                names.short(change.where.destinations),
                ports_text(change.where.ports),
            )
            row = (word, *ends, str(change.where.pairs), f"`{change.where.witness}`")
            lines.append("| " + " | ".join(escaped(cell) for cell in row) + " |")
        if len(changes) > MOST_SHOWN:
            lines.append(f"| {word} | and {len(changes) - MOST_SHOWN} more | | | | |")
    for each in entries[:MOST_SHOWN]:
        row = (
            "opens" if each.opened else "closes",
            names.short(each.sources),
            entries_text(each.entries),
            "",
            "",
            f"`{each.witness}`",
        )
        lines.append("| " + " | ".join(escaped(cell) for cell in row) + " |")
    told = difference.changes or entries
    return "\n".join([*(lines if told else ()), *([""] if told else ()), totals(difference, entries)])


def escaped(cell: str) -> str:
    """A stranger's text as one cell of a Markdown table."""
    text = "".join(character if character.isprintable() else " " for character in cell)
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
