"""A network with a memory as a refiner: SAM 2.1, EdgeTAM, SAM 3's tracker."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Iterator, Mapping, Sequence

import numpy as np
from cachetools import LRUCache

from model.postprocess import fill_holes
from model.refiner import Propagated
from model.refiners.click_series import ClickSeries
from model.refiners.memory_network import (
    MemoryNetwork,
    PictureFeatures,
    Remembered,
    stretched,
)
from model.refiners.propagation import Anchors, propagate
from video_types import Frame, Mask

FEATURES_KEPT = 32
"""Pictures whose features are kept, 8 MB each in half precision at 1024 pixels."""
ANCHORS_USED = 4
ANCHORS_REMEMBERED = 2 * ANCHORS_USED
"""0.5 MB each; those far behind are of no use to the chains to come."""
HOLE_SHARE = 0.002
"""Of the target's area: smaller holes in a propagated mask are the network's, not the target's."""


class MemoryRefiner(ClickSeries[PictureFeatures]):
    """A Refiner.  Not safe to call from two threads at once."""

    def __init__(self, name: str, network: MemoryNetwork) -> None:
        super().__init__(network, kept=FEATURES_KEPT)
        self.name = name
        self._memory = network

    def propagate(
        self,
        frames: Sequence[Frame],
        anchors: Mapping[int, Mask],
        *,
        targets: Sequence[int],
        clip_key: Hashable = None,  # noqa: ARG002  # a chain's features are not those of clicks
    ) -> Iterator[Propagated | None]:
        """As `MaskPropagator.propagate`.

        Every anchor conditions the network, so a correction counts on its own frame and on
        all others whenever masks are propagated again.
        """
        remembered: LRUCache[int, Remembered] = LRUCache(ANCHORS_REMEMBERED)

        def begin(settled: Anchors, anchor: int) -> Generator[None, None, MemoryFollower]:
            used: dict[int, Remembered] = {}
            for index in settled.nearest(anchor, ANCHORS_USED):
                found = remembered.get(index)
                if found is None:
                    if used:
                        yield
                    frame = frames[index]
                    embedding = self._memory.embed(frame)
                    found = self._memory.remember(index, embedding, settled.mask(index, frame))
                    remembered[index] = found
                used[index] = found
            seen = any(settled.holds_target(index) for index in used)
            return MemoryFollower(self._memory, anchor, used, target_known=seen)

        return propagate(frames, anchors, targets=targets, begin=begin)


class MemoryFollower:
    """Follows the target away from one frame.  A Chain of `model.refiners.propagation`."""

    def __init__(
        self,
        network: MemoryNetwork,
        anchor: int,
        settled: Mapping[int, Remembered],
        *,
        target_known: bool,
    ) -> None:
        self._network = network
        self._anchor = anchor
        self._settled = settled
        self._target_known = target_known
        self.passed: dict[int, Remembered] = {}

    def step(self, frame_index: int, frame: Frame) -> tuple[Mask, float]:
        """The mask on the next frame, (H, W), and the confidence in it."""
        height, width = frame.shape[:2]
        if not self._target_known:
            return np.zeros((height, width), dtype=bool), 1.0
        found = self._network.track(
            frame_index,
            self._network.embed(frame),
            self._settled,
            self.passed,
            backwards=frame_index < self._anchor,
        )
        self.passed[frame_index] = found
        while len(self.passed) > self._network.frames_remembered:
            del self.passed[next(iter(self.passed))]
        logits = stretched(found.logits, (height, width))
        mask = np.asarray(logits > 0)
        mask = fill_holes(mask, largest=int(HOLE_SHARE * mask.sum()))
        loose = int((logits > -1).sum())
        steady = int((logits > 1).sum()) / loose if loose else 1.0
        return mask, steady * max(found.in_view, 1 - found.in_view)
