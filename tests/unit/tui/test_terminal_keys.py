import pytest

from tui.widgets.terminal.keys import encode


@pytest.mark.parametrize(
    ("key", "character", "sent"),
    [
        ("a", "a", "a"),
        ("A", "A", "A"),
        ("é", "é", "é"),
        ("colon", ":", ":"),
        ("enter", "\r", "\r"),
        ("tab", "\t", "\t"),
        ("shift+tab", None, "\x1b[Z"),
        ("escape", "\x1b", "\x1b"),
        ("backspace", "\x7f", "\x7f"),
        ("space", " ", " "),
        ("ctrl+c", "\x03", "\x03"),
        ("ctrl+c", None, "\x03"),
        ("ctrl+p", None, "\x10"),
        ("ctrl+q", None, "\x11"),
        ("ctrl+k", None, "\x0b"),
        ("ctrl+space", None, "\x00"),
        ("ctrl+@", "\x00", "\x00"),
        ("ctrl+backslash", None, "\x1c"),
        ("up", None, "\x1b[A"),
        ("end", None, "\x1b[F"),
        ("ctrl+left", None, "\x1b[1;5D"),
        ("shift+alt+right", None, "\x1b[1;4C"),
        ("delete", None, "\x1b[3~"),
        ("ctrl+delete", None, "\x1b[3;5~"),
        ("pageup", None, "\x1b[5~"),
        ("f1", None, "\x1bOP"),
        ("f5", None, "\x1b[15~"),
        ("f12", None, "\x1b[24~"),
        ("alt+b", None, "\x1bb"),
        ("alt+shift+b", None, "\x1bB"),
        ("alt+full_stop", None, "\x1b."),
        ("alt+backspace", None, "\x1b\x7f"),
        ("alt+ctrl+h", None, "\x1b\x08"),
        ("alt+nonsense_key", None, ""),
        ("ctrl+1", None, ""),
        ("caps_lock", None, ""),
    ],
)
def test_a_key_sends(key: str, character: str | None, sent: str) -> None:
    assert encode(key, character) == sent


@pytest.mark.parametrize(
    ("key", "sent"), [("up", "\x1bOA"), ("home", "\x1bOH"), ("ctrl+up", "\x1b[1;5A"), ("pageup", "\x1b[5~")]
)
def test_a_program_may_ask_for_the_other_cursor_keys(key: str, sent: str) -> None:
    assert encode(key, None, application_cursor=True) == sent
