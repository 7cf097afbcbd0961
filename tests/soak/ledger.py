"""What the pages said, kept apart from them, and what the store holds of it at the end."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from annotation_store import runs
from video_types import Mask, Size


@dataclass(frozen=True)
class Claim:
    """A mask that a page showed while it said "saved", row-major runs of one version."""

    target_id: int
    layer: str
    frame_index: int
    version: int
    verified: bool
    row_runs: tuple[int, ...]


@dataclass
class Ledger:
    """Edits by id: made on a page, acknowledged to it, given up by the person."""

    made: dict[str, str] = field(default_factory=dict)  # id -> kind
    strokes: dict[str, dict[str, Any]] = field(default_factory=dict)  # id -> what was drawn
    made_at: dict[str, float] = field(default_factory=dict)  # id -> seconds, monotonic
    acknowledged: set[str] = field(default_factory=set)
    given_up: set[str] = field(default_factory=set)
    in_hand: set[str] = field(default_factory=set)  # made within a blink of their browser's death
    orders: set[str] = field(default_factory=set)  # undo and redo that went with their browser
    claims: set[Claim] = field(default_factory=set)
    last: set[Claim] = field(default_factory=set)  # what the pages showed at the very end
    story: list[tuple[float, str]] = field(default_factory=list)  # (s, monotonic; what happened)

    def tell(self, what: str) -> None:
        """Remember what may explain afterwards what became of an edit."""
        self.story.append((time.monotonic(), what))

    def story_of(self, name: str) -> str:
        """What happened in the minute after an edit was made."""
        made = self.made_at[name]
        after = [
            f"{when - made:+.1f} s {what}" for when, what in self.story if 0 < when - made < 60
        ]
        return f"{self.made[name]} {name}: {', '.join(after[:20])}"

    def hear(self, event: str, edits: list[dict[str, Any]]) -> None:
        """Take in what a page tells of its queue: `event` is made, gone or given-up."""
        for edit in edits:
            if event == "made":
                self.made[edit["id"]] = edit["kind"]
                if edit["kind"] == "stroke":
                    self.strokes[edit["id"]] = edit
                self.made_at.setdefault(edit["id"], time.monotonic())
            elif event == "gone" and edit["id"] not in self.given_up:
                self.acknowledged.add(edit["id"])
            elif event == "given-up":
                self.given_up.add(edit["id"])
                self.acknowledged.discard(edit["id"])

    def browser_died(self, blink_s: float) -> None:
        """What was made within a blink of it may not have reached its disk."""
        now = time.monotonic()
        open_edits = set(self.made) - self.acknowledged - self.given_up
        # A page does not take over another's undo: it would take back what was done since.
        self.orders |= {name for name in open_edits if self.made[name] in ("undo", "redo")}
        self.in_hand |= {name for name in open_edits if now - self.made_at[name] < blink_s}

    def claim(self, masks: list[dict[str, Any]]) -> None:
        """A page said "saved" and showed these masks."""
        self.claims |= {_claim(mask) for mask in masks}

    def claim_last(self, masks: list[dict[str, Any]]) -> None:
        """What a page shows when everything is over: it must be the newest of each frame."""
        self.claim(masks)
        self.last |= {_claim(mask) for mask in masks}


def _claim(mask: dict[str, Any]) -> Claim:
    names = ("target_id", "layer", "frame_index", "version", "verified")
    return Claim(*(mask[name] for name in names), tuple(mask["runs"]))


@dataclass
class Verdict:
    """What the comparison with the store found."""

    lost: list[str] = field(default_factory=list)
    claimed_not_stored: list[Claim] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    overdrawn: list[str] = field(default_factory=list)  # strokes not on the mask before them
    outdated: list[Claim] = field(default_factory=list)  # shown at the end, and not the newest
    strokes_held: int = 0

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost and nothing was called saved that is not stored."""
        wrong = (self.lost, self.claimed_not_stored, self.unsettled, self.overdrawn, self.outdated)
        return not any(wrong)


def compare(ledger: Ledger, database: Path, size: Size) -> Verdict:
    """Hold what the pages said against the workspace's database, every pixel of it."""
    verdict = Verdict()
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        known = {row[0] for row in connection.execute("SELECT name FROM done_edit")}
        verdict.lost = sorted(ledger.acknowledged - known)
        verdict.unsettled = sorted(
            set(ledger.made)
            - ledger.acknowledged
            - ledger.given_up
            - ledger.in_hand
            - ledger.orders
            - known
        )
        for claim in ledger.claims:
            row = connection.execute(
                "SELECT rle, verified FROM mask"
                " WHERE target_id = ? AND layer = ? AND frame_index = ? AND version = ?",
                (claim.target_id, claim.layer, claim.frame_index, claim.version),
            ).fetchone()
            if row is None or bool(row[1]) != claim.verified or not _same(claim, row[0], size):
                verdict.claimed_not_stored.append(claim)
            now = connection.execute(
                "SELECT version FROM current_mask"
                " WHERE target_id = ? AND layer = ? AND frame_index = ?",
                (claim.target_id, claim.layer, claim.frame_index),
            ).fetchone()
            if claim in ledger.last and (now is None or now[0] != claim.version):
                verdict.outdated.append(claim)
        for name, stroke in ledger.strokes.items():
            held = _holds(connection, name, stroke, size)
            verdict.strokes_held += held is True
            if held is False:
                verdict.overdrawn.append(name)
    return verdict


def _holds(
    connection: sqlite3.Connection, name: str, stroke: dict[str, Any], size: Size
) -> bool | None:
    """Whether a stroke's version is the one before it with the stroke and nothing else.

    None where the stroke was not stored.
    """
    row = connection.execute("SELECT answer FROM done_edit WHERE name = ?", (name,)).fetchone()
    if row is None:
        return None
    answer = json.loads(row[0])
    ((layer, frame_index, version),) = answer["versions"]
    (target_id,) = connection.execute(
        "SELECT target_id FROM edit WHERE id = ?", (answer["edit_id"],)
    ).fetchone()

    def mask(number: int) -> Mask:
        found = connection.execute(
            "SELECT rle FROM mask WHERE target_id = ? AND layer = ? AND frame_index = ?"
            " AND version = ?",
            (target_id, layer, frame_index, number),
        ).fetchone()
        return _stored(None if found is None else found[0], size)

    touched = _mask(tuple(stroke["touched"]), size)
    wanted = np.where(touched, stroke["value"] == 1, mask(version - 1))
    is_there = (layer, frame_index) == (stroke["layer"], stroke["frame"])
    return is_there and bool(np.array_equal(mask(version), wanted))


def _same(claim: Claim, rle: bytes | None, size: Size) -> bool:
    return bool(np.array_equal(_mask(claim.row_runs, size), _stored(rle, size)))


def _stored(rle: bytes | None, size: Size) -> Mask:
    return np.zeros(size, dtype=bool) if rle is None else runs.decode(rle, size)


def _mask(row_runs: tuple[int, ...], size: Size) -> Mask:
    if not row_runs:
        return np.zeros(size, dtype=bool)
    return np.repeat(np.arange(len(row_runs)) % 2 == 1, row_runs).reshape(size)
