"""The entities to be segmented in a clip."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, func, select

from annotation_store import draft_folders
from annotation_store.clips import get_clip
from annotation_store.database import Database, new_id
from annotation_store.done_edits import answer_to, note_done
from annotation_store.errors import NotFoundError
from annotation_store.names import clean_text
from annotation_store.schema import clip, draft, edit, expression, target


@dataclass(frozen=True)
class Target:
    """`number` counts from 1 within the clip and is the value in exported palette PNGs."""

    id: int
    clip_id: int
    number: int
    name: str
    created_at: float


def _target(row: Row[Any]) -> Target:
    return Target(**row._mapping)


def get_target(connection: Connection, target_id: int) -> Target:
    """The target inside a transaction already begun; NotFoundError when there is none."""
    row = connection.execute(select(target).where(target.c.id == target_id)).first()
    if row is None:
        raise NotFoundError(f"There is no target {target_id}; it may have been removed.")
    return _target(row)


def targets_of(connection: Connection, clip_id: int) -> list[Target]:
    """The clip's targets by number, inside a transaction already begun."""
    query = select(target).where(target.c.clip_id == clip_id).order_by(target.c.number)
    return [_target(row) for row in connection.execute(query)]


class Targets:
    def __init__(self, database: Database, folder: Path) -> None:
        """`folder` is the workspace's."""
        self._database = database
        self._folder = folder

    def add(self, clip_id: int, name: str = "", *, asked_as: str = "") -> Target:
        """A new target with the clip's next number.

        Asked for again under the same `asked_as`, it is made once.
        """
        name = clean_text(name, "a target's name", longest=300, empty=True)
        with self._database.write() as connection:
            if (answer := answer_to(connection, asked_as)) is not None:
                return get_target(connection, answer["target_id"])
            get_clip(connection, clip_id)
            highest = connection.scalar(
                select(func.max(target.c.number)).where(target.c.clip_id == clip_id)
            )
            result = connection.execute(
                target.insert().values(
                    clip_id=clip_id, number=(highest or 0) + 1, name=name, created_at=time.time()
                )
            )
            made = get_target(connection, new_id(result))
            note_done(connection, asked_as, clip_id, {"target_id": made.id})
            return made

    def list(self, clip_id: int) -> list[Target]:
        """The clip's targets by number."""
        with self._database.read() as connection:
            return targets_of(connection, clip_id)

    def get(self, target_id: int) -> Target:
        with self._database.read() as connection:
            return get_target(connection, target_id)

    def rename(self, target_id: int, name: str) -> Target:
        name = clean_text(name, "a target's name", longest=300, empty=True)
        with self._database.write() as connection:
            get_target(connection, target_id)
            connection.execute(target.update().where(target.c.id == target_id).values(name=name))
            return get_target(connection, target_id)

    def remove(self, target_id: int) -> None:
        """Remove a target with its expressions, masks and drafts."""
        with self._database.write() as connection:
            removed = get_target(connection, target_id)
            own = select(expression.c.id).where(expression.c.target_id == target_id)
            folders = draft_folders.folders_of(
                connection, self._folder, draft.c.expression_id.in_(own)
            )
            connection.execute(edit.delete().where(edit.c.target_id == target_id))
            connection.execute(target.delete().where(target.c.id == target_id))
            connection.execute(
                clip.update()
                .where(clip.c.id == removed.clip_id)
                .values(revision=clip.c.revision + 1)
            )
        draft_folders.delete(folders)
