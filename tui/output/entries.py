"""Services, node ports, outside addresses and requests in words, for every front end that shows who gets in there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from grader.reachability.entries import Entry

MOST_NAMES = 4


def entry_text(entry: Entry) -> str:
    """One entry as a flow names it; a request has its port in its address."""
    port = "" if entry.kind == "request" else f":{entry.port}/{entry.protocol}"
    clients = f" (for clients on node {entry.clients_on})" if entry.clients_on else ""
    return f"{entry.name}{port}{clients}"


def entries_text(entries: Sequence[Entry]) -> str:
    """The first ones, and how many more."""
    names = list(map(entry_text, entries))
    more = f" and {len(names) - MOST_NAMES + 1} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names if not more else names[: MOST_NAMES - 1]) + more


def entries_json(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """Entries for JSON; `clients_on` is the node whose clients alone are meant, empty for all."""
    return [
        {
            "kind": each.kind,
            "name": each.name,
            "port": each.port,
            "protocol": each.protocol,
            "clients_on": each.clients_on,
        }
        for each in entries
    ]
