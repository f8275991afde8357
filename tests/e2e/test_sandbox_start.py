"""What a start does where the machine lacks something, and how a daemon is reached there."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from content.errors import UsageError
from content.model import Topology
from grader.errors import NotCapableError
from labs.base import Phase, Request
from labs.sandbox import client, control, daemon, isolation, state, wire
from labs.sandbox.backend import SandboxBackend
from labs.sandbox.control import ControlServer
from labs.sandbox.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

REFUSING = """
import asyncio, os, sys
from pathlib import Path
from content.model import Topology
from grader.errors import NotCapableError
from grader.ports import Probe
from labs.base import Request
from labs.sandbox.backend import SandboxBackend
from labs.sandbox.network import netns

uid, gid = os.geteuid(), os.getegid()
netns.unshare(netns.CLONE_NEWUSER)
Path("/proc/self/setgroups").write_text("deny")
Path("/proc/self/uid_map").write_text(f"1000 {uid} 1")
Path("/proc/self/gid_map").write_text(f"1000 {gid} 1")
Path("/proc/sys/user/max_user_namespaces").write_text("0")

async def main(folder):
    said = []
    backend = SandboxBackend("auto")
    print(backend.can().dataplane)
    running = await backend.start(Request("x", Topology()), folder, said.append)
    cluster = await backend.connect(running)
    print(cluster.capabilities.simulated, running.detail)
    print(any("simulated" in line and "max_user_namespaces" in line for line in said))
    await backend.stop("x", folder)
    try:
        await SandboxBackend("nftables").start(Request("x", Topology()), folder, said.append)
    except NotCapableError as error:
        print(error.message, "|", error.remedy)
    print(folder.exists())

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.netns
def test_where_namespaces_are_refused_the_model_goes_on_and_says_why(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", REFUSING, str(tmp_path / "clusters" / "x")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    lines = run.stdout.splitlines()
    assert lines[:1] == ["model"], run.stderr
    assert lines[1].startswith("True simulated: ")
    assert lines[2] == "True"
    assert "max_user_namespaces" in lines[3]
    assert "sysctl" in lines[3].partition("|")[2]
    assert lines[4] == "False"


@pytest.mark.parametrize("dataplane", ["model", pytest.param("nftables", marks=pytest.mark.netns)])
async def test_a_cluster_survives_its_starter_in_a_folder_with_a_long_name(tmp_path: Path, dataplane: str) -> None:
    folder = tmp_path / ("long-" * 30) / "clusters" / "x"
    backend = SandboxBackend(dataplane)
    said: list[str] = []
    running = await backend.start(Request("x", Topology(), namespace="default"), folder, said.append)
    try:
        assert running.phase is Phase.READY
        assert said
        assert (await backend.find("x", folder)) == running
        again = await backend.start(Request("x", Topology()), folder, said.append)
        assert again.pid == running.pid
        assert_private(folder)
        assert (await backend.connect(running)).capabilities.dataplane == dataplane
    finally:
        await backend.stop("x", folder)
    assert (await backend.find("x", folder)).phase is Phase.ABSENT
    await backend.stop("x", folder)


def assert_private(folder: Path) -> None:
    for path in (folder, *folder.iterdir()):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


async def test_a_daemon_outlives_the_terminal_and_has_a_session_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "clusters" / "x"
    backend = SandboxBackend("model")
    running = await backend.start(Request("x", Topology()), folder, lambda _: None)
    try:
        assert os.getsid(running.pid) != os.getsid(0)
        assert descriptors(running.pid).isdisjoint(descriptors(os.getpid()) - {Path(os.devnull)})
    finally:
        await backend.stop("x", folder)


def descriptors(pid: int) -> set[Path]:
    """What its three standard descriptors lead to."""
    return {Path(f"/proc/{pid}/fd/{number}").readlink() for number in range(3)}


async def test_without_unix_sockets_the_door_is_a_port_with_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "has_unix_sockets", lambda _: False)
    doors = daemon.bind(tmp_path, 0)
    assert doors.address.startswith("tcp:")
    assert len(doors.token) > 20

    async def status(_: dict[str, object]) -> str:
        return "here"

    server = ControlServer({"status": status}, doors.token)
    await server.serve(doors.control)
    try:
        assert await client.ask(wire.Door(doors.address, doors.token), "status") == "here"
    finally:
        await server.close()
        doors.api.close()


@pytest.mark.parametrize(
    ("wanted", "refused", "chosen"),
    [("auto", False, "nftables"), ("auto", True, "model"), ("model", False, "model"), ("nftables", False, "nftables")],
)
def test_which_dataplane_is_taken(monkeypatch: pytest.MonkeyPatch, wanted: str, refused: bool, chosen: str) -> None:
    monkeypatch.setattr(isolation, "attempt", attempt(refused=refused))
    dataplane, why = daemon.choose(wanted)
    assert dataplane == chosen
    assert bool(why) is (chosen == "model")


def test_nftables_that_is_demanded_is_never_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "attempt", attempt(refused=True))
    with pytest.raises(NotCapableError, match="because of a test") as said:
        daemon.choose("nftables")
    assert said.value.remedy == "this; or that"


def test_a_dataplane_that_does_not_exist_is_wrong_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETDOJO_DATAPLANE", "ebfp")
    with pytest.raises(UsageError, match="ebfp"):
        SandboxBackend()


def attempt(*, refused: bool) -> Callable[[], Refusal | None]:
    refusal = Refusal("refused", "because of a test", ("this", "that"))
    return lambda: refusal if refused else None


@pytest.mark.parametrize("order", ["", "{}\n", "no JSON\n"], ids=["no order", "incomplete", "garbage"])
def test_a_daemon_without_a_proper_order_ends_and_leaves_nothing(tmp_path: Path, order: str) -> None:
    run = subprocess.run(
        [sys.executable, "-P", "-m", "labs.sandbox.daemon", str(tmp_path)],
        input=order,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert not list(tmp_path.iterdir())
    if order:
        assert json.loads(run.stdout)["error"]["type"] == "InfrastructureError"
        assert run.returncode == 1
    else:
        assert (run.stdout, run.returncode) == ("", 0)


def test_a_folder_has_one_daemon(tmp_path: Path) -> None:
    from labs.locks import FileLock

    held = FileLock.acquire(tmp_path / state.LOCK)
    assert held is not None
    order = {
        "name": "x",
        "nodes": 1,
        "families": [4],
        "objects": [],
        "hosts": [],
        "namespace": "default",
        "dataplane": "model",
        "port": 0,
        "transient": False,
    }
    run = subprocess.run(
        [sys.executable, "-P", "-m", "labs.sandbox.daemon", str(tmp_path)],
        input=json.dumps(order) + "\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert "runs in" in json.loads(run.stdout)["error"]["message"]
    assert [path.name for path in tmp_path.iterdir()] == [state.LOCK]
    held.release()
