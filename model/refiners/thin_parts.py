"""Thin parts of a target, carried by flow and colour where a network's grid is too coarse for them.

A strap, a string, a handlebar is narrower than one cell of a promptable network's logits: whatever
the network answers, it is not in there.  Flow brings such parts to the next frame, a little off and
a little blurred each time; the colours they had, against those beside them, put them right again.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from model.refiners.flow import Flow, Share
from video_types import Frame, Mask

WIDTH = 7
"""Pixels of a frame 854 wide below which a part is thin: two cells of MobileSAM's logits."""
LENGTH = 3
"""Times its width that a thin part is long: less is the roughness of a border."""
LEAST_SHARE = 0.02
"""Share of thin parts in a mask below which they are left to the network."""
CARRIED = 0.2
"""Share that flow brings to a pixel from which a thin part may be there."""
BESIDE = 4
"""Pixels around a thin part whose colours it is told from."""
BINS = 64
"""Steps of each of the three colour axes (CIELAB)."""
FADING = 0.9
"""What the colours known so far count beside those of one more frame."""
CARRIED_WEIGHT = 0.5
"""Log odds that the colours must overcome where flow is sure."""
UNSEEN = 1e-5
"""Share given to a colour that was not seen."""
FEWEST = 20
"""Pixels from which a frame's thin parts teach their colours."""

Colours = npt.NDArray[np.float32]
"""(BINS ** 3,), how often each colour is seen."""


def thin_parts(mask: Mask) -> Mask:
    """The parts of a mask that are narrow and long, (H, W).

    >>> mask = np.zeros((40, 90), dtype=bool)
    >>> mask[5:35, 5:35] = True
    >>> mask[18:20, 35:80] = True
    >>> thin = thin_parts(mask)
    >>> bool(thin[19, 60]), bool(thin[19, 20])
    (True, False)
    """
    width = _width(mask.shape)
    whole = mask.astype(np.uint8)
    thin = mask & (cv2.morphologyEx(whole, cv2.MORPH_OPEN, _disc(width)) == 0)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(thin.astype(np.uint8), connectivity=8)
    extents = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    keep = extents >= LENGTH * width
    keep[0] = False
    return np.asarray(keep[labels])


class ThinParts:
    """Carries the thin parts of one target away from one frame."""

    def __init__(self, frame: Frame, mask: Mask) -> None:
        """Start from `frame`, (H, W, 3), with `mask`, (H, W), the target on it."""
        self._thin = thin_parts(mask)
        self._worthwhile = int(self._thin.sum()) > LEAST_SHARE * int(mask.sum())
        if self._worthwhile:
            codes = _codes(frame)
            self._own = _colours(codes, self._thin)
            self._other = _colours(codes, _ring(self._thin, mask))

    def added_to(self, mask: Mask, frame: Frame, flow: Flow) -> Mask:
        """`mask` on the next frame with the thin parts that `flow` brings there, (H, W).

        Where the target is gone its thin parts are, too, and do not come back by themselves.
        """
        if not self._worthwhile or not mask.any():
            self._worthwhile = False
            return mask
        carried: Share = flow.carry(self._thin.astype(np.float32))
        near = cv2.dilate((carried > CARRIED).astype(np.uint8), _disc(3)) > 0
        codes = _codes(frame)
        odds = np.log(self._own[codes]) - np.log(self._other[codes])
        known = self._own[codes] > 2 * UNSEEN  # of colours never seen flow is no proof
        found = near & known & (odds + CARRIED_WEIGHT * (2 * carried - 1) > 0)
        result = mask | found
        self._thin = thin_parts(result) & near
        if int(self._thin.sum()) >= FEWEST:
            self._own = _mixed(self._own, _colours(codes, self._thin))
            self._other = _mixed(self._other, _colours(codes, _ring(self._thin, result)))
        return np.asarray(result)


def _width(size: tuple[int, ...]) -> int:
    return max(3, round(WIDTH * max(size) / 854))


def _disc(width: int) -> npt.NDArray[np.uint8]:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    return np.asarray(kernel, dtype=np.uint8)


def _ring(thin: Mask, mask: Mask) -> Mask:
    """What lies beside thin parts and is not on the mask."""
    around = cv2.dilate(thin.astype(np.uint8), _disc(2 * BESIDE + 1)) > 0
    return np.asarray(around & ~mask)


def _codes(frame: Frame) -> npt.NDArray[np.int32]:
    """(H, W), the bin of each pixel's colour."""
    lab = (cv2.cvtColor(frame, cv2.COLOR_RGB2LAB) // (256 // BINS)).astype(np.int32)
    return np.asarray((lab[..., 0] * BINS + lab[..., 1]) * BINS + lab[..., 2])


def _colours(codes: npt.NDArray[np.int32], where: Mask) -> Colours:
    """How often each colour is seen there, blurred to the colours next to it."""
    counts = np.bincount(codes[where], minlength=BINS**3).astype(np.float32)
    cube = counts.reshape(BINS, BINS, BINS)
    for axis in range(3):
        rows = np.moveaxis(cube, axis, 0).reshape(BINS, -1)
        cube = np.moveaxis(
            cv2.GaussianBlur(rows, (1, 3), 0, sigmaY=0.7).reshape(BINS, BINS, BINS), 0, axis
        )
    return np.asarray(cube.reshape(-1) / max(1.0, float(counts.sum())) + UNSEEN, dtype=np.float32)


def _mixed(before: Colours, now: Colours) -> Colours:
    return FADING * before + (1 - FADING) * now
