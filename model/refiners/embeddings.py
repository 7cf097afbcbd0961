"""The embedded pictures of one network: remembered, taken from a shelf, or computed."""

from __future__ import annotations

import threading
from collections.abc import Hashable

import numpy as np
from cachetools import LRUCache

from model.refiner import FeatureShelf
from model.refiners.mobile_sam import Embedding, MobileSam
from model.refiners.view import View, view_of
from video_types import Frame


class Embeddings:
    """Threads may share it.  What comes from the shelf is to the bit what is computed."""

    def __init__(self, network: MobileSam, kept: int) -> None:
        """`kept` is how many are remembered."""
        self.shelf: FeatureShelf | None = None
        self._network = network
        self._kept: LRUCache[Hashable, Embedding] = LRUCache(kept)
        self._lock = threading.Lock()

    def of_view(self, frame: Frame, key: Hashable, view: View) -> Embedding:
        """A view of the frame called `key`; only whole frames are put on the shelf."""
        if view == view_of(frame):
            return self.of_frame(frame, key)
        name = key, view
        with self._lock:
            found = self._kept.get(name)
        if found is None:
            found = self._network.embed_view(np.ascontiguousarray(frame[view.inside]))
            with self._lock:
                self._kept[name] = found
        return found

    def of_frame(self, frame: Frame, key: Hashable) -> Embedding:
        """The whole frame called `key`."""
        with self._lock:
            found = self._kept.get(key)
        if found is None:
            found = self._from_shelf(frame, key) or self._computed(frame, key)
            with self._lock:
                self._kept[key] = found
        return found

    def _computed(self, frame: Frame, key: Hashable) -> Embedding:
        found = self._network.embed(frame)
        place = _place(key)
        if self.shelf is not None and place is not None:
            features = found.features.cpu().numpy().astype(np.float16)
            self.shelf.save(*place, self._network.features_name, features)
        return found

    def _from_shelf(self, frame: Frame, key: Hashable) -> Embedding | None:
        place = _place(key)
        if self.shelf is None or place is None:
            return None
        features = self.shelf.load(*place, self._network.features_name)
        size = frame.shape[:2]
        if features is None or features.shape != self._network.features_shape(size):
            return None
        return self._network.embedding(features, size)


def _place(key: Hashable) -> tuple[int, int] | None:
    """Clip and frame, where `key` names them."""
    match key:
        case (int(clip_id), int(frame_index)):
            return clip_id, frame_index
    return None
