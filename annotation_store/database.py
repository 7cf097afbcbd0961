"""The SQLite file of a workspace: connections, transactions, one visible moment each."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, CursorResult, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from annotation_store.database_file import DatabaseFile
from annotation_store.errors import (
    StoreError,
    WorkspaceBusyError,
    WorkspaceLostError,
    WorkspaceUnusableError,
)

ANSWERED_IN_S = 4.0
"""How long a person's request waits for another program that writes."""
LONG_WORK_S = 60.0
"""How long work of minutes does; ours hold the lock for milliseconds, others may for longer."""
THREADS = 40
"""Connections kept; as many threads answer requests."""

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class Database:
    """Reads see one moment; writes are one visible transaction each.

    Safe from many threads and many processes.
    """

    def __init__(self, engine: Engine, file: DatabaseFile) -> None:
        self.engine = engine
        self.file = file

    @classmethod
    def open(cls, path: Path, *, patience_s: float) -> Database:
        """Connect to the file at `path`, making it if there is none.

        Whatever finds another program writing waits `patience_s` for it.

        Raises:
            WorkspaceUnusableError: it cannot be read or written, or is no database.
            WorkspaceBusyError: another program holds it.
        """
        engine = create_engine(
            URL.create("sqlite", database=str(path)),
            connect_args={"timeout": patience_s},
            pool_size=THREADS,
            max_overflow=-1,
        )
        event.listen(engine, "connect", _preparing(patience_s))
        event.listen(engine, "begin", _begin)
        try:
            with _explained(path):
                engine.connect().close()
        except WorkspaceBusyError:
            engine.dispose()
            raise
        except StoreError as error:
            engine.dispose()
            raise WorkspaceUnusableError(
                f"The workspace's database cannot be used ({_reason(error.__cause__)}). Check that "
                f"{path} is a file of Refscribe and can be written."
            ) from error
        return cls(engine, DatabaseFile(path))

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading; everything read in it is of one moment.

        Raises:
            WorkspaceBusyError: another program kept the file to itself for too long.
            WorkspaceLostError: the file is not the one that was opened any more.
        """
        self.file.require_there()
        with _explained(self.file.path), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that holds the write lock from its start: all of it or nothing.

        Raises as `read` does; then nothing of it was saved.
        """
        self.file.require_there()
        # BEGIN IMMEDIATE: a check made inside still holds when the write follows.
        with (
            _explained(self.file.path),
            self.engine.connect().execution_options(refscribe_write=True) as connection,
            connection.begin(),
        ):
            yield connection
        # SQLite commits to a file that was removed as to any other: nobody will find it there.
        self.file.require_there()


def _preparing(patience_s: float) -> Any:
    def prepare(connection: Any, _record: Any) -> None:
        # We begin transactions ourselves; the driver must not.
        connection.isolation_level = None
        cursor = connection.cursor()
        _keep_a_log(cursor, patience_s)
        # NORMAL syncs the log when it is folded in, not at every commit: a crash of the program
        # loses nothing, a power cut at most the last moments, and the file stays whole either way.
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    return prepare


def _keep_a_log(cursor: sqlite3.Cursor, patience_s: float) -> None:
    """Keep changes in a log beside the file, so that nobody who reads waits for who writes.

    SQLite refuses the change at once where two make it to a new file together, patient or not.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if _code(error) not in _BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _begin(connection: Connection) -> None:
    writing = connection.get_execution_options().get("refscribe_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _code(error: BaseException | None) -> int:
    """SQLite's number for what went wrong, without its details; 0 if it is not SQLite's."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _reason(error: BaseException | None) -> str:
    return str(error.orig if isinstance(error, DBAPIError) else error)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the database refuses into a sentence; the transaction has been undone by then."""
    try:
        yield
    except DBAPIError as error:
        code = _code(error.orig)
        if code in _BUSY:
            raise WorkspaceBusyError from error
        if code in _DAMAGED:
            raise WorkspaceLostError(path, "is damaged") from error
        if code == sqlite3.SQLITE_FULL:
            raise StoreError(
                "The disk that holds the workspace is full; this change was not saved and "
                "everything before it is. Make room, then repeat it."
            ) from error
        if isinstance(error.orig, sqlite3.OperationalError):
            raise StoreError(
                f"The workspace's database refused this ({error.orig}); it was not saved."
            ) from error
        raise


def new_id(result: CursorResult[Any]) -> int:
    """The id of the row that was just inserted."""
    key = result.inserted_primary_key
    assert key is not None, "the statement was no insert"
    return int(key[0])
