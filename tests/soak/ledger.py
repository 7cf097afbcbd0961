"""What the pages said, kept apart from them, and what the store holds of it at the end."""

from __future__ import annotations

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
    made_at: dict[str, float] = field(default_factory=dict)  # id -> seconds, monotonic
    acknowledged: set[str] = field(default_factory=set)
    given_up: set[str] = field(default_factory=set)
    in_hand: set[str] = field(default_factory=set)  # made within a blink of their browser's death
    claims: set[Claim] = field(default_factory=set)

    def hear(self, event: str, edits: list[dict[str, Any]]) -> None:
        """Take in what a page tells of its queue: `event` is made, gone or given-up."""
        for edit in edits:
            if event == "made":
                self.made[edit["id"]] = edit["kind"]
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
        self.in_hand |= {name for name in open_edits if now - self.made_at[name] < blink_s}

    def claim(self, masks: list[dict[str, Any]]) -> None:
        """A page said "saved" and showed these masks."""
        for mask in masks:
            self.claims.add(
                Claim(
                    mask["target_id"],
                    mask["layer"],
                    mask["frame_index"],
                    mask["version"],
                    mask["verified"],
                    tuple(mask["runs"]),
                )
            )


@dataclass
class Verdict:
    """What the comparison with the store found."""

    lost: list[str] = field(default_factory=list)
    claimed_not_stored: list[Claim] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost and nothing was called saved that is not stored."""
        return not (self.lost or self.claimed_not_stored or self.unsettled)


def compare(ledger: Ledger, database: Path, size: Size) -> Verdict:
    """Hold what the pages said against the workspace's database, every pixel of it."""
    verdict = Verdict()
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        known = {row[0] for row in connection.execute("SELECT name FROM done_edit")}
        verdict.lost = sorted(ledger.acknowledged - known)
        verdict.unsettled = sorted(
            set(ledger.made) - ledger.acknowledged - ledger.given_up - ledger.in_hand - known
        )
        for claim in ledger.claims:
            row = connection.execute(
                "SELECT rle, verified FROM mask"
                " WHERE target_id = ? AND layer = ? AND frame_index = ? AND version = ?",
                (claim.target_id, claim.layer, claim.frame_index, claim.version),
            ).fetchone()
            if row is None or bool(row[1]) != claim.verified or not _same(claim, row[0], size):
                verdict.claimed_not_stored.append(claim)
    return verdict


def _same(claim: Claim, rle: bytes | None, size: Size) -> bool:
    stored = np.zeros(size, dtype=bool) if rle is None else runs.decode(rle, size)
    return bool(np.array_equal(_mask(claim.row_runs, size), stored))


def _mask(row_runs: tuple[int, ...], size: Size) -> Mask:
    if not row_runs:
        return np.zeros(size, dtype=bool)
    return np.repeat(np.arange(len(row_runs)) % 2 == 1, row_runs).reshape(size)
