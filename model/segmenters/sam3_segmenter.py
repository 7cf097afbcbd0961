"""SAM 3 as a TextSegmenter: everything its noun names is an answer, the surest is chosen.

It finds each thing of a kind; words for places and for what things do to each other it does not
read.  The other answers stay with the draft, for the person who knows better.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from model import catalog
from model.segmenter import (
    Answer,
    ExpressionReport,
    ModelError,
    Ranking,
    SegmentedFrame,
    SegmentStep,
)
from model.segmenters.packed import packed_map, packed_mask, unpacked_map, unpacked_mask
from model.segmenters.sam3_video import Logits, Sam3Video, load_network
from model.segmenters.schedule import chunks
from model.weight_files import checkpoint_in, hash_with
from video_types import Frame, Size

MOST_ANSWERS = 7
"""Things offered beside each other, the surest; all of them together are one answer more."""
FRAMES_AT_ONCE = 8


@dataclass(frozen=True)
class _Packed:
    """One thing on one frame."""

    mask: bytes
    soft_map: bytes


class Sam3Segmenter:
    """See TextSegmenter."""

    def __init__(self, name: str, video: Sam3Video, *, weights_hash: str) -> None:
        self.name = name
        self.weights_hash = weights_hash
        self._video = video

    def describe_expression(self, text: str) -> ExpressionReport:
        return self._video.describe(text)

    def segment(
        self,
        frames: Sequence[Frame],
        expression: str,
        *,
        seed: int = 0,
        clip_key: Hashable | None = None,
    ) -> Iterator[SegmentStep]:
        """As TextSegmenter.  Nothing is drawn at random.  Frames come at the end: what was a false
        alarm is known some frames later, and one thing is chosen for the whole clip.  Where nothing
        is found every mask is empty."""
        del seed, clip_key
        if not len(frames):
            raise ModelError("The clip has no frames to segment.")
        if not expression.strip():
            raise ModelError("The expression has no words; type what you see.")
        total = len(frames)
        size = (frames[0].shape[0], frames[0].shape[1])
        things: dict[int, dict[int, _Packed]] = {}
        scores: dict[int, float] = {}
        small = size
        for seen in self._video.follow(frames, expression):
            for number, logits in seen.logits.items():
                small = (logits.shape[0], logits.shape[1])
                things.setdefault(number, {})[seen.frame_index] = _packed(logits, size)
            for number in seen.withdrawn:
                things.pop(number, None)
            scores = seen.scores
            stage = f"following what is named, {len(things)} of it"
            yield SegmentStep(seen.frame_index + 1, total, stage)
        surest = sorted(things, key=lambda number: -scores[number])[:MOST_ANSWERS]
        ranking = _ranking([scores[number] for number in surest])
        stage = f"found {len(surest)} of it" if surest else "nothing of that name was found"
        for part in chunks(total, FRAMES_AT_ONCE):
            drawn = tuple(
                _drawn(index, [things[number].get(index) for number in surest], size, small)
                for index in part
            )
            yield SegmentStep(total, total, stage, drawn, ranking)


def _ranking(scores: Sequence[float]) -> Ranking | None:
    """Of the things, surest first, and of all together, which are never chosen unasked.

    >>> _ranking([0.9, 0.7])
    Ranking(scores=(0.9, 0.7, 0.7), chosen=0)
    >>> _ranking([0.9]), _ranking([])
    (Ranking(scores=(0.9,), chosen=0), None)
    """
    if not scores:
        return None
    together = scores[-1:] if len(scores) > 1 else []
    return Ranking((*scores, *together), 0)


def _packed(logits: Logits, size: Size) -> _Packed:
    enlarged = cv2.resize(logits, size[::-1], interpolation=cv2.INTER_LINEAR)
    with np.errstate(over="ignore"):  # what the network is sure of is 0 or 1
        soft = 255 / (1 + np.exp(-logits))
    return _Packed(packed_mask(enlarged > 0), packed_map(soft.round().astype(np.uint8)))


def _drawn(index: int, found: Sequence[_Packed | None], size: Size, small: Size) -> SegmentedFrame:
    """One frame with all its answers; what is not on it has an empty one."""
    nothing = Answer(np.zeros(size, dtype=bool), np.zeros(small, dtype=np.uint8))
    answers = [
        nothing
        if one is None
        else Answer(unpacked_mask(one.mask, size), unpacked_map(one.soft_map))
        for one in found
    ]
    if len(answers) > 1:
        masks, maps = [one.mask for one in answers], [one.soft_map for one in answers]
        answers.append(Answer(np.any(masks, axis=0), np.max(maps, axis=0)))
    chosen = answers[0] if answers else nothing
    return SegmentedFrame(index, chosen.mask, chosen.soft_map, tuple(answers))


def load(device: str, weights: Path | None = None) -> Sam3Segmenter:
    """SAM 3 from `weights`, the official file or a folder that describes its own.

    Raises:
        ModelError: weights are missing or do not fit.
    """
    place = weights or catalog.weights_path("sam3")
    if place is None:
        raise ModelError(
            "The weights of SAM 3 are not here: once Meta let you in, fetch them with `python -m "
            "model.weights fetch sam3`, or name the file with --weights."
        )
    hashed = hash_with(checkpoint_in(place), None)
    return Sam3Segmenter("sam3", load_network(place, device), weights_hash=hashed)
