"""`labs.base.Backend` for the sandbox: start, find, connect, stop; runs outside the daemon.

Every change to a cluster's folder is made under one lock beside it (`.NAME.lock`), so two starts at once make one
cluster. Whether a daemon lives is asked of the lock that it holds, never of a file's existence or of a bare pid.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

from content.errors import UsageError
from grader.errors import InfrastructureError
from grader.ports import Capabilities
from labs import store
from labs.base import Phase, Running
from labs.locks import FileLock, is_held
from labs.sandbox import client, isolation, starter, state, wire
from labs.sandbox.dataplane import names

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from labs.base import Request
    from labs.sandbox.state import State

_WAIT_FOR_ANOTHER = 60.0
_ANSWER, _POLITE = 5.0, 2.0
"""Seconds that a daemon has to answer before it counts as broken, and to end before it is made to."""
_TICK = 0.02


class SandboxBackend:
    """Clusters in namespaces.

    Args:
        dataplane: auto, nftables or model; `NETDOJO_DATAPLANE` when left out.
        port: of the Kubernetes API on loopback; 0 takes a free one.

    Raises:
        UsageError: there is no such dataplane.
    """

    name = "sandbox"

    def __init__(self, dataplane: str = "", port: int = 0) -> None:
        self._dataplane = dataplane or os.environ.get("NETDOJO_DATAPLANE") or "auto"
        if self._dataplane not in {"auto", names.NFTABLES, names.MODEL}:
            raise UsageError(
                f"there is no dataplane {self._dataplane!r}",
                remedy=f"NETDOJO_DATAPLANE is auto, {names.NFTABLES} or {names.MODEL}",
            )
        self._port = port

    def can(self) -> Capabilities:
        """What a cluster made here would be capable of: real packets, or simulated ones."""
        simulated = self._dataplane == names.MODEL or (self._dataplane == "auto" and isolation.diagnose() is not None)
        return Capabilities(
            self.name,
            names.MODEL if simulated else names.NFTABLES,
            simulated=simulated,
            families=(4, 6),
            protocols=("TCP", "UDP", "SCTP", "ICMP"),
            has=frozenset({"multi-node", "ipv6", "hosts"}),
        )

    async def start(self, request: Request, folder: Path, progress: Callable[[str], None]) -> Running:
        """Make it, or find it running. Cancelling cleans up.

        Raises:
            InfrastructureError: it cannot run here, with what to do.
            BrokenContentError: an object was refused.
        """
        store.make_private(folder.parent)
        _sweep(folder.parent)
        async with _locked(folder, progress):
            found = await self._look(request.name, folder)
            if found.phase is Phase.READY:
                progress(f"{request.name} is running already")
                return found
            await _end(folder)
            store.make_private(folder)
            try:
                await starter.spawn(request, folder, progress, dataplane=self._dataplane, port=self._port)
            except BaseException:
                await _end(folder)
                raise
            return await self._look(request.name, folder)

    async def find(self, name: str, folder: Path) -> Running:
        """What is there now; what a killed process left is removed."""
        found = await self._look(name, folder)
        if found.phase is Phase.ABSENT and not _clean(folder):
            return Running(name, self.name, Phase.STARTING, folder)
        return found

    async def connect(self, running: Running) -> client.SandboxCluster:
        """The port for a ready cluster.

        Raises:
            ClusterGoneError: it does not answer.
        """
        known = state.read(running.folder)
        if known is None or not known.ready:
            raise client.gone("it is not running", running.name)
        door = wire.Door(known.door, known.token)
        status = await client.ask(door, "status")
        return client.SandboxCluster(door, wire.unpack_capabilities(status["capabilities"]))

    async def stop(self, name: str, folder: Path, *, delete: bool = False) -> None:
        """Remove it; nothing there is fine.

        Raises:
            InfrastructureError: it could not be ended.
        """
        del name, delete
        if not folder.parent.is_dir():
            return
        async with _locked(folder, lambda _: None):
            await _end(folder)
        starter.release(folder)

    async def _look(self, name: str, folder: Path) -> Running:
        """What is there, changing nothing."""
        if not is_held(folder / state.LOCK):
            return Running(name, self.name, Phase.ABSENT, folder)
        known = state.read(folder)
        if known is None or not known.ready:
            return Running(name, self.name, Phase.STARTING, folder, pid=known.pid if known else 0)
        kubeconfig = folder / state.KUBECONFIG
        detail = f"simulated: {known.why}" if known.dataplane == names.MODEL else known.dataplane
        try:
            await client.ask(wire.Door(known.door, known.token), "status", _ANSWER)
        except InfrastructureError as error:
            if not is_held(folder / state.LOCK):  # it was just ending
                return Running(name, self.name, Phase.ABSENT, folder)
            return Running(name, self.name, Phase.BROKEN, folder, pid=known.pid, detail=error.message)
        return Running(name, self.name, Phase.READY, folder, kubeconfig, known.pid, detail)


def _clean(folder: Path) -> bool:
    """Remove what a killed daemon left; False when another command is at work on this cluster."""
    if not folder.is_dir() and not _lock_path(folder).exists():
        return True
    lock = FileLock.acquire(_lock_path(folder))
    if lock is None:
        return False
    try:
        if not is_held(folder / state.LOCK):
            state.remove(folder)
    finally:
        lock.remove()
    return True


def _sweep(clusters: Path) -> None:
    """Remove what killed daemons left of any cluster: a demo's has a name that nobody asks for again."""
    for left in clusters.iterdir():
        name = left.name.removeprefix(".").removesuffix(".lock") if left.name.startswith(".") else left.name
        with contextlib.suppress(OSError):
            if store.is_cluster_name(name) and not is_held(clusters / name / state.LOCK):
                _clean(clusters / name)


def _lock_path(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.lock"


@contextlib.asynccontextmanager
async def _locked(folder: Path, progress: Callable[[str], None]) -> AsyncIterator[None]:
    """Hold the lock beside a cluster's folder; waits for another command that holds it."""
    limit = time.monotonic() + _WAIT_FOR_ANOTHER
    said = False
    while True:
        with store.explained("lock", _lock_path(folder)):
            lock = FileLock.acquire(_lock_path(folder))
        if lock is not None:
            break
        if time.monotonic() > limit:
            raise InfrastructureError(
                f"another command has been working on {folder.name} for {_WAIT_FOR_ANOTHER:.0f} s",
                remedy="end it, then try again",
            )
        if not said:
            progress(f"waiting for another command that works on {folder.name}")
            said = True
        await asyncio.sleep(_TICK)
    try:
        yield
    finally:
        lock.remove()


async def _end(folder: Path) -> None:
    """End the daemon of a folder, if any, and remove what it left: ask first, then insist.

    Raises:
        InfrastructureError: it outlives a kill (it may be another user's).
    """
    known = state.read(folder)
    if is_held(folder / state.LOCK):
        if known is not None and known.ready:
            with contextlib.suppress(InfrastructureError):
                await client.ask(wire.Door(known.door, known.token), "stop", _POLITE)
                await _ended(folder, _POLITE)
        for number in (signal.SIGTERM, signal.SIGKILL):
            if await _ended(folder, 0.1):
                break
            known = await _known(folder)
            if known is not None:
                state.send_signal(known, number)
            await _ended(folder, _POLITE)
        if is_held(folder / state.LOCK):
            who = f" (process {known.pid})" if known else ""
            raise InfrastructureError(
                f"the cluster of {folder} does not end{who}",
                remedy="end that process yourself, then try again; fuser names who holds daemon.lock there",
            )
    await _ended(folder, _ANSWER, known)
    state.remove(folder)


async def _known(folder: Path) -> State | None:
    """The state of a daemon that lives; one that has only just begun writes it in a moment."""
    for _ in range(50):
        found = state.read(folder)
        if found is not None or not is_held(folder / state.LOCK):
            return found
        await asyncio.sleep(_TICK)
    return None


async def _ended(folder: Path, seconds: float, known: State | None = None) -> bool:
    """Wait for the lock to be let go of, and for a known process to end, which is a moment later.

    Tells whether it came to that.
    """
    limit = time.monotonic() + seconds
    while is_held(folder / state.LOCK) or (known is not None and state.is_alive(known)):
        if time.monotonic() > limit:
            return False
        await asyncio.sleep(_TICK / 4)
    return True
