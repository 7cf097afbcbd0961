"""The refiner that needs no download: MobileSAM for clicks, with optical flow for other frames."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Iterator, Mapping, Sequence

from model.openvino_graph import cache_folder
from model.refiner import FeatureShelf, Propagated
from model.refiners.click_series import ClickSeries
from model.refiners.embeddings import Embeddings
from model.refiners.follow import Follower
from model.refiners.footage import Footage
from model.refiners.mobile_sam import Embedding, MobileSam, load_network
from model.refiners.propagation import Anchors, propagate
from model.refiners.view import View
from video_types import Frame, Mask

EMBEDDINGS_KEPT = 48
"""Embedded pictures kept, 2.4 MB each for a wide frame."""


class MobileSamRefiner(ClickSeries[Embedding]):
    """A Refiner.  Embedding a frame takes 0.2 to 0.6 s on two cores, a click a tenth of that.

    Not safe to call from two threads at once.
    """

    name = "mobile-sam"

    def __init__(self, network: MobileSam) -> None:
        super().__init__(network, kept=0)
        self._sam = network
        self._embedded = Embeddings(network, EMBEDDINGS_KEPT)

    @property
    def runtime(self) -> str:
        """What runs the encoder, for people."""
        return self._sam.runtime

    def use_shelf(self, shelf: FeatureShelf) -> None:
        """As `UsesShelf.use_shelf`."""
        self._embedded.shelf = shelf

    def propagate(
        self,
        frames: Sequence[Frame],
        anchors: Mapping[int, Mask],
        *,
        targets: Sequence[int],
        clip_key: Hashable = None,
    ) -> Iterator[Propagated | None]:
        """As `MaskPropagator.propagate`."""

        def embed(frame_index: int, frame: Frame) -> Embedding:
            if clip_key is None:
                return self._sam.embed(frame)
            return self._embedded.of_frame(frame, (clip_key, frame_index))

        def begin(settled: Anchors, anchor: int) -> Generator[None, None, Follower]:
            mask = settled.mask(anchor, footage[anchor])
            follower = Follower(self._sam, footage, anchor, mask)
            for other in settled.beside(anchor):
                yield
                follower.learn(other, settled.mask(other, footage[other]))
            return follower

        with Footage(frames, embed) as footage:
            yield from propagate(
                footage, anchors, targets=targets, begin=begin, expect=footage.expect
            )

    def _embedding(self, frame: Frame, key: Hashable, view: View) -> Embedding:
        return self._embedded.of_view(frame, key, view)


def load(device: str = "cpu") -> MobileSamRefiner:
    """MobileSAM as a refiner.

    Raises:
        ModelError: its package or its weights are not as they should be.
    """
    graphs = cache_folder() if device == "cpu" else None
    return MobileSamRefiner(load_network(device, graphs=graphs))
