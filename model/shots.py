"""Where a clip is cut, and how well masks follow its motion.  Pure, on small pictures."""

from __future__ import annotations

import cv2
import numpy as np

from model.metrics import region_similarity
from model.refiners.flow import FlowEstimator
from video_types import Frame, Mask

CUT_LIKENESS = 0.4
"""Colour histograms of neighbouring frames that correlate less are of two shots."""
_BINS = [8, 8, 8]


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


def follows(
    flow: FlowEstimator, before: Frame, mask_before: Mask, here: Frame, mask_here: Mask
) -> float:
    """J of `mask_here` with `mask_before` carried along the optical flow; all of one (H, W)."""
    carried = flow.between(here, before).carry(mask_before.astype(np.float32)) > 0.5
    return region_similarity(carried, mask_here)
