"""How the lab screen is laid out: three panes where there is room, three views where there is not."""

from __future__ import annotations

WIDE = (100, 28)
"""Columns and lines from which all panes are shown at once."""
TINY = (70, 20)
"""Below these columns or lines, what is not needed is left out."""

CSS = """
LabScreen { layout: vertical; }
LabScreen #task-line { height: 1; background: $surface; text-style: bold; }
LabScreen #upper { height: 2fr; }
LabScreen #left { width: 1fr; border-right: vkey $primary 40%; }
LabScreen #right { width: 1fr; }
LabScreen #instructions { height: 1fr; }
LabScreen #lower { height: 1fr; min-height: 9; }

LabScreen.-narrow #left { border-right: none; }
LabScreen.-narrow #upper, LabScreen.-narrow #lower { height: 1fr; min-height: 0; }
LabScreen.-narrow #left, LabScreen.-narrow #right { width: 1fr; }
LabScreen.-tiny #legend { display: none; }
LabScreen.-tiny #instructions { padding: 0; }
"""

HELP = """# The lab

Open what must be open, close the rest. The matrix shows what traffic does now: rows are sources, columns are
destinations with their ports. `✓` open, `✗` closed, `!` not as expected, `Δ` what the text in the editor would
change (computed, not applied yet), `*` changed since the last look, `?` could not be probed.

| Key | Does |
|---|---|
| F2 or 1 | instructions and tasks |
| F3 or 2 | the matrix: arrows move, `n` goes to the next `!`, Enter makes the explanation larger |
| F4 or 3 | shell, editor, report: again for the next of them |
| F5 | check: grade all tasks by traffic |
| F6 | into the shell and out of it: every other key goes to the shell while you are in it |
| e | the editor: Ctrl+S saves, F7 applies, Ctrl+O opens, Ctrl+N makes a new file |
| h | the next hint of the highlighted task (its price is asked for first) |
| s | a solution, after an honest try |
| r | reset: the cluster back to its start; your files stay |
| b | run the lab elsewhere: in the sandbox, on kind, on a cluster of yours |
| w | watch: follow changes by itself, or not |
| Ctrl+R | try again what could not run |
| Escape | back to the course; the lab can keep running |

In the shell, Shift+PageUp and the mouse wheel scroll back.
"""


def classes_for(width: int, height: int) -> dict[str, bool]:
    """The screen's classes for a terminal of this size."""
    wide = width >= WIDE[0] and height >= WIDE[1]
    return {"-wide": wide, "-narrow": not wide, "-tiny": width < TINY[0] or height < TINY[1]}


def seen(view: str, *, wide: bool) -> dict[str, bool]:
    """Which panes are shown, by id. `view` is the one that has the place where there is no room for all."""
    return {
        "task-line": not wide,
        "views": not wide,
        "upper": wide or view != "work",
        "left": wide or view == "tasks",
        "right": wide or view == "matrix",
        "lower": wide or view == "work",
    }
