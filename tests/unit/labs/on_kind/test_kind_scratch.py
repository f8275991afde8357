"""Folders of gigabytes whose process was killed, and those whose process goes on."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from labs.kind import scratch
from tui import cli

if TYPE_CHECKING:
    from pathlib import Path

WORK = """
import pathlib, sys, time
from labs.kind import scratch
home, beside = map(pathlib.Path, sys.argv[1:])
with scratch.folder(home, beside, "room.tar") as folder:
    (folder / "archive").write_bytes(b"x" * 1000)
    print(folder, flush=True)
    time.sleep(600)
"""


def killed(home: Path, beside: Path) -> str:
    """The name of the folder that a process made which is killed in the midst of its work."""
    process = subprocess.Popen([sys.executable, "-c", WORK, home, beside], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        return process.stdout.readline().strip().rpartition("/")[2]
    finally:
        process.kill()
        process.communicate()


def inside(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_folder_goes_with_its_work(tmp_path: Path) -> None:
    with contextlib.suppress(ZeroDivisionError), scratch.folder(tmp_path / "home", tmp_path, "room.tar") as folder:
        (folder / "archive").write_bytes(b"x")
        raise ZeroDivisionError
    assert (inside(tmp_path), inside(tmp_path / "home")) == ({"home"}, set())


def test_the_next_prepare_sweeps_what_a_killed_one_left_and_nothing_that_is_used(home: Path, tmp_path: Path) -> None:
    kept, room = home / "state" / "kind", tmp_path / "room"
    room.mkdir()
    left = {killed(kept, room), killed(kept, kept)}
    assert left <= inside(room) | inside(kept)
    (room / ".room.tar.mine").mkdir()
    with scratch.folder(kept, room, "room.tar") as used:
        assert cli.run(["lab", "prepare", "--load", "nothing.tar"]) == 2
        assert inside(room) == {used.name, ".room.tar.mine"}
        assert len(inside(kept)) == 1, "the note of the one that is used"
    assert inside(kept) == set()


def test_a_note_waits_for_a_disk_that_is_not_there_now(tmp_path: Path) -> None:
    disk, home = tmp_path / "disk", tmp_path / "home"
    disk.mkdir()
    name = killed(home, disk)
    disk.rename(tmp_path / "unplugged")
    scratch.sweep(home)
    (tmp_path / "unplugged").rename(disk)
    assert inside(disk) == {name}
    scratch.sweep(home)
    assert (inside(disk), inside(home)) == (set(), set())


@pytest.mark.parametrize("text", ["", "elsewhere"])
def test_a_note_that_is_none_of_ours_removes_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".scratch.0123").write_text(text and str(tmp_path / text))
    scratch.sweep(tmp_path)
    assert inside(tmp_path) == {"elsewhere"}
