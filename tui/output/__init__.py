"""Text, JSON and JUnit from reports and matrices: what commands print on standard output.

- `terminal`  how wide, in colour or not, which symbols; text from strangers made harmless
- `matrix`    the matrix, expected against actual, and what changed between two of them
- `text`      a report for people
- `machine`   JSON and JUnit XML
- `reach`     who reaches whom, from manifests alone
- `tally`     known cells against verdicts
- `classes`, `cells`, `graph`  a matrix by classes, cell by cell, as a drawing
- `explanations`, `differences`, `findings`, `privileges`  what the other commands of `reach` answer; `spaces`: words
"""

from tui.output.machine import cells_json, report_json, report_junit
from tui.output.matrix import changes_text, matrix_text
from tui.output.terminal import sentences, terminal_width, wants_color
from tui.output.text import report_text

__all__ = [
    "cells_json",
    "changes_text",
    "matrix_text",
    "report_json",
    "report_junit",
    "report_text",
    "sentences",
    "terminal_width",
    "wants_color",
]
