"""Which turns of the canary's signals were seen on every node: what the next flip may take for granted.

Kept in a file, the next process need not see the last turn again before it flips: the objects' resource versions tell
whether anybody has turned since. The file belongs to the lock of flips, and is read and written while that is held.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

from labs import store
from labs.kube.canary import Signal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

State = tuple[int, tuple[str, ...]]
"""Whose turn it is, and the resource versions of the objects that say so."""


class Turns:
    """Remembers the states that were seen.

    Args:
        file: where they are kept for other processes; in memory only when None.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._seen: dict[Signal, State] = {}

    def is_seen(self, signal: Signal, state: State) -> bool:
        """Whether this very state was seen on every node."""
        if self._seen.get(signal) != state:
            self._seen |= self._kept()
        return self._seen.get(signal) == state

    def note(self, states: Mapping[Signal, State]) -> None:
        """These were seen. That they cannot be kept costs time only, and is no error."""
        self._seen |= states
        if self._file is not None:
            kept = {signal.value: [side, list(versions)] for signal, (side, versions) in self._seen.items()}
            with contextlib.suppress(OSError):
                store.write_atomically(self._file, json.dumps(kept))

    def _kept(self) -> dict[Signal, State]:
        if self._file is None:
            return {}
        found = store.read_json(self._file)
        with contextlib.suppress(TypeError, ValueError):
            return {Signal(name): (int(side), tuple(versions)) for name, (side, versions) in found.items()}
        return {}
