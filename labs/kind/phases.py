"""Progress by phases: what goes on, and how long what is over took."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def heard(tell: Callable[[str], None]) -> Callable[[str], None]:
    """The same; that nobody listens any more (a closed pipe) stops nothing, least of all a clean-up."""

    def told(line: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            tell(line)

    return told


class Phases:
    """Tells phases, and keeps their seconds.

    Args:
        tell: gets each line.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.tell = tell
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """One phase; what fails in it is told by whoever meets the error."""
        self.tell(f"{name} …")
        began = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - began
        self.tell(f"{name}: {self.seconds[name]:.1f} s")
