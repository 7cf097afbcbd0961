"""What segmenters proposed: masks at a threshold, and the soft maps to move it afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from sqlalchemy import Connection, Row, func, insert, select, update

from annotation_store import draft_folders
from annotation_store.clips import Clips
from annotation_store.database import Database, new_id
from annotation_store.draft_folders import draft_folder, filling, require_draft, write_map
from annotation_store.draft_queries import DraftQueries
from annotation_store.edits import Applied, Edits, MaskChange
from annotation_store.errors import NotFoundError, StoreError
from annotation_store.expressions import get_expression
from annotation_store.masks import Masks, of_frames
from annotation_store.programs import FORGOTTEN_S, has_ended, this_program
from annotation_store.runs import MaskRuns
from annotation_store.schema import draft, draft_frame, draft_query
from video_types import Mask, Size, SoftMap

State = Literal["running", "done", "cancelled", "failed"]


@dataclass(frozen=True)
class Draft:
    """One run of a segmenter for one expression; everything that is needed to repeat it.

    `query` is which of the segmenter's answers the masks are, None where it gives but one.
    """

    id: int
    clip_id: int
    expression_id: int
    expression_text: str
    segmenter: str
    weights_hash: str
    seed: int
    settings: Mapping[str, Any]
    threshold: float
    state: State
    frames_done: int
    note: str
    created_at: float
    query: int | None


def mask_at(soft_map: SoftMap, size: Size, threshold: float) -> Mask:
    """The mask (H, W) of a soft map (h, w) at a threshold between 0 and 1.

    The map is enlarged bilinearly before it is cut, as REM does; a value at the threshold is
    background.

    >>> mask_at(np.array([[0, 255]], dtype=np.uint8), (1, 4), 0.5).tolist()
    [[False, False, True, True]]
    """
    height, width = size
    enlarged = cv2.resize(
        soft_map.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR
    )
    return np.asarray(enlarged > 255 * threshold)


def drafts_of(connection: Connection, clip_id: int) -> list[Draft]:
    """`Drafts.list` inside a transaction already begun."""
    query = _with_counts().where(draft.c.clip_id == clip_id).order_by(draft.c.id.desc())
    return [_draft(row) for row in connection.execute(query)]


def draft_masks_of(
    connection: Connection, draft_id: int, frames: Sequence[int] | None = None
) -> list[tuple[int, bytes]]:
    """`Drafts.masks` inside a transaction already begun."""
    _get(connection, draft_id)
    query = (
        select(draft_frame.c.frame_index, draft_frame.c.rle)
        .where(draft_frame.c.draft_id == draft_id)
        .order_by(draft_frame.c.frame_index)
    )
    if frames is not None:
        query = query.where(of_frames(draft_frame, frames))
    wanted = None if frames is None else set(frames)
    found = [(row[0], row[1]) for row in connection.execute(query)]
    return [one for one in found if wanted is None or one[0] in wanted]


class Drafts:
    def __init__(
        self, database: Database, folder: Path, *, clips: Clips, masks: Masks, edits: Edits
    ) -> None:
        self._database = database
        self._folder = folder
        self._clips = clips
        self._masks = masks
        self._edits = edits
        self.queries = DraftQueries(database, self._folder)
        self._owner = this_program()

    def start(
        self,
        expression_id: int,
        segmenter: str,
        weights_hash: str,
        seed: int,
        settings: Mapping[str, Any],
        threshold: float = 0.5,
    ) -> Draft:
        """Begin a draft; save its frames as they come and `finish` it."""
        with self._database.write() as connection:
            expression = get_expression(connection, expression_id)
            result = connection.execute(
                insert(draft).values(
                    clip_id=expression.clip_id,
                    expression_id=expression_id,
                    expression_text=expression.text,
                    segmenter=segmenter,
                    weights_hash=weights_hash,
                    seed=seed,
                    settings=dict(settings),
                    threshold=threshold,
                    state="running",
                    owner=self._owner,
                    created_at=time.time(),
                )
            )
            return _get(connection, new_id(result))

    def save_frames(self, draft_id: int, frames: Iterable[tuple[int, bytes, bytes | None]]) -> None:
        """Keep (frame_index, COCO counts, soft map as PNG) of frames that were delivered.

        There is no soft map where `queries` keeps it.
        """
        rows = []
        folder = draft_folder(self._folder, draft_id)
        with filling(self._database, folder, draft_id):
            for frame_index, rle, png in frames:
                rows.append({"draft_id": draft_id, "frame_index": frame_index, "rle": rle})
                if png is not None:
                    write_map(folder / f"{frame_index:05d}.png", png)
            with self._database.write() as connection:
                require_draft(connection, draft_id)
                done = {row["frame_index"] for row in rows}
                connection.execute(
                    draft_frame.delete().where(
                        draft_frame.c.draft_id == draft_id, draft_frame.c.frame_index.in_(done)
                    )
                )
                connection.execute(insert(draft_frame), rows)

    def note_weights(self, draft_id: int, weights_hash: str) -> None:
        """Keep which weights a draft was made with, once they are loaded."""
        with self._database.write() as connection:
            connection.execute(
                update(draft).where(draft.c.id == draft_id).values(weights_hash=weights_hash)
            )

    def finish(self, draft_id: int, state: State, note: str = "") -> Draft:
        with self._database.write() as connection:
            connection.execute(
                update(draft).where(draft.c.id == draft_id).values(state=state, note=note)
            )
            return _get(connection, draft_id)

    def list(self, clip_id: int) -> list[Draft]:
        """The clip's drafts, newest first."""
        with self._database.read() as connection:
            return drafts_of(connection, clip_id)

    def get(self, draft_id: int) -> Draft:
        with self._database.read() as connection:
            return _get(connection, draft_id)

    def masks(
        self, draft_id: int, frames: Sequence[int] | None = None
    ) -> Sequence[tuple[int, bytes]]:
        """(frame_index, COCO counts) of every frame delivered so far, or of those in `frames`."""
        with self._database.read() as connection:
            return draft_masks_of(connection, draft_id, frames)

    def map_path(self, draft_id: int, frame_index: int) -> Path:
        """The PNG of a soft map; it exists for every frame delivered."""
        if frame_index < 0:
            raise NotFoundError(f"Frames are counted from 0; there is no frame {frame_index}.")
        query = self.queries.chosen(draft_id)
        if query is not None:
            return self.queries.map_path(draft_id, query, frame_index)
        return draft_folder(self._folder, draft_id) / f"{frame_index:05d}.png"

    def remove(self, draft_id: int) -> None:
        """Discard a draft; masks accepted from it stay."""
        with self._database.write() as connection:
            _get(connection, draft_id)
            folders = draft_folders.folders_of(connection, self._folder, draft.c.id == draft_id)
            connection.execute(draft.delete().where(draft.c.id == draft_id))
        draft_folders.delete(folders)

    def accept(
        self,
        draft_id: int,
        annotator: str,
        first: int,
        last: int,
        threshold: float | None = None,
        *,
        overwrite_edited: bool = False,
        name: str = "",
    ) -> Applied:
        """Make frames `first` to `last` of a draft the annotation, as one edit.

        With a `name` it is done once, as in `Edits.apply`.

        Frames verified or edited by hand are left alone unless `overwrite_edited`.

        Raises:
            StoreError: the draft has none of these frames, or all of them are edited by hand.
        """
        accepted = self.get(draft_id)
        with self._database.read() as connection:
            target_id = get_expression(connection, accepted.expression_id).target_id
        size = self._clips.get(accepted.clip_id).size
        delivered = {
            frame_index: rle
            for frame_index, rle in self.masks(draft_id)
            if first <= frame_index <= last
        }
        if not delivered:
            raise StoreError(f"This draft has no frames from {first} to {last}.")
        shown = {
            stored.frame_index: stored
            for stored in self._masks.load_all(target_id, list(delivered))
            if stored.layer == "target"
        }
        moved = threshold is not None and threshold != accepted.threshold
        changes = []
        for frame_index, rle in delivered.items():
            there = shown.get(frame_index)
            if there is not None and there.by_hand and not overwrite_edited:
                continue
            if moved and threshold is not None:
                soft_map = self.read_map(draft_id, frame_index)
                mask = MaskRuns.encode(mask_at(soft_map, size, threshold))
            else:
                mask = MaskRuns(rle, size)
            seen = 0 if there is None else there.version
            changes.append(MaskChange("target", frame_index, mask, seen))
        if not changes:
            raise StoreError(
                "All of these frames were edited or verified by hand, so nothing was replaced. "
                "Allow overwriting them, or choose another range."
            )
        return self._edits.apply(
            target_id, "draft", annotator, changes, note=f"draft {draft_id}", name=name
        )

    def read_map(self, draft_id: int, frame_index: int) -> SoftMap:
        """The soft map (h, w) of one frame."""
        path = self.map_path(draft_id, frame_index)
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.exists() else None
        if image is None:
            raise NotFoundError(
                f"The soft map of frame {frame_index} is gone from the cache folder; run the "
                "segmenter again to move the threshold."
            )
        return np.asarray(image, dtype=np.uint8)

    def fail_abandoned(self) -> None:
        """Mark running drafts whose program ended as failed; what they delivered stays.

        A draft of another computer is given some days: nobody here can tell.
        """
        running = (
            select(draft.c.owner, func.max(draft.c.created_at))
            .where(draft.c.state == "running")
            .group_by(draft.c.owner)
        )
        with self._database.read() as connection:
            ended = [
                owner for owner, newest in connection.execute(running) if _ended(owner, newest)
            ]
        if ended:
            with self._database.write() as connection:
                connection.execute(
                    update(draft)
                    .where(draft.c.state == "running", draft.c.owner.in_(ended))
                    .values(state="failed", note="Refscribe ended while this was running.")
                )


def _ended(owner: str, newest: float) -> bool:
    """Whether a program has ended that began its newest running draft at `newest`."""
    known = has_ended(owner)
    return time.time() - newest > FORGOTTEN_S if known is None else known


def _with_counts() -> Any:
    done = (
        select(func.count())
        .where(draft_frame.c.draft_id == draft.c.id)
        .scalar_subquery()
        .label("frames_done")
    )
    query = (
        select(draft_query.c.number)
        .where(draft_query.c.draft_id == draft.c.id, draft_query.c.chosen)
        .scalar_subquery()
        .label("query")
    )
    return select(*[column for column in draft.c if column.name != "owner"], done, query)


def _draft(row: Row[Any]) -> Draft:
    return Draft(**row._mapping)


def _get(connection: Connection, draft_id: int) -> Draft:
    row = connection.execute(_with_counts().where(draft.c.id == draft_id)).first()
    if row is None:
        raise NotFoundError(f"There is no draft {draft_id}; it may have been discarded.")
    return _draft(row)
