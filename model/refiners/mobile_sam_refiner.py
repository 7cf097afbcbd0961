"""The refiner that needs no download: MobileSAM for clicks, with optical flow for other frames."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence

from model.openvino_graph import cache_folder
from model.refiner import Propagated
from model.refiners.click_series import ClickSeries
from model.refiners.follow import Follower
from model.refiners.footage import Footage
from model.refiners.mobile_sam import Embedding, MobileSam, load_network
from model.refiners.propagation import Anchors, propagate
from video_types import Frame, Mask

EMBEDDINGS_KEPT = 48
"""Embedded pictures kept, 2.4 MB each for a wide frame."""


class MobileSamRefiner(ClickSeries[Embedding]):
    """A Refiner.  Embedding a frame takes 0.2 to 0.6 s on two cores, a click a tenth of that.

    Not safe to call from two threads at once.
    """

    name = "mobile-sam"

    def __init__(self, network: MobileSam) -> None:
        super().__init__(network, kept=EMBEDDINGS_KEPT)
        self._sam = network

    def propagate(
        self, frames: Sequence[Frame], anchors: Mapping[int, Mask], *, targets: Sequence[int]
    ) -> Iterator[Propagated | None]:
        """As `MaskPropagator.propagate`."""

        def begin(settled: Anchors, anchor: int) -> Generator[None, None, Follower]:
            mask = settled.mask(anchor, footage[anchor])
            follower = Follower(self._sam, footage, anchor, mask)
            for other in settled.beside(anchor):
                yield
                follower.learn(other, settled.mask(other, footage[other]))
            return follower

        with Footage(frames, lambda _index, frame: self._sam.embed(frame)) as footage:
            yield from propagate(
                footage, anchors, targets=targets, begin=begin, expect=footage.expect
            )


def load(device: str = "cpu") -> MobileSamRefiner:
    """MobileSAM as a refiner.

    Raises:
        ModelError: its package or its weights are not as they should be.
    """
    graphs = cache_folder() if device == "cpu" else None
    return MobileSamRefiner(load_network(device, graphs=graphs))
