"""A finder of boxes and a refiner as a TextSegmenter: find, draw, carry.

The boxes of a few frames say where the target is, the refiner draws it in the surest of them, and
carries those masks through the clip.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path

import numpy as np

from model import catalog
from model.refiner import Refiner
from model.segmenter import ExpressionReport, ModelError, SegmentedFrame, SegmentStep
from model.segmenters.grounding_dino import Found, GroundingDino, load_network
from model.weight_files import checkpoint_in, hash_with
from video_types import Frame, Mask

KEY_FRAMES = 5
"""Looking at one takes 16 CPU-s; the target may be hidden on some of them."""
ANCHORS = 3
NEARLY_AS_SURE = 0.8
"""Share of the best score that a further frame needs: a wrong box would be carried as well."""


def key_frames(length: int, count: int = KEY_FRAMES) -> list[int]:
    """Frames from all over a clip, the middle one of each of `count` equal parts.

    >>> key_frames(100), key_frames(3)
    ([10, 30, 50, 70, 90], [0, 1, 2])
    """
    count = min(count, length)
    return [(2 * part + 1) * length // (2 * count) for part in range(count)]


def surest(found: dict[int, Found]) -> list[int]:
    """The frames whose boxes are drawn, surest first.

    >>> from video_types import Box
    >>> box = Box(0, 0, 4, 4)
    >>> surest({1: Found(box, 0.5), 5: Found(box, 0.9), 9: Found(box, 0.8)})
    [5, 9]
    """
    order = sorted(found, key=lambda index: -found[index].score)
    needed = NEARLY_AS_SURE * found[order[0]].score if order else 0.0
    return [index for index in order if found[index].score >= needed][:ANCHORS]


class BoxSegmenter:
    """See TextSegmenter.  Masks are the refiner's and have no values between; moving the threshold
    of a draft changes nothing."""

    def __init__(
        self, name: str, finder: GroundingDino, refiner: Refiner, *, weights_hash: str
    ) -> None:
        self.name = name
        self.weights_hash = weights_hash
        self._finder = finder
        self._refiner = refiner

    def describe_expression(self, text: str) -> ExpressionReport:
        return self._finder.describe(text)

    def segment(
        self,
        frames: Sequence[Frame],
        expression: str,
        *,
        seed: int = 0,
        clip_key: Hashable | None = None,
    ) -> Iterator[SegmentStep]:
        """As TextSegmenter.  Nothing is drawn at random.  Where no frame shows what the expression
        says, every mask is empty."""
        del seed
        if not len(frames):
            raise ModelError("The clip has no frames to segment.")
        if not self.describe_expression(expression).kept_text:
            raise ModelError("The expression has no words; type what you see.")
        looked = key_frames(len(frames))
        total = len(looked) + len(frames)
        found: dict[int, Found] = {}
        for done, index in enumerate(looked, start=1):
            box = self._finder.find(frames[index], expression)
            if box is not None:
                found[index] = box
            yield SegmentStep(done, total, f"looking for the target, found on {len(found)} frames")
        clip = object() if clip_key is None else clip_key
        done = len(looked)
        anchors: dict[int, Mask] = {}
        for index in surest(found):
            frame = frames[index]
            refined = self._refiner.refine(frame, [], None, key=(clip, index), box=found[index].box)
            if refined.mask.any():
                anchors[index] = refined.mask
            done += index in anchors
            drawn = (_drawn(index, refined.mask),) if index in anchors else ()
            yield SegmentStep(done, total, "drawing it", drawn)
        if not anchors:
            yield from _nothing(frames, done, total)
            return
        wanted = [index for index in range(len(frames)) if index not in anchors]
        for step in self._refiner.propagate(frames, anchors, targets=wanted):
            done += step is not None
            drawn = () if step is None else (_drawn(step.frame_index, step.mask),)
            yield SegmentStep(done, total, "carrying it through the clip", drawn)


def _drawn(index: int, mask: Mask) -> SegmentedFrame:
    return SegmentedFrame(index, mask, mask.astype(np.uint8) * 255)


def _nothing(frames: Sequence[Frame], done: int, total: int) -> Iterator[SegmentStep]:
    size = frames[0].shape[:2]
    for index in range(len(frames)):
        drawn = _drawn(index, np.zeros(size, dtype=bool))
        yield SegmentStep(done + index + 1, total, "the target was found on no frame", (drawn,))


def load(device: str, weights: Path | None = None) -> BoxSegmenter:
    """Grounding DINO, and the refiner that draws for it; see `catalog.carrier`.

    `weights` is `model.safetensors` or the folder it is in; the other files are beside it.

    Raises:
        ModelError: weights are missing or do not fit.
    """
    name = "grounding-dino"
    place = weights or catalog.weights_path(name)
    if place is None:
        raise ModelError(
            f"The weights of Grounding DINO are not here. Fetch them with `python -m model.weights "
            f"fetch {name}`, or name their folder with --weights."
        )
    file = checkpoint_in(place)
    refiner = catalog.carrier(name)
    assert refiner is not None
    return BoxSegmenter(
        name,
        load_network(file.parent, device),
        catalog.load_refiner(refiner, device),
        weights_hash=hash_with(file, refiner),
    )
