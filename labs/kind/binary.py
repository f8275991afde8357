"""The kind program: found, asked for its version, and run so that it ends with whoever started it.

Runs that make or remove clusters hold a lock file, whose lock the program inherits and into which it writes its
process id before anything else: so a later command can tell that a program is still at work whose starter was killed,
and end it and all that it started, and nobody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from grader.errors import InfrastructureError, NotCapableError
from labs.kind import pins
from labs.locks import FileLock, is_held

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_END_SECONDS = 5.0
_TICK = 0.02
_LAST_LINES = 12


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that ended: its status and what it wrote."""

    code: int
    stdout: str
    stderr: str


class Program(Protocol):
    """The kind program, or what stands for it in tests."""

    async def version(self) -> tuple[int, ...]:
        """Its release."""
        ...

    async def run(
        self, arguments: Sequence[str], progress: Callable[[str], None], stdin: str = "", lock: Path | None = None
    ) -> Ended:
        """Run it to its end, and tell each line that it writes as it comes. Cancelled, it ends with its children.

        Args:
            arguments: what follows the program's name.
            progress: gets each line.
            stdin: all of its input.
            lock: a file that is locked, with the process id in it, for as long as it runs.
        """
        ...


@dataclass(frozen=True, slots=True)
class KindProgram:
    """`kind`, by a name on the path or as a file."""

    name: str = "kind"

    def found(self) -> str:
        """Where it is.

        Raises:
            NotCapableError: nowhere.
        """
        path = shutil.which(str(Path(self.name).expanduser()) if self.name.startswith("~") else self.name)
        if path is None:
            raise NotCapableError(
                f"the program {self.name} is not on the path",
                remedy=f"get kind v{pins.KIND} from https://kind.sigs.k8s.io/docs/user/quick-start/#installation, or "
                "name it in the setting kind.binary",
            )
        return path

    async def version(self) -> tuple[int, ...]:
        """Its release, as `kind version` prints it.

        Raises:
            InfrastructureError: it is not there, or no such program.
        """
        ended = await self.run(("version",), lambda _: None)
        found = pins.version_of(ended.stdout)
        if ended.code or not found:
            raise InfrastructureError(
                f"{self.name} version does not answer as kind does: {ended.stdout or ended.stderr}",
                remedy="name the kind program in the setting kind.binary",
            )
        return found

    async def run(
        self, arguments: Sequence[str], progress: Callable[[str], None], stdin: str = "", lock: Path | None = None
    ) -> Ended:
        """Run it to its end."""
        argv = [self.found(), *arguments]
        held = None
        if lock is not None and sys.platform != "win32":
            held = await _take(lock)
            # The shell writes its own process id, which is the program's once it has become it.
            argv = ["/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"', str(lock), *argv]
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
                pass_fds=(held.fd,) if held is not None else (),
            )
        except OSError as error:
            raise InfrastructureError(
                f"{argv[0]} cannot be run: {error.strerror or error}",
                remedy="name a program in the setting kind.binary",
            ) from error
        finally:
            if held is not None:
                held.release()
        try:
            return await _collect(process, progress, stdin.encode())
        except BaseException:
            await _end_group(process)
            raise


async def _collect(process: asyncio.subprocess.Process, progress: Callable[[str], None], stdin: bytes) -> Ended:
    async def read(stream: asyncio.StreamReader | None) -> str:
        lines = []
        while stream is not None and (line := await stream.readline()):
            text = line.decode(errors="replace").rstrip()
            lines.append(text)
            progress(text)
        return "\n".join(lines)

    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(stdin)
            await process.stdin.drain()
        process.stdin.close()
    stdout, stderr = await asyncio.gather(read(process.stdout), read(process.stderr))
    return Ended(await process.wait(), stdout, stderr)


async def _end_group(process: asyncio.subprocess.Process) -> None:
    """End a program and all that it started: politely first."""
    for number, seconds in ((signal.SIGINT, _END_SECONDS), (signal.SIGKILL, _END_SECONDS)):
        _signal(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(process.wait()), seconds)
            return


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            os.kill(group, number)
        else:
            os.killpg(group, number)


def _signal_holder(lock: Path, number: signal.Signals) -> None:
    group = int(lock.read_text(encoding="ascii"))
    if group > 1:
        _signal(group, number)


async def _take(lock: Path) -> FileLock:
    await end_left(lock)
    held = FileLock.acquire(lock)
    if held is None:
        raise InfrastructureError(f"another program is at work there ({lock})", remedy="wait for it, then try again")
    return held


async def end_left(lock: Path) -> bool:
    """End the program that holds this lock, which outlived its starter; tells whether there was one.

    Raises:
        InfrastructureError: it does not end.
    """
    if not is_held(lock):
        return False
    limit = time.monotonic() + 4 * _END_SECONDS
    number = signal.SIGTERM
    while is_held(lock):
        with contextlib.suppress(OSError, ValueError):
            _signal_holder(lock, number)
        if time.monotonic() > limit:
            raise InfrastructureError(
                f"a kind program that was left behind does not end ({lock})",
                remedy="end it yourself, then try again; fuser names who holds that file",
            )
        number = signal.SIGKILL if time.monotonic() > limit - 3 * _END_SECONDS else number
        await asyncio.sleep(_TICK)
    return True


def explain(what: str, ended: Ended) -> InfrastructureError:
    """Why a run of kind failed, for people: its own last words, and what to do about those that are known."""
    words = "\n".join(_telling(ended.stderr.strip().splitlines()))
    remedy = "netdojo doctor looks at the machine and says what to mend"
    for sign, advice in _KNOWN:
        if sign in ended.stderr.lower():
            remedy = advice
            break
    return InfrastructureError(f"kind could not {what}:\n{words}", remedy=remedy)


def _telling(lines: list[str]) -> list[str]:
    """The lines that say what went wrong: kubeadm prints its log and the stack of its program around them."""
    found = [line.strip()[:_LONGEST_LINE] for line in lines if _FAULT.search(line) and not _NOISE.match(line)]
    unique = list(dict.fromkeys(found))
    return [*unique[:1], *unique[1:][-_FAULTS:]] if unique else lines[-_LAST_LINES:]


_FAULT = re.compile(
    r"error|fail|timed out|deadline|denied|refused|no space|not found|unable|cannot|already", re.IGNORECASE
)
_NOISE = re.compile(r"\s|[IW]\d{4} |[\w.-]+(/[\w.-]+)+\.\S*\(?|WARNING|To see the stack")
"""Indented places in a stack, kubeadm's log below errors, functions in a stack, kind's warnings."""
_LONGEST_LINE, _FAULTS = 300, 5
_KNOWN = (
    ("no space left on device", "the disk is full: docker system df shows what takes it"),
    ("port is already allocated", "a port of the topology is taken: end what listens there, or choose another"),
    ("address already in use", "a port of the topology is taken: end what listens there, or choose another"),
    ("unable to find image", "the node image is missing: netdojo lab prepare fetches it"),
    ("failed to pull image", "the node image is missing and cannot be fetched: netdojo lab prepare --load brings it"),
    ("permission denied while trying to connect", "add yourself to the group docker, and log in again"),
    ("cannot connect to the docker daemon", "start Docker, or point DOCKER_HOST to it"),
    (
        "not run on a host using cgroup v1",
        "kubelet refuses this machine's cgroups: boot with cgroup v2, or patch failCgroupV1: false",
    ),
    ("context deadline exceeded", "the machine is slow or busy: end other work on it, then try again"),
    ("timed out waiting", "the machine is slow or busy: end other work on it, then try again"),
    ("too many open files", "raise fs.inotify.max_user_instances and max_user_watches"),
)
