"""What is kept on disk of each cluster, and of each lab that has one; and the locks between processes.

    POOL/NAME/record.json     whose it is, what it was made for, what became of it (this module)
    POOL/NAME/kubeconfig      the administrator's, as kind wrote it
    POOL/NAME/baseline.json   its objects when it was new (`labs.kind.fingerprint`)
    POOL/NAME/kind.lock       held by a kind program that makes or removes it (`labs.kind.binary`)
    POOL/files/               Calico's files that were fetched, for the next cluster (`labs.kind.calico.sources`)
    POOL/.NAME.lock           held by the command that works on it
    LAB/lab.json              which cluster a lab has
    LAB/kubeconfig            for kubectl, with the lab's namespace
    LAB/holder.lock           held by the process with which a transient lab ends

A record is written before its cluster is made: so nothing that is made can be forgotten, and what has no record here is
somebody else's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import time
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from grader.errors import InfrastructureError
from labs import store
from labs.locks import FileLock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

RECORD, KUBECONFIG, BASELINE, KIND_LOCK = "record.json", "kubeconfig", "baseline.json", "kind.lock"
LAB, HOLDER, CACHE = "lab.json", "holder.lock", "kubectl-cache"
FOLDER = "kind"
"""The pool's, below the state's."""
FILES = "files"
"""The pool's folder of fetched files, which is no cluster's."""
PREFIX = "netdojo-"
"""Of all clusters' names; one that bears it and has no record here is somebody else's."""
_VERSION = 1
_WAIT_SECONDS = 600.0
"""For another command: it may be making a cluster."""
_TICK = 0.05


class Stage(StrEnum):
    """What became of a cluster."""

    MAKING = "making"
    """It is being made, or was when its maker was ended: not to be used."""
    FREE = "free"
    """It runs for nobody."""
    TAKEN = "taken"
    """It is a lab's."""


@dataclass(frozen=True, slots=True)
class Record:
    """A cluster as it is kept on disk.

    Attributes:
        key: of its plan: it may stand for any plan with this key.
        about: what it is, for a person.
        lab: the lab that has it.
        nodes: the ids of its nodes' containers.
        families: 4, 6.
        dataplane: Calico's.
        hosts: outside hosts' addresses by name.
        engine: the identity of the engine that runs it; empty where that is not known.
    """

    name: str
    key: str
    about: str
    stage: Stage
    lab: str = ""
    nodes: tuple[str, ...] = ()
    families: tuple[int, ...] = (4,)
    dataplane: str = ""
    hosts: tuple[tuple[str, tuple[str, ...]], ...] = ()
    made: float = 0.0
    engine: str = ""


def kept() -> tuple[Record, ...]:
    """This user's clusters that run for nobody, and are kept for the next lab of their topology, by name."""
    records = Pool(store.folders().state / FOLDER).records()
    return tuple(record for record in records if record.stage is Stage.FREE)


class Pool:
    """The folder of all clusters."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def of(self, name: str) -> Path:
        """The folder of a cluster."""
        return self.folder / name

    def records(self) -> tuple[Record, ...]:
        """All clusters, by name."""
        if not self.folder.is_dir():
            return ()
        names = sorted(path.name for path in self.folder.iterdir() if (path / RECORD).is_file())
        return tuple(record for name in names if (record := self.read(name)) is not None)

    def read(self, name: str) -> Record | None:
        """One cluster; None when there is no record that can be used."""
        found = store.read_json(self.of(name) / RECORD)
        return _record(found, name)

    def write(self, record: Record) -> None:
        """Keep a record, for good before it returns.

        Raises:
            InfrastructureError: it cannot be written.
        """
        store.make_private(self.of(record.name))
        with store.explained("write", self.of(record.name) / RECORD):
            store.write_atomically(self.of(record.name) / RECORD, json.dumps({"version": _VERSION, **asdict(record)}))

    def forget(self, name: str) -> None:
        """Remove all that is kept of a cluster that is gone; never raises."""
        with contextlib.suppress(OSError):
            (self.of(name) / RECORD).unlink()  # first: without it, the rest is nothing
        shutil.rmtree(self.of(name), ignore_errors=True)

    def lock(self, name: str) -> FileLock | None:
        """The right to work on a cluster; None when another command has it.

        Raises:
            InfrastructureError: the lock's file cannot be made.
        """
        store.make_private(self.folder)
        path = self.folder / f".{name}.lock"
        with store.explained("lock", path):
            return FileLock.acquire(path)

    @contextlib.asynccontextmanager
    async def locked(self, name: str, progress: Callable[[str], None]) -> AsyncIterator[None]:
        """Work on a cluster; waits for another command that does."""
        store.make_private(self.folder)
        async with locked(self.folder / f".{name}.lock", name, progress):
            yield


@contextlib.asynccontextmanager
async def locked(path: Path, what: str, progress: Callable[[str], None]) -> AsyncIterator[None]:
    """Hold a lock; waits for another command that holds it.

    Raises:
        InfrastructureError: that command does not end.
    """
    limit, said = time.monotonic() + _WAIT_SECONDS, False
    while True:
        with store.explained("lock", path):
            lock = FileLock.acquire(path)
        if lock is not None:
            break
        if time.monotonic() > limit:
            raise InfrastructureError(
                f"another command has been working on {what} for {_WAIT_SECONDS:.0f} s", remedy="end it, then try again"
            )
        if not said:
            progress(f"waiting for another command that works on {what}")
            said = True
        await asyncio.sleep(_TICK)
    try:
        yield
    finally:
        lock.remove()


def _record(found: dict[str, Any], name: str) -> Record | None:
    if found.pop("version", None) != _VERSION or found.get("name") != name:
        return None
    try:
        found["stage"] = Stage(found["stage"])
        for field in ("nodes", "families"):
            found[field] = tuple(found[field])
        found["hosts"] = tuple((str(host), tuple(map(str, addresses))) for host, addresses in found["hosts"])
        return Record(**found)
    except (TypeError, ValueError, KeyError):
        return None
