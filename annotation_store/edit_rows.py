"""The rows of an edit: versions added, shown and noted, in few statements however many they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    FromClause,
    Row,
    and_,
    bindparam,
    exists,
    false,
    func,
    insert,
    literal,
    select,
    update,
)

from annotation_store.errors import StaleMaskError
from annotation_store.masks import of_frames
from annotation_store.schema import change, current, mask
from video_types import Layer

PLACE = ("target_id", "layer", "frame_index")


def add_versions(connection: Connection, edit_id: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the next version of several frames, each once, and show it.

    A row has every column of the mask table; its version is the one shown now, and one more.
    """
    if rows:
        connection.execute(insert(mask), rows)
        _show(connection, rows)
        _note_changes(connection, edit_id, rows)


def restore(
    connection: Connection, made: Row[Any], *, to_before: bool
) -> list[tuple[int, Layer, int]]:
    """Show what was before (undo) or after (redo) every change of the edit `made`.

    The database copies the masks itself: an edit of thousands never comes into our memory.
    """
    expected_version, wanted_version = change.c.after_version, change.c.before_version
    if not to_before:
        expected_version, wanted_version = wanted_version, expected_version
    now, expected, wanted = mask.alias("now"), mask.alias("expected"), mask.alias("wanted")

    def version_is(rows: FromClause, version: ColumnElement[int]) -> ColumnElement[bool]:
        return _same_place(rows) & (rows.c.version == version)

    changes = (
        change.join(current, _same_place(current))
        .join(now, version_is(now, current.c.version))
        .outerjoin(expected, version_is(expected, expected_version))
        .outerjoin(wanted, version_is(wanted, wanted_version))
    )
    mine = change.c.edit_id == made.id
    moved_on = connection.execute(
        select(change.c.frame_index, expected_version.label("seen"), current.c.version)
        .select_from(changes)
        .where(mine, now.c.content_version != func.coalesce(expected.c.content_version, 0))
        .order_by(change.c.frame_index)
        .limit(1)
    ).first()
    if moved_on is not None:
        raise StaleMaskError(moved_on.frame_index, seen=moved_on.seen, stored=moved_on.version)
    # Before the first edit of a frame there was no version at all.
    restored: dict[str, Any] = {
        "target_id": change.c.target_id,
        "layer": change.c.layer,
        "frame_index": change.c.frame_index,
        "version": current.c.version + 1,
        "rle": wanted.c.rle,
        "origin": func.coalesce(wanted.c.origin, "clear"),
        "verified": func.coalesce(wanted.c.verified, false()),
        "clicks": func.coalesce(wanted.c.clicks, literal([], JSON())),
        "base_version": func.coalesce(wanted.c.base_version, 0),
        "content_version": func.coalesce(wanted.c.content_version, 0),
        "confidence": wanted.c.confidence,
    }
    values = select(*restored.values()).select_from(changes).where(mine)
    connection.execute(insert(mask).from_select(list(restored), values))
    connection.execute(
        update(current)
        .where(
            current.c.target_id == made.target_id,
            exists().where(mine, _same_place(current)).correlate(current),
        )
        .values(version=current.c.version + 1)
    )
    places = select(change.c.target_id, change.c.layer, change.c.frame_index).where(mine)
    return [(row[0], row[1], row[2]) for row in connection.execute(places)]


def _show(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Make the mask rows just inserted the current ones."""
    first = [
        {name: row[name] for name in (*PLACE, "version")} for row in rows if row["version"] == 1
    ]
    if first:
        connection.execute(insert(current), first)
    later = [
        {f"at_{name}": row[name] for name in (*PLACE, "version")}
        for row in rows
        if row["version"] > 1
    ]
    if later:
        connection.execute(
            update(current).where(_at_place(current)).values(version=bindparam("at_version")), later
        )


def _note_changes(connection: Connection, edit_id: int, rows: Sequence[Mapping[str, Any]]) -> None:
    frames = [row["frame_index"] for row in rows]
    known = connection.execute(
        select(change.c.layer, change.c.frame_index).where(
            change.c.edit_id == edit_id, of_frames(change, frames)
        )
    )
    # An edit that comes back to a frame keeps what was there before its first change.
    again = {(row.layer, row.frame_index) for row in known}
    fresh, changed_again = [], []
    for row in rows:
        place = {name: row[name] for name in PLACE}
        if (row["layer"], row["frame_index"]) in again:
            at_place = {f"at_{name}": value for name, value in place.items()}
            changed_again.append({**at_place, "at_version": row["version"]})
        else:
            before, after = row["version"] - 1, row["version"]
            fresh.append(
                {"edit_id": edit_id, **place, "before_version": before, "after_version": after}
            )
    if fresh:
        connection.execute(insert(change), fresh)
    if changed_again:
        connection.execute(
            update(change)
            .where(change.c.edit_id == edit_id, _at_place(change))
            .values(after_version=bindparam("at_version")),
            changed_again,
        )


def _at_place(table: FromClause) -> ColumnElement[bool]:
    """That a row is of the target, layer and frame given with each execution."""
    return and_(*(table.c[name] == bindparam(f"at_{name}") for name in PLACE))


def _same_place(table: FromClause) -> ColumnElement[bool]:
    """That a row is of the target, layer and frame of a change."""
    return and_(*(table.c[name] == change.c[name] for name in PLACE))
