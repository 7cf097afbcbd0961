"""Small repairs of a mask a person may ask for.  Pure; masks are bool (H, W) and come back new."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
import numpy.typing as npt

from video_types import Mask, require_mask


def fill_holes(mask: Mask, largest: int | None = None) -> Mask:
    """`mask` with its holes filled, or only those of at most `largest` pixels.

    A hole is background that does not reach the frame's border, by sides of pixels.

    >>> ring = np.ones((3, 3), dtype=bool)
    >>> ring[1, 1] = False
    >>> bool(fill_holes(ring)[1, 1]), bool(fill_holes(ring, largest=0)[1, 1])
    (True, False)
    """
    require_mask(mask)
    outside = np.pad(~mask, 1, constant_values=True)
    labels, areas = _parts(outside, connectivity=4)
    holes = np.ones(len(areas), dtype=bool)
    holes[[0, labels[0, 0]]] = False
    if largest is not None:
        holes &= areas <= largest
    return np.asarray(mask | holes[labels][1:-1, 1:-1])


def drop_islands(mask: Mask, smallest: int | None = None) -> Mask:
    """`mask` without parts of fewer than `smallest` pixels, or with its largest part alone.

    Parts that touch at a corner are one.

    >>> drop_islands(np.array([[True, True, False, True]]))
    array([[ True,  True, False, False]])
    """
    require_mask(mask)
    labels, areas = _parts(mask, connectivity=8)
    if len(areas) == 1:
        return mask.copy()
    keep = areas >= (areas[1:].max() if smallest is None else smallest)
    if smallest is None:
        keep[1 + int(areas[1:].argmax()) + 1 :] = False  # of equals, the first
    keep[0] = False
    return np.asarray(keep[labels])


def grow(mask: Mask, pixels: int) -> Mask:
    """`mask` and everything within `pixels` of it.

    >>> int(grow(np.eye(5, dtype=bool) & (np.arange(5) == 2), 1).sum())
    5
    """
    require_mask(mask)
    _require_distance(pixels)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), _disc(pixels)).astype(bool))


def shrink(mask: Mask, pixels: int) -> Mask:
    """What of `mask` is over `pixels` from the background; the frame's border is no background.

    >>> shrink(np.ones((2, 2), dtype=bool), 5).all()
    np.True_
    """
    require_mask(mask)
    _require_distance(pixels)
    return ~grow(~mask, pixels)


def smooth(mask: Mask, pixels: int) -> Mask:
    """`mask` with a border that bends no tighter than about `pixels`; straight borders stay.

    Hairs and slits thinner than that go.  At the frame's border the mask is continued as it is.
    """
    require_mask(mask)
    _require_distance(pixels)
    if pixels == 0:
        return mask.copy()
    blurred = cv2.GaussianBlur(
        mask.astype(np.float32), (0, 0), sigmaX=pixels, borderType=cv2.BORDER_REPLICATE
    )
    return np.asarray(blurred > 0.5)


REPAIRS: Mapping[str, Callable[[Mask, int], Mask]] = {
    "fill-holes": lambda mask, pixels: fill_holes(mask, _disc_area(pixels)),
    "drop-islands": lambda mask, pixels: drop_islands(mask, _disc_area(pixels)),
    "smooth": smooth,
    "grow": grow,
    "shrink": shrink,
}
"""What a person may ask for by name, each with one size in pixels: how far, or for holes and
islands the width of the largest that goes (0: every hole, every part but the largest)."""


def _disc_area(width: int) -> int | None:
    """Pixels of a disc of this width; None for 0, which stands for any size."""
    return round(np.pi * width**2 / 4) or None


def _parts(mask: Mask, connectivity: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Labels (H, W), 0 for background, and the area of each label."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=connectivity
    )
    return np.asarray(labels, dtype=np.int32), np.asarray(stats[:, cv2.CC_STAT_AREA])


def _disc(radius: int) -> npt.NDArray[np.uint8]:
    rows, columns = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    return (rows**2 + columns**2 <= radius**2).astype(np.uint8)


def _require_distance(pixels: int) -> None:
    if pixels < 0:
        raise ValueError(f"expected a distance of 0 pixels or more, got {pixels}")
