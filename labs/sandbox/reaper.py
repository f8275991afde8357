"""What process 1 owes to its PID namespace: orphans that end are collected."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

_GRACE = 1.0
"""Seconds that whoever started a command has to ask for its exit status, before it counts as an orphan."""


def install(loop: asyncio.AbstractEventLoop) -> None:
    """Collect children that nobody has waited for, a second or two after they ended."""
    loop.add_signal_handler(signal.SIGCHLD, _Sweep(loop).soon)


class _Sweep:
    """Looks at the dead without collecting them; who is still there at the next look was waited for by nobody."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._seen = 0
        self._planned = False

    def soon(self) -> None:
        if not self._planned:
            self._planned = True
            self._loop.call_later(_GRACE, self._run)

    def _run(self) -> None:
        self._planned = False
        while (pid := _dead_child()) and pid == self._seen:
            os.waitpid(pid, os.WNOHANG)
        self._seen = pid
        if pid:
            self.soon()


def _dead_child() -> int:
    """A child that has ended and was not waited for; 0 when there is none."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return 0
    return found.si_pid if found else 0
