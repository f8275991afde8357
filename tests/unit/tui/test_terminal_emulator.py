import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.widgets.terminal.emulator import Emulator


def shown(*output: bytes, columns: int = 20, lines: int = 4) -> tuple[Emulator, list[str], list[str]]:
    answers: list[str] = []
    emulator = Emulator(columns, lines, answers.append)
    for piece in output:
        emulator.feed(piece)
    while not emulator.parse(1.0):
        pass
    return emulator, [line.rstrip() for line in emulator.screen.display], answers


@pytest.mark.parametrize(
    ("output", "first"),
    [
        (b"hello", "hello"),
        (b"one\rtwo", "two"),
        (b"\x1b[2J\x1b[Hx", "x"),
        ("grün ✓".encode(), "grün ✓"),
        (b"ab\x1b[2bc", "abbbc"),
        (b"\x1b(0qqx\x1b(B.", "──│."),
        (b"\x1b]0;a title\x07text", "text"),
        (b"\x1b[>4;2mtext", "text"),
        (b"\x1b[?3htext", "text"),
        (b"abc\x1b[1000D\x1b[Px", "xc"),
        (b"a\x1b[999999999999Cb", "a                  b"),
    ],
)
def test_output_is_shown(output: bytes, first: str) -> None:
    assert shown(output)[1][0] == first


def test_characters_cut_in_two_are_put_together() -> None:
    data = "✓ grün".encode()
    assert shown(*(data[n : n + 1] for n in range(len(data))))[1][0] == "✓ grün"


def test_lines_that_scroll_off_are_kept() -> None:
    emulator, lines, _ = shown(b"".join(b"line %d\r\n" % n for n in range(10)))
    assert lines == ["line 7", "line 8", "line 9", ""]
    assert len(emulator.screen.history) == 7
    assert "".join(emulator.screen.line(7, 0)[x].data for x in range(6)) == "line 0"
    assert "".join(emulator.screen.line(7, 3)[x].data for x in range(6)) == "line 3"


def test_the_alternate_screen_leaves_no_trace() -> None:
    emulator, lines, _ = shown(b"shell\r\n", b"\x1b[?1049h\x1b[Hfull screen" + b"\r\n" * 9, b"\x1b[?1049l$ ")
    assert lines == ["shell", "$", "", ""]
    assert len(emulator.screen.history) == 0
    assert not emulator.screen.alternate


def test_a_smaller_screen_keeps_the_line_with_the_cursor() -> None:
    emulator, _, _ = shown(b"one\r\ntwo\r\nthree\r\nfour")
    emulator.resize(20, 2)
    assert [line.rstrip() for line in emulator.screen.display] == ["three", "four"]
    assert len(emulator.screen.history) == 2
    emulator.resize(10, 4)
    assert [line.rstrip() for line in emulator.screen.display] == ["three", "four", "", ""]


def test_scrolling_by_sequence_moves_lines_only() -> None:
    up = shown(b"one\r\ntwo\r\nthree\x1b[1;1H\x1b[Sx")[1]
    assert up == ["xwo", "three", "", ""]
    down = shown(b"one\r\ntwo\x1b[1;1H\x1b[Tx")[1]
    assert down == ["x", "one", "two", ""]


@pytest.mark.parametrize(
    ("question", "answer"),
    [(b"\x1b[6n", "\x1b[1;1R"), (b"\x1b[5n", "\x1b[0n"), (b"\x1b[c", "\x1b[?6c"), (b"\x1b[>c", "")],
)
def test_questions_are_answered(question: bytes, answer: str) -> None:
    assert "".join(shown(question)[2]) == answer


def test_modes_are_known() -> None:
    screen = shown(b"\x1b[?1h\x1b[?2004h")[0].screen
    assert screen.application_cursor
    assert screen.bracketed_paste
    screen = shown(b"\x1b[?1h\x1b[?2004h\x1b[?1l\x1b[?2004l")[0].screen
    assert not screen.application_cursor
    assert not screen.bracketed_paste


SEQUENCES = st.one_of(
    st.binary(max_size=20),
    st.builds(
        lambda private, numbers, final: b"\x1b[" + private + b";".join(b"%d" % n for n in numbers) + final,
        st.sampled_from([b"", b"?", b">", b"!", b" "]),
        st.lists(st.integers(0, 10**6), max_size=5),
        st.binary(min_size=1, max_size=1),
    ),
    st.sampled_from(
        [b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[2;3r", b"\x1bM", b"\x1bD", b"\x1bc", b"\r\n" * 5, b"\x1b[?6h"]
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(SEQUENCES, max_size=30), st.integers(2, 30), st.integers(1, 8))
def test_no_bytes_make_it_fail(pieces: list[bytes], columns: int, lines: int) -> None:
    emulator, _, _ = shown(*pieces, columns=12, lines=5)
    emulator.resize(columns, lines)
    emulator.feed(b"x" * 100 + b"\r\n")
    assert emulator.parse(5.0)
    screen = emulator.screen
    assert (screen.columns, screen.lines) == (columns, lines)
    assert 0 <= screen.cursor.y < lines
    for y in range(lines):
        assert all(isinstance(screen.line(0, y)[x].data, str) for x in range(columns))
