"""Places deep inside a mask, where a prompt is sure to mean it.  Pure."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from video_types import Mask


def deep_points(mask: Mask, *, most: int) -> npt.NDArray[np.float64]:
    """(n, 2), up to `most` places (x, y) deep inside the mask, the deepest first, apart."""
    left = np.pad(mask, 1).astype(np.uint8)
    places = []
    for _ in range(most):
        depth = cv2.distanceTransform(left, cv2.DIST_L2, 5)
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        deepest = float(depth[row, column])
        if deepest == 0:
            break
        places.append((column - 1, row - 1))
        cv2.circle(left, (int(column), int(row)), max(3, int(1.2 * deepest)), 0, thickness=-1)
    return np.array(places, dtype=np.float64).reshape(-1, 2)
