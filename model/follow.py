"""Following one target from frame to frame with MobileSAM and optical flow."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from model.flow import FlowEstimator, Share
from model.mobile_sam import MobileSam, logits_of_share, to_picture
from model.view import around, box_of, within
from video_types import Frame, Mask


class Follower:
    """Follows the target away from one frame.  A Chain of `model.propagation`."""

    def __init__(self, network: MobileSam, frame: Frame, mask: Mask) -> None:
        self._network = network
        self._flow = FlowEstimator()
        self._frame = frame
        self._share: Share = mask.astype(np.float32)

    def step(self, frame: Frame) -> tuple[Mask, float]:
        """The mask on the next frame, (H, W), and the confidence in it."""
        flow = self._flow.between(frame, self._frame)
        carried = flow.carry(self._share)
        self._frame = frame
        guess = carried > 0.5
        box = box_of(guess)
        if box is None:
            self._share = np.zeros_like(carried)
            return guess, 0.5
        view = around(box, guess.shape)
        embedding = self._network.embed(np.ascontiguousarray(frame[view.inside]))
        seen = np.ascontiguousarray(carried[view.inside])
        decoded = self._network.decode(
            embedding,
            points=inner_points(seen > 0.5),
            positive=np.ones(len(inner_points(seen > 0.5)), dtype=bool),
            box=within(view, box),
            logits=logits_of_share(seen, embedding),
        )
        found = cv2.divide(1.0, 1 + np.exp(-to_picture(decoded.logits[0], embedding)))
        agreement = soft_overlap(found, seen)
        share = np.zeros_like(carried)
        weight = 0.7 if agreement > 0.5 else 0.3
        share[view.inside] = weight * found + (1 - weight) * seen
        self._share = share
        return share > 0.5, float(np.clip(decoded.scores[0] * agreement, 0, 1))


def inner_points(mask: Mask) -> npt.NDArray[np.float64]:
    """(1, 2), the place (x, y) deepest inside the mask."""
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return np.array([[column - 1, row - 1]], dtype=np.float64)


def soft_overlap(first: Share, second: Share) -> float:
    """Intersection over union of two maps from 0 to 1."""
    union = float(np.maximum(first, second).sum())
    return float(np.minimum(first, second).sum()) / union if union else 1.0
