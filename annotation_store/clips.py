"""The clips of a workspace."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, case, exists, func, select

from annotation_store import draft_folders
from annotation_store.database import Database, new_id
from annotation_store.errors import NotFoundError, StoreError
from annotation_store.features import features_folder
from annotation_store.frames import clip_folder
from annotation_store.names import clean_text
from annotation_store.schema import clip, current, draft, edit, expression, mask, target

FPS = 24
CATEGORIES = (
    "temporal object changes",
    "motion patterns",
    "dynamic environmental changes",
    "interaction sequences",
    "pattern evolution",
)
"""The five kinds of process of Ref-VPS (arXiv 2410.23287, section 4)."""
STATES = ("new", "drafted", "in progress", "done")


@dataclass(frozen=True)
class Clip:
    """One ingested video, as numbered upright frames of `height` x `width`.

    `trim_*_s` are seconds of the source, None where it was not trimmed; `crop` is (x, y, w, h) in
    pixels of the upright source; `rotation` in degrees was applied.  `revision` grows with every
    change of any mask of the clip.  `state` follows the work: a clip with a draft is "drafted", one
    with a mask "in progress"; that it is "done" a person says.
    """

    id: int
    name: str
    concept: str
    category: str
    state: str
    width: int
    height: int
    frame_count: int
    fps: float
    source_name: str
    source_sha256: str
    trim_start_s: float | None
    trim_end_s: float | None
    crop: tuple[int, int, int, int] | None
    rotation: int
    created_at: float
    revision: int

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.height, self.width


@dataclass(frozen=True)
class ClipSummary:
    """A clip as the list shows it."""

    clip: Clip
    targets: int
    expressions: int
    annotators: tuple[str, ...]
    masked_frames: int
    verified_frames: int


def _has_masks() -> ColumnElement[bool]:
    shown = current.join(
        mask,
        (mask.c.target_id == current.c.target_id)
        & (mask.c.layer == current.c.layer)
        & (mask.c.frame_index == current.c.frame_index)
        & (mask.c.version == current.c.version),
    ).join(target, target.c.id == current.c.target_id)
    found = exists().select_from(shown)
    return found.where(target.c.clip_id == clip.c.id, mask.c.rle.is_not(None)).correlate(clip)


def _state() -> ColumnElement[str]:
    """What a person said of the clip, or what its masks and drafts say where that is further."""
    drafted = exists().where(draft.c.clip_id == clip.c.id).correlate(clip)
    return case(
        (clip.c.state == "done", "done"),
        ((clip.c.state == "in progress") | _has_masks(), "in progress"),
        ((clip.c.state == "drafted") | drafted, "drafted"),
        else_="new",
    ).label("state")


_COLUMNS = [
    _state() if column.name == "state" else column
    for column in clip.c
    if column.name != "time_table"
]


def _clip(row: Row[Any]) -> Clip:
    values = dict(row._mapping)
    if values["crop"] is not None:
        values["crop"] = tuple(values["crop"])
    return Clip(**values)


def get_clip(connection: Connection, clip_id: int) -> Clip:
    """The clip inside a transaction already begun; NotFoundError when there is none."""
    row = connection.execute(select(*_COLUMNS).where(clip.c.id == clip_id)).first()
    if row is None:
        raise NotFoundError(f"There is no clip {clip_id}; it may have been removed.")
    return _clip(row)


def time_table_of(connection: Connection, clip_id: int) -> tuple[float, ...]:
    """Per frame of the clip, the second of the source it shows."""
    times = connection.scalar(select(clip.c.time_table).where(clip.c.id == clip_id))
    if times is None:
        raise NotFoundError(f"There is no clip {clip_id}; it may have been removed.")
    return tuple(times)


class Clips:
    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder

    def add(
        self,
        *,
        name: str,
        width: int,
        height: int,
        frame_count: int,
        source_name: str,
        source_sha256: str,
        time_table: Sequence[float],
        place: Callable[[int], object],
        trim_start_s: float | None = None,
        trim_end_s: float | None = None,
        crop: tuple[int, int, int, int] | None = None,
        rotation: int = 0,
        concept: str = "",
        category: str = "",
    ) -> Clip:
        """Insert a clip; `place(clip_id)` moves its frames to their final folder.

        Both or neither: an error in `place` takes the row back.
        """
        values = {
            "name": clean_text(name, "a clip's name", longest=300),
            "width": width,
            "height": height,
            "frame_count": frame_count,
            "fps": FPS,
            "source_name": source_name,
            "source_sha256": source_sha256,
            "trim_start_s": trim_start_s,
            "trim_end_s": trim_end_s,
            "crop": crop,
            "rotation": rotation,
            "concept": clean_text(concept, "a concept", longest=300, empty=True),
            "category": _known(category, ("", *CATEGORIES), "a category"),
            "time_table": list(time_table),
            "created_at": time.time(),
        }
        with self._database.write() as connection:
            result = connection.execute(clip.insert().values(values))
            clip_id = new_id(result)
            place(clip_id)
            return get_clip(connection, clip_id)

    def list(self) -> list[Clip]:
        """All clips, oldest first."""
        with self._database.read() as connection:
            return [_clip(row) for row in connection.execute(select(*_COLUMNS).order_by(clip.c.id))]

    def get(self, clip_id: int) -> Clip:
        with self._database.read() as connection:
            return get_clip(connection, clip_id)

    def find_by_hash(self, sha256: str) -> Sequence[Clip]:
        """Clips made from the source with this hash, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(*_COLUMNS).where(clip.c.source_sha256 == sha256).order_by(clip.c.id)
            )
            return [_clip(row) for row in rows]

    def time_table(self, clip_id: int) -> tuple[float, ...]:
        """Per frame, the second of the source it shows."""
        with self._database.read() as connection:
            return time_table_of(connection, clip_id)

    def update(
        self,
        clip_id: int,
        *,
        name: str | None = None,
        concept: str | None = None,
        category: str | None = None,
        state: str | None = None,
    ) -> Clip:
        """Change what is given."""
        values = {}
        if name is not None:
            values["name"] = clean_text(name, "a clip's name", longest=300)
        if concept is not None:
            values["concept"] = clean_text(concept, "a concept", longest=300, empty=True)
        if category is not None:
            values["category"] = _known(category, ("", *CATEGORIES), "a category")
        if state is not None:
            values["state"] = _known(state, STATES, "a state")
        with self._database.write() as connection:
            get_clip(connection, clip_id)
            if values:
                connection.execute(clip.update().where(clip.c.id == clip_id).values(values))
            return get_clip(connection, clip_id)

    def remove(self, clip_id: int) -> None:
        """Remove a clip with its masks, drafts and frames."""
        with self._database.write() as connection:
            get_clip(connection, clip_id)
            folders = draft_folders.folders_of(connection, self._folder, draft.c.clip_id == clip_id)
            connection.execute(edit.delete().where(edit.c.clip_id == clip_id))
            connection.execute(clip.delete().where(clip.c.id == clip_id))
        # Rows first: files without a row are only room lost, a row without files is a broken clip.
        shutil.rmtree(clip_folder(self._folder, clip_id), ignore_errors=True)
        shutil.rmtree(features_folder(self._folder, clip_id), ignore_errors=True)
        draft_folders.delete(folders)

    def summary(self) -> Sequence[ClipSummary]:
        """Every clip with its counts, oldest first, in a handful of grouped queries."""
        with self._database.read() as connection:
            clips = [
                _clip(row) for row in connection.execute(select(*_COLUMNS).order_by(clip.c.id))
            ]
            targets = _counts(
                connection, select(target.c.clip_id, func.count()).group_by(target.c.clip_id)
            )
            expressions = _counts(
                connection,
                select(expression.c.clip_id, func.count()).group_by(expression.c.clip_id),
            )
            people: dict[int, list[str]] = {}
            for clip_id, annotator in connection.execute(
                select(expression.c.clip_id, expression.c.annotator)
                .distinct()
                .order_by(expression.c.annotator)
            ):
                people.setdefault(clip_id, []).append(annotator)
            shown = (
                select(
                    target.c.clip_id,
                    func.count(func.distinct(mask.c.frame_index)),
                )
                .join(current, current.c.target_id == target.c.id)
                .join(
                    mask,
                    (mask.c.target_id == current.c.target_id)
                    & (mask.c.layer == current.c.layer)
                    & (mask.c.frame_index == current.c.frame_index)
                    & (mask.c.version == current.c.version),
                )
                .where(mask.c.layer == "target", mask.c.rle.is_not(None))
                .group_by(target.c.clip_id)
            )
            masked = _counts(connection, shown)
            verified = _counts(connection, shown.where(mask.c.verified))
        return [
            ClipSummary(
                one,
                targets.get(one.id, 0),
                expressions.get(one.id, 0),
                tuple(people.get(one.id, ())),
                masked.get(one.id, 0),
                verified.get(one.id, 0),
            )
            for one in clips
        ]


def _counts(connection: Connection, query: Any) -> dict[int, int]:
    return {row[0]: row[1] for row in connection.execute(query)}


def _known(value: str, known: Sequence[str], what: str) -> str:
    if value not in known:
        choices = ", ".join(repr(choice) for choice in known)
        raise StoreError(f"Expected {what} out of {choices}; got {value!r}.")
    return value
