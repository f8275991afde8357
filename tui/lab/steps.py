"""The steps of a start that takes a while: what is over with its seconds, what goes on with a running count. Pure.

A backend tells a phase as "making the node with kind …" and its end as "making the node with kind: 12.3 s"; what it
tells in between belongs to the phase and goes with it. A backend without phases tells plain lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_OPEN = " …"
_ENDED = re.compile(r"(.*): (\d+(?:\.\d+)?) s")
_SHOWN = 12
"""Lines: the last ones count."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Lines as they came.

    Attributes:
        over: lines of what is over.
        running: the phase that goes on; empty when none does.
        inside: the last line that was told within it.
        since: when it, or what came last, began, in seconds.
        last: the last line that came, as a short text for one line.
    """

    over: tuple[str, ...] = ()
    running: str = ""
    inside: str = ""
    since: float = 0.0
    last: str = ""

    def told(self, text: str, now: float) -> Steps:
        """After one more line."""
        text = text.rstrip()
        if text.endswith(_OPEN):
            return replace(self, over=self._closed(), running=text.removesuffix(_OPEN), inside="", since=now, last=text)
        ended = _ENDED.fullmatch(text)
        if ended and ended[1] == self.running:
            return replace(self, over=(*self.over, text), running="", inside="", since=now, last=text)
        if self.running and not text.startswith("note: "):
            return replace(self, inside=text.strip(), last=text.strip())
        return replace(self, over=(*self.over, text), since=now if not self.running else self.since, last=text)

    def _closed(self) -> tuple[str, ...]:
        return (*self.over, self.running) if self.running else self.over

    def lines(self, now: float) -> list[str]:
        """What to show, the newest last."""
        lines = list(self.over)
        if self.running:
            lines.append(f"{self.running} … {max(0.0, now - self.since):.0f} s")
            if self.inside:
                lines.append(f"  {self.inside}")
        return lines[-_SHOWN:]

    def line(self, now: float) -> str:
        """The same on one line."""
        if not self.running:
            return self.last
        seconds = f" … {max(0.0, now - self.since):.0f} s"
        return f"{self.running}{seconds}" + (f" ({self.inside})" if self.inside else "")
