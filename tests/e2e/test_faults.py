"""`kill -9` at random moments of a cluster's life: of the command, of the daemon, of both.

Nothing may be left behind that the next command does not clean up by itself.

`NETDOJO_KILLS=100 NETDOJO_SEED=7 pytest tests/e2e/test_faults.py` plays 100 rounds from seed 7.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from content.errors import NetdojoError
from content.model import Topology
from grader.errors import ClusterGoneError, InfrastructureError
from grader.ports import Outcome, Probe
from labs.base import Phase, Request
from labs.sandbox import state
from labs.sandbox.backend import SandboxBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.ports import Cluster
    from labs.base import Running

KILLS = int(os.environ.get("NETDOJO_KILLS", "10"))
SEED = int(os.environ.get("NETDOJO_SEED", "1"))
pytestmark = pytest.mark.netns

LIFE = """
import asyncio, sys
from pathlib import Path
from content.model import Topology
from grader.ports import Probe
from labs.base import Request
from labs.sandbox.backend import SandboxBackend

def pod(name):
    ports = [{"containerPort": 80}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"containers": [{"name": "c", "image": "x", "ports": ports}]}}

deny = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "deny"},
        "spec": {"podSelector": {}}}

async def main(folder):
    backend = SandboxBackend("nftables")
    pods = [pod(f"p{number}") for number in range(6)]
    running = await backend.start(Request(folder.name, Topology(nodes=2), pods), folder, lambda _: None)
    cluster = await backend.connect(running)
    probes = [Probe("default/p0", f"default/p{number}", 80) for number in range(1, 6)]
    await cluster.probe(probes)
    await cluster.apply([deny])
    await cluster.probe(probes)
    await cluster.exec("default/p0", ["sh", "-c", "sleep 300 & exec sleep 0.1"], seconds=5)
    await backend.stop(folder.name, folder)

asyncio.run(main(Path(sys.argv[1])))
"""
"""A cluster's whole life in one command."""


def processes_of(folder: Path) -> dict[int, str]:
    """Every process that names this folder on its command line, and every process of its PID namespaces."""
    found: dict[int, str] = {}
    spaces: set[Path] = set()
    own = Path("/proc/self/ns/pid").readlink()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            space = (entry / "ns" / "pid").readlink()
            if str(folder) in words:
                found[int(entry.name)] = words
                if space != own:
                    spaces.add(space)
            elif space in spaces:
                found[int(entry.name)] = words
    return found


def interfaces() -> set[str]:
    return {line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]}


def wait_until_gone(folder: Path, seconds: float = 10) -> None:
    limit = time.monotonic() + seconds
    while left := processes_of(folder):
        assert time.monotonic() < limit, f"still there: {left}"
        time.sleep(0.01)


def settled(backend: SandboxBackend, folder: Path, seconds: float = 15) -> Running:
    """What is there in the end: who lost its starter ends by itself; a cluster that was ready lives on."""
    limit = time.monotonic() + seconds
    while True:
        found = asyncio.run(backend.find(folder.name, folder))
        if found.phase in {Phase.ABSENT, Phase.READY} or time.monotonic() > limit:
            return found
        time.sleep(0.01)


def is_clean(folder: Path) -> bool:
    return not folder.exists()


def make(folder: Path) -> None:
    folder.mkdir(parents=True)


async def probe_for_ever(cluster: Cluster) -> None:
    """The kernel may take a moment to end what was killed."""
    while True:
        await cluster.probe([Probe("default/a", "default/b", 80)])


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", LIFE, str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def whole_life(folder: Path) -> float:
    """Let one live undisturbed, and return how many seconds that takes on this machine today."""
    began = time.monotonic()
    with start(folder) as command:
        assert command.wait(60) == 0
    return time.monotonic() - began


def shoot(rng: random.Random, folder: Path, longest: float) -> str:
    """Start a life, kill what the dice say when they say it, and tell what it was."""
    target = rng.choice(["command", "daemon", "both"])
    moment = rng.uniform(0.0, longest)
    with start(folder) as command:
        time.sleep(moment)  # the moment is the test
        if target in {"command", "both"}:
            command.kill()
        if target in {"daemon", "both"}:
            for pid, words in processes_of(folder).items():
                if "labs.sandbox.daemon" in words:
                    kill(pid)
        command.wait(60)
    return f"{target} after {moment:.3f} s"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "clusters" / "faults"
    yield path
    asyncio.run(SandboxBackend().stop(path.name, path))
    wait_until_gone(path)


@pytest.mark.slow
@pytest.mark.timeout(60 + 6 * KILLS)
def test_nothing_is_left_that_the_next_command_does_not_clean(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backend = SandboxBackend("nftables")
    before = interfaces()
    longest = whole_life(folder)
    after_which: dict[Phase, int] = {}
    for round_ in range(KILLS):
        rng = random.Random(SEED + round_)
        what = f"seed {SEED + round_}: {shoot(rng, folder, longest)}"
        found = settled(backend, folder)
        assert found.phase in {Phase.ABSENT, Phase.READY}, f"{what}: {found}"
        after_which[found.phase] = after_which.get(found.phase, 0) + 1
        if found.phase is Phase.ABSENT:
            wait_until_gone(folder)
            assert not folder.exists(), f"{what}: {list(folder.iterdir())}"
        if rng.random() < 0.5:
            asyncio.run(_works(backend, folder, what))
        asyncio.run(backend.stop(folder.name, folder))
        wait_until_gone(folder)
        assert list(folder.parent.iterdir()) == [], what
        assert interfaces() == before, what
    with capsys.disabled():
        print(f"\n{KILLS} kills: {', '.join(f'{count} {phase}' for phase, count in sorted(after_which.items()))}")


async def _works(backend: SandboxBackend, folder: Path, what: str) -> None:
    """The next command finds or makes a cluster that works."""
    running = await backend.start(Request(folder.name, Topology(), [pod("a"), pod("b")]), folder, lambda _: None)
    assert running.phase is Phase.READY, what
    cluster = await backend.connect(running)
    if "default/a" in {f"default/{i['metadata']['name']}" for i in await cluster.snapshot() if i["kind"] == "Pod"}:
        (seen,) = await cluster.probe([Probe("default/a", "default/b", 80)])
        assert seen.outcome is Outcome.OPEN, what


def pod(name: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "x", "ports": [{"containerPort": 80}]}]},
    }


async def test_two_starts_at_once_make_one_cluster(folder: Path) -> None:
    backend = SandboxBackend("nftables")
    request = Request(folder.name, Topology(), [pod("a")])
    first, second = await asyncio.gather(*(backend.start(request, folder, lambda _: None) for _ in range(2)))
    assert first.pid == second.pid
    assert len([words for words in processes_of(folder).values() if "labs.sandbox.daemon" in words]) == 1


async def test_two_clusters_side_by_side_do_not_see_each_other(tmp_path: Path) -> None:
    backend = SandboxBackend("nftables")
    folders = [tmp_path / name for name in ("one", "two")]
    try:
        running = [
            await backend.start(Request(f.name, Topology(), [pod(f"only-{f.name}"), pod("b")]), f, lambda _: None)
            for f in folders
        ]
        for mine, other in (("one", "two"), ("two", "one")):
            cluster = await backend.connect(running[0 if mine == "one" else 1])
            seen = await cluster.probe(
                [Probe(f"default/only-{mine}", "default/b", 80), Probe(f"default/only-{other}", "default/b", 80)]
            )
            assert [each.outcome for each in seen] == [Outcome.OPEN, Outcome.ERROR]
        await backend.stop("one", folders[0])
        assert (await backend.find("two", folders[1])).phase is Phase.READY
    finally:
        for each in folders:
            await backend.stop(each.name, each)


async def test_a_cancelled_start_leaves_nothing(folder: Path) -> None:
    backend = SandboxBackend("nftables")
    for step in range(3):
        said: asyncio.Queue[str] = asyncio.Queue()
        starting = asyncio.create_task(
            backend.start(Request(folder.name, Topology(nodes=2), [pod("a")]), folder, said.put_nowait)
        )
        for _ in range(step):
            await asyncio.wait_for(said.get(), 20)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert processes_of(folder) == {}
        assert is_clean(folder)


async def test_a_daemon_that_hangs_is_found_broken_and_stopped(folder: Path) -> None:
    backend = SandboxBackend("nftables")
    running = await backend.start(Request(folder.name, Topology(), [pod("a")]), folder, lambda _: None)
    os.kill(running.pid, signal.SIGSTOP)
    found = await backend.find(folder.name, folder)
    assert found.phase is Phase.BROKEN
    assert found.detail
    await backend.stop(folder.name, folder)
    assert processes_of(folder) == {}
    assert is_clean(folder)


async def test_a_cluster_whose_process_was_killed_is_gone_not_wrong(folder: Path) -> None:
    backend = SandboxBackend("nftables")
    running = await backend.start(Request(folder.name, Topology(), [pod("a"), pod("b")]), folder, lambda _: None)
    cluster = await backend.connect(running)
    os.kill(running.pid, signal.SIGKILL)
    with pytest.raises(ClusterGoneError) as gone:
        await probe_for_ever(cluster)
    assert "start it again" in gone.value.remedy
    wait_until_gone(folder)
    async with asyncio.timeout(10):  # the kernel takes its lock a moment later than its command line
        while (await backend.find(folder.name, folder)).phase is not Phase.ABSENT:
            pass
    assert is_clean(folder)


async def test_a_pid_that_belongs_to_another_process_now_is_left_alone(folder: Path) -> None:
    """A state file from before a reboot may name a pid that somebody else has."""
    with subprocess.Popen(["sleep", "60"]) as stranger:  # noqa: ASYNC220 - nothing else runs here
        make(folder)
        state.State(folder.name, stranger.pid, 12345, ready=True, door="unix:/nowhere").write(folder)
        backend = SandboxBackend("nftables")
        assert (await backend.find(folder.name, folder)).phase is Phase.ABSENT
        state.send_signal(state.State(folder.name, stranger.pid, 12345), signal.SIGKILL)
        await backend.stop(folder.name, folder)
        assert stranger.poll() is None
        stranger.kill()


async def test_a_start_cleans_up_after_clusters_of_other_names(folder: Path) -> None:
    backend = SandboxBackend("model")
    left = folder.parent / "killed"
    make(left)
    state.State("killed", 999_999_999, 12345, ready=True, door="unix:/nowhere").write(left)
    (folder.parent / ".other.lock").touch()
    await backend.start(Request(folder.name, Topology()), folder, lambda _: None)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


async def test_a_port_in_use_is_told(folder: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InfrastructureError, match=f"port {port}") as refused:
            await SandboxBackend("nftables", port=port).start(Request(folder.name, Topology()), folder, lambda _: None)
    assert refused.value.remedy
    assert is_clean(folder)


async def test_a_refused_object_stops_the_start_and_leaves_nothing(folder: Path) -> None:
    bad = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {}}
    with pytest.raises(NetdojoError, match="Required value"):
        await SandboxBackend("nftables").start(Request(folder.name, Topology(), [bad]), folder, lambda _: None)
    assert processes_of(folder) == {}
    assert is_clean(folder)


FULL_DISK = """
import asyncio, ctypes, os, sys
from pathlib import Path
from content.model import Topology
from grader.errors import InfrastructureError
from labs.base import Request
from labs.sandbox import isolation
from labs.sandbox.backend import SandboxBackend

isolation.enter()
if os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
isolation.mount_proc()
folder = Path(sys.argv[1])
folder.mkdir(parents=True)
libc = ctypes.CDLL(None, use_errno=True)
assert libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, b"size=64k") == 0, ctypes.get_errno()
(folder / "filler").write_bytes(b"x" * 4096 * int(sys.argv[2]))
backend = SandboxBackend("model")
try:
    asyncio.run(backend.start(Request("full", Topology()), folder / "full", lambda _: None))
except InfrastructureError as error:
    print(error.message, "|", error.remedy)
print(sorted(path.name for path in folder.iterdir()))
"""


@pytest.mark.parametrize("pages", [16, 15, 14])
def test_a_full_disk_is_told_and_leaves_no_half_state(tmp_path: Path, pages: int) -> None:
    run = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "disk"), str(pages)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said, left = run.stdout.strip().splitlines()
    assert "No space left" in said, run.stderr
    assert "space" in said.partition("|")[2]
    assert left == "['filler']"


TRANSIENT = """
import asyncio, sys
from pathlib import Path
from content.model import Topology
from labs.base import Request
from labs.sandbox.backend import SandboxBackend

folder = Path(sys.argv[1])
request = Request(folder.name, Topology(), transient=True)
asyncio.run(SandboxBackend("nftables").start(request, folder, lambda _: None))
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_transient_cluster_ends_with_the_process_that_started_it(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", TRANSIENT, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == b"ready\n"
        assert asyncio.run(SandboxBackend().find(folder.name, folder)).phase is Phase.READY
        command.kill()
    assert settled(SandboxBackend(), folder).phase is Phase.ABSENT
    wait_until_gone(folder)
    assert is_clean(folder)


async def test_a_transient_cluster_is_stopped_like_any_other(folder: Path) -> None:
    backend = SandboxBackend("nftables")
    before = open_descriptors()
    await backend.start(Request(folder.name, Topology(), transient=True), folder, lambda _: None)
    await backend.stop(folder.name, folder)
    assert is_clean(folder)
    assert open_descriptors() <= before


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
