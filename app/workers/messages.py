"""What the workers deliver: small values, masks as COCO run lengths."""

from __future__ import annotations

from dataclasses import dataclass

from model.segmenter import ExpressionReport, Ranking


@dataclass(frozen=True)
class SegmentBegun:
    """A segmenter is loaded: what it was made of, and what it reads of the expression."""

    weights_hash: str
    report: ExpressionReport


@dataclass(frozen=True)
class SegmentProgress:
    """`frames` are (frame_index, COCO counts, soft map as PNG).

    Where a model has several answers, `queries` has each one's counts and soft map by frame, and
    `frames` no soft maps.
    """

    done: int
    total: int
    stage: str
    frames: tuple[tuple[int, bytes, bytes | None], ...] = ()
    queries: tuple[tuple[int, tuple[tuple[bytes, bytes], ...]], ...] = ()
    ranking: Ranking | None = None


@dataclass(frozen=True)
class FrameFilled:
    """One propagated or repaired frame, as COCO counts."""

    frame_index: int
    rle: bytes
    confidence: float | None = None


@dataclass(frozen=True)
class FrameRefined:
    """The answer to clicks, as COCO counts; `candidates` are other readings of them."""

    rle: bytes
    candidates: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Progress:
    """How far a task is; `total` is 0 while nobody knows."""

    done: int
    total: int
    stage: str = ""


@dataclass(frozen=True)
class Exported:
    """A finished export, read back."""

    folder: str
    files: int
    frames: int
    checked: bool
