"""The refiner that needs no download: MobileSAM for clicks, with optical flow for other frames."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence

from model.refiner import Propagated, Refined
from model.refiners.click_series import ClickSeries
from model.refiners.follow import Follower
from model.refiners.mobile_sam import Embedding, MobileSam, load_network
from model.refiners.propagation import beside, propagate
from video_types import Box, Click, Frame, Mask

EMBEDDINGS_KEPT = 48
"""Embedded pictures kept, 2.4 MB each for a wide frame."""


class MobileSamRefiner:
    """A ClickRefiner and a MaskPropagator.  Not safe to call from two threads at once."""

    name = "mobile-sam"

    def __init__(self, network: MobileSam) -> None:
        self._network = network
        self._series: ClickSeries[Embedding] = ClickSeries(network, kept=EMBEDDINGS_KEPT)

    def prepare(self, frame: Frame, key: Hashable) -> None:
        """Embed the frame: 0.2 to 0.6 s on two cores.  A click on it then takes a tenth of that."""
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
        """As `MaskPropagator.propagate`."""

        def begin(anchor: int) -> Follower:
            others = [(frames[other], anchors[other]) for other in beside(anchor, anchors)]
            return Follower(self._network, frames[anchor], anchors[anchor], others)

        return propagate(frames, anchors, targets=targets, begin=begin)


def load(device: str = "cpu") -> MobileSamRefiner:
    """MobileSAM as a refiner.

    Raises:
        ModelError: its package or its weights are not as they should be.
    """
    return MobileSamRefiner(load_network(device))
