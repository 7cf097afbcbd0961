"""Dense optical flow between two frames, and maps carried along it.  OpenCV's DIS, no network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from video_types import Frame

LONG_SIDE = 640
"""Flow is computed with frames shrunk to this many pixels on the longer side: finer is no truer."""

Share = npt.NDArray[np.float32]
"""(H, W) between 0 and 1."""


@dataclass(frozen=True)
class Flow:
    """Where each pixel of a frame was on another frame.

    `source_x` and `source_y` are (H, W), in pixels of the other frame.  `trust` is
    (H, W) from 0 to 1: near 0 where the way back does not return, as on what was hidden.
    """

    source_x: npt.NDArray[np.float32]
    source_y: npt.NDArray[np.float32]
    trust: Share

    def carry(self, values: Share) -> Share:
        """Bring a map (H, W) of the other frame here; 0 where the source lies outside it."""
        return cv2.remap(
            values,
            self.source_x,
            self.source_y,
            interpolation=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=0,
        )


class FlowEstimator:
    """Computes flow between frames of one size.  Deterministic."""

    def __init__(self) -> None:
        self._dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def between(self, here: Frame, other: Frame) -> Flow:
        """Where the pixels of `here` were on `other`; both (H, W, 3) of one size."""
        height, width = here.shape[:2]
        shrink = min(1.0, LONG_SIDE / max(height, width))
        inner = max(16, round(width * shrink)), max(16, round(height * shrink))
        grays = [
            cv2.cvtColor(cv2.resize(frame, inner, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
            for frame in (here, other)
        ]
        there = self._dis.calc(grays[0], grays[1], None)
        back = self._dis.calc(grays[1], grays[0], None)
        columns, rows = _places(*inner)
        source = (columns + there[..., 0], rows + there[..., 1])
        returned = cv2.remap(back, *source, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        miss = _length(there + returned)
        way = _length(there) + _length(returned)
        # A miss may grow with the way: one pixel, and a tenth of the distance travelled.
        trust = np.exp(-((miss / (1.0 + 0.1 * way)) ** 2)).astype(np.float32)
        large = cv2.resize(there, (width, height), interpolation=cv2.INTER_LINEAR)
        columns, rows = _places(width, height)
        return Flow(
            columns + large[..., 0] * (width / inner[0]),
            rows + large[..., 1] * (height / inner[1]),
            cv2.resize(trust, (width, height), interpolation=cv2.INTER_LINEAR),
        )


def _places(width: int, height: int) -> tuple[Share, Share]:
    """(1, W) and (H, 1): the place of every pixel."""
    columns = np.arange(width, dtype=np.float32)[None]
    return columns, np.arange(height, dtype=np.float32)[:, None]


def _length(way: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(H, W, 2) -> (H, W)."""
    along, down = way[..., 0], way[..., 1]
    return np.sqrt(along * along + down * down)
