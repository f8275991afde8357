"""Folders for files of gigabytes, wherever there is room for them; the next command sweeps what a killed one left.

HOME/.scratch.TOKEN names a folder, and is locked for as long as that is used: the system lets go when the process ends.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from labs import store
from labs.locks import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOTE = ".scratch."
_MOST_BYTES = 1 << 16


@contextlib.contextmanager
def folder(home: Path, beside: Path, name: str) -> Iterator[Path]:
    """A new folder, removed at the end, or by `sweep` where the process does not get there.

    Args:
        home: a folder of this user's, where it is noted.
        beside: the folder in which it is made.
        name: what its own name begins with.

    Raises:
        OSError: it cannot be made.
    """
    store.make_private(home)
    lock = None
    while lock is None:
        token = secrets.token_hex(8)
        lock = FileLock.acquire(home / f"{_NOTE}{token}")
    made = beside.absolute() / f".{name}.{token}"
    try:
        os.write(lock.fd, os.fsencode(made))  # first: what is not noted would be left for ever
        made.mkdir(mode=0o700)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        lock.remove()


def sweep(home: Path) -> None:
    """Remove the folders that ended processes have left; what cannot be removed now stays noted. Never raises."""
    for note in home.glob(f"{_NOTE}*"):
        with contextlib.suppress(OSError):
            if (lock := FileLock.acquire(note)) is not None:
                _remove(lock)


def _remove(lock: FileLock) -> None:
    try:
        noted = os.fsdecode(os.read(lock.fd, _MOST_BYTES))
        left = Path(noted)
        if noted and left.name.endswith(lock.path.name.removeprefix(_NOTE)):
            shutil.rmtree(left, ignore_errors=True)
            if left.exists() or not left.parent.exists():  # its disk may be plugged in again
                return
        lock.remove()
    finally:
        lock.release()
