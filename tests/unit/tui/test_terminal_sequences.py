import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.widgets.terminal.sequences import Repair

CASES = [
    ("plain text", "plain text"),
    ("\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
    ("\x1b[>4;2m\x1b[?25h", "\x1b[?25h"),
    ("\x1b[>c", ""),
    ("\x1b[!p.", "."),
    ("\x1b[2 q.", "."),
    ("\x1b[?2026$p.", "."),
    ("\x1b[38:2::10:20:30mx", "\x1b[38;2;10;20;30mx"),
    ("\x1b[38:2:10:20:30mx", "\x1b[38;2;10;20;30mx"),
    ("\x1b[1;48:5:200mx", "\x1b[1;48;5;200mx"),
    ("\x1b[4:3mx", "\x1b[4mx"),
    ("\x1b[4:0mx", "\x1b[24mx"),
    ("\x1b[58:2::1:2:3mx", "\x1b[mx"),
    ("a\x1bP+q544e\x1b\\b", "ab"),
    ("a\x1b_application\x9cb", "ab"),
    ("\x1b*Bx", "x"),
    ("\x1b(0x", "\x1b(0x"),
]


@pytest.mark.parametrize(("before", "after"), CASES)
def test_sequences_are_repaired(before: str, after: str) -> None:
    assert Repair()(before) == after


@pytest.mark.parametrize(("before", "after"), CASES)
def test_it_does_not_matter_where_output_is_cut(before: str, after: str) -> None:
    for cut in range(len(before) + 1):
        repair = Repair()
        assert repair(before[:cut]) + repair(before[cut:]) == after


@given(st.text(st.characters(exclude_characters="\x1b\x9c")))
def test_text_without_escapes_is_left_alone(text: str) -> None:
    assert Repair()(text) == text


@given(st.lists(st.text(st.sampled_from("\x1b[]P_\\;:?>!0123456789 mqhx"))))
def test_nothing_is_lost_but_sequences(pieces: list[str]) -> None:
    repair = Repair()
    out = "".join(repair(piece) for piece in pieces)
    assert len(out) <= sum(map(len, pieces))
