"""Exit statuses of every netdojo command."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a script may rely on."""

    HELD = 0
    FAILED = 1
    """A check failed: the answer is wrong."""
    USAGE = 2
    """Wrong use, or a broken file."""
    COULD_NOT_RUN = 3
    """Infrastructure: says nothing about the answer."""
    INTERRUPTED = 130
