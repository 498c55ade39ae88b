"""The one database of a root: names of images, cache entries, records of builds, containers.

SQLite with a write-ahead log: readers never wait, one writer at a time does, and a kill at any moment leaves
the last committed transaction. Each package brings its own tables.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     database = Database(Path(folder) / "dockersim.db")
...     database.register("CREATE TABLE IF NOT EXISTS visit (who TEXT PRIMARY KEY, times INTEGER)")
...     with database.transaction() as connection:
...         _ = connection.execute("INSERT INTO visit VALUES (?, ?)", ("ada", 1))
...     database.query("SELECT who, times FROM visit")
...     database.close()
[('ada', 1)]
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dockersim.content.disk import told_plainly
from dockersim.errors import StoreError

if TYPE_CHECKING:
    import sqlite3

_LOG_INDEX = 64 << 10
"""Bytes; SQLite makes the index of its log 32 KiB at a time (sqlite.org/walformat.html, section 2.1)."""

BUSY_SECONDS = 15.0
"""How long to wait for another process's transaction; ours take milliseconds."""


class Database:
    """One SQLite file, opened at the first use, and again after a fork; any thread may use it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._schemas: list[str] = []
        self._connection: sqlite3.Connection | None = None
        self._owner = 0
        self._lock = threading.RLock()

    def register(self, schema: str) -> None:
        """Add statements that make tables and indexes (``CREATE ... IF NOT EXISTS``). Repeatable."""
        with self._lock:
            if schema in self._schemas:
                return
            self._schemas.append(schema)
            if self._connection is not None and self._owner == os.getpid():
                with self._plainly():
                    self._connection.executescript(schema)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Do several things as one: all of them are kept if the block ends, none if it raises.

        A block inside another of the same thread belongs to the outer one.
        """
        with self._lock, self._plainly():
            connection = self._open()
            if connection.in_transaction:
                yield connection
                return
            # IMMEDIATE: taking the write lock late would fail, rather than wait, after another's write.
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Read rows; none where there is no database yet, which reading does not make."""
        with self._lock, self._plainly():
            if self._connection is None and not self.path.exists():
                return []
            return self._open().execute(statement, parameters).fetchall()

    def close(self) -> None:
        """Close the file; the next use opens it again. Repeatable."""
        with self._lock:
            if self._connection is not None and self._owner == os.getpid():
                self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None or self._owner != os.getpid():
            # A connection must not be carried across a fork, not even to be closed: that would drop the
            # parent's locks (sqlite.org/howtocorrupt.html, section 2.6).
            self._connection, self._owner = self._connect(), os.getpid()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        import sqlite3  # 5 ms, and a cached build may do without

        with told_plainly("make", self.path.parent):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        _use_write_ahead_log(connection)
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        for schema in self._schemas:
            connection.executescript(schema)
        return connection

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        import sqlite3

        try:
            yield
        except sqlite3.OperationalError as error:
            said = "the disk is full" if _is_full(self.path, str(error)) else str(error)
            raise StoreError(f"cannot use {self.path}: {said}", hint=_advice(said)) from error
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
                raise
            raise StoreError(
                f"{self.path} is damaged: {error}", hint="move it away; images can be built or loaded again"
            ) from error


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch to the log once; SQLite does not wait when two processes do so at the same moment, so we do."""
    import sqlite3

    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            if connection.execute("PRAGMA journal_mode=WAL").fetchone() is not None:
                return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _is_full(path: Path, said: str) -> bool:
    """Tell what SQLite's "disk I/O error" hides: there is no room for the index of its log (``-shm``)."""
    import shutil  # 2 ms that a cached build need not spend

    try:
        return "full" in said or ("I/O" in said and shutil.disk_usage(path.parent).free < _LOG_INDEX)
    except OSError:
        return False


def _advice(text: str) -> str:
    if "locked" in text:
        return "another dockersim is busy with it; try again in a moment"
    if "readonly" in text or "unable to open" in text:
        return "make the directory yours, or set DOCKERSIM_HOME to one that is"
    return "free some space, or set DOCKERSIM_HOME to a larger disk" if "full" in text else ""
