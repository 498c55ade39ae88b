"""The records of all containers, in the database of the root, and their folders beside it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dockersim.containers.life import Folder
from dockersim.containers.record import Record
from dockersim.content import Database
from dockersim.content.disk import locked
from dockersim.errors import ContainerError
from dockersim.snapshots.disk import store_errors

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS container (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    record TEXT NOT NULL         -- what it was created as, as JSON
);
"""

_ID: Final = re.compile(r"[0-9a-f]{1,64}")


class NoSuchContainer(ContainerError):
    """No container has that name or id."""


class ContainerStore:
    """Records by name and id. A record whose folder is gone, or the other way round, is swept."""

    def __init__(self, root: Path, database: Database) -> None:
        self._root = os.path.realpath(root / "containers")
        self._database = database
        database.register(SCHEMA)

    def folder(self, container_id: str) -> Folder:
        """Give the folder of a container."""
        return Folder(f"{self._root}/{container_id}")

    def make_folder(self, container_id: str) -> tuple[Folder, int]:
        """Make the folder of a new container, and hold its lock so that nobody takes it for a left-over."""
        folder = self.folder(container_id)
        with locked(Path(f"{self._root}.lock")):  # or a sweep could come between making and holding it
            self._sweep()
            with store_errors("the container cannot be made"):
                os.makedirs(folder.path, 0o700)
            lock = folder.hold()
        assert lock is not None
        return folder, lock

    def add(self, record: Record) -> None:
        """Keep a record. Raises ContainerError, in docker's words, if its name is taken."""
        with self._database.transaction() as connection:
            self.check_name(record.name)
            connection.execute("INSERT INTO container VALUES (?, ?, ?)", (record.id, record.name, record.to_json()))

    def check_name(self, name: str) -> None:
        """Raise ContainerError if a container has that name."""
        taken = self._select("name = ?", name) if name.isascii() else []
        if taken:
            raise ContainerError(
                f'Conflict. The container name "/{name}" is already in use by container "{taken[0].id}". '
                "You have to remove (or rename) that container to be able to reuse that name."
            )

    def all(self) -> tuple[Record, ...]:
        """Give every record, latest first."""
        return tuple(sorted(self._select("1"), key=lambda record: record.created, reverse=True))

    def find(self, name_or_id: str) -> Record:
        """Find by id, name or the beginning of an id, in docker's order. Raises NoSuchContainer, or ContainerError."""
        wanted = name_or_id.removeprefix("/")
        # What is typed need not be text at all; a name is always ASCII.
        found = (self._select("id = ?", wanted) or self._select("name = ?", wanted)) if wanted.isascii() else []
        if not found and _ID.fullmatch(wanted):
            found = self._select("id GLOB ?", f"{wanted}*")
        if len(found) > 1:
            raise ContainerError(f"multiple IDs found with provided prefix: {name_or_id}", hint="give more of it")
        if not found:
            raise NoSuchContainer(f"No such container: {name_or_id}")
        return found[0]

    def remove(self, record: Record) -> None:
        """Delete record and folder; a kill in between leaves a folder that is swept. Repeatable."""
        self.forget(record)
        with store_errors("the container's files cannot be deleted"):
            self.folder(record.id).bury()

    def forget(self, record: Record) -> None:
        """Delete the record."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM container WHERE id = ?", (record.id,))

    def _select(self, condition: str, *parameters: str) -> list[Record]:
        rows = self._database.query(f"SELECT record FROM container WHERE {condition}", parameters)
        found = [Record.from_json(row[0]) for row in rows]
        gone = [record for record in found if not self.folder(record.id).exists()]
        for record in gone:
            self.forget(record)
        return [record for record in found if record not in gone]

    def _sweep(self) -> None:
        """Delete folders that no record leads to and nobody holds: what was half made, or half deleted."""
        known = {row[0] for row in self._database.query("SELECT id FROM container")}
        for name in set(self._folders()) - known:
            folder = self.folder(name)
            if not folder.is_held() and not self._database.query("SELECT id FROM container WHERE id = ?", (name,)):
                folder.bury()

    def _folders(self) -> Iterator[str]:
        if os.path.isdir(self._root):
            yield from os.listdir(self._root)
