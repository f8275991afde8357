"""The life of the cluster's process, from its event loop's first to its last turn."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import secrets
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from labs.sandbox import isolation, reaper, state
from labs.sandbox.cluster import LiveCluster
from labs.sandbox.control import ControlServer
from labs.sandbox.daemon import say
from labs.sandbox.dataplane import names
from labs.sandbox.starter import HOLD, KEEP

if TYPE_CHECKING:
    from labs.sandbox.daemon import Doors, Order
    from labs.sandbox.runtime import Runtime

_WAIT_FOR_KEEP = 15.0
_log = logging.getLogger("netdojo.process")


def serve(order: Order, folder: Path, doors: Doors, dataplane: str, why: str) -> None:
    """Be the cluster until it is stopped.

    Raises:
        NetdojoError: it could not be started.
        OSError: the system refuses.
    """
    # Before /proc is that of the new PID namespace: the pid that the host knows.
    pid = int(Path("/proc/self").readlink().name) if sys.platform == "linux" else os.getpid()
    me = state.State(
        order.name,
        pid,
        state.ticks(),
        door=doors.address,
        token=doors.token,
        port=doors.port,
        dataplane=dataplane,
        why=why,
    )
    me.write(folder)
    if dataplane == names.NFTABLES:
        isolation.mount_proc()
    asyncio.run(_Process(order, folder, doors, me).run())


class _Process:
    """One run of the event loop."""

    def __init__(self, order: Order, folder: Path, doors: Doors, me: state.State) -> None:
        self._order = order
        self._folder = folder
        self._doors = doors
        self._me = me
        self._stop = asyncio.Event()
        self._kept = asyncio.Event()

    async def run(self) -> None:
        """Build, serve until the end is asked for, and take down."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, self._stop.set)
        self._listen_to_starter()
        if os.getpid() == 1:
            reaper.install(loop)
        cluster = LiveCluster(self._order, self._runtime(loop), token=secrets.token_urlsafe(32), stop=self._stop.set)
        control = ControlServer(cluster.operations(), self._doors.token)
        try:
            say(say="building nodes and pods")
            await cluster.start(self._doors.api)
            if self._stop.is_set():
                return
            await control.serve(self._doors.control)
            self._publish(cluster)
            gc.enable()
            gc.freeze()
            await self._until_kept()
            await self._stop.wait()
        finally:
            state.remove_doors(self._folder)
            await control.close()
            await cluster.close()

    def _runtime(self, loop: asyncio.AbstractEventLoop) -> Runtime:
        families = self._order.families
        if self._me.dataplane == names.MODEL:
            from labs.sandbox.dataplane.model import ModelRuntime

            return ModelRuntime(self._me.why, families)
        from labs.sandbox.kernel import KernelRuntime

        return KernelRuntime(loop, families)

    def _publish(self, cluster: LiveCluster) -> None:
        """Let later commands find it."""
        import dataclasses

        cluster.write_kubeconfig(self._folder / state.KUBECONFIG, self._doors.port)
        dataclasses.replace(self._me, ready=True).write(self._folder)
        say(ready=True)

    async def _until_kept(self) -> None:
        waiting = [asyncio.ensure_future(self._kept.wait()), asyncio.ensure_future(self._stop.wait())]
        await asyncio.wait(waiting, timeout=_WAIT_FOR_KEEP, return_when=asyncio.FIRST_COMPLETED)
        for wait in waiting:
            wait.cancel()
        if not self._kept.is_set():
            _log.warning("nobody wants this cluster")
            self._stop.set()

    def _listen_to_starter(self) -> None:
        if sys.platform == "win32":  # a pipe cannot be waited for there: the starter's word is taken for given
            self._kept.set()
            return
        os.set_blocking(0, False)
        asyncio.get_running_loop().add_reader(0, self._heard)

    def _heard(self) -> None:
        try:
            said = os.read(0, 64)
        except BlockingIOError:
            return
        if said in {KEEP, HOLD}:
            self._kept.set()
            _silence(1, os.O_WRONLY)
        if said == HOLD:
            return  # until the end of the pipe
        asyncio.get_running_loop().remove_reader(0)
        if said == KEEP:
            _silence(0, os.O_RDONLY)
        else:
            self._stop.set()


def _silence(fd: int, flags: int) -> None:
    null = os.open(os.devnull, flags)
    os.dup2(null, fd)
    os.close(null)
