"""Every change of masks: a stroke, a click, a propagation, an accepted draft.

An edit is one step of undo, however many frames it touched.  Undo and redo add versions that
hold earlier content, so that a version number never means two things.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

from sqlalchemy import Connection, func, insert, select, update

from annotation_store import runs
from annotation_store.clips import get_clip
from annotation_store.database import Database, new_id
from annotation_store.errors import NotFoundError, StaleMaskError, StoreError
from annotation_store.masks import Origin, StoredMask, load_current
from annotation_store.names import clean_text
from annotation_store.schema import change, clip, current, edit, mask
from annotation_store.targets import get_target
from video_types import Click, Layer, Mask, require_mask

LONGEST_PAUSE_S = 60.0


@dataclass(frozen=True)
class MaskChange:
    """The new content of one layer of one frame.

    `mask` is (H, W), or None for no mask.  `seen` is the version the edit started from, 0 for a
    frame without one.  `clicks` are all clicks in force, `base_version` the version they correct;
    `confidence` is what a refiner thinks of the mask, 0 to 1.
    """

    layer: Layer
    frame_index: int
    mask: Mask | None
    seen: int
    clicks: tuple[Click, ...] = ()
    base_version: int = 0
    verified: bool = False
    confidence: float | None = None


@dataclass(frozen=True)
class Applied:
    """What an edit made: the new version of every (layer, frame_index), the clip's revision."""

    edit_id: int
    versions: dict[tuple[Layer, int], int]
    revision: int


@dataclass(frozen=True)
class Reverted:
    """An edit that was undone or redone, and the (target_id, layer, frame_index) it changed."""

    edit_id: int
    kind: str
    changed: list[tuple[int, Layer, int]]
    revision: int


@dataclass(frozen=True)
class Edit:
    id: int
    clip_id: int
    target_id: int
    kind: str
    annotator: str
    note: str
    state: Literal["done", "undone", "discarded"]
    clicks: int
    created_at: float


@dataclass(frozen=True)
class Cost:
    """What one annotator spent on a clip; pauses over a minute count as a minute."""

    annotator: str
    edits: int
    clicks: int
    seconds: float


@dataclass(frozen=True)
class _Content:
    """Everything of a mask row that a version holds."""

    rle: bytes | None
    origin: str
    verified: bool
    clicks: list[list[float]]
    base_version: int
    confidence: float | None = None


class Edits:
    def __init__(self, database: Database) -> None:
        self._database = database

    def apply(
        self,
        target_id: int,
        kind: Origin,
        annotator: str,
        changes: Sequence[MaskChange],
        *,
        note: str = "",
    ) -> Applied:
        """One edit, all of it or nothing.

        Raises:
            StaleMaskError: a frame has moved on since it was seen; nothing was changed.
            NotFoundError: there is no such target.
            StoreError: a mask is not of the clip's size, or a frame not in the clip.
        """
        contents = [_encoded(one, kind) for one in changes]  # a bad mask fails before we lock
        with self._database.write() as connection:
            edit_id = _start(connection, target_id, kind, annotator, note)
            return _extend(connection, edit_id, changes, contents)

    def start(self, target_id: int, kind: Origin, annotator: str, note: str = "") -> int:
        """Begin an edit whose frames arrive over time; `extend` it with each."""
        with self._database.write() as connection:
            return _start(connection, target_id, kind, annotator, note)

    def extend(self, edit_id: int, changes: Sequence[MaskChange]) -> Applied:
        """Save more frames of an edit begun with `start`; raises as `apply` does."""
        with self._database.read() as connection:
            kind = _get(connection, edit_id).kind
        contents = [_encoded(one, kind) for one in changes]
        with self._database.write() as connection:
            return _extend(connection, edit_id, changes, contents)

    def undo(self, clip_id: int, annotator: str) -> Reverted | None:
        """Take back the annotator's newest edit of the clip; None when there is none.

        Raises:
            StaleMaskError: a frame of it was changed by somebody else since; nothing is undone.
        """
        return self._revert(clip_id, annotator, "done", "undone")

    def redo(self, clip_id: int, annotator: str) -> Reverted | None:
        """Bring back the edit undone last; None when there is none.  Raises as `undo` does."""
        return self._revert(clip_id, annotator, "undone", "done")

    def _revert(self, clip_id: int, annotator: str, before: str, after: str) -> Reverted | None:
        with self._database.write() as connection:
            # The newest edit is undone first; of those undone, the oldest comes back first.
            order = edit.c.id.desc() if before == "done" else edit.c.id.asc()
            mine = (edit.c.clip_id == clip_id) & (edit.c.annotator == annotator)
            filled = select(change.c.edit_id).where(change.c.edit_id == edit.c.id).exists()
            row = connection.execute(
                select(edit).where(mine, edit.c.state == before, filled).order_by(order).limit(1)
            ).first()
            if row is None:
                return None
            changes = connection.execute(select(change).where(change.c.edit_id == row.id)).all()
            for one in changes:
                _restore(connection, one, to_before=after == "undone")
            connection.execute(update(edit).where(edit.c.id == row.id).values(state=after))
            changed = [(one.target_id, one.layer, one.frame_index) for one in changes]
            return Reverted(row.id, row.kind, changed, _grow_revision(connection, clip_id))

    def history(self, clip_id: int, limit: int = 50) -> list[Edit]:
        """The clip's edits, newest first."""
        query = (
            select(edit).where(edit.c.clip_id == clip_id).order_by(edit.c.id.desc()).limit(limit)
        )
        with self._database.read() as connection:
            return [Edit(**row._mapping) for row in connection.execute(query)]

    def cost(self, clip_id: int) -> list[Cost]:
        """Edits, clicks and seconds of each annotator, undone work included."""
        query = (
            select(edit.c.annotator, edit.c.created_at, edit.c.clicks)
            .where(edit.c.clip_id == clip_id)
            .order_by(edit.c.created_at)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        by_annotator: dict[str, list[Any]] = {}
        for row in rows:
            by_annotator.setdefault(row.annotator, []).append(row)
        return [
            Cost(
                annotator,
                len(own),
                sum(row.clicks for row in own),
                sum(
                    min(later.created_at - earlier.created_at, LONGEST_PAUSE_S)
                    for earlier, later in pairwise(own)
                ),
            )
            for annotator, own in by_annotator.items()
        ]


def _encoded(one: MaskChange, kind: str) -> _Content:
    rle = None if one.mask is None else runs.encode(require_mask(one.mask))
    clicks = [[click.x, click.y, float(click.positive)] for click in one.clicks]
    return _Content(rle, kind, one.verified, clicks, one.base_version, one.confidence)


def _get(connection: Connection, edit_id: int) -> Edit:
    row = connection.execute(select(edit).where(edit.c.id == edit_id)).first()
    if row is None:
        raise NotFoundError(f"There is no edit {edit_id}; its target may have been removed.")
    return Edit(**row._mapping)


def _start(connection: Connection, target_id: int, kind: str, annotator: str, note: str) -> int:
    of = get_target(connection, target_id)
    annotator = clean_text(annotator, "an annotator's name", longest=100)
    # What was undone cannot come back over something newer.
    connection.execute(
        update(edit)
        .where(
            edit.c.clip_id == of.clip_id, edit.c.annotator == annotator, edit.c.state == "undone"
        )
        .values(state="discarded")
    )
    result = connection.execute(
        insert(edit).values(
            clip_id=of.clip_id,
            target_id=target_id,
            kind=kind,
            annotator=annotator,
            note=note,
            created_at=time.time(),
        )
    )
    return new_id(result)


def _extend(
    connection: Connection,
    edit_id: int,
    changes: Sequence[MaskChange],
    contents: Sequence[_Content],
) -> Applied:
    of = _get(connection, edit_id)
    if of.state != "done":
        raise StoreError("This edit was undone while it was still being made; it was stopped.")
    shown = get_clip(connection, of.clip_id)
    versions: dict[tuple[Layer, int], int] = {}
    clicks = 0
    for one, content in zip(changes, contents, strict=True):
        if not 0 <= one.frame_index < shown.frame_count:
            raise StoreError(
                f"Frame {one.frame_index} is not in the clip: its frames are 0 to "
                f"{shown.frame_count - 1}."
            )
        if one.mask is not None and one.mask.shape != shown.size:
            raise StoreError(
                f"Expected a mask of {shown.height} rows and {shown.width} columns, got "
                f"{one.mask.shape[0]} rows and {one.mask.shape[1]} columns."
            )
        now = load_current(connection, of.target_id, one.layer, one.frame_index)
        if now.version != one.seen:
            raise StaleMaskError(one.frame_index, seen=one.seen, stored=now.version)
        if content.origin == "verify" and now.origin is not None:
            # Verifying says who stands for the mask, not where it came from.
            content = _Content(content.rle, now.origin, *_rest(content, now))
        if content.origin == "repair" and now.origin is not None:
            # A repaired draft is still a draft: nobody has looked at this frame in particular.
            content = replace(content, origin=now.origin)
        place = {
            "target_id": of.target_id,
            "layer": one.layer,
            "frame_index": one.frame_index,
        }
        version = _write_version(connection, place, content)
        _note_change(connection, edit_id, of.target_id, one, now.version, version)
        versions[one.layer, one.frame_index] = version
        clicks += max(len(one.clicks) - len(now.clicks), 0)
    if clicks:
        connection.execute(
            update(edit).where(edit.c.id == edit_id).values(clicks=edit.c.clicks + clicks)
        )
    return Applied(edit_id, versions, _grow_revision(connection, of.clip_id))


def _rest(content: _Content, now: StoredMask) -> tuple[bool, list[list[float]], int]:
    clicks = [[click.x, click.y, float(click.positive)] for click in now.clicks]
    return content.verified, clicks, now.base_version


def _note_change(
    connection: Connection,
    edit_id: int,
    target_id: int,
    one: MaskChange,
    before: int,
    after: int,
) -> None:
    place = {"target_id": target_id, "layer": one.layer, "frame_index": one.frame_index}
    # An edit that comes back to a frame keeps what was there before its first change.
    again = connection.execute(
        update(change)
        .where(change.c.edit_id == edit_id, *_at(change, place))
        .values(after_version=after)
    )
    if again.rowcount == 0:
        connection.execute(
            insert(change).values(
                edit_id=edit_id, **place, before_version=before, after_version=after
            )
        )


def _at(table: Any, place: Mapping[str, Any]) -> list[Any]:
    """Conditions that `table`'s row is of this target, layer and frame."""
    return [table.c[name] == value for name, value in place.items()]


def _restore(connection: Connection, one: Any, *, to_before: bool) -> None:
    """Write a version with the content before (undo) or after (redo) a change."""
    place = {"target_id": one.target_id, "layer": one.layer, "frame_index": one.frame_index}
    expected, wanted = one.after_version, one.before_version
    if not to_before:
        expected, wanted = wanted, expected
    now = _row(connection, place, load_current(connection, *place.values()).version)
    if _content_version(now) != _content_version(_row(connection, place, expected)):
        raise StaleMaskError(one.frame_index, seen=expected, stored=now.version if now else 0)
    row = _row(connection, place, wanted)
    if row is None:  # before the first edit there was no version at all
        content = _Content(None, "clear", False, [], 0)
    else:
        content = _Content(
            row.rle, row.origin, row.verified, row.clicks, row.base_version, row.confidence
        )
    _write_version(connection, place, content, content_version=_content_version(row))


def _row(connection: Connection, place: Mapping[str, Any], version: int) -> Any:
    return connection.execute(
        select(mask).where(*_at(mask, place), mask.c.version == version)
    ).first()


def _content_version(row: Any) -> int:
    return 0 if row is None else int(row.content_version)


def _write_version(
    connection: Connection,
    place: Mapping[str, Any],
    content: _Content,
    *,
    content_version: int | None = None,
) -> int:
    """Add the next version of a frame, make it the current one, and return its number."""
    highest = connection.scalar(select(func.max(mask.c.version)).where(*_at(mask, place)))
    version = (highest or 0) + 1
    connection.execute(
        insert(mask).values(
            **place,
            version=version,
            rle=content.rle,
            origin=content.origin,
            verified=content.verified,
            clicks=content.clicks,
            base_version=content.base_version,
            confidence=content.confidence,
            content_version=version if content_version is None else content_version,
        )
    )
    if version == 1:
        connection.execute(insert(current).values(**place, version=version))
    else:
        connection.execute(update(current).where(*_at(current, place)).values(version=version))
    return version


def _grow_revision(connection: Connection, clip_id: int) -> int:
    connection.execute(
        update(clip).where(clip.c.id == clip_id).values(revision=clip.c.revision + 1)
    )
    return int(connection.scalar(select(clip.c.revision).where(clip.c.id == clip_id)) or 0)
