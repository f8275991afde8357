from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from content.errors import UsageError
from grader.errors import InfrastructureError
from labs import store
from labs.locks import FileLock, is_held
from labs.sandbox import backend, state

if TYPE_CHECKING:
    from pathlib import Path


HOLDER = """
import pathlib, sys
from labs.locks import FileLock
held = FileLock.acquire(pathlib.Path(sys.argv[1]))
print(flush=True)
sys.stdin.read()
"""


def test_a_lock_is_exclusive_and_seen_by_others(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held = FileLock.acquire(path)
    assert held is not None
    assert FileLock.acquire(path) is None
    assert is_held(path)
    held.release()
    assert not is_held(path)
    again = FileLock.acquire(path)
    assert again is not None
    again.release()


def test_a_lock_that_nobody_made_is_not_held_and_not_made_by_asking(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "lock")
    assert not (tmp_path / "lock").exists()


def test_a_killed_process_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert is_held(path)
        holder.kill()
        holder.wait()
    assert not is_held(path)


def test_a_lock_removed_by_its_holder_is_taken_anew(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = FileLock.acquire(path)
    assert first is not None
    first.remove()
    assert not path.exists()
    second = FileLock.acquire(path)
    assert second is not None
    assert is_held(path)
    second.remove()


@pytest.mark.parametrize("name", ["", "../x", "a/b", "A", "-a", "a-", "a" * 64, "a\n", ".", "a b", "ä"])
def test_names_that_are_no_dns_label_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        store.cluster_folder(name)


def test_everything_lies_below_one_folder_when_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETDOJO_HOME", str(tmp_path))
    found = store.folders()
    assert {found.state, found.data, found.config} == {tmp_path / "state", tmp_path / "data", tmp_path / "config"}
    assert store.cluster_folder("a-1") == tmp_path / "state" / "clusters" / "a-1"
    assert store.cluster_names() == ()
    store.cluster_folder("b").mkdir(parents=True)
    store.cluster_folder("a").mkdir()
    (tmp_path / "state" / "clusters" / "Not a name").mkdir()
    (tmp_path / "state" / "clusters" / "file").touch()
    assert store.cluster_names() == ("a", "b")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.json"
    store.write_atomically(path, '{"a": 1}')
    assert path.stat().st_mode & 0o777 == 0o600

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match="No space"):
        store.write_atomically(path, '{"a": 2}')
    assert store.read_json(path) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00", '{"a": 1'])
def test_a_torn_file_counts_as_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text, encoding="utf-8")
    assert store.read_json(path) == {}
    assert store.read_json(tmp_path / "missing") == {}


def test_a_folder_is_private_and_a_refusal_says_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    store.make_private(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    store.make_private(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(InfrastructureError) as refused:
        store.make_private(tmp_path / "file" / "below")
    assert "NETDOJO_HOME" in refused.value.remedy
    assert str(tmp_path / "file" / "below") in refused.value.message


@pytest.mark.root
def test_a_folder_of_another_user_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    with pytest.raises(InfrastructureError, match="another user"):
        store.make_private(folder)


def test_a_private_folder_is_no_link(tmp_path: Path) -> None:
    """Behind a link may be a folder that others need: it keeps its permissions."""
    behind = tmp_path / "behind"
    behind.mkdir(mode=0o755)
    (tmp_path / "clusters").symlink_to(behind)
    with pytest.raises(InfrastructureError, match="link to another folder"):
        store.make_private(tmp_path / "clusters")
    assert behind.stat().st_mode & 0o777 == 0o755


def test_a_sweep_removes_what_daemons_left_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a-file").touch()
    (tmp_path / "Not a cluster").mkdir()
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "notes").touch()
    for name in ("a-left", "z-left"):
        (tmp_path / name).mkdir()
        for left in (state.LOCK, state.STATE, state.LOG):
            (tmp_path / name / left).touch()
    backend._sweep(tmp_path)
    assert {path.name for path in tmp_path.rglob("*")} == {"a-file", "Not a cluster", "kept", "notes"}
