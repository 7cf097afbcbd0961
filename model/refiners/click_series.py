"""A series of clicks on one frame, answered by whatever network decodes prompts.

Each answer depends on the frame, the mask the series began from, and the clicks alone:
answers are kept only to save time.  Where the target is small, the border is drawn on a
picture of its surroundings, finer than the network's logits allow on the whole frame.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Generic

import numpy as np
from cachetools import LRUCache

from model.metrics import region_similarity
from model.refiner import Refined
from model.refiners.click_rules import (
    changed_near,
    disc,
    honour,
    is_honoured,
    pixel_of,
    reach_of,
    require_prompt,
    without_islands,
)
from model.refiners.places import deep_points
from model.refiners.prompt_network import Decoded, Features, Logits, PromptNetwork
from model.refiners.view import View, around, box_of, points_in, united, view_of
from video_types import Box, Click, Frame, Mask, require_mask

READINGS_KEPT = 128
WHOLE_TARGET_MARGIN = 0.15
"""A larger reading of a first click is taken if it scores at most this much less: people
click on whole targets more often than on parts of them."""
UNSURE_BELOW = 0.8
ISLAND_SHARE = 0.02
FINER_AGREES = 0.75
"""J that a mask drawn on a view must have with the one drawn on the frame to replace it."""
BOLD_CLICKS = 2
"""Clicks that may redraw the whole mask whatever the network thinks of it."""
DOUBT = 0.08
"""Loss of the network's own score at which a later click changes its own spot alone."""
STROKE_POINTS = 3
"""Places of a painted mask that serve as clicks."""
MOST_TAKEN = 0.7
"""Of a mask that one negative click may take away."""


@dataclass(frozen=True)
class _Reading:
    """Where a series of clicks stands: the mask, and the logits the next click is decoded with.

    `logits` are of the whole frame; None where the mask is not the network's own.
    """

    mask: Mask
    confidence: float
    logits: Logits | None = None
    candidates: tuple[Mask, ...] = ()


class ClickSeries(Generic[Features]):
    """Answers clicks with one network.  Not safe to call from two threads at once."""

    def __init__(self, network: PromptNetwork[Features], *, kept: int) -> None:
        """`kept` is how many embedded pictures are remembered."""
        self._network = network
        self._embeddings: LRUCache[Hashable, Features] = LRUCache(kept)
        self._readings: LRUCache[Hashable, _Reading] = LRUCache(READINGS_KEPT)

    def prepare(self, frame: Frame, key: Hashable) -> None:
        """Embed the frame, so that a click on it needs the decoder alone."""
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
        series = (key, _digest(prior), box)
        reading = None if prior is None else _Reading(prior, 1.0)
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
                reading = self._correct(
                    frame, key, clicks[:count], reading, local=prior is not None
                )
            self._readings[name] = reading
        if reading is None:
            raise AssertionError("a prompt that was checked led to no mask")
        return Refined(reading.mask.copy(), reading.confidence, reading.candidates)

    def redraw(self, frame: Frame, rough: Mask, *, key: Hashable) -> Refined:
        """As `ClickRefiner.redraw`.

        The deepest places of what was painted are clicks.  Of the network's readings of them that
        one is taken that holds the strokes, that the network believes, and that is of their size,
        as far as they fill their extent: thin strokes say where, not how large.
        """
        require_mask(rough, frame.shape[:2])
        box = box_of(rough)
        if box is None:
            raise ValueError("expected a mask with at least one pixel")
        embedding = self._embedding(frame, key, view_of(frame))
        points = deep_points(rough, most=STROKE_POINTS)
        positive = np.ones(len(points), dtype=bool)
        decoded = self._network.decode(embedding, points=points, positive=positive, several=True)
        readings = [self._network.to_picture(logits, embedding) for logits in decoded.logits]
        maps, scores = [reading > 0 for reading in readings], decoded.scores
        filled = int(rough.sum()) / ((box.right - box.left) * (box.bottom - box.top))
        worth = [
            _covered(rough, mask)
            + float(score)
            + _stability(reading)
            + filled * region_similarity(mask, rough)
            for mask, score, reading in zip(maps, scores, readings, strict=True)
        ]
        order = sorted(range(len(maps)), key=lambda k: -worth[k])
        best = order[0]
        mask = self._drawn_finer(frame, key, [], maps[best])
        others = tuple(maps[k] for k in order[1:] if maps[k].any())
        return Refined(mask, float(np.clip(scores[best], 0.0, 1.0)), others)

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
        maps = [self._network.to_picture(logits, embedding) for logits in decoded.logits]
        worth = decoded.scores + [_stability(each) for each in maps]
        areas = [int((each > 0).sum()) for each in maps]
        near_best = [k for k in range(len(maps)) if worth[k] >= worth.max() - WHOLE_TARGET_MARGIN]
        if box is not None:
            near_best = [int(decoded.scores.argmax())]
        chosen = max(near_best, key=lambda k: areas[k])
        confidence = _confidence(decoded, chosen)
        mask = self._drawn_finer(frame, key, clicks, maps[chosen] > 0)
        candidates: tuple[Mask, ...] = ()
        if len(near_best) > 1 or confidence < UNSURE_BELOW:
            order = sorted(range(len(maps)), key=lambda k: -worth[k])
            candidates = tuple(maps[k] > 0 for k in order if k != chosen and areas[k])
        return _Reading(honour(mask, clicks), confidence, decoded.logits[chosen], candidates)

    def _correct(
        self,
        frame: Frame,
        key: Hashable,
        clicks: Sequence[Click],
        reading: _Reading,
        *,
        local: bool,
    ) -> _Reading:
        """`reading` after the last of `clicks`; changed only near that click if `local`.

        A mask begun by clicks is redrawn as a whole, until a late click makes the network doubt
        what it drew: then only the clicked spot changes.
        """
        click = clicks[-1]
        view = view_of(frame)
        embedding = self._embedding(frame, key, view)
        earlier = reading.logits
        if earlier is None:
            earlier = self._network.logits_of(reading.mask, embedding)
        points, positive = points_in(view, clicks)
        decoded = self._network.decode(embedding, points=points, positive=positive, logits=earlier)
        proposal = self._network.to_picture(decoded.logits[0], embedding) > 0
        logits: Logits | None = decoded.logits[0]
        confidence = _confidence(decoded, 0)
        honoured = is_honoured(click, proposal)
        if not local and len(clicks) > BOLD_CLICKS:
            doubted = confidence < reading.confidence - DOUBT
            if doubted or not honoured:
                mask = honour(reading.mask, clicks)
                return _Reading(mask, reading.confidence, reading.logits)
        if honoured:
            proposal = self._drawn_finer(frame, key, clicks, proposal)
        if local:
            if not honoured:
                proposal = self._with_part_at(frame, key, clicks, reading.mask)
            proposal = changed_near(reading.mask, proposal, click)
            logits = None
        return _Reading(honour(proposal, clicks), confidence, logits)

    def _drawn_finer(
        self, frame: Frame, key: Hashable, clicks: Sequence[Click], mask: Mask
    ) -> Mask:
        """`mask` without islands, its border drawn on a view of it where that agrees with it."""
        mask = without_islands(mask, clicks, share=ISLAND_SHARE)
        shown = box_of(mask)
        if shown is None or not self._network.finer_views:
            return mask
        for click in clicks:
            if click.positive:
                shown = united(shown, Box(click.x, click.y, click.x + 1, click.y + 1))
        view = around(shown, mask.shape)
        if view == view_of(frame):
            return mask
        embedding = self._embedding(frame, key, view)
        points, positive = points_in(view, clicks)
        decoded = self._network.decode(
            embedding,
            points=points,
            positive=positive,
            logits=self._network.logits_of(np.ascontiguousarray(mask[view.inside]), embedding),
        )
        finer = np.zeros_like(mask)
        finer[view.inside] = self._network.to_picture(decoded.logits[0], embedding) > 0
        finer = without_islands(finer, clicks, share=ISLAND_SHARE)
        failed = sum(not is_honoured(click, mask) for click in clicks)
        agrees = region_similarity(finer, mask) >= FINER_AGREES
        if agrees and sum(not is_honoured(click, finer) for click in clicks) <= failed:
            return finer
        return mask

    def _with_part_at(
        self, frame: Frame, key: Hashable, clicks: Sequence[Click], mask: Mask
    ) -> Mask:
        """`mask` with the thing under the last click added or taken away, whatever it belongs to.

        Of the readings of that click alone the steadiest that no click of the other kind
        forbids; `mask` as it is if there is none.
        """
        click = clicks[-1]
        others = [each for each in clicks if each.positive != click.positive]
        view = view_of(frame)
        embedding = self._embedding(frame, key, view)
        points, _ = points_in(view, [click])
        decoded = self._network.decode(
            embedding, points=points, positive=np.array([True]), several=True
        )
        best, result = 0.0, mask
        near = disc(mask.shape, pixel_of(click), reach_of(click, mask))
        for logits, score in zip(decoded.logits, decoded.scores, strict=True):
            part = self._network.to_picture(logits, embedding)
            inside = (part > 0) & near
            swallows = int((inside & mask).sum()) > MOST_TAKEN * int(mask.sum())
            if any(inside[pixel_of(each)] for each in others) or (not click.positive and swallows):
                continue
            if score + _stability(part) > best:
                best = float(score) + _stability(part)
                result = mask | inside if click.positive else mask & ~inside
        return result

    def _redraw_box(self, frame: Frame, key: Hashable, box: Box, reading: _Reading) -> _Reading:
        """`reading` with what lies in `box` segmented anew."""
        redrawn = self._begin(frame, key, [], box)
        height, width = frame.shape[:2]
        rows = slice(max(0, int(box.top)), min(height, int(np.ceil(box.bottom))))
        columns = slice(max(0, int(box.left)), min(width, int(np.ceil(box.right))))
        mask = reading.mask.copy()
        mask[rows, columns] = redrawn.mask[rows, columns]
        return _Reading(mask, redrawn.confidence, None, redrawn.candidates)

    def _embedding(self, frame: Frame, key: Hashable, view: View) -> Features:
        """The features of a view of the frame, computed or remembered."""
        name = (key, view)
        embedding = self._embeddings.get(name)
        if embedding is None:
            embedding = self._network.embed(np.ascontiguousarray(frame[view.inside]))
            self._embeddings[name] = embedding
        return embedding


def _digest(mask: Mask | None) -> str:
    """A short name for the content of a mask."""
    if mask is None:
        return ""
    return hashlib.blake2b(np.packbits(mask).tobytes(), digest_size=16).hexdigest()


def _covered(rough: Mask, mask: Mask) -> float:
    """The share of what was painted that the mask holds."""
    return int((rough & mask).sum()) / int(rough.sum())


def _stability(logits: Logits) -> float:
    """How little the mask depends on the threshold: overlap of those at +1 and -1."""
    loose = int((logits > -1).sum())
    return int((logits > 1).sum()) / loose if loose else 0.0


def _confidence(decoded: Decoded, index: int) -> float:
    return float(np.clip(decoded.scores[index], 0.0, 1.0))
