"""What every answer to clicks keeps to: clicks are honoured, and changes are local.

All functions are pure; masks are bool (H, W) and clicks lie inside them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from video_types import Box, Click, Frame, Mask, Size, require_frame, require_mask


def require_prompt(
    frame: Frame, clicks: Sequence[Click], prior: Mask | None, box: Box | None
) -> Size:
    """Return the frame's (H, W) if the prompt fits it.

    Raises:
        ValueError: nothing was prompted, a click lies outside the frame, the box is empty, or
            `prior` is not of the frame's size.
    """
    require_frame(frame)
    size = frame.shape[:2]
    height, width = size
    if not clicks and box is None:
        raise ValueError("expected at least one click or a box")
    for click in clicks:
        if not (0 <= click.x < width and 0 <= click.y < height):
            place = f"({click.x:g}, {click.y:g})"
            raise ValueError(f"the click at {place} is outside the {width}x{height} frame")
    if box is not None and not (box.left < box.right and box.top < box.bottom):
        raise ValueError(f"expected a box with an area, got {box}")
    if prior is not None:
        require_mask(prior, size)
    return size


def pixel_of(click: Click) -> tuple[int, int]:
    """(row, column) of the pixel under `click`."""
    return int(click.y), int(click.x)


def is_honoured(click: Click, mask: Mask) -> bool:
    """Whether `mask` has the click's pixel on the side the person asked for."""
    return bool(mask[pixel_of(click)]) == click.positive


def component_at(region: Mask, pixel: tuple[int, int]) -> Mask:
    """The 8-connected part of `region` that holds `pixel` (row, column); empty if none does.

    >>> component_at(np.array([[True, False, True]]), (0, 2))
    array([[False, False,  True]])
    """
    if not region[pixel]:
        return np.zeros_like(region)
    _, labels = cv2.connectedComponents(region.astype(np.uint8), connectivity=8)
    return np.asarray(labels == labels[pixel])


def disc(size: Size, pixel: tuple[int, int], radius: int) -> Mask:
    """A filled disc around `pixel` (row, column), cut off at the borders of `size` (H, W)."""
    drawn = np.zeros(size, dtype=np.uint8)
    cv2.circle(drawn, (pixel[1], pixel[0]), radius, 1, thickness=-1)
    return drawn.astype(bool)


def dot_radius(size: Size) -> int:
    """Pixels of the least a click changes: one in 150 of the diagonal."""
    return max(1, round(math.hypot(*size) / 150))


def changed_near(before: Mask, proposal: Mask, click: Click) -> Mask:
    """`before` with only what `proposal` changes at the click, and in the click's sense.

    A positive click adds, a negative one takes away.  A change that hangs on the clicked one
    through a thin bridge is another place, so changes are first parted at bridges narrower
    than a click's dot.
    """
    difference = proposal & ~before if click.positive else before & ~proposal
    pixel = pixel_of(click)
    if not difference[pixel]:
        return before.copy()
    kernel = cv2.getStructuringElement(
        cv2.MORPH_ELLIPSE, (2 * max(1, dot_radius(before.shape) // 3) + 1,) * 2
    )
    cores = cv2.morphologyEx(difference.astype(np.uint8), cv2.MORPH_OPEN, kernel).astype(bool)
    near = component_at(cores, pixel)
    if near.any():
        # Give the parted piece its rim back, but nothing of the other pieces.
        rim = cv2.dilate(near.astype(np.uint8), kernel).astype(bool)
        near = near | (rim & difference & ~cores)
    else:
        near = component_at(difference, pixel)
    return np.asarray(before ^ near)


def reach_of(click: Click, mask: Mask) -> int:
    """Pixels around the click that it can be about: thrice its way to the mask's border.

    People click in the middle of what is wrong, so a click close to the border is about a
    sliver and one far from it about a large part.
    """
    same = (mask == mask[pixel_of(click)]).astype(np.uint8)
    depth = cv2.distanceTransform(same, cv2.DIST_L2, 5)[pixel_of(click)]
    return int(min(3 * depth, math.hypot(*mask.shape))) + dot_radius(mask.shape)


def honour(mask: Mask, clicks: Sequence[Click]) -> Mask:
    """`mask` with a dot put right around every click it fails, the latest click deciding.

    A dot keeps clear of clicks of the other kind: it is no wider than half the way to the
    nearest of them.
    """
    result = mask.copy()
    radius = dot_radius(mask.shape)
    for click in clicks:
        if is_honoured(click, result):
            continue
        others = [other for other in clicks if other.positive != click.positive]
        ways = [math.hypot(other.x - click.x, other.y - click.y) for other in others]
        room = max(0, min([radius, *(int(way / 2) for way in ways)]))
        result[disc(mask.shape, pixel_of(click), room)] = click.positive
    for click in clicks:
        result[pixel_of(click)] = click.positive
    return result


def without_islands(mask: Mask, clicks: Sequence[Click], *, share: float) -> Mask:
    """`mask` without parts below `share` of its largest one; a part that was clicked on stays.

    >>> mask = np.zeros((5, 8), dtype=bool)
    >>> mask[:4, :4] = True
    >>> mask[4, 7] = True
    >>> int(without_islands(mask, [], share=0.1).sum())
    16
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=8
    )
    if count <= 2:
        return mask.copy()
    areas = stats[:, cv2.CC_STAT_AREA]
    keep = areas >= share * areas[1:].max()
    for click in clicks:
        if click.positive:
            keep[labels[pixel_of(click)]] = True
    keep[0] = False
    return np.asarray(keep[labels])
