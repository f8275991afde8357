"""Who reaches whom, in text and JSON: workloads folded, one sign a cell.

The JSON of a matrix (`"version": 1`; keys are added, never renamed or removed, without a new version):

    {"version": 1, "family": 4, "sources": ["shop/web", "shop/db", "out/client"],
     "destinations": [{"destination": "shop/db", "port": 5432, "protocol": "TCP",
       "open": ["shop/web"], "mixed": [], "left_open": {"open": [], "closed": []}, "none": []}]}

A source that a destination does not list is closed to it. `mixed`: the pods of a workload are treated differently.
`left_open`: the specification does not say; what Calico does. `none`: there is no such cell (one pod and itself).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import compress, groupby
from typing import TYPE_CHECKING

from tui.output.terminal import clean, default_symbols, fit, wrap

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from grader.reachability.matrix import Matrix
    from tui.output.terminal import Symbols

OPEN, CLOSED, MIXED, CALICO_OPEN, CALICO_CLOSED, NONE = (
    "open",
    "closed",
    "mixed",
    "calico-open",
    "calico-closed",
    "none",
)
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
    """A matrix of workloads: for each column its rows by verdict; bit i of a set stands for `rows[i]`."""

    rows: tuple[str, ...]
    columns: Mapping[Port, Mapping[str, int]]
    family: int

    def named(self, rows: int) -> list[str]:
        """Return the names of a set of rows."""
        digits = format(rows, f"0{len(self.rows)}b")[::-1].encode().translate(_TRUTH)
        return list(compress(self.rows, digits))


_TRUTH = bytes.maketrans(b"01", b"\0\1")


def fold(matrix: Matrix, owners: Mapping[str, str]) -> Folded:
    """Put pods of one workload together; a pod and itself are no cell. `owners` gives each pod's workload."""
    rows: dict[str, int] = {}
    own: dict[str, int] = {}
    for i, source in enumerate(matrix.sources):
        name = owners.get(source, source)
        rows[name] = rows.get(name, 0) | 1 << i
        own[source] = own.get(source, 0) | 1 << i
    everyone = (1 << len(matrix.sources)) - 1
    parts: dict[Port, list[tuple[int, int, int]]] = {}
    for column, allowed, left_open in zip(matrix.columns, matrix.allowed, matrix.left_open, strict=True):
        port = Port(owners.get(column.destination, column.destination), column.port, column.protocol)
        others = everyone & ~own.get(column.destination, 0)
        parts.setdefault(port, []).append((allowed & others, left_open & others, others))
    masks = tuple(rows.values())
    alone = all(mask == 1 << i for i, mask in enumerate(masks))
    columns = {port: _verdicts(parts[port], masks, alone=alone) for port in sorted(parts)}
    return Folded(tuple(rows), columns, matrix.family)


def _verdicts(parts: Sequence[tuple[int, int, int]], masks: Sequence[int], *, alone: bool) -> dict[str, int]:
    """Rows by verdict. `alone`: each row is one source, so that sets of sources are sets of rows already."""
    some = cells = doubt = lost = 0
    for allowed, left_open, others in parts:
        some |= allowed
        cells |= others
        doubt |= left_open
        lost |= others & ~allowed
    if not alone:
        some, cells, doubt, lost = (_rows_of(sources, masks) for sources in (some, cells, doubt, lost))
    sure = cells & ~doubt
    return {
        OPEN: sure & ~lost,
        CLOSED: sure & ~some,
        MIXED: sure & some & lost,
        CALICO_OPEN: doubt & ~lost,
        CALICO_CLOSED: doubt & lost,
        NONE: ((1 << len(masks)) - 1) & ~cells,
    }


def _rows_of(sources: int, masks: Sequence[int]) -> int:
    """The rows of which any source is in a set."""
    return sum(1 << i for i, mask in enumerate(masks) if sources & mask)


def matrix_json(matrix: Folded) -> str:
    """The matrix as JSON; see the module's description of the form."""
    destinations = [
        {
            "destination": column.destination,
            "port": column.number,
            "protocol": column.protocol,
            "open": matrix.named(by[OPEN]),
            "mixed": matrix.named(by[MIXED]),
            "left_open": {"open": matrix.named(by[CALICO_OPEN]), "closed": matrix.named(by[CALICO_CLOSED])},
            "none": matrix.named(by[NONE]),
        }
        for column, by in matrix.columns.items()
    ]
    document = {"version": 1, "family": matrix.family, "sources": matrix.rows, "destinations": destinations}
    return json.dumps(document, indent=2 if len(matrix.rows) <= 100 else None)


def matrix_text(matrix: Folded, width: int = 80) -> str:
    """The matrix as tables of at most `width` columns, with a legend; folded between destinations where it is wider."""
    if not matrix.rows or not matrix.columns:
        return "The matrix is empty: no pod declares a port."
    symbols = default_symbols()
    signs = {
        OPEN: symbols.open,
        CLOSED: symbols.closed,
        MIXED: "~",
        CALICO_OPEN: f"{symbols.open}?",
        CALICO_CLOSED: f"{symbols.closed}?",
        NONE: symbols.none,
    }
    left = min(LONGEST_NAME, width // 2, max(4, *(len(row) for row in matrix.rows)))
    lines: list[str] = []
    for part in _parts(tuple(matrix.columns), width - left):
        lines += [*_header(part, left, symbols, width), *_body(matrix, part, left, signs, symbols), ""]
    return "\n".join([*lines, *wrap(_legend(matrix, signs), width, "")])


def _legend(matrix: Folded, signs: Mapping[str, str]) -> str:
    """Only the signs that are there need a word."""
    used = {verdict for by in matrix.columns.values() for verdict, rows in by.items() if rows}
    parts = [f"{signs[OPEN]} open", f"{signs[CLOSED]} closed"]
    if MIXED in used:
        parts.append("~ differs between its pods")
    if used & {CALICO_OPEN, CALICO_CLOSED}:
        parts.append("? left open by the specification, shown as Calico does")
    return "   ".join(parts)


def _parts(columns: Sequence[Port], room: int) -> Iterable[list[tuple[str, list[Port]]]]:
    """Destinations with their columns, as many as fit side by side."""
    part: list[tuple[str, list[Port]]] = []
    used = 0
    for destination, columns_there in groupby(columns, key=lambda column: column.destination):
        group = list(columns_there)
        size = 1 + _size(destination, group)
        if part and used + size > room:
            yield part
            part, used = [], 0
        part.append((destination, group))
        used += size
    yield part


def _size(destination: str, group: Sequence[Port]) -> int:
    return max(min(len(destination), LONGEST_NAME), sum(_width(column) + 1 for column in group) - 1)


def _width(column: Port) -> int:
    return max(2, len(column.label))


def _header(part: Sequence[tuple[str, list[Port]]], left: int, symbols: Symbols, width: int) -> list[str]:
    names, ports = "to".rjust(left), "from".ljust(left)
    for destination, group in part:
        size = _size(destination, group)
        names += " " + fit(clean(destination, symbols), size, symbols).ljust(size)
        ports += " " + " ".join(column.label.ljust(_width(column)) for column in group).ljust(size)
    return [names.rstrip()[:width], ports.rstrip()]


def _body(
    matrix: Folded,
    part: Sequence[tuple[str, list[Port]]],
    left: int,
    signs: Mapping[str, str],
    symbols: Symbols,
) -> Iterable[str]:
    for number, row in enumerate(matrix.rows):
        line = fit(clean(row, symbols), left, symbols).ljust(left)
        for destination, group in part:
            verdicts = [next(v for v, rows in matrix.columns[column].items() if rows >> number & 1) for column in group]
            cells = [signs[verdict].ljust(_width(column)) for verdict, column in zip(verdicts, group, strict=True)]
            line += " " + " ".join(cells).ljust(_size(destination, group))
        yield line.rstrip()
