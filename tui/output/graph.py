"""Who reaches whom as a graph: DOT for Graphviz, and an SVG that needs no program to be drawn.

Edges are what passes. Solid: every pod of the workload. Dashed: some pods only. Dotted: left open by the specification,
shown as Calico does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from tui.output.machine import legal
from tui.output.reach import CALICO_OPEN, MIXED, OPEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tui.output.reach import Folded, Port

STYLES = {OPEN: "solid", MIXED: "dashed", CALICO_OPEN: "dotted"}
Edge = tuple[str, str, str]
"""Source, destination, and the style of the line."""

ROW, TOP, MARGIN, GAP, LETTER = 22, 44, 16, 260, 7.3
"""Pixels: height of a line, of the head, at the sides, between the columns; width of a letter."""
COLOURS = ("#1b6ca8", "#b5541c", "#2e7d32", "#8e24aa", "#00838f", "#ad1457", "#5d4037", "#455a64")
"""Dark enough on white; a destination keeps its colour, so that its edges can be followed."""


def matrix_dot(matrix: Folded) -> str:
    """Return a digraph: workloads by namespace, an edge for each pair with the ports as its label."""
    labels: dict[Edge, list[str]] = {}
    for source, column, style in _edges(matrix):
        labels.setdefault((source, column.destination, style), []).append(column.label)
    names = dict.fromkeys([*matrix.rows, *(column.destination for column in matrix.columns)])
    spaces: dict[str, list[str]] = {}
    for name in names:
        spaces.setdefault(name.rpartition("/")[0], []).append(name)
    lines = ["digraph reach {", "  rankdir=LR;", '  node [shape=box, fontname="sans-serif"];']
    for number, (space, members) in enumerate(spaces.items()):
        indent = "    " if space else "  "
        if space:
            lines += [f"  subgraph cluster_{number} {{", f"    label={_quoted(space)};"]
        lines += [f"{indent}{_quoted(name)} [label={_quoted(name.rpartition('/')[2])}];" for name in members]
        lines += ["  }"] if space else []
    lines += [
        f"  {_quoted(source)} -> {_quoted(destination)} [label={_quoted(', '.join(ports))}, style={style}];"
        for (source, destination, style), ports in labels.items()
    ]
    return "\n".join([*lines, "}"])


def matrix_svg(matrix: Folded) -> str:
    """Return a drawing: sources on the left, destinations with their ports on the right, a curve where one passes."""
    rows = {name: TOP + ROW * number for number, name in enumerate(matrix.rows)}
    columns = {column: TOP + ROW * number for number, column in enumerate(matrix.columns)}
    left = MARGIN + LETTER * max((len(name) for name in rows), default=0)
    right = left + GAP
    names = {column: f"{column.destination}:{column.label}" for column in columns}
    width = right + LETTER * max((len(name) for name in names.values()), default=0) + MARGIN
    height = TOP + ROW * max(len(rows), len(columns), 1) + MARGIN
    shades = {
        name: COLOURS[number % len(COLOURS)]
        for number, name in enumerate(dict.fromkeys(column.destination for column in columns))
    }
    body = [
        _curve(
            rows[source], columns[column], left, right, shades[column.destination], style, f"{source} → {names[column]}"
        )
        for source, column, style in _edges(matrix)
    ]
    body += [_text(left - 6, y, name, "end", "#222") for name, y in rows.items()]
    body += [_text(right + 6, y, names[column], "start", shades[column.destination]) for column, y in columns.items()]
    head = [_text(left - 6, TOP - ROW, "from", "end", "#777"), _text(right + 6, TOP - ROW, "to", "start", "#777")]
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    font = 'font-family="ui-monospace, monospace" font-size="12"'
    start = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font} role="img"><title>Who reaches whom</title>'
    return "\n".join([start, '<rect width="100%" height="100%" fill="#fff"/>', *head, *body, "</svg>"])


def _edges(matrix: Folded) -> Iterator[tuple[str, Port, str]]:
    for column, by in matrix.columns.items():
        for verdict, style in STYLES.items():
            yield from ((source, column, style) for source in matrix.named(by[verdict]))


def _quoted(text: str) -> str:
    """A string of DOT: only quotes and backslashes have a meaning in it."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return '"' + shown.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text(x: float, y: float, text: str, anchor: str, colour: str) -> str:
    words = escape(legal(text))
    return f'<text x="{x:.0f}" y="{y + 4:.0f}" text-anchor="{anchor}" fill="{colour}">{words}</text>'


def _curve(start: float, end: float, left: float, right: float, colour: str, style: str, words: str) -> str:
    dashes = {"solid": "", "dashed": ' stroke-dasharray="6 4"', "dotted": ' stroke-dasharray="2 3"'}[style]
    half = (left + right) / 2
    path = f"M{left:.0f} {start:.0f} C{half:.0f} {start:.0f} {half:.0f} {end:.0f} {right:.0f} {end:.0f}"
    return (
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-opacity="0.7"{dashes}>'
        f"<title>{escape(legal(words))}</title></path>"
    )
