"""Who reaches whom, in text and JSON: workloads folded, one sign a cell.

The JSON of a matrix (`"version": 1`; keys are added, never renamed or removed, without a new version):

    {"version": 1, "family": 4, "cells": [
      {"source": "shop/web", "destination": "shop/db", "port": 5432, "protocol": "TCP", "verdict": "open"}]}

`verdict` is open, closed, mixed (the pods of a workload are treated differently) or left-open (the specification does
not say; `calico` then gives what Calico does: open or closed).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui.output.terminal import clean, default_symbols, fit, wrap

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from grader.reachability.matrix import Matrix
    from tui.output.terminal import Symbols

OPEN, CLOSED, MIXED, LEFT_OPEN = "open", "closed", "mixed", "left-open"
LONGEST_NAME = 30


@dataclass(frozen=True, slots=True, order=True)
class Port:
    """A destination and one of its ports, as a column of the table."""

    destination: str
    number: int
    protocol: str

    @property
    def label(self) -> str:
        """The port alone: `80`, `53/udp`, `icmp`."""
        if self.protocol == "ICMP":
            return "icmp"
        return str(self.number) if self.protocol == "TCP" else f"{self.number}/{self.protocol.lower()}"


@dataclass(frozen=True, slots=True)
class Folded:
    """A matrix of workloads. Each cell has a verdict, and whether Calico lets all of it pass."""

    rows: tuple[str, ...]
    columns: tuple[Port, ...]
    family: int
    cells: Mapping[tuple[str, Port], tuple[str, bool]]


def fold(matrix: Matrix, owners: Mapping[str, str]) -> Folded:
    """Put pods of one workload together; a pod and itself are no cell. `owners` gives each pod's workload."""
    seen: dict[tuple[str, Port], set[tuple[bool, bool]]] = {}
    for flow, allowed, left_open in matrix.cells():
        if flow.source != flow.destination:
            key = _owner(flow.source, owners), Port(_owner(flow.destination, owners), flow.port, flow.protocol)
            seen.setdefault(key, set()).add((allowed, left_open))
    rows = tuple(dict.fromkeys(_owner(source, owners) for source in matrix.sources))
    columns = tuple(sorted({Port(_owner(c.destination, owners), c.port, c.protocol) for c in matrix.columns}))
    cells = {key: (_verdict(states), all(allowed for allowed, _ in states)) for key, states in seen.items()}
    return Folded(rows, columns, matrix.family, cells)


def _owner(ref: str, owners: Mapping[str, str]) -> str:
    return owners.get(ref, ref)


def _verdict(states: set[tuple[bool, bool]]) -> str:
    if any(left_open for _, left_open in states):
        return LEFT_OPEN
    if len(states) > 1:
        return MIXED
    return OPEN if (True, False) in states else CLOSED


def matrix_json(matrix: Folded) -> str:
    """The matrix as JSON; see the module's description of the form."""
    cells = []
    for (source, column), (verdict, calico) in matrix.cells.items():
        cell = {
            "source": source,
            "destination": column.destination,
            "port": column.number,
            "protocol": column.protocol,
            "verdict": verdict,
        }
        if verdict == LEFT_OPEN:
            cell["calico"] = OPEN if calico else CLOSED
        cells.append(cell)
    return json.dumps({"version": 1, "family": matrix.family, "cells": cells}, indent=2)


def matrix_text(matrix: Folded, width: int = 80) -> str:
    """The matrix as tables of at most `width` columns, with a legend; folded between destinations where it is wider."""
    if not matrix.rows or not matrix.columns:
        return "The matrix is empty: no pod declares a port."
    symbols = default_symbols()
    signs = {OPEN: symbols.open, CLOSED: symbols.closed, MIXED: "~", LEFT_OPEN: "?"}
    left = min(LONGEST_NAME, width // 2, max(4, *(len(row) for row in matrix.rows)))
    lines: list[str] = []
    for part in _parts(matrix.columns, width - left):
        lines += [*_header(part, left, symbols, width), *_body(matrix, part, left, signs, symbols), ""]
    used = {verdict for verdict, _ in matrix.cells.values()}
    words = {OPEN: "open", CLOSED: "closed", MIXED: "differs between its pods", LEFT_OPEN: "left open by the rules"}
    legend = "   ".join(f"{sign} {words[verdict]}" for verdict, sign in signs.items() if verdict in used)
    return "\n".join([*lines, *wrap(legend, width, "")])


def _parts(columns: Sequence[Port], room: int) -> Iterable[list[tuple[str, list[Port]]]]:
    """Destinations with their columns, as many as fit side by side."""
    part: list[tuple[str, list[Port]]] = []
    used = 0
    for destination in dict.fromkeys(column.destination for column in columns):
        group = [column for column in columns if column.destination == destination]
        size = 1 + _size(destination, group)
        if part and used + size > room:
            yield part
            part, used = [], 0
        part.append((destination, group))
        used += size
    yield part


def _size(destination: str, group: Sequence[Port]) -> int:
    return max(min(len(destination), LONGEST_NAME), sum(len(column.label) + 1 for column in group) - 1)


def _header(part: Sequence[tuple[str, list[Port]]], left: int, symbols: Symbols, width: int) -> list[str]:
    names, ports = "to".rjust(left), "from".ljust(left)
    for destination, group in part:
        size = _size(destination, group)
        names += " " + fit(clean(destination, symbols), size, symbols).ljust(size)
        ports += " " + " ".join(column.label for column in group).ljust(size)
    return [names.rstrip()[:width], ports.rstrip()]


def _body(
    matrix: Folded,
    part: Sequence[tuple[str, list[Port]]],
    left: int,
    signs: Mapping[str, str],
    symbols: Symbols,
) -> Iterable[str]:
    for row in matrix.rows:
        line = fit(clean(row, symbols), left, symbols).ljust(left)
        for destination, group in part:
            cells = []
            for column in group:
                verdict = matrix.cells.get((row, column))
                cells.append((signs[verdict[0]] if verdict else symbols.none).ljust(len(column.label)))
            line += " " + " ".join(cells).ljust(_size(destination, group))
        yield line.rstrip()
