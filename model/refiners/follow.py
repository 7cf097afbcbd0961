"""Following one target from frame to frame with MobileSAM, its features and optical flow.

Flow carries the last mask here; the features say where the target's likeness is.  Flow is
exact while the target is in view and lost once it was hidden; likeness is coarse and never
lost.  Together they make the expectation that MobileSAM is prompted with, and against which its
readings are weighed.  What is too thin for the network is carried beside it.
"""

from __future__ import annotations

import numpy as np

from model.refiners.flow import Share
from model.refiners.footage import Footage
from model.refiners.mobile_sam import Embedding, MobileSam, logits_of_share, to_picture
from model.refiners.places import deep_points
from model.refiners.target_memory import TargetMemory
from model.refiners.thin_parts import ThinParts
from model.refiners.view import around, box_of, view_of
from video_types import Frame, Mask

FLOW_WEIGHT = 0.5
"""Of the expectation, where flow is fully trusted; likeness has the rest."""
CLEAR_INSIDE = 0.6
"""Expectation above which a place may serve as a point prompt."""
SCORE_WEIGHT = 0.3
"""What the network's own score of a reading counts beside its agreement with the expectation."""
FIRMEST_LOGIT = 6.0
LEAST_EXPECTATION = 0.02
"""Expectation is kept this far from 0 and 1, so that it can be overruled."""
FINER_AGREES = 0.6
"""Overlap a closer look must have with the mask to replace it."""
SURE = 0.6


class Follower:
    """Follows the target away from one frame.  A Chain of `model.refiners.propagation`."""

    def __init__(self, network: MobileSam, footage: Footage, frame_index: int, mask: Mask) -> None:
        """Start from a frame with `mask`, (H, W), the target on it."""
        self._network = network
        self._footage = footage
        self._memory = TargetMemory()
        self._reached = frame_index
        self._share: Share = mask.astype(np.float32)
        self._thin = ThinParts(footage[frame_index], mask)
        self.learn(frame_index, mask)

    def learn(self, frame_index: int, mask: Mask) -> None:
        """Look at one more frame whose mask is known: it helps to tell what the target is."""
        self._memory.add_anchor(self._footage.embedding(frame_index), mask.astype(np.float32))

    def step(self, frame_index: int, frame: Frame) -> tuple[Mask, float]:
        """The mask on the next frame, (H, W), and the confidence in it."""
        sight = self._footage.sight(frame_index, self._reached)
        flow, embedding = sight.flow, sight.embedding
        weight = FLOW_WEIGHT * flow.trust
        expected = weight * flow.carry(self._share)
        expected += (1 - weight) * self._memory.read(embedding)
        share, confidence = self._read(embedding, expected)
        share = self._look_closer(frame, share)
        self._memory.add(embedding, share, sure=confidence > SURE)
        self._reached, self._share = frame_index, share
        return self._thin.added_to(share > 0.5, frame, flow), confidence

    def _read(self, embedding: Embedding, expected: Share) -> tuple[Share, float]:
        """The target's share (H, W) of a picture where it is `expected`, and the confidence."""
        box = box_of(expected > 0.5)
        if box is None:
            return np.zeros_like(expected), 1 - float(expected.max())
        points = deep_points(expected > CLEAR_INSIDE, most=2)
        positive = np.ones(len(points), dtype=bool)
        guided = self._network.decode(
            embedding,
            points=points,
            positive=positive,
            box=box,
            logits=logits_of_share(expected, embedding),
        )
        free = self._network.decode(
            embedding, points=points, positive=positive, box=box, several=True
        )
        best_worth, best_map, confidence = -1.0, np.zeros_like(expected), 0.0
        for logits, score in zip(
            [*guided.logits, *free.logits], [*guided.scores, *free.scores], strict=True
        ):
            reading = to_picture(logits, embedding)
            agreement = soft_overlap(_share_of(reading), expected)
            trusted = float(np.clip(score, 0, 1))
            if agreement + SCORE_WEIGHT * trusted > best_worth:
                best_worth = agreement + SCORE_WEIGHT * trusted
                best_map, confidence = reading, agreement * trusted
        # Both are log odds: the border is the network's, what it adds far off is not believed.
        odds = np.clip(best_map, -FIRMEST_LOGIT, FIRMEST_LOGIT) + _log_odds(expected)
        return _share_of(odds), confidence

    def _look_closer(self, frame: Frame, share: Share) -> Share:
        """`share` read once more on a view of the target, where the target is small."""
        box = box_of(share > 0.5)
        if box is None:
            return share
        view = around(box, share.shape)
        if view == view_of(frame):
            return share
        seen = np.ascontiguousarray(share[view.inside])
        closer = self._network.embed_view(np.ascontiguousarray(frame[view.inside]))
        finer, _ = self._read(closer, seen)
        if soft_overlap(finer, seen) < FINER_AGREES:
            return share
        result = np.zeros_like(share)
        result[view.inside] = finer
        return result


def soft_overlap(first: Share, second: Share) -> float:
    """Intersection over union of two maps from 0 to 1.

    >>> soft_overlap(np.array([[1, 0.5]], np.float32), np.array([[1, 1]], np.float32))
    0.75
    """
    union = float(np.maximum(first, second).sum())
    return float(np.minimum(first, second).sum()) / union if union else 1.0


def _share_of(log_odds: Share) -> Share:
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, -30, 30))), dtype=np.float32)


def _log_odds(share: Share) -> Share:
    kept = np.clip(share, LEAST_EXPECTATION, 1 - LEAST_EXPECTATION)
    return np.asarray(np.log(kept / (1 - kept)), dtype=np.float32)
