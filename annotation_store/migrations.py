"""Bringing the schema of a workspace up to date: a new one at once, an older one step by step."""

from __future__ import annotations

import contextlib
import logging
import shutil
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, inspect, select

from annotation_store.database import Database
from annotation_store.errors import NewerWorkspaceError, WorkspaceUnusableError
from annotation_store.schema import facts, metadata

log = logging.getLogger(__name__)

STEPS: Sequence[Sequence[str]] = (
    # To version 2: what a refiner thought of each propagated mask.
    ("ALTER TABLE mask ADD COLUMN confidence FLOAT",),
    # To version 3: every answer of segmenters that give several.
    (
        """CREATE TABLE draft_query (
            draft_id INTEGER NOT NULL,
            number INTEGER NOT NULL,
            score FLOAT NOT NULL,
            chosen BOOLEAN NOT NULL,
            PRIMARY KEY (draft_id, number),
            FOREIGN KEY (draft_id) REFERENCES draft (id) ON DELETE CASCADE
        )""",
        """CREATE TABLE draft_query_frame (
            draft_id INTEGER NOT NULL,
            number INTEGER NOT NULL,
            frame_index INTEGER NOT NULL,
            rle BLOB NOT NULL,
            PRIMARY KEY (draft_id, number, frame_index),
            FOREIGN KEY (draft_id, number) REFERENCES draft_query (draft_id, number)
                ON DELETE CASCADE
        )""",
    ),
    # To version 4: edits that are done once, however often they are asked for.
    (
        """CREATE TABLE done_edit (
            name VARCHAR(80) NOT NULL,
            clip_id INTEGER NOT NULL,
            at FLOAT NOT NULL,
            answer JSON NOT NULL,
            PRIMARY KEY (name),
            FOREIGN KEY (clip_id) REFERENCES clip (id) ON DELETE CASCADE
        )""",
        "CREATE INDEX ix_done_edit_at ON done_edit (at)",
    ),
)
"""Step n brings a workspace of version n + 1 to version n + 2.

Frozen: what a step does never follows the tables of today, which later steps lead to.
"""
VERSION = 1 + len(STEPS)


def bring_up_to_date(database: Database) -> None:
    """Make the tables of a new workspace, or run the steps an older one lacks after a backup.

    Raises:
        NewerWorkspaceError: a newer Refscribe wrote it.
        WorkspaceUnusableError: the backup cannot be made.
    """
    with database.read() as connection:
        version = _version(connection)
    if version > VERSION:
        raise NewerWorkspaceError(version, VERSION)
    if version == VERSION:
        return
    # Two programs may come here at once: the lock lets one in, the other finds it done.
    with database.write() as connection:
        version = _version(connection)
        if version == 0:
            metadata.create_all(connection)
        elif version < VERSION:
            _back_up(database.file.path, version)
            for statements in STEPS[version - 1 :]:
                for statement in statements:
                    connection.exec_driver_sql(statement)
        _set_version(connection)


def _version(connection: Connection) -> int:
    """0 for a new workspace."""
    if not inspect(connection).has_table(facts.name):
        return 0
    value = connection.scalar(select(facts.c.value).where(facts.c.name == "schema_version"))
    return int(value) if value is not None else 0


def _set_version(connection: Connection) -> None:
    connection.execute(facts.delete().where(facts.c.name == "schema_version"))
    connection.execute(facts.insert().values(name="schema_version", value=str(VERSION)))


def _back_up(file: Path, version: int) -> None:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    copy = file.with_name(f"{file.stem}-version-{version}-{stamp}{file.suffix}")
    try:
        if shutil.disk_usage(file.parent).free < 2 * file.stat().st_size:
            raise WorkspaceUnusableError(
                f"Updating the workspace needs room for a backup copy of {file.name} beside it. "
                "Make room on the disk and start again."
            )
        _copy(file, copy)
    except (sqlite3.Error, OSError) as error:
        with contextlib.suppress(OSError):
            copy.unlink(missing_ok=True)  # half a copy is worse than none
        raise WorkspaceUnusableError(
            f"The workspace cannot be updated: its backup copy {copy.name} cannot be made "
            f"({error}). Nothing was changed; see to the disk and start again."
        ) from error
    log.info("kept a copy of the workspace before updating it: %s", copy)


def _copy(file: Path, copy: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(file)) as source,
        contextlib.closing(sqlite3.connect(copy)) as backup,
    ):
        source.backup(backup)  # includes what is still in the log
