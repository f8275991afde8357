"""Locks between processes that vanish with their holder: an advisory lock on an open file, never a file's existence."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _try(fd: int, *, shared: bool = False) -> bool:  # noqa: ARG001 - Windows has no shared lock
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try(fd: int, *, shared: bool = False) -> bool:
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class FileLock:
    """An exclusive lock that somebody holds, by a file of its own; the system lets go when the last holder ends."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd

    @classmethod
    def acquire(cls, path: Path) -> Self | None:
        """Take the lock without waiting; None when somebody has it.

        The file may be removed by its holder (`remove`); one that was removed between opening and locking is opened
        again, so that two holders never lock two files of one name.

        Raises:
            OSError: the file cannot be made.
        """
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
            if not _try(fd):
                os.close(fd)
                return None
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(fd), path.stat()):
                    return cls(path, fd)
            os.close(fd)

    def release(self) -> None:
        """Let go; doing it twice is fine."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def remove(self) -> None:
        """Remove the file and let go."""
        if sys.platform == "win32":
            self.release()
        with contextlib.suppress(OSError):
            self.path.unlink()
        self.release()


def is_held(path: Path) -> bool:
    """Tell whether somebody holds the lock. A file that is not there is not held, and is not made."""
    try:
        fd = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        return False
    try:
        return not _try(fd, shared=True)  # shared: two that ask at once do not take each other for a holder
    finally:
        os.close(fd)
