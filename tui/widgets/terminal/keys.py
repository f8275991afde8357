"""What a key press sends to a program in a terminal: xterm's sequences, which terminfo's `xterm-256color` describes."""

from __future__ import annotations

import unicodedata

_PLAIN = {
    "enter": "\r",
    "shift+enter": "\r",
    "tab": "\t",
    "shift+tab": "\x1b[Z",
    "escape": "\x1b",
    "backspace": "\x7f",
    "ctrl+backspace": "\x08",
    "space": " ",
    "ctrl+space": "\x00",
    "ctrl+@": "\x00",
    "ctrl+at": "\x00",
    "ctrl+h": "\x08",
    "ctrl+backslash": "\x1c",
    "ctrl+right_square_bracket": "\x1d",
    "ctrl+circumflex_accent": "\x1e",
    "ctrl+underscore": "\x1f",
    "f1": "\x1bOP",
    "f2": "\x1bOQ",
    "f3": "\x1bOR",
    "f4": "\x1bOS",
    **{f"f{5 + i}": f"\x1b[{code}~" for i, code in enumerate((15, 17, 18, 19, 20, 21, 23, 24))},
}
_LETTERED = {"up": "A", "down": "B", "right": "C", "left": "D", "home": "H", "end": "F"}
_NUMBERED = {"insert": 2, "delete": 3, "pageup": 5, "pagedown": 6}
_MODIFIERS = {"shift": 1, "alt": 2, "ctrl": 4}


def encode(key: str, character: str | None, *, application_cursor: bool = False) -> str:
    """The characters that a key sends; empty for a key that means nothing to a terminal.

    Args:
        key: Textual's name of the key, as in `ctrl+left`.
        character: the character it types, if any.
        application_cursor: the program asked for the other form of cursor keys (DECCKM).
    """
    if key in _PLAIN:
        return _PLAIN[key]
    *modifiers, base = key.split("+")
    weight = sum(_MODIFIERS.get(modifier, 0) for modifier in modifiers)
    if base in _LETTERED or base in _NUMBERED:
        return _navigation(base, weight, application_cursor=application_cursor)
    if "alt" in modifiers:
        return _with_escape(modifiers, base, character)
    return character or (_control(base) if modifiers == ["ctrl"] else "")


def _navigation(base: str, weight: int, *, application_cursor: bool) -> str:
    if base in _NUMBERED:
        return f"\x1b[{_NUMBERED[base]};{weight + 1}~" if weight else f"\x1b[{_NUMBERED[base]}~"
    if weight:
        return f"\x1b[1;{weight + 1}{_LETTERED[base]}"
    return ("\x1bO" if application_cursor else "\x1b[") + _LETTERED[base]


def _with_escape(modifiers: list[str], base: str, character: str | None) -> str:
    """Alt sends an escape in front of what the key sends without it."""
    if base in _PLAIN:
        return "\x1b" + _PLAIN[base]
    if "ctrl" in modifiers:
        return "\x1b" + _control(base) if _control(base) else ""
    if character:
        return "\x1b" + character
    if len(base) == 1:
        return "\x1b" + (base.upper() if "shift" in modifiers else base)
    try:
        return "\x1b" + unicodedata.lookup(base.replace("_", " ").upper())
    except KeyError:
        return ""


def _control(base: str) -> str:
    return chr(ord(base.upper()) & 31) if len(base) == 1 and base.isascii() and base.isalpha() else ""
