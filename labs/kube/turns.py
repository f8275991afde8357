"""What of the canary was seen: which turns on every node, and the objects that never change. The next may rely on it.

Kept in a file, the next process need not see the last turn again before it flips, nor write every rule anew: resource
versions tell whether anybody has touched them since. The file belongs to the lock of flips, and is read and written
while that is held.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from labs import store
from labs.kube.canary import Signal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class State(NamedTuple):
    """Whose turn it is, the resource versions of the objects that say so, and the nodes on which that is looked at."""

    side: int
    versions: tuple[str, ...]
    nodes: tuple[str, ...]


class Turns:
    """Remembers what was seen.

    Args:
        file: where it is kept for other processes; in memory only when None.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._seen: dict[Signal, State] = {}
        self._rules: dict[str, str] = {}

    def is_seen(self, signal: Signal, state: State) -> bool:
        """Whether this very state was seen on every node."""
        if self._seen.get(signal) != state:
            self._read()
        return self._seen.get(signal) == state

    def rules(self) -> Mapping[str, str]:
        """The rules as they were written last: their resource versions by kind and name."""
        if not self._rules:
            self._read()
        return self._rules

    def note(self, states: Mapping[Signal, State]) -> None:
        """These were seen. That they cannot be kept costs time only, and is no error."""
        self._seen |= states
        self._write()

    def note_rules(self, versions: Mapping[str, str]) -> None:
        """The rules were written."""
        self._rules = dict(versions)
        self._write()

    def _write(self) -> None:
        if self._file is not None:
            turns = {signal.value: state for signal, state in self._seen.items()}
            with contextlib.suppress(OSError):
                store.write_atomically(self._file, json.dumps({"turns": turns, "rules": self._rules}))

    def _read(self) -> None:
        found: Mapping[str, Any] = {} if self._file is None else store.read_json(self._file)
        with contextlib.suppress(TypeError, ValueError, AttributeError):
            turns = dict(found.get("turns", {}))
            self._seen |= {
                Signal(name): State(int(side), tuple(versions), tuple(nodes))
                for name, (side, versions, nodes) in turns.items()
            }
            self._rules = {str(name): str(version) for name, version in dict(found.get("rules", {})).items()}
