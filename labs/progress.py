"""What the learner has done, in SQLite under the platform's data folder; it survives a crash at any moment.

Every change is one transaction in WAL mode: a process that is killed in the middle leaves the state before or after,
never between. Several processes may write at once; they wait for one another. A file that is no progress database is
moved aside and kept, never written over.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from grader.errors import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from grader.report import Report

APPLICATION_ID = 0x6E646F6A
"""`ndoj` in SQLite's header: tells our files from other programs' (see `file` magic and PRAGMA application_id)."""

BUSY_SECONDS = 10.0
"""How long a writer waits for another process's transaction, which takes milliseconds."""

MIGRATIONS = (
    """
    CREATE TABLE lab (
        id TEXT PRIMARY KEY, best INTEGER NOT NULL, last INTEGER NOT NULL, points INTEGER NOT NULL,
        finished REAL NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE held_task (lab TEXT NOT NULL, task TEXT NOT NULL, PRIMARY KEY (lab, task)) STRICT;
    CREATE TABLE hint (lab TEXT NOT NULL, task TEXT NOT NULL, taken INTEGER NOT NULL, PRIMARY KEY (lab, task)) STRICT;
    CREATE TABLE lesson (id TEXT PRIMARY KEY, read REAL NOT NULL) STRICT;
    """,
)
"""Statements from each schema version to the next; PRAGMA user_version counts those that were made. Append only."""


@dataclass(frozen=True, slots=True)
class LabProgress:
    """A lab's best and last result; `finished` is when all tasks first held (seconds since the epoch, 0: not yet)."""

    lab: str
    best: int = 0
    last: int = 0
    points: int = 0
    finished: float = 0.0
    held_tasks: frozenset[str] = frozenset()


class ProgressStore:
    """Opened once per front end, when it is first asked: what needs no progress (stopping a lab) works on a full disk.

    Safe for several processes at once (WAL).

    Args:
        path: the file; made with its folder when it is not there.
        now: seconds since the epoch.
        tell: called with the notice when there is one, at the moment it arises.

    Every method raises InfrastructureError when the disk is full, the file cannot be written, or it was made by a newer
    netdojo; what was recorded before stays.
    """

    def __init__(
        self, path: Path, *, now: Callable[[], float] = time.time, tell: Callable[[str], None] = lambda _: None
    ) -> None:
        self.path = path
        self._tell = tell
        self._notice = ""
        self._now = now

    @property
    def notice(self) -> str:
        """What the user should know about the file, such as that a broken one was moved aside; mostly empty."""
        return self._notice if self._connection else ""

    @cached_property
    def _connection(self) -> sqlite3.Connection:
        return self._open()

    def lab(self, lab: str) -> LabProgress:
        """What is known of a lab."""
        with self._explained("read"):
            row = self._connection.execute(
                "SELECT best, last, points, finished FROM lab WHERE id = ?", (lab,)
            ).fetchone()
            tasks = self._connection.execute("SELECT task FROM held_task WHERE lab = ?", (lab,)).fetchall()
        best, last, points, finished = row or (0, 0, 0, 0.0)
        return LabProgress(lab, best, last, points, finished, frozenset(task for (task,) in tasks))

    def record(self, report: Report) -> None:
        """Keep a grading: the best result stays, and so does the first time that everything held.

        A task that held once counts as held: the learner may go on experimenting.
        """
        finished = self._now() if report.held else 0.0
        with self._explained("written"), self._transaction():
            self._connection.execute(
                """
                INSERT INTO lab (id, best, last, points, finished) VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (id) DO UPDATE SET
                    best = max(best, excluded.best), last = excluded.last, points = excluded.points,
                    finished = CASE finished WHEN 0 THEN excluded.finished ELSE finished END
                """,
                (report.lab, report.earned, report.earned, report.points, finished),
            )
            self._connection.executemany(
                "INSERT OR IGNORE INTO held_task (lab, task) VALUES (?, ?)",
                [(report.lab, task.id) for task in report.tasks if task.held],
            )

    def hints(self, lab: str, task: str) -> int:
        """How many hints have been taken."""
        with self._explained("read"):
            row = self._connection.execute("SELECT taken FROM hint WHERE lab = ? AND task = ?", (lab, task)).fetchone()
        return int(row[0]) if row else 0

    def add_hint(self, lab: str, task: str) -> None:
        """One more hint was taken."""
        with self._explained("written"), self._transaction():
            self._connection.execute(
                "INSERT INTO hint (lab, task, taken) VALUES (?, ?, 1)"
                " ON CONFLICT (lab, task) DO UPDATE SET taken = taken + 1",
                (lab, task),
            )

    def lesson_read(self, lesson: str) -> bool:
        """Tell whether a lesson was read to its end."""
        with self._explained("read"):
            return bool(self._connection.execute("SELECT 1 FROM lesson WHERE id = ?", (lesson,)).fetchone())

    def mark_lesson(self, lesson: str) -> None:
        """The lesson was read to its end."""
        with self._explained("written"), self._transaction():
            self._connection.execute("INSERT OR IGNORE INTO lesson (id, read) VALUES (?, ?)", (lesson, self._now()))

    def close(self) -> None:
        """Close the file, if it was opened."""
        if "_connection" in self.__dict__:
            self._connection.close()

    def _open(self) -> sqlite3.Connection:
        """Open the file, mend its schema; a file that is not ours is kept under another name and a new one is begun."""
        try:
            return self._connect()
        except _ForeignFileError as error:
            kept = self._move_aside()
            self._notice = f"{self.path} {error}; it was kept as {kept.name}, and progress begins anew"
            self._tell(self._notice)
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        with self._explained("opened"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            try:
                _patiently(lambda: self._prepare(connection))
            except BaseException:
                connection.close()
                raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        try:
            version = _version(connection)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            raise _ForeignFileError("is no database, or is damaged") from error
        if version > len(MIGRATIONS):
            raise InfrastructureError(
                f"{self.path} was written by a newer netdojo (schema {version}, this one knows {len(MIGRATIONS)})",
                remedy="update netdojo, or set NETDOJO_HOME to another folder",
            )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if version < len(MIGRATIONS):
            _migrate(connection)

    def _move_aside(self) -> Path:
        with self._explained("moved aside"):
            for number in range(1, 1000):
                kept = self.path.with_name(f"{self.path.name}.kept-{number}")
                if not kept.exists():
                    self.path.rename(kept)
                    for suffix in ("-wal", "-shm"):
                        journal = self.path.with_name(self.path.name + suffix)
                        if journal.exists():
                            journal.rename(kept.with_name(kept.name + suffix))
                    return kept
        raise InfrastructureError(f"there are too many broken copies of {self.path}", remedy="remove some of them")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise InfrastructureError(
                f"progress could not be {what} ({self.path}): {error}",
                remedy="free some space, permit writing there or set NETDOJO_HOME; what was kept before is still there",
            ) from error


class _ForeignFileError(Exception):
    """The file is not a progress database that can be read; the text says what it is."""


def _patiently(prepare: Callable[[], None]) -> None:
    """Try again while another process prepares the same new file.

    SQLite's own waiting does not cover the change to WAL, which needs the file for itself (see PRAGMA journal_mode).
    """
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return prepare()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _version(connection: sqlite3.Connection) -> int:
    """The schema's version, 0 for an empty file; all of it read at one moment, as another process may just make it.

    Raises:
        _ForeignFileError: a database, but not a sound one of ours.
    """
    connection.execute("BEGIN")
    try:
        if _pragma(connection, "application_id") != APPLICATION_ID:
            if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() != (0,):
                raise _ForeignFileError("is a database of another program")
        elif connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise _ForeignFileError("is damaged")
        return _pragma(connection, "user_version")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date in one transaction; another process may have done it meanwhile."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statements in MIGRATIONS[_pragma(connection, "user_version") :]:
            for statement in filter(str.strip, statements.split(";")):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
