"""A view: the part of a frame that a network looks at, and the way back from it.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from video_types import Box, Click, Frame, Mask, Size

GRID = 16
"""Views begin and end at multiples of this many pixels: a mask that grows a bit keeps its view."""
ROOM = 0.4
"""Share of the target's longer side that a view leaves free on each side of it."""
WORTHWHILE = 0.5
"""A view longer than this share of the frame's longer side shows too little more than the frame
to be worth the time its features take."""
SMALLEST = 0.2
"""Share of the frame's longer side below which a view is only blur."""


@dataclass(frozen=True)
class View:
    """Rows `top` to `bottom` and columns `left` to `right` of a frame, the latter two excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> Size:
        """(H, W) of what is seen."""
        return self.bottom - self.top, self.right - self.left

    @property
    def inside(self) -> tuple[slice, slice]:
        """Index of the view in an array of the frame's size."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def view_of(frame: Frame) -> View:
    """The view that shows all of `frame`."""
    return View(0, 0, frame.shape[1], frame.shape[0])


def box_of(mask: Mask) -> Box | None:
    """The tightest box around `mask`, None if it is empty.

    >>> box_of(np.array([[False, True, True]]))
    Box(left=1.0, top=0.0, right=3.0, bottom=1.0)
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    return Box(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


def around(box: Box, size: Size) -> View:
    """The view that shows `box` with room around it, or the whole of a frame of `size` (H, W)."""
    height, width = size
    whole = View(0, 0, width, height)
    longer = max(height, width)
    room = ROOM * max(box.right - box.left, box.bottom - box.top)
    wanted = max(SMALLEST * longer, 1.0)
    spans = []
    for low, high, end in ((box.left, box.right, width), (box.top, box.bottom, height)):
        missing = max(0.0, wanted - (high - low + 2 * room)) / 2
        first = max(0, int((low - room - missing) // GRID) * GRID)
        last = min(end, -int(-(high + room + missing) // GRID) * GRID)
        spans.append((first, last))
    (left, right), (top, bottom) = spans
    if max(right - left, bottom - top) > WORTHWHILE * longer:
        return whole
    return View(left, top, right, bottom)


def is_cut(seen: Mask, view: View, size: Size) -> bool:
    """Whether a mask of the view goes on beyond it, within a frame of `size` (H, W).

    >>> is_cut(np.array([[True, False]]), View(0, 0, 2, 1), (1, 9))
    False
    >>> is_cut(np.array([[False, True]]), View(0, 0, 2, 1), (1, 9))
    True
    """
    height, width = size
    sides = (
        (view.left > 0, seen[:, 0]),
        (view.right < width, seen[:, -1]),
        (view.top > 0, seen[0]),
        (view.bottom < height, seen[-1]),
    )
    return any(inner and bool(side.any()) for inner, side in sides)


def points_in(
    view: View, clicks: Sequence[Click]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """(n, 2) places (x, y) within the view, and (n,) whether positive, of the clicks it shows."""
    seen = [
        click
        for click in clicks
        if view.left <= click.x < view.right and view.top <= click.y < view.bottom
    ]
    places = [(click.x - view.left, click.y - view.top) for click in seen]
    return np.array(places, dtype=np.float64).reshape(-1, 2), np.array(
        [click.positive for click in seen], dtype=bool
    )


def united(first: Box | None, second: Box) -> Box:
    """The box around both."""
    if first is None:
        return second
    return Box(
        min(first.left, second.left),
        min(first.top, second.top),
        max(first.right, second.right),
        max(first.bottom, second.bottom),
    )
