"""Reading masks.  Writing them is an edit: see `edits`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, FromClause, Row, Select, select

from annotation_store import runs
from annotation_store.database import Database
from annotation_store.errors import NotFoundError
from annotation_store.schema import change, current, edit, mask
from video_types import Click, Layer, Mask, Size

Origin = Literal["draft", "propagation", "click", "stroke", "import", "clear", "verify", "repair"]
BY_HAND: frozenset[str] = frozenset({"click", "stroke", "clear"})
"""Origins that propagation and drafts leave alone unless the person says otherwise."""
MOST_NAMED = 500
"""Frames named one by one in a query; more are filtered faster here."""


@dataclass(frozen=True)
class StoredMask:
    """One version of one layer of a target on one frame.

    Attributes:
        version: counts up from 1 with every change; 0 where nothing was ever stored.
        rle: COCO counts, or None where there is no mask.
        origin: the kind of edit the content came from.
        clicks: all clicks in force on the frame.
        base_version: the version those clicks correct; 0 for none.
        confidence: what the refiner thought of a propagated mask, 0 to 1; None for others.
    """

    target_id: int
    layer: Layer
    frame_index: int
    version: int
    rle: bytes | None
    origin: Origin | None
    verified: bool
    clicks: tuple[Click, ...]
    base_version: int
    confidence: float | None = None

    @property
    def by_hand(self) -> bool:
        """Whether a person stands for this frame, by editing or verifying it.

        A frame without a mask is what undo leaves, not an edit: emptied masks are empty ones.
        """
        return self.verified or (self.rle is not None and self.origin in BY_HAND)

    def decode(self, size: Size) -> Mask:
        """The mask (H, W).

        Raises:
            ValueError: there is none, or it is not of `size`.
        """
        if self.rle is None:
            raise ValueError(f"there is no mask on frame {self.frame_index}")
        return runs.decode(self.rle, size)


def stored_mask(row: Row[Any]) -> StoredMask:
    """One row of the mask table."""
    clicks = tuple(Click(row.frame_index, x, y, bool(positive)) for x, y, positive in row.clicks)
    return StoredMask(
        row.target_id,
        row.layer,
        row.frame_index,
        row.version,
        row.rle,
        row.origin,
        row.verified,
        clicks,
        row.base_version,
        row.confidence,
    )


def currently_shown(target_id: int, *columns: ColumnElement[Any]) -> Select[Any]:
    """Query of every current mask row of a target: all of it, or the `columns` given."""
    same_row = (
        (mask.c.target_id == current.c.target_id)
        & (mask.c.layer == current.c.layer)
        & (mask.c.frame_index == current.c.frame_index)
        & (mask.c.version == current.c.version)
    )
    wanted = select(*columns) if columns else select(mask)
    return wanted.select_from(mask).join(current, same_row).where(current.c.target_id == target_id)


def of_frames(table: FromClause, frames: Sequence[int]) -> ColumnElement[bool]:
    """That a row of `table` is of one of `frames`, or at least between them if they are many."""
    if len(frames) < MOST_NAMED:
        return table.c.frame_index.in_(frames)
    return table.c.frame_index.between(min(frames), max(frames))


def masks_of(
    connection: Connection, target_id: int, frames: Sequence[int] | None = None
) -> list[StoredMask]:
    """`Masks.load_all` inside a transaction already begun."""
    query = currently_shown(target_id).order_by(current.c.frame_index, current.c.layer.desc())
    if frames is not None:
        query = query.where(of_frames(current, frames))
    found = [stored_mask(row) for row in connection.execute(query)]
    wanted = None if frames is None else set(frames)
    return [stored for stored in found if wanted is None or stored.frame_index in wanted]


class Masks:
    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self, target_id: int, layer: Layer, frame_index: int) -> StoredMask:
        """What is shown now; version 0 and no mask where nothing was ever stored."""
        query = currently_shown(target_id).where(
            current.c.layer == layer, current.c.frame_index == frame_index
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            return StoredMask(target_id, layer, frame_index, 0, None, None, False, (), 0)
        return stored_mask(row)

    def load_all(self, target_id: int, frames: Sequence[int] | None = None) -> list[StoredMask]:
        """Current masks of both layers by frame, of all frames ever touched or of `frames`."""
        with self._database.read() as connection:
            return masks_of(connection, target_id, frames)

    def makers(self, target_id: int) -> dict[int, tuple[int, str]]:
        """frame_index -> (edit id, the edit's note) of the target masks shown now.

        A mask that undo or redo brought back has none: no edit made it as it stands.
        """
        query = (
            select(current.c.frame_index, edit.c.id, edit.c.note)
            .join(
                change,
                (change.c.target_id == current.c.target_id)
                & (change.c.layer == current.c.layer)
                & (change.c.frame_index == current.c.frame_index)
                & (change.c.after_version == current.c.version),
            )
            .join(edit, edit.c.id == change.c.edit_id)
            .where(current.c.target_id == target_id, current.c.layer == "target")
        )
        with self._database.read() as connection:
            return {row.frame_index: (row.id, row.note) for row in connection.execute(query)}

    def version(self, target_id: int, layer: Layer, frame_index: int, version: int) -> StoredMask:
        """One version, current or not."""
        query = select(mask).where(
            mask.c.target_id == target_id,
            mask.c.layer == layer,
            mask.c.frame_index == frame_index,
            mask.c.version == version,
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotFoundError(f"Frame {frame_index} has no version {version} of this mask.")
        return stored_mask(row)
