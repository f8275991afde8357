"""What strangers write does not drive the terminal on which it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from content.errors import BrokenContentError, Defect, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain → text\n\tof two lines", "plain → text\n\tof two lines"),
        ("\x1b]0;title\x07", "\ufffd]0;title\ufffd"),
        ("\x9b2J", "\ufffd2J"),
        ("over\rwritten", "over\ufffdwritten"),
        ("drow\u202e", "drow\ufffd"),
    ],
)
def test_what_would_control_a_terminal_is_replaced(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_defects_are_printable_in_every_part() -> None:
    defect = Defect(Path("a\x1b.yaml"), 3, "kind \x1b[2J", "use \x07")
    assert str(BrokenContentError([defect])) == "a\ufffd.yaml:3: kind \ufffd[2J (use \ufffd)"
