"""SAM 2.1 as a refiner, for those who have its weights."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Mapping, Sequence

import numpy as np
import torch

from model import catalog
from model.postprocess import fill_holes
from model.refiner import Propagated, Refined
from model.refiners.click_series import ClickSeries
from model.refiners.propagation import propagate
from model.refiners.sam2_network import (
    Remembered,
    Sam2Features,
    Sam2Network,
    build,
    load_network,
    stretched,
)
from model.segmenter import ModelError
from video_types import Box, Click, Frame, Mask

FEATURES_KEPT = 32
"""Pictures whose features are kept, 8 MB each in half precision at 1024 pixels."""
ANCHORS_USED = 4
HOLE_SHARE = 0.002
"""Of the target's area: smaller holes in a propagated mask are the network's, not the target's."""
CPU_IMAGE_SIZE = 512
"""Propagating at 1024 pixels takes over 4 s a frame on two cores, at 512 a sixth of that."""
COMPILE_VARIABLE = "REFSCRIBE_SAM2_COMPILE"


class Sam2Refiner:
    """A ClickRefiner and a MaskPropagator.  Not safe to call from two threads at once."""

    def __init__(self, name: str, network: Sam2Network) -> None:
        self.name = name
        self._network = network
        self._series: ClickSeries[Sam2Features] = ClickSeries(network, kept=FEATURES_KEPT)

    def prepare(self, frame: Frame, key: Hashable) -> None:
        """Embed the frame, so that a click on it needs the decoder alone."""
        self._series.prepare(frame, key)

    def refine(
        self,
        frame: Frame,
        clicks: Sequence[Click],
        prior: Mask | None,
        *,
        key: Hashable,
        box: Box | None = None,
    ) -> Refined:
        """As `ClickRefiner.refine`."""
        return self._series.refine(frame, clicks, prior, key=key, box=box)

    def redraw(self, frame: Frame, rough: Mask, *, key: Hashable) -> Refined:
        """As `ClickRefiner.redraw`."""
        return self._series.redraw(frame, rough, key=key)

    def propagate(
        self, frames: Sequence[Frame], anchors: Mapping[int, Mask], *, targets: Sequence[int]
    ) -> Iterator[Propagated]:
        """As `MaskPropagator.propagate`.

        Every anchor conditions the network, so a correction counts on its own frame and on
        all others whenever masks are propagated again.
        """
        settled: dict[int, Remembered] = {}

        def begin(anchor: int) -> Sam2Follower:
            nearest = sorted(anchors, key=lambda other: abs(other - anchor))[:ANCHORS_USED]
            for index in nearest:
                if index not in settled:
                    embedding = self._network.embed(frames[index])
                    settled[index] = self._network.remember(index, embedding, anchors[index])
            used = {index: settled[index] for index in nearest}
            seen = any(anchors[index].any() for index in nearest)
            return Sam2Follower(self._network, anchor, used, target_known=seen)

        return propagate(frames, anchors, targets=targets, begin=begin)


class Sam2Follower:
    """Follows the target away from one frame.  A Chain of `model.refiners.propagation`."""

    def __init__(
        self,
        network: Sam2Network,
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


def load_tiny(device: str) -> Sam2Refiner:
    """SAM 2.1 tiny; raises ModelError where its weights are missing."""
    return _load("tiny", device)


def load_small(device: str) -> Sam2Refiner:
    """SAM 2.1 small; raises ModelError where its weights are missing."""
    return _load("small", device)


def load_base_plus(device: str) -> Sam2Refiner:
    """SAM 2.1 base+; raises ModelError where its weights are missing."""
    return _load("base-plus", device)


def load_large(device: str) -> Sam2Refiner:
    """SAM 2.1 large; raises ModelError where its weights are missing."""
    return _load("large", device)


def untrained(
    device: str = "cpu", *, image_size: int = 1024, compiled: bool = False
) -> Sam2Refiner:
    """SAM 2.1 tiny with random weights: draws nonsense at the true cost, for benchmarks."""
    torch.manual_seed(0)
    network = Sam2Network(build("tiny", image_size=image_size), device, compiled=compiled)
    how = "untrained, compiled" if compiled else "untrained"
    return Sam2Refiner(f"sam2.1-tiny at {image_size} pixels, {how}", network)


def _load(size: str, device: str) -> Sam2Refiner:
    name = f"sam2.1-{size}"
    weights = catalog.weights_path(name)
    if weights is None:
        raise ModelError(
            f"The weights of SAM 2.1 {size} are not here: fetch them with "
            f"`python -m model.weights fetch {name}`, or name the file in "
            f"REFSCRIBE_SAM2_{size.replace('-', '_').upper()}."
        )
    image_size = CPU_IMAGE_SIZE if device == "cpu" else 1024
    compiled = bool(os.environ.get(COMPILE_VARIABLE))
    network = load_network(size, weights, device, image_size=image_size, compiled=compiled)
    return Sam2Refiner(name, network)
