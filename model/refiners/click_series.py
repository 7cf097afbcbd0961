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
from model.refiners.proposals import (
    box_with,
    by_worth,
    is_about,
    is_bearable,
    is_much,
    island_at,
    most_like,
    plausible,
    stability,
    touches_border,
    unlike,
    whole_of,
    with_clicks,
)
from model.refiners.view import View, around, box_of, is_cut, points_in, view_of
from video_types import Box, Click, Frame, Mask, require_mask

READINGS_KEPT = 128
ISLAND_SHARE = 0.02
FINER_AGREES = 0.75
"""J that a mask drawn on a view must have with the one drawn on the frame to replace it."""
BOLD_CLICKS = 2
"""Clicks that may redraw the whole mask whatever the network thinks of it."""
DOUBT = 0.08
"""Loss of the network's own score at which a later click changes its own spot alone."""
STROKE_POINTS = 3
"""Places of a painted mask that serve as clicks."""


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
        likely: Mask | None = None,
    ) -> Refined:
        """As `ClickRefiner.refine`.  With a `prior`, a box bounds what may change."""
        require_prompt(frame, clicks, prior, box)
        if likely is not None:
            require_mask(likely, frame.shape[:2])
        clicks = [replace(click, frame_index=0) for click in clicks]
        series = (key, _digest(prior), box, _digest(likely))
        reading = None if prior is None else _Reading(prior, 1.0)
        # A box is a step of its own; without box and prior the first click begins the series.
        for count in range(0 if box is not None else 1, len(clicks) + 1):
            name = (*series, *clicks[:count])
            kept = self._readings.get(name)
            if kept is not None:
                reading = kept
            elif reading is None:
                reading = self._begin(frame, key, clicks[:count], box, likely)
            elif count == 0 and box is not None:
                reading = self._redraw_box(frame, key, box, reading)
            elif prior is None:
                reading = self._redraw_whole(frame, key, clicks[:count], reading)
            else:
                reading = self._correct(frame, key, clicks[:count], reading)
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
            + stability(reading)
            + filled * region_similarity(mask, rough)
            for mask, score, reading in zip(maps, scores, readings, strict=True)
        ]
        order = sorted(range(len(maps)), key=lambda k: -worth[k])
        best = order[0]
        mask = self._drawn_finer(frame, key, [], maps[best])
        others = tuple(maps[k] for k in order[1:] if maps[k].any())
        return Refined(mask, float(np.clip(scores[best], 0.0, 1.0)), others)

    def _begin(
        self,
        frame: Frame,
        key: Hashable,
        clicks: Sequence[Click],
        box: Box | None,
        likely: Mask | None = None,
    ) -> _Reading:
        """The mask of one click or a box.

        The reading that is most like the `likely` mask is taken.  Without one the largest plausible
        reading: people click on whole targets more often than on parts of them; a box around it
        lets the network see it once more as a whole.  The others are offered.
        """
        view = view_of(frame)
        embedding = self._embedding(frame, key, view)
        points, positive = points_in(view, clicks)
        decoded = self._network.decode(
            embedding, points=points, positive=positive, box=box, several=True
        )
        maps = [self._network.to_picture(logits, embedding) for logits in decoded.logits]
        alike = None if likely is None else most_like(likely, maps)
        if alike is not None:
            chosen = alike
        else:
            chosen = whole_of(decoded, maps) if box is None else int(decoded.scores.argmax())
        reading = _Reading(maps[chosen] > 0, _confidence(decoded, chosen), decoded.logits[chosen])
        if box is None and alike is None:
            reading = self._boxed(embedding, clicks, reading)
        mask = honour(self._drawn_finer(frame, key, clicks, reading.mask), clicks)
        others = (maps[k] > 0 for k in by_worth(decoded, maps))
        return replace(reading, mask=mask, candidates=unlike(mask, others))

    def _boxed(self, embedding: Features, clicks: Sequence[Click], reading: _Reading) -> _Reading:
        """A first reading looked at once more with the box around it.

        A click alone often misses a limb that the network draws when it knows the extent.
        """
        box = box_of(reading.mask)
        if box is None:
            return reading
        points = np.array([(click.x, click.y) for click in clicks])
        positive = np.array([click.positive for click in clicks])
        again = self._network.decode(embedding, points=points, positive=positive, box=box)
        drawn = self._network.to_picture(again.logits[0], embedding) > 0
        confidence = _confidence(again, 0)
        doubted = confidence < reading.confidence - DOUBT
        if doubted or not all(is_honoured(click, drawn) for click in clicks):
            return reading
        return _Reading(drawn, confidence, again.logits[0])

    def _redraw_whole(
        self, frame: Frame, key: Hashable, clicks: Sequence[Click], reading: _Reading
    ) -> _Reading:
        """A mask begun by clicks after the last of `clicks`, drawn anew as a whole.

        The network is asked with the box of what it drew and of the clicks, once with and once
        without what it drew.  A proposal that throws much of the mask away is offered, not taken;
        a late click that makes the network doubt what it drew changes only its own spot.
        """
        click = clicks[-1]
        view = view_of(frame)
        embedding = self._embedding(frame, key, view)
        points, positive = points_in(view, clicks)
        earlier = reading.logits
        if earlier is None:
            earlier = self._network.logits_of(reading.mask, embedding)
        box = box_with(reading.mask, clicks)
        near = disc(reading.mask.shape, pixel_of(click), reach_of(click, reading.mask))
        is_late = len(clicks) > BOLD_CLICKS
        proposals: list[tuple[float, _Reading]] = []
        offered: list[Mask] = []
        for logits in (None, earlier):
            decoded = self._network.decode(
                embedding, points=points, positive=positive, box=box, logits=logits
            )
            drawn = self._network.to_picture(decoded.logits[0], embedding)
            mask = drawn > 0
            if not is_honoured(click, mask):
                continue
            change = reading.mask ^ mask
            if is_much(change, reading.mask) and (is_late or not is_about(change, near)):
                offered.append(mask)
                continue
            failed = sum(not is_honoured(each, mask) for each in clicks)
            worth = float(decoded.scores[0]) + stability(drawn) - failed / len(clicks)
            found = _Reading(mask, _confidence(decoded, 0), decoded.logits[0])
            proposals.append((worth, found))
        best = max(proposals, key=lambda each: each[0])[1] if proposals else None
        if best is None or (is_late and best.confidence < reading.confidence - DOUBT):
            mask = honour(reading.mask, clicks)
            others = [honour(each, clicks) for each in offered]
            return replace(reading, mask=mask, candidates=unlike(mask, others))
        mask = honour(self._drawn_finer(frame, key, clicks, best.mask), clicks)
        return replace(best, mask=mask)

    def _correct(
        self, frame: Frame, key: Hashable, clicks: Sequence[Click], reading: _Reading
    ) -> _Reading:
        """`reading` of a prior after the last of `clicks`, changed only near that click.

        What lies beyond the click's reach the click does not speak of.  A proposal that changes
        more of that than of what is near gives way to the part under the click, and is offered.
        A negative click on an island takes the island.
        """
        click = clicks[-1]
        before = reading.mask
        island = island_at(before, clicks)
        if island is not None:
            return _Reading(honour(before & ~island, clicks), reading.confidence)
        view = view_of(frame)
        embedding = self._embedding(frame, key, view)
        points, positive = points_in(view, clicks)
        earlier = self._network.logits_of(before, embedding)
        decoded = self._network.decode(embedding, points=points, positive=positive, logits=earlier)
        proposal = self._network.to_picture(decoded.logits[0], embedding) > 0
        confidence = _confidence(decoded, 0)
        candidates: tuple[Mask, ...] = ()
        if is_honoured(click, proposal):
            bold = changed_near(before, self._drawn_finer(frame, key, clicks, proposal), click)
            near = disc(before.shape, pixel_of(click), reach_of(click, before))
            change = before ^ bold
            if is_about(change, near) and not is_much(change, before):
                return _Reading(honour(bold, clicks), confidence)
            candidates = (honour(bold, clicks),)
        part = self._with_part_at(frame, key, clicks, before)
        mask = honour(changed_near(before, part, click), clicks)
        return _Reading(mask, confidence, None, unlike(mask, candidates))

    def _drawn_finer(
        self, frame: Frame, key: Hashable, clicks: Sequence[Click], mask: Mask
    ) -> Mask:
        """`mask` without islands, its border drawn on a view of it where that agrees with it."""
        mask = without_islands(mask, clicks, share=ISLAND_SHARE)
        shown = box_of(mask)
        if shown is None or not self._network.finer_views:
            return mask
        view = around(with_clicks(shown, clicks), mask.shape)
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

        Of the plausible readings of that click alone the smallest that no click of the other kind
        forbids, for a correction is about a part; `mask` as it is if there is none.
        """
        click = clicks[-1]
        others = [each for each in clicks if each.positive != click.positive]
        reach = reach_of(click, mask)
        spot = Box(
            click.x - reach / 3, click.y - reach / 3, click.x + reach / 3, click.y + reach / 3
        )
        view = around(spot, mask.shape) if self._network.finer_views else view_of(frame)
        embedding = self._embedding(frame, key, view)
        points, _ = points_in(view, [click])
        decoded = self._network.decode(
            embedding, points=points, positive=np.array([True]), several=True
        )
        maps = [self._network.to_picture(logits, embedding) for logits in decoded.logits]
        near = disc(mask.shape, pixel_of(click), reach)
        parts = []
        for k in plausible(decoded, maps):
            if is_cut(maps[k] > 0, view, mask.shape):
                continue  # larger than the spot: surroundings, not a part
            part = np.zeros_like(mask)
            part[view.inside] = maps[k] > 0
            parts.append(part & near)
        for part in sorted(parts, key=lambda each: int(each.sum())):
            if click.positive:
                swallows = is_much(part & ~mask, mask) and touches_border(part)
            else:
                swallows = not is_bearable(mask, mask & ~part, click)
            forbidden = any(part[pixel_of(each)] for each in others)
            if part[pixel_of(click)] and not swallows and not forbidden:
                return mask | part if click.positive else mask & ~part
        return mask

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


def _confidence(decoded: Decoded, index: int) -> float:
    return float(np.clip(decoded.scores[index], 0.0, 1.0))
