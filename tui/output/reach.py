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

from tui.output.terminal import GREEN, RED, YELLOW, clean, default_symbols, fit, paint, wrap

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
MOST_TABLES = 6
"""Tables below one another; what would need more is listed by destination."""


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


def matrix_text(
    matrix: Folded, width: int = 80, shared: Mapping[str, Sequence[str]] | None = None, *, color: bool = False
) -> str:
    """The matrix as tables of at most `width` columns, with a legend; a list of destinations where those are too many.

    `shared`: names that stand for several workloads, which are then listed.
    """
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
    parts = list(_parts(tuple(matrix.columns), width - left))
    if len(parts) > MOST_TABLES:
        lines = [*_listing(matrix, signs, width, symbols, color=color), ""]
        parts = []
    for part in parts:
        lines += [*_header(part, left, symbols, width), *_body(matrix, part, left, signs, symbols), ""]
    lines += wrap(_legend(matrix, signs), width, "")
    if shared:
        lines += ["", "Treated alike:"]
        for name, workloads in shared.items():
            lines += wrap(clean(f"{name}: {', '.join(workloads[1:])}", symbols), width, "  ", "    ")
    return "\n".join(lines)


def _listing(matrix: Folded, signs: Mapping[str, str], width: int, symbols: Symbols, *, color: bool) -> Iterable[str]:
    """Each destination with who gets to which of its ports; who is not named does not."""
    styles = {OPEN: GREEN, CLOSED: RED, MIXED: YELLOW, CALICO_OPEN: GREEN, CALICO_CLOSED: RED}
    for destination, columns in groupby(matrix.columns, key=lambda column: column.destination):
        yield clean(destination, symbols)
        for column in columns:
            by = matrix.columns[column]
            there = ((1 << len(matrix.rows)) - 1) & ~by[NONE]
            shown = [verdict for verdict in styles if by[verdict] and (verdict != CLOSED or by[CLOSED] == there)]
            label = column.label.ljust(9)
            for verdict in shown:
                rows = by[verdict]
                names = "everything" if rows == there else ", ".join(matrix.named(rows))
                text = clean(f"{label} {signs[verdict].ljust(2)} {names}", symbols)
                for line in wrap(text, width, "  ", " " * 16):
                    yield paint(line, styles[verdict], color=color)
                label = " " * 9


def matrix_table(matrix: Folded) -> list[list[str]]:
    """The matrix as rows of words, the first with the destinations: open, closed, mixed, calico-open, calico-closed."""
    rows = [["from", *(f"{column.destination}:{column.label}" for column in matrix.columns)]]
    for number, row in enumerate(matrix.rows):
        cells = (next(v for v, there in by.items() if there >> number & 1) for by in matrix.columns.values())
        rows.append([row, *("" if cell == NONE else cell for cell in cells)])
    return rows


def matrix_csv(matrix: Folded) -> str:
    """The table of words as CSV."""
    import csv
    import io

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(matrix_table(matrix))
    return text.getvalue().rstrip("\n")


def matrix_markdown(matrix: Folded) -> str:
    """The table of words in Markdown."""
    head, *rows = ([cell.replace("|", "\\|") for cell in row] for row in matrix_table(matrix))
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


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
