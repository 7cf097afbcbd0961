"""The tables of a workspace as they are today; `migrations` brings older ones here."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

facts = Table(
    "facts",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

clip = Table(
    "clip",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(300), nullable=False),
    Column("concept", String(300), nullable=False, default=""),
    Column("category", String(64), nullable=False, default=""),
    Column("state", String(32), nullable=False, default="new"),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("frame_count", Integer, nullable=False),
    Column("fps", Float, nullable=False),
    Column("source_name", Text, nullable=False),
    Column("source_sha256", String(64), nullable=False, index=True),
    Column("trim_start_s", Float),
    Column("trim_end_s", Float),
    Column("crop", JSON(none_as_null=True)),
    Column("rotation", Integer, nullable=False),
    Column("time_table", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("revision", Integer, nullable=False, default=0),
    sqlite_autoincrement=True,  # browsers keep frames by clip id: an id is never given twice
)

target = Table(
    "target",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("clip_id", ForeignKey("clip.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("name", String(300), nullable=False),
    Column("created_at", Float, nullable=False),
    UniqueConstraint("clip_id", "number"),
    sqlite_autoincrement=True,
)

expression = Table(
    "expression",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("clip_id", ForeignKey("clip.id", ondelete="CASCADE"), nullable=False),
    Column("target_id", ForeignKey("target.id", ondelete="CASCADE"), nullable=False),
    Column("label", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("annotator", String(100), nullable=False),
    Column("created_at", Float, nullable=False),
    UniqueConstraint("clip_id", "label"),
    sqlite_autoincrement=True,
)

edit = Table(
    "edit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("clip_id", ForeignKey("clip.id", ondelete="CASCADE"), nullable=False),
    Column("target_id", ForeignKey("target.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("annotator", String(100), nullable=False),
    Column("note", Text, nullable=False, default=""),
    # "done", "undone" (may be redone) or "discarded" (undone, then something else was done)
    Column("state", String(16), nullable=False, default="done"),
    Column("clicks", Integer, nullable=False, default=0),
    Column("created_at", Float, nullable=False),
    Index("edit_by_annotator", "clip_id", "annotator", "state", "id"),
    sqlite_autoincrement=True,
)

# Versions are never changed or removed: undo adds a version that holds the earlier content.
mask = Table(
    "mask",
    metadata,
    Column("target_id", ForeignKey("target.id", ondelete="CASCADE"), primary_key=True),
    Column("layer", String(16), primary_key=True),
    Column("frame_index", Integer, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("rle", LargeBinary),
    Column("origin", String(16), nullable=False),
    Column("verified", Boolean, nullable=False),
    Column("clicks", JSON, nullable=False),
    Column("base_version", Integer, nullable=False),
    # The version that first held this content: itself, but for what undo and redo bring back.
    Column("content_version", Integer, nullable=False),
    # What the refiner thought of a propagated mask, 0 to 1; null where nobody said.
    Column("confidence", Float),
)

# Which version of a frame is shown; the one row per frame that a load has to find.
current = Table(
    "current_mask",
    metadata,
    Column("target_id", Integer, primary_key=True),
    Column("layer", String(16), primary_key=True),
    Column("frame_index", Integer, primary_key=True),
    Column("version", Integer, nullable=False),
    ForeignKeyConstraint(
        ["target_id", "layer", "frame_index", "version"],
        ["mask.target_id", "mask.layer", "mask.frame_index", "mask.version"],
        ondelete="CASCADE",
    ),
)

# What an edit did to each frame: from which version to which.
change = Table(
    "edit_change",
    metadata,
    Column("edit_id", ForeignKey("edit.id", ondelete="CASCADE"), primary_key=True),
    Column("target_id", Integer, primary_key=True),
    Column("layer", String(16), primary_key=True),
    Column("frame_index", Integer, primary_key=True),
    Column("before_version", Integer, nullable=False),
    Column("after_version", Integer, nullable=False),
)

draft = Table(
    "draft",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("clip_id", ForeignKey("clip.id", ondelete="CASCADE"), nullable=False),
    Column("expression_id", ForeignKey("expression.id", ondelete="CASCADE"), nullable=False),
    Column("expression_text", Text, nullable=False),
    Column("segmenter", String(100), nullable=False),
    Column("weights_hash", String(128), nullable=False),
    Column("seed", Integer, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("threshold", Float, nullable=False),
    Column("state", String(16), nullable=False),
    Column("owner", String(100), nullable=False),
    Column("note", Text, nullable=False, default=""),
    Column("created_at", Float, nullable=False),
    sqlite_autoincrement=True,
)

draft_frame = Table(
    "draft_frame",
    metadata,
    Column("draft_id", ForeignKey("draft.id", ondelete="CASCADE"), primary_key=True),
    Column("frame_index", Integer, primary_key=True),
    Column("rle", LargeBinary, nullable=False),
)

# Every answer of a segmenter that gives several; the chosen one's masks are in draft_frame too.
draft_query = Table(
    "draft_query",
    metadata,
    Column("draft_id", ForeignKey("draft.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("score", Float, nullable=False),
    Column("chosen", Boolean, nullable=False),
)

draft_query_frame = Table(
    "draft_query_frame",
    metadata,
    Column("draft_id", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("frame_index", Integer, primary_key=True),
    Column("rle", LargeBinary, nullable=False),
    ForeignKeyConstraint(
        ["draft_id", "number"],
        ["draft_query.draft_id", "draft_query.number"],
        ondelete="CASCADE",
    ),
)

# What was answered to edits that were asked for by a name.
done_edit = Table(
    "done_edit",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("clip_id", ForeignKey("clip.id", ondelete="CASCADE"), nullable=False),
    Column("at", Float, nullable=False, index=True),
    Column("answer", JSON, nullable=False),
)
