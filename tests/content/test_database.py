"""The database: transactions are whole, and threads, forks and other processes share it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dockersim.content import Database
from dockersim.errors import StoreError

TABLE = "CREATE TABLE IF NOT EXISTS n (value INTEGER)"


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(tmp_path / "root" / "dockersim.db")
    database.register(TABLE)
    return database


def add(database: Database, value: int = 1) -> None:
    with database.transaction() as connection:
        connection.execute("INSERT INTO n VALUES (?)", (value,))


def total(database: Database) -> int:
    return int(database.query("SELECT coalesce(sum(value), 0) FROM n")[0][0])


def test_reading_makes_no_file(database: Database) -> None:
    assert database.query("SELECT * FROM n") == []
    assert not database.path.parent.exists()


def test_a_transaction_that_raises_changes_nothing(database: Database) -> None:
    add(database)
    with pytest.raises(KeyboardInterrupt), database.transaction() as connection:
        connection.execute("INSERT INTO n VALUES (100)")
        raise KeyboardInterrupt
    assert total(database) == 1


def test_a_transaction_inside_another_belongs_to_it(database: Database) -> None:
    with pytest.raises(KeyError), database.transaction():
        add(database)
        raise KeyError
    assert total(database) == 0


def test_a_table_may_be_registered_late(database: Database) -> None:
    add(database)
    database.register("CREATE TABLE IF NOT EXISTS late (x)")
    assert database.query("SELECT * FROM late") == []


def test_it_opens_again_after_close(database: Database) -> None:
    add(database)
    database.close()
    database.close()
    add(database)
    assert total(database) == 2


def test_threads_share_it(database: Database) -> None:
    threads = [threading.Thread(target=lambda: [add(database) for _ in range(25)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total(database) == 100


def test_processes_share_it_from_the_first_moment_on(database: Database) -> None:
    program = f"""if True:
        import sys
        from pathlib import Path
        from dockersim.content import Database
        database = Database(Path(sys.argv[1]))
        database.register({TABLE!r})
        for _ in range(20):
            with database.transaction() as connection:
                connection.execute("INSERT INTO n VALUES (1)")
    """
    children = [subprocess.Popen([sys.executable, "-c", program, database.path]) for _ in range(4)]
    assert [child.wait() for child in children] == [0, 0, 0, 0]
    assert total(database) == 80


def test_a_forked_child_has_a_connection_of_its_own(database: Database) -> None:
    add(database)
    child = os.fork()
    if child == 0:
        add(database, 10)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert total(database) == 11


def test_a_damaged_file_is_one_plain_line(database: Database) -> None:
    database.path.parent.mkdir()
    database.path.write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError, match=r"dockersim.db is damaged.*; move it away"):
        add(database)


def test_a_wrong_statement_is_a_bug_and_stays_one(database: Database) -> None:
    add(database)
    with pytest.raises(sqlite3.ProgrammingError):
        database.query("SELECT ?", (1, 2))
