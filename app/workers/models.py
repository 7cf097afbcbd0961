"""The engines a model worker has loaded."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Generic, TypeVar

from annotation_store.features import FeatureStore
from annotation_store.frames import FrameStore
from app.settings import Settings
from model import catalog
from model.refiner import Refiner, UsesShelf
from model.segmenter import TextSegmenter

Engine = TypeVar("Engine")


class Loaded(Generic[Engine]):
    """At most one engine of a kind, since two may not fit side by side."""

    def __init__(
        self, load: Callable[[str], Engine], require: Callable[[str], object] = lambda _name: None
    ) -> None:
        """`require` raises where no engine is called so, which is not worth making room for."""
        self._load = load
        self._require = require
        self._kept: tuple[str, Engine] | None = None

    def has(self, name: str) -> bool:
        """Whether the engine called `name` is loaded already."""
        return self._kept is not None and self._kept[0] == name

    def get(self, name: str) -> Engine:
        """The engine called `name`; raises what loading it raises, and then holds none.

        Where there is none called so the one before stays.
        """
        if self._kept is None or self._kept[0] != name:
            self._require(name)
            self._kept = None  # the one before makes room first
            gc.collect()  # also where its parts hold on to each other
            self._kept = (name, self._load(name))
        return self._kept[1]


class Models:
    """The engines in use, and the frames they look at."""

    def __init__(
        self,
        frames: FrameStore,
        load_segmenter: Callable[[str], TextSegmenter],
        load_refiner: Callable[[str], Refiner],
        require: Callable[[str], object] = lambda _name: None,
    ) -> None:
        self.frames = frames
        self.segmenters = Loaded(load_segmenter, require)
        self.refiners = Loaded(load_refiner, require)

    @classmethod
    def of(cls, settings: Settings) -> Models:
        """The catalog's engines, as `settings` want them."""

        def load_segmenter(name: str) -> TextSegmenter:
            return catalog.load_segmenter(name, settings.device, settings.weights_for(name))

        def load_refiner(name: str) -> Refiner:
            refiner = catalog.load_refiner(name, settings.device)
            if isinstance(refiner, UsesShelf):
                refiner.use_shelf(FeatureStore(settings.workspace, settings.features_bytes))
            return refiner

        return cls(FrameStore(settings.workspace), load_segmenter, load_refiner, catalog.entry)
