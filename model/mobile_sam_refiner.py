"""The refiner that needs no download: MobileSAM for clicks, with optical flow for other frames.

Where the target is small, a click is answered on a picture of its surroundings, so that
its border is drawn finer than the network's logits allow on the whole frame.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from model.click_rules import changed_near, honour, is_honoured, require_prompt, without_islands
from model.follow import Follower
from model.mobile_sam import (
    Decoded,
    Embedding,
    Logits,
    MobileSam,
    load_network,
    logits_of,
    to_picture,
)
from model.propagation import propagate
from model.recently_used import RecentlyUsed
from model.refiner import Propagated, Refined
from model.view import View, around, box_of, covers, points_in, united, view_of, within
from video_types import Box, Click, Frame, Mask

EMBEDDINGS_KEPT = 48
"""Embedded pictures kept, 2.4 MB each for a wide frame."""
READINGS_KEPT = 128
WHOLE_TARGET_MARGIN = 0.15
"""A larger reading of a first click is taken if it scores at most this much less: people
click on whole targets more often than on parts of them."""
UNSURE_BELOW = 0.8
ISLAND_SHARE = 0.02


@dataclass(frozen=True)
class _Reading:
    """Where a series of clicks stands: the mask, and what the next click is decoded from."""

    mask: Mask
    confidence: float
    view: View
    logits: Logits | None = None
    candidates: tuple[Mask, ...] = ()


class MobileSamRefiner:
    """A ClickRefiner and a MaskPropagator.  Not safe to call from two threads at once."""

    name = "mobile-sam"

    def __init__(self, network: MobileSam) -> None:
        self._network = network
        self._embeddings: RecentlyUsed[Embedding] = RecentlyUsed(EMBEDDINGS_KEPT)
        self._readings: RecentlyUsed[_Reading] = RecentlyUsed(READINGS_KEPT)

    def prepare(self, frame: Frame, key: Hashable) -> None:
        """Embed the frame: 0.2 to 0.6 s on two cores.  A click on it then takes a tenth of that."""
        self._embedding(frame, key, view_of(frame))

    def refine(
        self,
        frame: Frame,
        clicks: Sequence[Click],
        prior: Mask | None,
        *,
        key: Hashable,
        box: Box | None = None,
    ) -> Refined:
        """As `ClickRefiner.refine`.  With a `prior`, a box bounds what may change."""
        require_prompt(frame, clicks, prior, box)
        clicks = [replace(click, frame_index=0) for click in clicks]
        corrects = prior is not None
        series = (key, _digest(prior), box)
        reading = None if prior is None else _Reading(prior, 1.0, view_of(frame))
        # A box is a step of its own; without box and prior the first click begins the series.
        for count in range(0 if box is not None else 1, len(clicks) + 1):
            name = (*series, *clicks[:count])
            kept = self._readings.get(name)
            if kept is not None:
                reading = kept
            elif reading is None:
                reading = self._begin(frame, key, clicks[:count], box)
            elif count == 0 and box is not None:
                reading = self._redraw_box(frame, key, box, reading)
            else:
                reading = self._correct(frame, key, clicks[:count], reading, local=corrects)
            self._readings.put(name, reading)
        if reading is None:
            raise AssertionError("a prompt that was checked led to no mask")
        return Refined(reading.mask.copy(), reading.confidence, reading.candidates)

    def propagate(
        self, frames: Sequence[Frame], anchors: Mapping[int, Mask], *, targets: Sequence[int]
    ) -> Iterator[Propagated]:
        """As `MaskPropagator.propagate`."""

        def begin(anchor: int) -> Follower:
            return Follower(self._network, frames[anchor], anchors[anchor])

        return propagate(frames, anchors, targets=targets, begin=begin)

    def _begin(
        self, frame: Frame, key: Hashable, clicks: Sequence[Click], box: Box | None
    ) -> _Reading:
        """The mask of one click or a box, read as the whole target where that is plausible."""
        view = view_of(frame)
        embedding = self._embedding(frame, key, view)
        points, positive = points_in(view, clicks)
        decoded = self._network.decode(
            embedding, points=points, positive=positive, box=box, several=True
        )
        maps = [to_picture(logits, embedding) for logits in decoded.logits]
        worth = decoded.scores + [_stability(each) for each in maps]
        areas = [int((each > 0).sum()) for each in maps]
        near_best = [k for k in range(len(maps)) if worth[k] >= worth.max() - WHOLE_TARGET_MARGIN]
        if box is not None:
            near_best = [int(decoded.scores.argmax())]
        chosen = max(near_best, key=lambda k: areas[k])
        order = sorted(range(len(maps)), key=lambda k: -worth[k])
        begun = _Reading(
            without_islands(maps[chosen] > 0, clicks, share=ISLAND_SHARE),
            _confidence(decoded, chosen),
            view,
            decoded.logits[chosen],
        )
        finer = self._look_closer(frame, key, clicks, begun)
        others = tuple(maps[k] > 0 for k in order if k != chosen and areas[k])
        unsure = len(near_best) > 1 or finer.confidence < UNSURE_BELOW
        return replace(finer, mask=honour(finer.mask, clicks), candidates=others if unsure else ())

    def _look_closer(
        self, frame: Frame, key: Hashable, clicks: Sequence[Click], reading: _Reading
    ) -> _Reading:
        """The same mask decoded once more on a view of its surroundings, if that agrees with it."""
        size = frame.shape[:2]
        box = box_of(reading.mask)
        if box is None or (view := around(box, size)) == reading.view:
            return reading
        embedding = self._embedding(frame, key, view)
        points, positive = points_in(view, clicks)
        decoded = self._network.decode(
            embedding,
            points=points,
            positive=positive,
            box=within(view, box),
            logits=logits_of(np.ascontiguousarray(reading.mask[view.inside]), embedding),
        )
        mask = np.zeros(size, dtype=bool)
        mask[view.inside] = to_picture(decoded.logits[0], embedding) > 0
        mask = without_islands(mask, clicks, share=ISLAND_SHARE)
        if _overlap(mask, reading.mask) < 0.5:
            return reading
        return _Reading(mask, _confidence(decoded, 0), view, decoded.logits[0])

    def _correct(
        self,
        frame: Frame,
        key: Hashable,
        clicks: Sequence[Click],
        reading: _Reading,
        *,
        local: bool,
    ) -> _Reading:
        """`reading` after the last of `clicks`; only near that click if `local`."""
        size = frame.shape[:2]
        click = clicks[-1]
        view = self._view_for(reading, clicks, size)
        embedding = self._embedding(frame, key, view)
        earlier = reading.logits
        if earlier is None or view != reading.view:
            earlier = logits_of(np.ascontiguousarray(reading.mask[view.inside]), embedding)
        points, positive = points_in(view, clicks)
        decoded = self._network.decode(embedding, points=points, positive=positive, logits=earlier)
        proposal = reading.mask.copy()
        proposal[view.inside] = to_picture(decoded.logits[0], embedding) > 0
        logits: Logits | None = decoded.logits[0]
        if not local and all(is_honoured(each, proposal) for each in clicks):
            mask = without_islands(proposal, clicks, share=ISLAND_SHARE)
        else:
            if not is_honoured(click, proposal):
                part = self._part_at(embedding, view, click, size)
                proposal = reading.mask | part if click.positive else reading.mask & ~part
            mask = changed_near(reading.mask, proposal, click)
            logits = None
        mask = honour(mask, clicks)
        return _Reading(mask, _confidence(decoded, 0), view, logits)

    def _part_at(
        self, embedding: Embedding, view: View, click: Click, size: tuple[int, int]
    ) -> Mask:
        """The steadiest reading of what lies under one click, whatever it belongs to; (H, W)."""
        points, _ = points_in(view, [click])
        decoded = self._network.decode(
            embedding, points=points, positive=np.array([True]), several=True
        )
        maps = [to_picture(logits, embedding) for logits in decoded.logits]
        worth = decoded.scores + [_stability(each) for each in maps]
        part = np.zeros(size, dtype=bool)
        part[view.inside] = maps[int(worth.argmax())] > 0
        return part

    def _redraw_box(self, frame: Frame, key: Hashable, box: Box, reading: _Reading) -> _Reading:
        """`reading` with what lies in `box` segmented anew."""
        redrawn = self._begin(frame, key, [], box)
        height, width = frame.shape[:2]
        rows = slice(max(0, int(box.top)), min(height, int(np.ceil(box.bottom))))
        columns = slice(max(0, int(box.left)), min(width, int(np.ceil(box.right))))
        mask = reading.mask.copy()
        mask[rows, columns] = redrawn.mask[rows, columns]
        return _Reading(mask, redrawn.confidence, view_of(frame), None, redrawn.candidates)

    def _view_for(self, reading: _Reading, clicks: Sequence[Click], size: tuple[int, int]) -> View:
        """The view that shows the mask and every click: the present one while it does."""
        shown = box_of(reading.mask)
        for click in clicks:
            shown = united(shown, Box(click.x, click.y, click.x + 1, click.y + 1))
        if shown is None:
            raise AssertionError("a correction without a click")
        if reading.logits is not None and covers(reading.view, shown, size):
            return reading.view
        return around(shown, size)

    def _embedding(self, frame: Frame, key: Hashable, view: View) -> Embedding:
        """The features of a view of the frame, computed or remembered."""
        name = (key, view)
        embedding = self._embeddings.get(name)
        if embedding is None:
            embedding = self._network.embed(np.ascontiguousarray(frame[view.inside]))
            self._embeddings.put(name, embedding)
        return embedding


def load(device: str = "cpu") -> MobileSamRefiner:
    """MobileSAM as a refiner.

    Raises:
        ModelError: its package or its weights are not as they should be.
    """
    return MobileSamRefiner(load_network(device))


def _digest(mask: Mask | None) -> str:
    """A short name for the content of a mask."""
    if mask is None:
        return ""
    return hashlib.blake2b(np.packbits(mask).tobytes(), digest_size=16).hexdigest()


def _stability(logits: Logits) -> float:
    """How little the mask depends on the threshold: overlap of those at +1 and -1."""
    loose = int((logits > -1).sum())
    return int((logits > 1).sum()) / loose if loose else 0.0


def _confidence(decoded: Decoded, index: int) -> float:
    return float(np.clip(decoded.scores[index], 0.0, 1.0))


def _overlap(first: Mask, second: Mask) -> float:
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else 1.0
