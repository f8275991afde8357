r"""Repairs a program's control sequences that pyte misreads, before pyte sees them.

pyte knows neither private prefixes nor intermediate bytes: vim's `ESC [ > 4 ; 2 m` would switch underlining on, and
the rest of an unknown sequence would be printed. Device strings (DCS, APC, PM, SOS) would be printed as a whole.
What is left out here means nothing to this terminal. Sequences: ECMA-48, section 5.4, and xterm's "ctlseqs".
"""

from __future__ import annotations

import re

_MISREAD = re.compile(
    r"\x1b\[(?:[<=>][0-9:;<=>?]*[ -/]*|[0-9:;<=>?]*[ -/]+)[@-~]"  # private prefixes, intermediate bytes
    r"|\x1b\[(?P<colours>[0-9;]*:[0-9:;]*)m"  # colours with colons
    r"|(?P<string>\x1b[PX^_])"  # device strings: their end is looked for separately
    r"|\x1b[ -\"&'*-/][0-~]"  # character sets and other two-step escapes that have no meaning here
)
_UNFINISHED = re.compile(r"\x1b(?:\[[0-9:;<=>?]*[ -/]*|[ -\"&'*-/])?$")
_STRING_END = re.compile(r"\x1b\\|\x9c|[\x18\x1a]")
_LONGEST = 256


class Repair:
    """Keeps what is unfinished between two pieces of output."""

    def __init__(self) -> None:
        self._held = ""
        self._in_string = False

    def __call__(self, text: str) -> str:
        """The text with every misread sequence taken out or rewritten; a sequence cut in two waits for its rest."""
        text, self._held = self._held + text, ""
        out: list[str] = []
        at = 0
        while at < len(text):
            if self._in_string:
                end = _STRING_END.search(text, at)
                if end is None:
                    # Half of the terminator may be the last character.
                    self._held = "\x1b" if text.endswith("\x1b") else ""
                    break
                self._in_string, at = False, end.end()
                continue
            found = _MISREAD.search(text, at)
            if found is None:
                out.append(self._hold_back(text[at:]))
                break
            out.append(text[at : found.start()])
            self._in_string = found["string"] is not None
            if found["colours"] is not None:
                out.append(f"\x1b[{_plain_colours(found['colours'])}m")
            at = found.end()
        return "".join(out)

    def _hold_back(self, text: str) -> str:
        tail = _UNFINISHED.search(text)
        if tail is None or len(tail[0]) > _LONGEST:
            return text
        self._held = tail[0]
        return text[: tail.start()]


def _plain_colours(parameters: str) -> str:
    """Sub-parameters (ISO 8613-6) in the older form with semicolons."""
    plain: list[str] = []
    for parameter in parameters.split(";"):
        first, *rest = parameter.split(":")
        if first in {"38", "48"} and rest:
            values = [value or "0" for value in (rest[:1] + rest[-3:] if rest[0] == "2" else rest[:2])]
            plain += [first, *values]
        elif first == "4" and rest:
            plain.append("24" if rest[0] == "0" else "4")
        elif first not in {"58", "59"}:  # colours of the underline
            plain.append(first)
    return ";".join(plain)
