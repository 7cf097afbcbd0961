"""One SQLite file, or another database by URL: connections, transactions, schema versions."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, CursorResult, Engine, create_engine, event, inspect, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from annotation_store.errors import NewerWorkspaceError, StoreError, WorkspaceUnusableError
from annotation_store.schema import STEPS, Step, facts

log = logging.getLogger(__name__)

BUSY_TIMEOUT_S = 20
"""How long a write waits for another process; ours hold the lock for milliseconds."""


class Database:
    """Reads see one moment; writes are one visible transaction each.

    Safe from many threads and, for SQLite, from many processes.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, url: str, *, steps: Sequence[Step] = STEPS) -> Database:
        """Connect to `url` and bring its schema up to date with `steps`.

        Raises:
            NewerWorkspaceError: a newer Refscribe wrote it.
            WorkspaceUnusableError: it cannot be read or written, or is no database.
        """
        engine = create_engine(url, connect_args=_connect_arguments(url))
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        database = cls(engine)
        try:
            _bring_up_to_date(database, steps)
        except DBAPIError as error:
            engine.dispose()
            raise WorkspaceUnusableError(
                f"The workspace's database cannot be used ({_reason(error)}). Check that "
                f"{engine.url.database} is a file of Refscribe and can be written."
            ) from error
        except BaseException:
            engine.dispose()
            raise
        return database

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading; everything read in it is of one moment."""
        with _explained(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that holds the write lock from its start: all of it or nothing."""
        # BEGIN IMMEDIATE: a check made inside still holds when the write follows.
        with (
            _explained(),
            self.engine.connect().execution_options(refscribe_write=True) as connection,
            connection.begin(),
        ):
            yield connection


def _connect_arguments(url: str) -> dict[str, Any]:
    return {"timeout": BUSY_TIMEOUT_S} if url.startswith("sqlite") else {}


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # We begin transactions ourselves; the driver must not.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # NORMAL syncs the log when it is folded in, not at every commit: a crash of the program loses
    # nothing, a power cut at most the last moments, and the file stays whole either way.
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("refscribe_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _reason(error: DBAPIError) -> str:
    return str(error.orig)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what the database refuses into a sentence; the transaction has been undone by then."""
    try:
        yield
    except OperationalError as error:
        reason = _reason(error)
        if "full" in reason:
            raise StoreError(
                "The disk that holds the workspace is full; this change was not saved and "
                "everything before it is. Make room, then repeat it."
            ) from error
        if "locked" in reason:
            raise StoreError(
                "Another program has held the workspace for too long; this change was not saved. "
                "Try again."
            ) from error
        raise StoreError(
            f"The workspace's database refused this ({reason}); it was not saved."
        ) from error


def _bring_up_to_date(database: Database, steps: Sequence[Step]) -> None:
    """Run the steps the database lacks, after a backup copy when it already holds something."""
    with database.read() as connection:
        version = _version(connection)
    if version > len(steps):
        raise NewerWorkspaceError(version, len(steps))
    if version == len(steps):
        return
    if version > 0:
        _back_up(database.engine, version)
    # Two processes may come here at once: the lock lets one in, the other finds it done.
    with database.write() as connection:
        for number, step in enumerate(
            steps[_version(connection) :], start=_version(connection) + 1
        ):
            step(connection)
            _set_version(connection, number)


def _version(connection: Connection) -> int:
    if not inspect(connection).has_table(facts.name):
        return 0
    value = connection.scalar(select(facts.c.value).where(facts.c.name == "schema_version"))
    return int(value) if value is not None else 0


def _set_version(connection: Connection, version: int) -> None:
    connection.execute(facts.delete().where(facts.c.name == "schema_version"))
    connection.execute(facts.insert().values(name="schema_version", value=str(version)))


def _back_up(engine: Engine, version: int) -> None:
    if engine.dialect.name != "sqlite" or not engine.url.database:
        log.warning("no backup is made of %s: please make one", engine.url.render_as_string())
        return
    file = Path(engine.url.database)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    copy = file.with_name(f"{file.stem}-version-{version}-{stamp}{file.suffix}")
    if shutil.disk_usage(file.parent).free < 2 * file.stat().st_size:
        raise WorkspaceUnusableError(
            f"Updating the workspace needs room for a backup copy of {file.name} beside it. "
            "Make room on the disk and start again."
        )
    source, backup = sqlite3.connect(file), sqlite3.connect(copy)
    try:
        source.backup(backup)  # includes what is still in the log
    finally:
        source.close()
        backup.close()
    log.info("kept a copy of the workspace before updating it: %s", copy)


def new_id(result: CursorResult[Any]) -> int:
    """The id of the row that was just inserted."""
    key = result.inserted_primary_key
    assert key is not None, "the statement was no insert"
    return int(key[0])


def integrity(database: Database) -> str:
    """SQLite's own word on the file: "ok", or what is wrong with it."""
    with database.read() as connection:
        return str(connection.scalar(text("PRAGMA integrity_check")))
