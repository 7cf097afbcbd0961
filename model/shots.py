"""What two neighbouring frames say of a clip: a cut between them, or its motion.  Pure, on small
pictures; masks are no part of it, so that it is worked out once for a clip.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from model.metrics import region_similarity
from video_types import Frame, Mask

CUT_LIKENESS = 0.4
"""Colour histograms of neighbouring frames that correlate less are of two shots."""
_BINS = [8, 8, 8]
COARSER = 2
"""Motion is kept at this part of the picture's size: it is smooth, and found no finer."""

Motion = npt.NDArray[np.float16]
"""(h, w, 2): where each place of a picture was on the one before, in pixels (x, y) of the picture
from where it is; at a part of its size."""


def is_cut(before: Frame, here: Frame) -> bool:
    """Whether `here` begins a new shot, judged by colour; both (H, W, 3).

    >>> black, white = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)
    >>> is_cut(black, white), is_cut(white, white)
    (True, False)
    """
    first, second = (
        cv2.calcHist([frame], [0, 1, 2], None, _BINS, [0, 256] * 3) for frame in (before, here)
    )
    return bool(cv2.compareHist(first, second, cv2.HISTCMP_CORREL) < CUT_LIKENESS)


class MotionEstimator:
    """Finds motion fast rather than finely.  Deterministic."""

    def __init__(self) -> None:
        self._dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def between(self, before: Frame, here: Frame) -> Motion:
        """How `here` came from `before`; both (H, W, 3) of one size."""
        found = self._dis.calc(
            *(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (here, before)), None
        )
        height, width = here.shape[:2]
        coarse = max(1, width // COARSER), max(1, height // COARSER)
        return cv2.resize(found, coarse, interpolation=cv2.INTER_AREA).astype(np.float16)


def follows(motion: Motion, mask_before: Mask, mask_here: Mask) -> float:
    """J of `mask_here` with `mask_before` carried along `motion`; both of one (H, W)."""
    height, width = mask_here.shape
    way = cv2.resize(motion.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height))
    carried = cv2.remap(
        mask_before.astype(np.float32),
        columns + way[..., 0],
        rows.astype(np.float32) + way[..., 1],
        interpolation=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    return region_similarity(carried > 0.5, mask_here)
