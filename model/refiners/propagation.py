"""Which anchor fills which frame, and in what order.  Knows no network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from model.refiner import Propagated
from video_types import Frame, Mask, require_mask


class Chain(Protocol):
    """Follows the target away from one anchor, one neighbouring frame after the other."""

    def step(self, frame_index: int, frame: Frame) -> tuple[Mask, float]:
        """The mask on the next frame, and the confidence in it."""
        ...


def require_anchors(
    frames: Sequence[Frame], anchors: Mapping[int, Mask], targets: Sequence[int]
) -> None:
    """Check what a propagation begins from.

    Raises:
        ValueError: there is no anchor, or a frame_index lies outside the clip, or a mask
            is not of its frame's size.
    """
    if not anchors:
        raise ValueError("expected at least one frame with a mask to propagate from")
    for frame_index in (*anchors, *targets):
        if not 0 <= frame_index < len(frames):
            raise ValueError(
                f"frame {frame_index} is outside the clip, which has {len(frames)} frames"
            )
    for frame_index, mask in anchors.items():
        require_mask(mask, frames[frame_index].shape[:2])


def anchor_for(frame_index: int, anchors: Mapping[int, Mask]) -> int:
    """The anchor a frame is filled from: of the nearest on each side the nearer one.

    An anchor without the target is no place to begin from, so the one on the other side
    takes over wherever it holds the target.

    >>> import numpy as np
    >>> seen, gone = np.ones((1, 1), dtype=bool), np.zeros((1, 1), dtype=bool)
    >>> anchor_for(3, {0: seen, 4: seen}), anchor_for(3, {0: seen, 4: gone})
    (4, 0)
    """
    before = max((a for a in anchors if a < frame_index), default=None)
    after = min((a for a in anchors if a > frame_index), default=None)
    if before is None or after is None:
        only = before if before is not None else after
        if only is None:
            raise ValueError(f"no anchor beside frame {frame_index}")
        return only
    if anchors[before].any() != anchors[after].any():
        return before if anchors[before].any() else after
    return before if frame_index - before <= after - frame_index else after


def beside(anchor: int, anchors: Mapping[int, Mask]) -> list[int]:
    """The anchors next to `anchor` that hold the target, one on each side at most.

    Both ends of a gap then know what the other looks like, and meet in its middle.

    >>> import numpy as np
    >>> seen = np.ones((1, 1), dtype=bool)
    >>> beside(4, {0: seen, 2: seen, 4: seen, 9: seen})
    [2, 9]
    """
    before = max((a for a in anchors if a < anchor and anchors[a].any()), default=None)
    after = min((a for a in anchors if a > anchor and anchors[a].any()), default=None)
    return [other for other in (before, after) if other is not None]


def propagate(
    frames: Sequence[Frame],
    anchors: Mapping[int, Mask],
    *,
    targets: Sequence[int],
    begin: Callable[[int], Chain],
) -> Iterator[Propagated]:
    """Fill `targets` by chains of neighbouring frames, each `begin`ning at an anchor.

    The order is the one wanted, except that a chain never skips a wanted frame on its
    way: those of the second half of a gap between two anchors come from the far one.
    """
    require_anchors(frames, anchors, targets)
    wanted = dict.fromkeys(index for index in targets if index not in anchors)
    chains: dict[tuple[int, int], tuple[Chain, int]] = {}
    while wanted:
        goal = next(iter(wanted))
        anchor = anchor_for(goal, anchors)
        way = 1 if goal > anchor else -1
        chain, reached = chains.get((anchor, way)) or (begin(anchor), anchor)
        while goal in wanted:
            reached += way
            mask, confidence = chain.step(reached, frames[reached])
            chains[anchor, way] = chain, reached
            if reached in wanted:
                del wanted[reached]
                yield Propagated(reached, mask, confidence)
        if not any(
            anchor_for(index, anchors) == anchor and (index - anchor) * way > 0 for index in wanted
        ):
            del chains[anchor, way]
