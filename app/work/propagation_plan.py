"""Which frames a propagation fills, and what it relies on.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from annotation_store.masks import StoredMask
from app.notices import RefusedError
from app.parameters import FrameIndex, Word

Makers = Mapping[int, tuple[int, str]]
"""frame_index -> the edit that made the mask shown now, and its note: the refiner's name."""


class Propagation(BaseModel):
    """What a person asks for; `anew` computes again what nothing has changed for."""

    frame_index: FrameIndex
    direction: Literal["both", "forward", "backward"] = "both"
    first: FrameIndex | None = None
    last: FrameIndex | None = None
    refiner: Word | None = None
    overwrite: bool = False
    anew: bool = False


@dataclass(frozen=True)
class PropagationPlan:
    """Where masks come from, and which frames they are carried to, in order."""

    anchors: dict[int, bytes]
    targets: list[int]


def plan_propagation(
    shown: Mapping[int, StoredMask],
    makers: Makers,
    wanted: Propagation,
    frame_count: int,
    refiner: str,
) -> PropagationPlan:
    """What of the clip is filled, given the target's masks by frame.

    Frames edited or verified by hand are anchors and stay, unless they are to be overwritten.
    Frames that this refiner filled since the anchors on both sides last changed are up to date
    and stay as well; those next to what is filled are relied on, so that an interrupted
    propagation goes on where it ended.  Where a mask is overwritten or was cleared, what was made
    from it is not up to date either.

    Raises:
        RefusedError: the frame has no mask, or nothing is left to fill.
    """
    begin = shown.get(wanted.frame_index)
    if begin is None or begin.rle is None:
        raise RefusedError(
            f"Frame {wanted.frame_index} has no mask to carry on. Go to a frame that has one.",
            code="refused",
            status=422,
        )
    reach = _reach(wanted, frame_count)
    settled = {
        index: shown[index]
        for index in ([] if wanted.overwrite else reach)
        if index in shown and shown[index].by_hand
    }
    open_frames = [index for index in reach if index not in settled]
    if not open_frames:
        raise RefusedError(
            "There is no frame to fill: all of them were edited or verified by hand. Choose "
            "another range, or allow overwriting them.",
            code="refused",
            status=422,
        )
    anchors = {index: one.rle for index, one in settled.items() if one.rle is not None}
    anchors[wanted.frame_index] = begin.rle
    cleared = [index for index in open_frames if index in shown and shown[index].rle is None]
    fresh = (
        set()
        if wanted.anew or wanted.overwrite
        else {
            index
            for index in open_frames
            if _is_up_to_date(index, shown, makers, sorted([*anchors, *cleared]), refiner)
        }
    )
    targets = [index for index in open_frames if index not in fresh]
    if not targets:
        raise RefusedError(
            "Every frame here is up to date: nothing it depends on has changed. Correct a frame "
            "first, or choose to compute all of them again.",
            code="refused",
            status=422,
        )
    for index in _beside(targets):
        rle = shown[index].rle if index in fresh else None
        if rle is not None:
            anchors[index] = rle
    return PropagationPlan(anchors, targets)


def _reach(wanted: Propagation, frame_count: int) -> list[int]:
    """The frames asked for, nearest first: forward, then backward."""
    first = max(0, wanted.first if wanted.first is not None else 0)
    last = min(frame_count - 1, wanted.last if wanted.last is not None else frame_count - 1)
    forward = range(max(first, wanted.frame_index + 1), last + 1)
    backward = range(min(last, wanted.frame_index - 1), first - 1, -1)
    return [
        *(forward if wanted.direction != "backward" else ()),
        *(backward if wanted.direction != "forward" else ()),
    ]


def _is_up_to_date(
    index: int,
    shown: Mapping[int, StoredMask],
    makers: Makers,
    anchors: Sequence[int],
    refiner: str,
) -> bool:
    one = shown.get(index)
    if one is None or one.rle is None or one.origin != "propagation":
        return False
    made, by = makers.get(index, (0, ""))
    if by != refiner:
        return False
    before = max((anchor for anchor in anchors if anchor < index), default=None)
    after = min((anchor for anchor in anchors if anchor > index), default=None)
    # A mask that undo brought back has no maker: as new as can be.
    return all(
        anchor is None or (anchor in makers and makers[anchor][0] <= made)
        for anchor in (before, after)
    )


def _beside(frames: Iterable[int]) -> set[int]:
    return {index + way for index in frames for way in (-1, 1)}
