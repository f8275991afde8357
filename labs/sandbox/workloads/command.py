"""A process in a pod: its network namespace, and a container of its own around it (see `enter`)."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import shlex
import signal
import struct
import sys
import termios
from os.path import realpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.errors import InfrastructureError
from labs.sandbox.workloads import applets, enter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from labs.sandbox.network.netns import NetworkNamespace

_PACKAGES = Path(__file__).resolve().parents[3]
_KEEP = sorted(
    {name for folder in (sys.prefix, sys.base_prefix, _PACKAGES) for name in (str(folder), realpath(folder))}
)
"""What runs `enter` and the applets. Both ways to it, for there may be links between."""
_ENTER = str(Path(enter.__file__).resolve())
_CHUNK = 65536
_KILLED = 128 + signal.SIGKILL
_LOWEST = 16
"""Descriptors meant for the child are moved above those that it will have them under."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def spawn(
    namespace: NetworkNamespace,
    argv: Sequence[str],
    *,
    tty: bool,
    hostname: str,
    resolv_conf: str,
    env: Mapping[str, str],
    hosts: str = "",
) -> Command:
    """Start a command in a pod.

    Args:
        namespace: the pod's network.
        argv: the program and its arguments; a program that is not found ends with status 127.
        tty: give it a terminal; then standard error comes with standard output.
        hostname: the pod's name.
        resolv_conf: the text of its /etc/resolv.conf.
        env: variables on top of PATH, HOME, HOSTNAME and TERM.
        hosts: lines for its /etc/hosts, after those of the loopback.

    Returns:
        the running command. Whoever has it calls `kill` in the end, also when it has ended by itself.

    Raises:
        grader.errors.InfrastructureError: the system cannot start a process.
    """
    if not argv:
        raise InfrastructureError("there is no command to run")
    description = {
        "argv": list(argv),
        "terminal": tty,
        "hostname": hostname[:64],
        "environment": {
            "PATH": f"{PATH}:{enter.BIN}",
            "HOME": "/root",
            "HOSTNAME": hostname,
            **({"TERM": "xterm"} if tty else {}),
            **env,
        },
        "keep": _KEEP,
        "files": {
            "/etc/resolv.conf": resolv_conf,
            "/etc/hosts": f"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{hosts}",
            "/etc/hostname": f"{hostname}\n",
            "/etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n",
        },
        "applets": applets.NAMES,
        "applet": shlex.join([sys.executable, "-I", "-S", str(Path(applets.__file__).with_name("main.py"))]),
    }
    try:
        return Command(namespace, json.dumps(description).encode(), tty=tty)
    except OSError as problem:
        raise InfrastructureError(f"cannot start a command in {hostname}: {problem.strerror}") from problem


class Command:
    """A running command (`labs.sandbox.runtime.ExecSession`)."""

    def __init__(self, namespace: NetworkNamespace, description: bytes, *, tty: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._terminal = tty
        self._sources: dict[int, int] = {}
        self._readable: asyncio.Event = asyncio.Event()
        self._input = -1
        self._pidfd = -1
        with contextlib.ExitStack() as given:

            def hand_over(descriptor: int) -> int:
                given.callback(os.close, descriptor)
                moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _LOWEST)
                given.callback(os.close, moved)
                return moved

            text = os.memfd_create("description")
            os.write(text, description)
            os.lseek(text, 0, os.SEEK_SET)
            self._status, status = os.pipe()
            streams = self._open_terminal() if tty else self._open_pipes()
            child = [hand_over(descriptor) for descriptor in streams]
            if tty:
                child *= 3
            child += [fcntl.fcntl(namespace.fd, fcntl.F_DUPFD_CLOEXEC, _LOWEST), hand_over(text), hand_over(status)]
            given.callback(os.close, child[3])
            try:
                self._pid = os.posix_spawn(
                    sys.executable,
                    [sys.executable, "-I", "-S", _ENTER],
                    {"PATH": PATH},
                    file_actions=[(os.POSIX_SPAWN_DUP2, source, target) for target, source in enumerate(child)],
                    setsid=True,
                    setsigmask=[],
                )
                self._pidfd = os.pidfd_open(self._pid)
            except OSError:
                self._close_all()
                raise
        for descriptor in (self._status, self._input, *self._sources):
            os.set_blocking(descriptor, False)
        self._loop.add_reader(self._status, self._on_status)

    def _open_pipes(self) -> list[int]:
        stdin, self._input = os.pipe()
        out, stdout = os.pipe()
        err, stderr = os.pipe()
        self._sources = {out: 1, err: 2}
        return [stdin, stdout, stderr]

    def _open_terminal(self) -> list[int]:
        self._input, slave = pty.openpty()
        self._sources = {self._input: 1}
        self.resize(80, 24)
        return [slave]

    def _on_status(self) -> None:
        self._loop.remove_reader(self._status)
        try:
            data = os.read(self._status, 1)
        except OSError:
            data = b""
        os.close(self._status)
        self._status = -1
        if not self._ended.done():
            self._ended.set_result(data[0] if data else _KILLED)
        self._loop.add_reader(self._pidfd, self._bury)

    def _bury(self) -> None:
        """The outer process has ended: take its exit status, if nobody else (process 1 of the daemon) has."""
        self._loop.remove_reader(self._pidfd)
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        os.close(self._pidfd)
        self._pidfd = -1

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """See `ExecSession`. Nothing is read ahead: a command whose output nobody takes is held up."""
        while self._sources:
            self._readable.clear()
            for descriptor in self._sources:
                self._loop.add_reader(descriptor, self._readable.set)
            try:
                await self._readable.wait()
            finally:
                for descriptor in self._sources:
                    self._loop.remove_reader(descriptor)
            for descriptor, stream in tuple(self._sources.items()):
                if descriptor not in self._sources:
                    continue  # killed meanwhile
                try:
                    data = os.read(descriptor, _CHUNK)
                except BlockingIOError:
                    continue
                except OSError:  # EIO: the last process on the terminal has gone
                    data = b""
                if data:
                    yield stream, data
                else:
                    self._drop(descriptor)
        await self.wait()  # it may have closed its output long before its end

    def _drop(self, descriptor: int) -> None:
        if self._sources.pop(descriptor, None) is not None:
            if descriptor == self._input:
                self._input = -1
            self._release(descriptor)

    def _release(self, descriptor: int) -> None:
        """Close it after the loop has forgotten it: its number is soon another's."""
        self._loop.remove_reader(descriptor)
        self._loop.remove_writer(descriptor)
        os.close(descriptor)

    async def write(self, data: bytes) -> None:
        """See `ExecSession`. What it does not read any more is dropped."""
        if not data and not self._terminal:
            self._close_input()
            return
        rest = memoryview(data or b"\x04")
        while rest and self._input >= 0:
            try:
                rest = rest[os.write(self._input, rest) :]
            except BlockingIOError:
                await self._writable()
            except OSError:
                self._close_input()

    async def _writable(self) -> None:
        free: asyncio.Future[None] = self._loop.create_future()
        descriptor = self._input
        waiting: list[asyncio.Future[Any]] = [free, self._ended]

        def wake() -> None:
            if not free.done():
                free.set_result(None)

        self._loop.add_writer(descriptor, wake)
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if descriptor == self._input:
                self._loop.remove_writer(descriptor)
        if self._ended.done():
            self._close_input()

    def _close_input(self) -> None:
        if self._input >= 0 and not self._terminal:
            descriptor, self._input = self._input, -1
            self._release(descriptor)

    def resize(self, columns: int, rows: int) -> None:
        """See `ExecSession`."""
        if self._terminal and self._input >= 0:
            size = struct.pack("HHHH", rows & 0xFFFF, columns & 0xFFFF, 0, 0)
            fcntl.ioctl(self._input, termios.TIOCSWINSZ, size)

    async def wait(self) -> int:
        """See `ExecSession`."""
        return await asyncio.shield(self._ended)

    def kill(self) -> None:
        """See `ExecSession`. Also lets go of all descriptors, so that it ends a command that has ended."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        self._close_input()
        for descriptor in tuple(self._sources):
            self._drop(descriptor)
        self._readable.set()

    def _close_all(self) -> None:
        for descriptor in {self._input, self._status, *self._sources} - {-1}:
            os.close(descriptor)
