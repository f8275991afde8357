"""The kind program as a process: its lines, its end, and the end of what its starter left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from grader.errors import InfrastructureError, NotCapableError
from labs.kind import binary
from labs.kind.binary import Ended, KindProgram, end_left, explain
from labs.locks import is_held

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")

SCRIPT = """\
#!/bin/sh
case $1 in
version) echo "kind v0.33.1 go1.26 linux/amd64" ;;
create)
    echo " • Preparing nodes" >&2
    cat > "$2.config"
    sleep 1000 &
    echo $! > "$2.child"
    echo " • Starting control-plane" >&2
    wait ;;
fails) echo "ERROR: failed to create cluster: no space left on device" >&2; exit 1 ;;
esac
"""


@pytest.fixture
def kind(tmp_path: Path) -> KindProgram:
    file = tmp_path / "kind"
    file.write_text(SCRIPT, encoding="utf-8")
    file.chmod(0o755)
    return KindProgram(str(file))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until(condition: object, seconds: float = 10.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < limit
        await asyncio.sleep(0.01)


async def test_its_release(kind: KindProgram) -> None:
    assert await kind.version() == (0, 33, 1)


async def test_a_program_that_is_not_there() -> None:
    with pytest.raises(NotCapableError, match="not on the path") as caught:
        await KindProgram("no-such-kind").version()
    assert "kind.sigs.k8s.io" in caught.value.remedy


async def test_cancelled_it_ends_with_all_that_it_started(
    kind: KindProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binary, "_END_SECONDS", 0.5)  # its child hears no interrupt
    lines: list[str] = []
    lock, mark = tmp_path / "kind.lock", tmp_path / "mark"
    task = asyncio.create_task(kind.run(("create", str(mark)), lines.append, "kind: Cluster\n", lock))
    await until(lambda: " • Starting control-plane" in lines)
    assert lines[0] == " • Preparing nodes"
    assert (tmp_path / "mark.config").read_text() == "kind: Cluster\n"
    assert is_held(lock)
    child = int((tmp_path / "mark.child").read_text())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not alive(child))
    assert not is_held(lock)


async def test_what_outlives_a_killed_starter_is_found_by_its_lock_and_ended(kind: KindProgram, tmp_path: Path) -> None:
    lock, mark = tmp_path / "kind.lock", tmp_path / "mark"
    code = (
        "import asyncio, pathlib\nfrom labs.kind.binary import KindProgram\n"
        f"run = KindProgram({kind.name!r}).run(('create', {str(mark)!r}), print, '', pathlib.Path({str(lock)!r}))\n"
        "asyncio.run(run)"
    )
    starter = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.DEVNULL)
    await until((tmp_path / "mark.child").exists, 30)
    await until(lambda: (tmp_path / "mark.child").read_text().strip())
    os.kill(starter.pid, signal.SIGKILL)
    await starter.wait()
    child = int((tmp_path / "mark.child").read_text())
    assert is_held(lock)
    assert alive(child)
    assert await end_left(lock)
    assert not is_held(lock)
    await until(lambda: not alive(child))
    assert not await end_left(lock)


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("ERROR: no space left on device", "disk is full"),
        ("Bind for 127.0.0.1:80 failed: port is already allocated", "a port of the topology is taken"),
        ("permission denied while trying to connect to the Docker daemon", "group docker"),
        ("something else", "netdojo doctor"),
    ],
)
def test_failures_have_remedies(words: str, remedy: str) -> None:
    error = explain("make the cluster", Ended(1, "", f"Creating cluster\n{words}\n"))
    assert isinstance(error, InfrastructureError)
    assert words in error.message
    assert remedy in error.remedy


def test_the_cause_is_told_and_not_the_stack_around_it() -> None:
    error = explain(
        "make the cluster",
        Ended(
            1,
            "",
            "WARNING: cgroup v1 is deprecated, and may fail\n"
            "ERROR: failed to create cluster: failed to init node with kubeadm: exit status 1\n"
            "Command Output: I1124 18:32:00.1 140 initconfiguration.go:254] loading\n"
            "error: error execution phase wait-control-plane: context deadline exceeded\n"
            "To see the stack trace of this error execute with --v=5 or higher\n"
            "k8s.io/kubernetes/cmd/kubeadm/app/errors.func1\n\tk8s.io/kubernetes/errors.go:132\n"
            "runtime.goexit\n\truntime/asm_amd64.s:1771\n",
        ),
    )
    assert error.message.splitlines()[1:] == [
        "ERROR: failed to create cluster: failed to init node with kubeadm: exit status 1",
        "error: error execution phase wait-control-plane: context deadline exceeded",
    ]
    assert "slow or busy" in error.remedy
