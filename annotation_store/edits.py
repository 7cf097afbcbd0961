"""Every change of masks: a stroke, a click, a propagation, an accepted draft.

An edit is one step of undo, however many frames it touched.  Undo and redo add versions that
hold earlier content, so that a version number never means two things.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from annotation_store.clips import Clip, get_clip
from annotation_store.database import Database, new_id
from annotation_store.done_edits import answer_to, note_done
from annotation_store.edit_rows import add_versions, restore
from annotation_store.errors import NotFoundError, StaleMaskError, StoreError
from annotation_store.masks import Origin, currently_shown, of_frames
from annotation_store.names import clean_text
from annotation_store.runs import MaskRuns
from annotation_store.schema import change, clip, current, edit, mask
from annotation_store.targets import get_target
from video_types import Click, Layer


@dataclass(frozen=True)
class MaskChange:
    """The new content of one layer of one frame.

    `mask` is None for no mask.  `seen` is the version the edit started from, 0 for a frame
    without one.  `clicks` are all clicks in force, `base_version` the version they correct;
    `confidence` is what a refiner thinks of the mask, 0 to 1.
    """

    layer: Layer
    frame_index: int
    mask: MaskRuns | None
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

    def as_json(self) -> dict[str, Any]:
        """For keeping; `of_json` reads it."""
        versions = [[*place, version] for place, version in self.versions.items()]
        return {"edit_id": self.edit_id, "versions": versions, "revision": self.revision}

    @classmethod
    def of_json(cls, kept: dict[str, Any]) -> Applied:
        """What `as_json` kept."""
        versions = {(layer, frame): version for layer, frame, version in kept["versions"]}
        return cls(kept["edit_id"], versions, kept["revision"])


@dataclass(frozen=True)
class Reverted:
    """An edit that was undone or redone, and the (target_id, layer, frame_index) it changed."""

    edit_id: int
    kind: str
    changed: list[tuple[int, Layer, int]]
    revision: int

    @classmethod
    def of_json(cls, kept: dict[str, Any]) -> Reverted:
        """What was kept of its fields."""
        changed = [(target_id, layer, frame) for target_id, layer, frame in kept["changed"]]
        return cls(kept["edit_id"], kept["kind"], changed, kept["revision"])


class Edits:
    """Few statements an edit, however many frames it has: the write lock is held for moments."""

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
        name: str = "",
    ) -> Applied:
        """One edit, all of it or nothing.

        An edit with a `name` is done once: asked for again, the first answer is given again.

        Raises:
            StaleMaskError: a frame has moved on since it was seen; nothing was changed.
            NotFoundError: there is no such target.
            StoreError: a mask is not of the clip's size, or a frame not in the clip.
        """
        _require_sound(changes)  # before we lock
        with self._database.write() as connection:
            if (answer := answer_to(connection, name)) is not None:
                return Applied.of_json(answer)
            edit_id = _start(connection, target_id, kind, annotator, note)
            applied = _extend(connection, edit_id, changes)
            if name:
                clip_id = get_target(connection, target_id).clip_id
                note_done(connection, name, clip_id, applied.as_json())
            return applied

    def done(self, name: str) -> Applied | None:
        """What `apply` answered to the edit called `name`; None where it was not done."""
        with self._database.read() as connection:
            answer = answer_to(connection, name)
            return None if answer is None else Applied.of_json(answer)

    def start(self, target_id: int, kind: Origin, annotator: str, note: str = "") -> int:
        """Begin an edit whose frames arrive over time; `extend` it with each."""
        with self._database.write() as connection:
            return _start(connection, target_id, kind, annotator, note)

    def extend(self, edit_id: int, changes: Sequence[MaskChange]) -> Applied:
        """Save more frames of an edit begun with `start`; raises as `apply` does."""
        _require_sound(changes)
        with self._database.write() as connection:
            return _extend(connection, edit_id, changes)

    def undo(self, clip_id: int, annotator: str, *, name: str = "") -> Reverted | None:
        """Take back the annotator's newest edit of the clip; None when there is none.

        With a `name` it is done once, as in `apply`.

        Raises:
            StaleMaskError: a frame of it was changed by somebody else since; nothing is undone.
        """
        return self._revert(clip_id, annotator, "done", "undone", name)

    def redo(self, clip_id: int, annotator: str, *, name: str = "") -> Reverted | None:
        """Bring back the edit undone last; None when there is none.  Raises as `undo` does."""
        return self._revert(clip_id, annotator, "undone", "done", name)

    def _revert(
        self, clip_id: int, annotator: str, before: str, after: str, name: str
    ) -> Reverted | None:
        with self._database.write() as connection:
            if (answer := answer_to(connection, name)) is not None:
                return Reverted.of_json(answer) if answer else None
            # The newest edit is undone first; of those undone, the oldest comes back first.
            order = edit.c.id.desc() if before == "done" else edit.c.id.asc()
            mine = (edit.c.clip_id == clip_id) & (edit.c.annotator == annotator)
            filled = select(change.c.edit_id).where(change.c.edit_id == edit.c.id).exists()
            made = connection.execute(
                select(edit).where(mine, edit.c.state == before, filled).order_by(order).limit(1)
            ).first()
            if made is None:
                get_clip(connection, clip_id)
                note_done(connection, name, clip_id, {})
                return None
            changed = restore(connection, made, to_before=after == "undone")
            connection.execute(update(edit).where(edit.c.id == made.id).values(state=after))
            reverted = Reverted(made.id, made.kind, changed, _grow_revision(connection, clip_id))
            note_done(connection, name, clip_id, asdict(reverted))
            return reverted


def _require_sound(changes: Sequence[MaskChange]) -> None:
    """Refuse changes that no clip could take."""
    places = set()
    for wanted in changes:
        if (wanted.layer, wanted.frame_index) in places:
            raise StoreError(f"Frame {wanted.frame_index} is named twice in one edit.")
        places.add((wanted.layer, wanted.frame_index))
        if wanted.mask is not None:
            wanted.mask.require_fitting()


def _require_of_clip(changes: Sequence[MaskChange], shown: Clip) -> None:
    for wanted in changes:
        if not 0 <= wanted.frame_index < shown.frame_count:
            raise StoreError(
                f"Frame {wanted.frame_index} is not in the clip: its frames are 0 to "
                f"{shown.frame_count - 1}."
            )
        if wanted.mask is not None and wanted.mask.size != shown.size:
            raise StoreError(
                f"Expected a mask of {shown.height} rows and {shown.width} columns, got "
                f"{wanted.mask.size[0]} rows and {wanted.mask.size[1]} columns."
            )


def _start(connection: Connection, target_id: int, kind: str, annotator: str, note: str) -> int:
    clip_id = get_target(connection, target_id).clip_id
    annotator = clean_text(annotator, "an annotator's name", longest=100)
    # What was undone cannot come back over something newer.
    connection.execute(
        update(edit)
        .where(edit.c.clip_id == clip_id, edit.c.annotator == annotator, edit.c.state == "undone")
        .values(state="discarded")
    )
    result = connection.execute(
        insert(edit).values(
            clip_id=clip_id,
            target_id=target_id,
            kind=kind,
            annotator=annotator,
            note=note,
            created_at=time.time(),
        )
    )
    return new_id(result)


def _extend(connection: Connection, edit_id: int, changes: Sequence[MaskChange]) -> Applied:
    made = connection.execute(select(edit).where(edit.c.id == edit_id)).first()
    if made is None:
        raise NotFoundError(f"There is no edit {edit_id}; its target may have been removed.")
    if made.state != "done":
        raise StoreError("This edit was undone while it was still being made; it was stopped.")
    _require_of_clip(changes, get_clip(connection, made.clip_id))
    before = _versions_shown(connection, made.target_id, changes)
    rows = []
    clicks = 0
    for wanted in changes:
        now = before.get((wanted.layer, wanted.frame_index))
        if wanted.seen != (0 if now is None else now.version):
            stored = 0 if now is None else now.version
            raise StaleMaskError(wanted.frame_index, seen=wanted.seen, stored=stored)
        rows.append(
            {
                "target_id": made.target_id,
                "layer": wanted.layer,
                "frame_index": wanted.frame_index,
                "version": wanted.seen + 1,
                "content_version": wanted.seen + 1,
                "rle": None if wanted.mask is None else wanted.mask.counts,
                "verified": wanted.verified,
                **_provenance(wanted, made.kind, now),
            }
        )
        clicks += max(len(wanted.clicks) - (0 if now is None else len(now.clicks)), 0)
    add_versions(connection, edit_id, rows)
    if clicks:
        connection.execute(
            update(edit).where(edit.c.id == edit_id).values(clicks=edit.c.clicks + clicks)
        )
    versions = {(row["layer"], row["frame_index"]): row["version"] for row in rows}
    return Applied(edit_id, versions, _grow_revision(connection, made.clip_id))


def _versions_shown(
    connection: Connection, target_id: int, changes: Sequence[MaskChange]
) -> dict[tuple[str, int], Row[Any]]:
    """What is shown now on the frames of `changes`, by layer and frame; all but the runs."""
    facts = (mask.c.layer, mask.c.frame_index, mask.c.version, mask.c.origin, mask.c.clicks)
    query = currently_shown(target_id, *facts, mask.c.base_version)
    query = query.where(of_frames(current, [wanted.frame_index for wanted in changes]))
    return {(row.layer, row.frame_index): row for row in connection.execute(query)}


def _provenance(wanted: MaskChange, kind: str, now: Row[Any] | None) -> dict[str, Any]:
    """Where the new content comes from: origin, clicks, what they correct, confidence."""
    if kind == "verify" and now is not None:
        # Verifying says who stands for the mask, not where it came from.
        origin, clicks, base_version = now.origin, now.clicks, now.base_version
        confidence = None
    else:
        # A repaired draft is still a draft: nobody has looked at this frame in particular.
        origin = now.origin if kind == "repair" and now is not None else kind
        clicks = [[click.x, click.y, float(click.positive)] for click in wanted.clicks]
        base_version, confidence = wanted.base_version, wanted.confidence
    return {
        "origin": origin,
        "clicks": clicks,
        "base_version": base_version,
        "confidence": confidence,
    }


def _grow_revision(connection: Connection, clip_id: int) -> int:
    connection.execute(
        update(clip).where(clip.c.id == clip_id).values(revision=clip.c.revision + 1)
    )
    return int(connection.scalar(select(clip.c.revision).where(clip.c.id == clip_id)) or 0)
