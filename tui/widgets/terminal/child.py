"""A program on a pseudo-terminal, fed and read by the event loop.

The program is started through a small launcher that makes the pseudo-terminal its controlling one: that way the app,
which has threads, never forks itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_LAUNCH = (
    "import fcntl,os,sys,termios;fcntl.ioctl(0,termios.TIOCSCTTY,0);os.execvpe(sys.argv[1],sys.argv[1:],os.environ)"
)
_READ = 32768
_WRITE = 4096
_PATIENCE = 1.0  # seconds between a hang-up and a kill


class Child:
    """The running program. Made by `spawn`.

    Args:
        process: the program.
        master: the app's end of the pseudo-terminal.
        on_output: receives what it prints; reading pauses until `resume` is called.
        on_exit: receives its exit status once, when all output is read.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        master: int,
        on_output: Callable[[bytes], None],
        on_exit: Callable[[int], None],
    ) -> None:
        self._process = process
        self._master: int | None = master
        self._on_output = on_output
        self._on_exit = on_exit
        self._out = bytearray()
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Task[None] | None = None
        self.resume()

    @property
    def pid(self) -> int:
        """The program's process id, which is its session's id as well."""
        return self._process.pid

    def resume(self) -> None:
        """Read again (after `on_output`)."""
        if self._master is not None:
            self._loop.add_reader(self._master, self._readable)

    def _readable(self) -> None:
        if self._master is None:
            return
        try:
            data = os.read(self._master, _READ)
        except BlockingIOError:
            return
        except OSError:  # EIO: the last program that had the terminal open is gone
            data = b""
        self._loop.remove_reader(self._master)
        if data:
            self._on_output(data)
        else:
            self._close_master()
            self._waiting = self._loop.create_task(self._report_exit())

    async def _report_exit(self) -> None:
        status = await asyncio.to_thread(self._process.wait)
        self._on_exit(status)

    def write(self, data: bytes) -> None:
        """Type into the program; what it does not take now is kept and sent when it does."""
        if self._master is not None:
            self._out += data
            self._flush()

    def _flush(self) -> None:
        if self._master is None:
            return
        try:
            while self._out:
                del self._out[: os.write(self._master, bytes(self._out[:_WRITE]))]
        except BlockingIOError:
            self._loop.add_writer(self._master, self._flush)
            return
        except OSError:
            self._out.clear()
        self._loop.remove_writer(self._master)

    def resize(self, columns: int, lines: int) -> None:
        """Tell the program about its new size."""
        if self._master is not None:
            _set_size(self._master, columns, lines)

    def _close_master(self) -> None:
        if self._master is not None:
            self._loop.remove_reader(self._master)
            self._loop.remove_writer(self._master)
            os.close(self._master)
            self._master = None

    async def close(self) -> None:
        """Hang up, as closing a terminal window does; a program that will not go is killed."""
        self._close_master()
        if self._process.poll() is None:
            await self._end()
        if self._waiting is not None:  # last: a program that let go of its terminal may live on until it is ended
            await self._waiting

    async def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGHUP)
        try:
            await asyncio.to_thread(self._process.wait, _PATIENCE)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            await asyncio.to_thread(self._process.wait)


def spawn(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    size: tuple[int, int],
    *,
    on_output: Callable[[bytes], None],
    on_exit: Callable[[int], None],
) -> Child:
    """Start a program; `size` is columns and lines.

    Raises:
        OSError: there is no pseudo-terminal, or no such folder.
    """
    master, slave = pty.openpty()
    try:
        _set_size(master, *size)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LAUNCH, *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )
    except BaseException:
        os.close(master)
        raise
    finally:
        os.close(slave)
    os.set_blocking(master, False)
    return Child(process, master, on_output, on_exit)


def _set_size(descriptor: int, columns: int, lines: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
