"""Progress survives: other processes, kills, foreign files, a disk that refuses."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from typing import TYPE_CHECKING

import pytest

from grader.errors import InfrastructureError
from grader.report import Report, TaskReport
from labs import progress
from labs.progress import LabProgress, ProgressStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.synchronize import Barrier
    from pathlib import Path


def report(*earned: int, hint_cost: int = 0) -> Report:
    """Tasks of 5 points each; 5 earned means held."""
    tasks = tuple(TaskReport(f"t{n}", "T", 5, points, points == 5) for n, points in enumerate(earned))
    return Report("first", "sandbox", "nftables", simulated=False, tasks=tasks, hint_cost=hint_cost)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "progress.db"


@pytest.fixture
def store(path: Path) -> Iterator[ProgressStore]:
    ticks = iter(range(1000, 2000))
    opened = ProgressStore(path, now=lambda: float(next(ticks)))
    yield opened
    opened.close()


def test_nothing_is_known_at_first(store: ProgressStore) -> None:
    assert store.lab("first") == LabProgress("first")
    assert store.hints("first", "t0") == 0
    assert not store.lesson_read("intro")
    assert store.notice == ""


@pytest.mark.parametrize(
    ("gradings", "known"),
    [
        ([report(3, 0)], LabProgress("first", 3, 3, 10, 0.0, frozenset())),
        ([report(5, 0), report(2, 0)], LabProgress("first", 5, 2, 10, 0.0, frozenset({"t0"}))),
        ([report(5, 5)], LabProgress("first", 10, 10, 10, 1000.0, frozenset({"t0", "t1"}))),
        # the first time stays, and so does the best
        ([report(5, 5), report(5, 5, hint_cost=1), report(0, 0)],
         LabProgress("first", 10, 0, 10, 1000.0, frozenset({"t0", "t1"}))),
        ([report(0, 5), report(5, 0)], LabProgress("first", 5, 5, 10, 0.0, frozenset({"t0", "t1"}))),
        ([report(5, 5, hint_cost=2)], LabProgress("first", 8, 8, 10, 1000.0, frozenset({"t0", "t1"}))),
    ],
)  # fmt: skip
def test_the_best_and_the_last_result(store: ProgressStore, gradings: list[Report], known: LabProgress) -> None:
    for grading in gradings:
        store.record(grading)
    assert store.lab("first") == known


def test_it_is_still_there_when_opened_again(store: ProgressStore, path: Path) -> None:
    store.record(report(5, 5))
    store.add_hint("first", "t0")
    store.add_hint("first", "t0")
    store.mark_lesson("intro")
    store.mark_lesson("intro")
    store.close()
    again = ProgressStore(path)
    assert again.lab("first").best == 10
    assert (again.hints("first", "t0"), again.hints("first", "t1")) == (2, 0)
    assert again.lesson_read("intro")
    again.close()


def _take_hints(path: Path, count: int, together: Barrier) -> None:
    together.wait(60)
    store = ProgressStore(path)
    for _ in range(count):
        store.add_hint("first", "t0")
    store.close()


def test_several_processes_make_the_file_and_write_at_once_and_nothing_is_lost(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(3)
    processes = [context.Process(target=_take_hints, args=(path, 25, together)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    store = ProgressStore(path)
    assert store.hints("first", "t0") == 75
    store.close()


def test_it_waits_while_another_process_prepares_the_file(tmp_path: Path) -> None:
    other, ours = (sqlite3.connect(tmp_path / "new.db", timeout=0, isolation_level=None) for _ in range(2))
    other.execute("BEGIN EXCLUSIVE")
    tries = []

    def prepare() -> None:
        tries.append(1)
        if len(tries) == 3:
            other.execute("ROLLBACK")
        ours.execute("BEGIN IMMEDIATE")

    progress._patiently(prepare)
    assert len(tries) == 3
    other.close()
    ours.close()


def _record_until_killed(path: Path, ready: Connection) -> None:
    store = ProgressStore(path)
    for number in range(1_000_000):
        store.record(report(*[5] * (number % 7)))
        if number == 3:
            ready.send(True)


def test_a_killed_writer_leaves_whole_records(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_record_until_killed, args=(path, there))
    process.start()
    assert here.poll(60)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    store = ProgressStore(path)
    known = store.lab("first")
    assert store.notice == ""
    assert known.last == known.points  # both of one record
    store.record(report(5))
    store.close()


def test_a_change_that_fails_half_way_changes_nothing(store: ProgressStore) -> None:
    broken = report(5, 5)
    object.__setattr__(broken.tasks[1], "id", object())
    with pytest.raises(InfrastructureError):
        store.record(broken)
    assert store.lab("first") == LabProgress("first")
    store.record(report(5, 0))
    assert store.lab("first").best == 5


def _other_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()


def _torn(path: Path) -> None:
    store = ProgressStore(path)
    for number in range(200):
        store.mark_lesson(f"lesson-{number}-{'x' * 100}")
    store.close()
    data = path.read_bytes()
    path.write_bytes(data[:4096] + os.urandom(len(data) - 4096))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.write_bytes(b"not a database at all " * 100), "no database"),
        (lambda path: path.write_bytes(os.urandom(20_000)), "no database"),
        (_other_database, "another program"),
        (_torn, "damaged"),
    ],
    ids=["text", "noise", "foreign", "torn"],
)
def test_a_file_that_is_not_ours_is_kept_aside(path: Path, spoil: object, said: str) -> None:
    assert callable(spoil)
    path.parent.mkdir(parents=True)
    spoil(path)
    content = path.read_bytes()
    store = ProgressStore(path)
    assert said in store.notice
    store.record(report(5))
    assert store.lab("first").best == 5
    store.close()
    kept = path.with_name("progress.db.kept-1")
    assert kept.read_bytes() == content
    assert kept.name in store.notice


def test_a_second_broken_file_does_not_replace_the_first(path: Path) -> None:
    path.parent.mkdir(parents=True)
    said: list[str] = []
    for text in ("first", "second"):
        path.write_text(text * 1000, encoding="ascii")
        opened = ProgressStore(path, tell=said.append)
        assert opened.lab("first").best == 0
        opened.close()
    assert ["kept-1" in said[0], "kept-2" in said[1]] == [True, True]
    kept = sorted(path.parent.glob("*.kept-*"))
    assert [file.read_text(encoding="ascii")[:5] for file in kept] == ["first", "secon"]


def test_an_empty_file_is_a_beginning(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.touch()
    store = ProgressStore(path)
    assert store.notice == ""
    store.close()


def test_a_file_of_a_newer_version_is_left_alone(store: ProgressStore, path: Path) -> None:
    store.record(report(5))
    store.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(InfrastructureError, match="newer netdojo") as raised:
        ProgressStore(path).lab("first")
    assert "update" in raised.value.remedy
    assert not list(path.parent.glob("*.kept-*"))


def test_an_older_schema_is_brought_up_to_date(
    store: ProgressStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.record(report(5))
    store.close()
    migrations = (*progress.MIGRATIONS, "CREATE TABLE exam (id TEXT PRIMARY KEY) STRICT;")
    monkeypatch.setattr(progress, "MIGRATIONS", migrations)
    for _ in range(2):
        newer = ProgressStore(path)
        assert newer.lab("first").best == 5
        newer.close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    assert connection.execute("SELECT count(*) FROM exam").fetchone() == (0,)
    connection.close()


def test_a_migration_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ProgressStore(path).mark_lesson("first")
    monkeypatch.setattr(progress, "MIGRATIONS", (*progress.MIGRATIONS, "CREATE TABLE exam (id TEXT); CREATE nonsense;"))
    with pytest.raises(InfrastructureError):
        ProgressStore(path).lab("first")
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'exam'").fetchone() == (0,)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    connection.close()


def test_a_full_disk_is_said_and_what_was_there_stays(store: ProgressStore) -> None:
    store.record(report(5))
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(InfrastructureError, match="full") as raised:
        store.mark_lesson("x" * 100_000)
    assert "space" in raised.value.remedy
    assert store.lab("first").best == 5


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InfrastructureError, match="could not be opened"):
        ProgressStore(tmp_path / "file" / "progress.db").lab("first")


def test_a_store_that_was_closed_says_so(store: ProgressStore) -> None:
    store.mark_lesson("intro")
    store.close()
    with pytest.raises(InfrastructureError):
        store.lab("first")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere: permissions cannot be tested")
def test_a_read_only_file_is_said(store: ProgressStore, path: Path) -> None:
    store.mark_lesson("anatomy")
    store.close()
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        with pytest.raises(InfrastructureError):
            ProgressStore(path).mark_lesson("intro")
    finally:
        path.parent.chmod(0o700)


def test_nothing_is_opened_before_it_is_asked(tmp_path: Path) -> None:
    """What needs no progress works where none can be kept."""
    path = tmp_path / "data" / "progress.db"
    store = ProgressStore(path)
    store.close()
    assert not path.parent.exists()
