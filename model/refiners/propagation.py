"""Which anchor fills which frame, and in what order.  Knows no network."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Protocol

from model.refiner import Propagated
from video_types import Frame, Mask, require_mask


class Chain(Protocol):
    """Follows the target away from one anchor, one neighbouring frame after the other."""

    def step(self, frame_index: int, frame: Frame) -> tuple[Mask, float]:
        """The mask on the next frame, and the confidence in it."""
        ...


class Anchors:
    """The settled frames in order.  A mask is asked for when it is used, and not kept.

    >>> import numpy as np
    >>> seen, gone = np.ones((1, 1), dtype=bool), np.zeros((1, 1), dtype=bool)
    >>> anchors = Anchors({0: seen, 2: seen, 4: gone, 9: seen})
    >>> anchors.around(3), anchors.around(9)
    ((2, 4), (4, None))
    """

    def __init__(self, masks: Mapping[int, Mask]) -> None:
        self._masks = masks
        self._order = sorted(masks)
        self._holding: dict[int, bool] = {}

    def __contains__(self, frame_index: int) -> bool:
        return frame_index in self._masks

    def mask(self, frame_index: int, frame: Frame) -> Mask:
        """The mask of an anchor, (H, W).

        Raises:
            ValueError: it is not of the size of its `frame`.
        """
        mask = self._masks[frame_index]
        require_mask(mask, frame.shape[:2])
        return mask

    def holds_target(self, frame_index: int) -> bool:
        """Whether the target is in view on an anchor."""
        if frame_index not in self._holding:
            self._holding[frame_index] = bool(self._masks[frame_index].any())
        return self._holding[frame_index]

    def around(self, frame_index: int) -> tuple[int | None, int | None]:
        """The nearest anchors before and after a frame."""
        before = bisect_left(self._order, frame_index)
        after = bisect_right(self._order, frame_index)
        return (
            self._order[before - 1] if before else None,
            self._order[after] if after < len(self._order) else None,
        )

    def nearest(self, anchor: int, count: int) -> list[int]:
        """The `count` anchors nearest to `anchor`, itself first.

        >>> import numpy as np
        >>> Anchors(dict.fromkeys([0, 5, 7, 8, 20], np.ones((1, 1), dtype=bool))).nearest(7, 3)
        [7, 8, 5]
        """
        place = bisect_left(self._order, anchor)
        near = self._order[max(0, place - count) : place + count]
        return sorted(near, key=lambda other: abs(other - anchor))[:count]

    def beside(self, anchor: int) -> list[int]:
        """The anchors next to `anchor` that hold the target, one on each side at most.

        Both ends of a gap then know what the other looks like, and meet in its middle.

        >>> import numpy as np
        >>> Anchors(dict.fromkeys([0, 2, 4, 9], np.ones((1, 1), dtype=bool))).beside(4)
        [2, 9]
        """
        place = bisect_left(self._order, anchor)
        sides = reversed(self._order[:place]), iter(self._order[place + 1 :])
        found = (next(filter(self.holds_target, side), None) for side in sides)
        return [other for other in found if other is not None]

    def source_of(self, frame_index: int) -> int:
        """The anchor a frame is filled from: of the nearest on each side the nearer one.

        An anchor without the target is no place to begin from, so the one on the other side
        takes over wherever it holds the target.

        >>> import numpy as np
        >>> seen, gone = np.ones((1, 1), dtype=bool), np.zeros((1, 1), dtype=bool)
        >>> Anchors({0: seen, 4: seen}).source_of(3), Anchors({0: seen, 4: gone}).source_of(3)
        (4, 0)
        """
        before, after = self.around(frame_index)
        if before is None or after is None:
            only = before if before is not None else after
            if only is None:
                raise ValueError(f"no anchor beside frame {frame_index}")
            return only
        if self.holds_target(before) != self.holds_target(after):
            return before if self.holds_target(before) else after
        return before if frame_index - before <= after - frame_index else after


def propagate(
    frames: Sequence[Frame],
    anchors: Mapping[int, Mask],
    *,
    targets: Sequence[int],
    begin: Callable[[Anchors, int], Generator[None, None, Chain]],
    expect: Callable[[int, int], None] = lambda _frame_index, _before: None,
) -> Iterator[Propagated | None]:
    """Fill `targets` by chains of neighbouring frames, each beginning at an anchor.

    `begin` gives the chain that starts from one of the anchors; it yields between the frames it
    looks at.  `expect` is told, before a chain steps to a frame, which one it steps to after that,
    and the frame it comes from then.
    The order is the one wanted, except that a chain never skips a wanted frame on its
    way: those of the second half of a gap between two anchors come from the far one.

    Yields after each bounded step: what was filled, or None where nothing was yet.

    Raises:
        ValueError: see `MaskPropagator`; the size of a mask is looked at when it is used.
    """
    _require_inside(frames, anchors, targets)
    settled = Anchors(anchors)
    wanted = dict.fromkeys(index for index in targets if index not in anchors)
    gaps: dict[tuple[int | None, int | None], list[int]] = {}
    for index in wanted:
        gaps.setdefault(settled.around(index), []).append(index)
    waiting: dict[tuple[int, int], set[int]] = {}  # what each chain is still to fill
    chains: dict[tuple[int, int], tuple[Chain, int]] = {}
    while wanted:
        goal = next(iter(wanted))
        for index in gaps.pop(settled.around(goal), []):
            waiting.setdefault(_way_to(index, settled), set()).add(index)
        anchor, way = name = _way_to(goal, settled)
        if name not in chains:
            chains[name] = (yield from begin(settled, anchor)), anchor
            yield None
        chain, reached = chains[name]
        while goal in wanted:
            reached += way
            if len(waiting[name]) > (reached in waiting[name]):  # others lie further on this way
                expect(reached + way, reached)
            mask, confidence = chain.step(reached, frames[reached])
            chains[name] = chain, reached
            if reached in wanted:
                del wanted[reached]
                waiting[name].discard(reached)
                yield Propagated(reached, mask, confidence)
            else:
                yield None
        if not waiting[name]:
            del chains[name]


def _way_to(frame_index: int, anchors: Anchors) -> tuple[int, int]:
    """The anchor a frame is filled from, and the direction from there."""
    anchor = anchors.source_of(frame_index)
    return anchor, 1 if frame_index > anchor else -1


def _require_inside(
    frames: Sequence[Frame], anchors: Mapping[int, Mask], targets: Sequence[int]
) -> None:
    if not anchors:
        raise ValueError("expected at least one frame with a mask to propagate from")
    for frame_index in (*anchors, *targets):
        if not 0 <= frame_index < len(frames):
            raise ValueError(
                f"frame {frame_index} is outside the clip, which has {len(frames)} frames"
            )
