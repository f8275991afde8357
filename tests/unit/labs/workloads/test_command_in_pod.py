"""Commands in pods on the real kernel: what they see, what they cannot do, how they end."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from grader.errors import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.netns

HOMES = sorted({folder.parts[2] for folder in map(Path, (sys.prefix, *sys.path)) if folder.is_relative_to("/home")})
"""Of the homes on this machine a pod has only the way to the interpreter and its packages."""
SEES = [
    ("hostname", 0, "client\n"),
    ("cat /proc/sys/kernel/hostname", 0, "client\n"),
    ("grep -c 'nameserver 10.244.0.3' /etc/resolv.conf", 0, "1\n"),
    ("grep -c localhost /etc/hosts", 0, "2\n"),
    ("ls /sys/class/net | tr '\\n' ' '", 0, "eth0 lo "),
    ("pwd; echo $HOME; echo $HOSTNAME; echo ${TERM-none}; echo $OWN", 0, "/\n/root\nclient\nnone\nyes\n"),
    ("ls -A /home", 0, "".join(f"{name}\n" for name in HOMES)),
    ("echo $$", 0, "2\n"),
    ("kill -9 1; kill -0 1", 0, ""),
    ("ls -A /dev | sort | tr '\\n' ' '", 0, "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero "),
    ("echo a > /tmp/f && echo b > /root/f && echo c > /dev/shm/f && echo d >/dev/null && echo ok", 0, "ok\n"),
    ("echo out; echo err >&2; exit 7", 7, "out\n"),
    ("kill -TERM $$", 143, ""),
    ("kill -KILL $$", 137, ""),
    ("cat", 0, "typed"),
    ("grep CapEff /proc/self/status", 0, "CapEff:\t00000000a00425fb\n"),
    ("grep NoNewPrivs /proc/self/status", 0, "NoNewPrivs:\t1\n"),
    ("yes | head -1", 0, "y\n"),
]
REFUSED = [
    "touch /etc/netdojo-was-here",
    "touch /usr/netdojo-was-here",
    "echo x > /proc/sys/kernel/hostname",
    "echo 1 > /proc/sys/net/ipv4/ip_forward",
    "mount -o remount,rw /",
    "mount -t tmpfs none /mnt",
    "umount /proc",
    "mknod /dev/mem2 c 1 1",
    "ls /dev/sda /dev/vda",
]


def test_what_a_command_sees(isolated: Callable[..., Any], pair: Callable[..., Any]) -> None:
    async def scenario() -> list[tuple[int, str, str]]:
        made = pair()
        runs = [made.run("sh", "-c", line, stdin=b"typed", OWN="yes") for line, _, _ in SEES]
        return list(await asyncio.gather(*runs))

    seen = isolated(scenario)
    assert [(line, code, out) for (line, _, _), (code, out, _) in zip(SEES, seen, strict=True)] == SEES
    assert seen[11][2] == "err\n"


def test_what_a_command_cannot_do(isolated: Callable[..., Any], pair: Callable[..., Any]) -> None:
    async def scenario() -> list[tuple[int, str, str]]:
        made = pair()
        return list(await asyncio.gather(*(made.run("sh", "-c", line) for line in REFUSED)))

    assert [line for line, (code, _, _) in zip(REFUSED, isolated(scenario), strict=True) if code == 0] == []
    assert not Path("/etc/netdojo-was-here").exists()


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["no-such-program"], 127, 'exec: "no-such-program": executable file not found in $PATH'),
        (["/no/such/program"], 127, 'exec: "/no/such/program": no such file or directory'),
        (["/etc/passwd"], 126, 'exec: "/etc/passwd": permission denied'),
    ],
)
def test_a_command_that_is_none(
    isolate: Callable[..., Any], pair: Callable[..., Any], argv: list[str], code: int, words: str
) -> None:
    async def scenario() -> tuple[int, str, str]:
        return await pair().run(*argv)

    got, out, err = isolate(scenario)
    assert (got, out) == (code, "")
    assert words in err


def test_no_command_at_all(isolate: Callable[..., Any], pair: Callable[..., Any]) -> None:
    async def scenario() -> str:
        with pytest.raises(InfrastructureError) as caught:
            pair().spawn([])
        return caught.value.message

    assert isolate(scenario) == "there is no command to run"


def test_a_terminal(isolated: Callable[..., Any], pair: Callable[..., Any]) -> None:
    script = "tty; echo $TERM; stty size; read line; stty size; echo got $line >&2; test -t 2 && echo all; exit 3"

    async def scenario() -> tuple[int, str]:
        session = pair().spawn(["sh", "-c", script], tty=True)
        text = ""
        async for stream, data in session.output():
            assert stream == 1
            text += data.decode()
            if text.endswith("24 80\r\n"):
                session.resize(100, 30)
                await session.write(b"hello\n")
        session.kill()
        return await session.wait(), text

    code, text = isolated(scenario)
    assert code == 3
    assert text.replace("\r", "").splitlines() == [
        *("/dev/console", "xterm", "24 80", "hello", "30 100", "got hello", "all")
    ]


def test_interrupt_from_the_terminal(isolate: Callable[..., Any], pair: Callable[..., Any]) -> None:
    async def scenario() -> int:
        session = pair().spawn(["sh", "-c", "echo ready; exec sleep 1000"], tty=True)
        async for _, data in session.output():
            if b"ready" in data:
                await session.write(b"\x03")
        session.kill()
        return int(await session.wait())

    assert isolate(scenario) == 128 + signal.SIGINT


def test_kill_ends_what_it_started(isolated: Callable[..., Any], pair: Callable[..., Any]) -> None:
    async def scenario() -> tuple[int, list[str]]:
        session = pair().spawn(["sh", "-c", "setsid sleep 987 & sleep 987 & echo ready; wait"])
        async for _, data in session.output():
            if b"ready" in data:
                await until(lambda: len(sleepers()) == 2)
                session.kill()
        code = await session.wait()
        await until(lambda: not sleepers())
        return code, sleepers()

    code, left = isolated(scenario)
    assert (code, left) == (137, [])


def sleepers() -> list[str]:
    """The sleeping commands of this child: everything that it started carries its number of seconds."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:2] == [b"sleep", b"987"] and same_session(folder):
            found.append(folder.name)
    return found


def same_session(folder: Path) -> bool:
    """Tell whether a process lives in a PID namespace below this one's: the other tests' do not."""
    line = next(one for one in (folder / "status").read_text().splitlines() if one.startswith("NSpid:"))
    return len(line.split()) > 2


def test_nothing_is_read_ahead(isolate: Callable[..., Any], pair: Callable[..., Any]) -> None:
    """A flood whose output nobody takes fills a pipe and stops; killing it lets go of everything."""

    async def scenario() -> tuple[int, int, int]:
        made = pair()
        before = count()
        session = made.spawn(["yes"])
        await anext(session.output())
        session.kill()
        code = await session.wait()
        await until(lambda: count() <= before)
        return code, before, count()

    code, before, after = isolate(scenario)
    assert code in (137, 141)  # killed, or told first that nobody reads any more (128 + SIGPIPE)
    assert after <= before


def test_large_input_and_output(isolate: Callable[..., Any], pair: Callable[..., Any]) -> None:
    async def scenario() -> tuple[int, int]:
        session = pair().spawn(["cat"])
        writing = asyncio.ensure_future(session.write(b"x" * 1_000_000))
        size = 0
        async for _, data in session.output():
            size += len(data)
            if size == 1_000_000:
                await writing
                await session.write(b"")
        session.kill()
        return await session.wait(), size

    assert isolate(scenario) == (0, 1_000_000)


def test_a_command_that_does_not_read_loses_its_input(isolate: Callable[..., Any], pair: Callable[..., Any]) -> None:
    async def scenario() -> int:
        session = pair().spawn(["true"])
        await session.write(b"x" * 1_000_000)
        code = await session.wait()
        session.kill()
        return int(code)

    assert isolate(scenario) == 0


def test_killing_ends_a_write_that_waits(isolate: Callable[..., Any], pair: Callable[..., Any]) -> None:
    async def scenario() -> tuple[int, int, int]:
        made = pair()
        before = count()
        session = made.spawn(["sleep", "1000"])
        writing = asyncio.ensure_future(session.write(b"x" * 1_000_000))
        await until(lambda: count() > before)
        session.kill()
        await writing
        code = await session.wait()
        await until(lambda: count() == before)
        return code, before, count()

    code, before, after = isolate(scenario)
    assert (code, after) == (137, before)


@pytest.mark.root
def test_where_a_container_hides_parts_of_proc(isolate: Callable[..., Any], pair: Callable[..., Any]) -> None:
    """The kernel then refuses a new /proc to an unprivileged user; commands run all the same."""

    async def scenario() -> tuple[int, str, str]:
        run: tuple[int, str, str] = await pair().run("sh", "-c", "mount | grep -c '^proc on /proc '; hostname")
        return run

    def inside() -> tuple[int, str, str]:
        from labs.sandbox.workloads import enter

        enter.mount("", "/", "", enter.MS_REC | enter.MS_PRIVATE)
        enter.mount("tmpfs", "/proc/acpi" if Path("/proc/acpi").is_dir() else "/proc/irq", "tmpfs", enter.MS_RDONLY)
        run: tuple[int, str, str] = isolate(scenario, plain=True)
        return run

    assert isolate(inside) == (0, "1\nclient\n", "")


def test_older_kernels_make_mounts_read_only_one_by_one(isolate: Callable[..., Any]) -> None:
    def scenario() -> str:
        from labs.sandbox.workloads import enter

        enter.mount("", "/", "", enter.MS_REC | enter.MS_PRIVATE)
        enter.remount_each()
        try:
            Path("/etc/netdojo-was-here").touch()
        except OSError as problem:
            return problem.strerror or ""
        return "written"

    assert isolate(scenario) == "Read-only file system"


def count() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it, at most five seconds."""
    limit = time.monotonic() + 5
    while not condition() and time.monotonic() < limit:  # noqa: ASYNC110 - processes of others have no event
        await asyncio.sleep(0.01)
