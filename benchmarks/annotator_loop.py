"""The annotator's loop on clips with known masks: click, propagate, look where the list says.

Three simulated clicks make the mask of the first frame, which is carried through the clip; then the
frame that the list names first gets three clicks and what hangs on it is carried again, up to
five frames.  Beside each named frame stands the truly worst one: that is what a perfect list names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from scipy.stats import spearmanr

from benchmarks.known_clips import Clip, next_click
from model.attention import frames_to_see
from model.metrics import region_similarity
from model.refiner import Refiner
from model.refiners.propagation import Anchors
from model.shots import Motion, MotionEstimator, follows, is_cut
from video_types import Click, Frame, Mask

FRAMES = 5
CLICKS = 3
LOOKED_AT = 320
"""Pixels of the longer side that the list looks at, as in the program."""


@dataclass
class _Work:
    """What stands of one clip: masks by frame, which are settled, and what propagating thought."""

    masks: dict[int, Mask] = field(default_factory=dict)
    settled: dict[int, Mask] = field(default_factory=dict)
    confidences: dict[int, float] = field(default_factory=dict)
    clicks: int = 0


class _Looker:
    """The list of frames to look at, fed as the program feeds it."""

    def __init__(self, clip: Clip) -> None:
        self._size = _shrunk(clip[0].shape[:2])
        small = [self._smaller(clip[index]) for index in range(len(clip))]
        estimator = MotionEstimator()
        self._motions: dict[int, Motion] = {
            index: estimator.between(small[index - 1], small[index])
            for index in range(1, len(small))
        }
        self._cuts = {
            index for index in range(1, len(small)) if is_cut(small[index - 1], small[index])
        }

    def _smaller(self, frame: Frame) -> Frame:
        height, width = self._size
        return np.asarray(
            cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8
        )

    def look(self, work: _Work) -> dict[int, float]:
        """Urgency by frame, the most urgent first."""
        height, width = self._size
        masks = {
            index: np.asarray(
                cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
                >= 0.5
            )
            for index, mask in work.masks.items()
        }
        followed = {
            index: follows(motion, masks[index - 1], masks[index])
            for index, motion in self._motions.items()
            if index in masks and index - 1 in masks
        }
        found = frames_to_see(
            masks,
            confidences=work.confidences,
            followed=followed,
            cuts=self._cuts,
            settled=work.settled,
        )
        return {each.frame_index: each.urgency for each in found}


def print_loop(refiner: Refiner, clips: Sequence[Clip]) -> None:
    """One line per clip and round, and the means of the clips by round."""
    print(f"\n{refiner.name}: the annotator's loop; J of all frames, clicks so far")
    rounds: list[list[float]] = [[] for _ in range(FRAMES)]
    by_list, by_confidence = [], []
    for clip in clips:
        work, looker = _Work(), _Looker(clip)
        goal = 0
        for number in range(FRAMES):
            _settle(refiner, clip, work, goal)
            truths = {
                index: region_similarity(m, clip.truth(index)) for index, m in work.masks.items()
            }
            rounds[number].append(float(np.mean(list(truths.values()))))
            named = looker.look(work)
            left = {index: truths[index] for index in truths if index not in work.settled}
            worst = min(left, key=lambda index: left[index])
            by_list.append(_rank(left, {i: -named.get(i, 0.0) for i in left}))
            by_confidence.append(_rank(left, work.confidences))
            first = next(iter(named), None)
            shown = "nothing" if first is None else f"{first} (J {truths[first]:.2f})"
            print(
                f"  {clip.name:16} after {number + 1} frames, {work.clicks:2} clicks:"
                f" J {rounds[number][-1]:.3f}   named {shown}, worst {worst} (J {left[worst]:.2f}),"
                f" rank correlation with the true J: list {by_list[-1]:.2f},"
                f" confidence {by_confidence[-1]:.2f}",
                flush=True,
            )
            goal = _least_sure(work) if first is None else first
    means = "  ".join(f"{np.mean(row):.3f}" for row in rounds)
    print(f"  {'mean of clips':16} {means}   after 1 to {FRAMES} frames of {CLICKS} clicks")
    print(
        f"  {'rank correlation':16} list {np.nanmean(by_list):.2f},"
        f" confidence {np.nanmean(by_confidence):.2f}"
    )


def _settle(refiner: Refiner, clip: Clip, work: _Work, frame_index: int) -> None:
    """Click on a frame and carry its mask to the frames that hang on it."""
    truth, frame = clip.truth(frame_index), clip[frame_index]
    prior = work.masks.get(frame_index)
    if prior is not None and not prior.any():
        prior = None  # as in the program: clicks on nothing begin a mask of their own
    mask = np.zeros_like(truth) if prior is None else prior
    clicks: list[Click] = []
    for _ in range(CLICKS):
        click = next_click(truth, mask)
        if click is None:
            break
        clicks.append(click)
        mask = refiner.refine(frame, clicks, prior, key=f"{clip.name}/{frame_index}").mask
    work.clicks += len(clicks)
    work.masks[frame_index] = work.settled[frame_index] = mask
    work.confidences.pop(frame_index, None)
    before, after = Anchors(work.settled).around(frame_index)
    first = 0 if before is None else before + 1
    last = len(clip) if after is None else after
    targets = [index for index in range(first, last) if index != frame_index]
    for found in refiner.propagate(clip, work.settled, targets=targets):
        if found is not None:
            work.masks[found.frame_index] = found.mask
            work.confidences[found.frame_index] = found.confidence


def _least_sure(work: _Work) -> int:
    return min(work.confidences, key=lambda index: work.confidences[index])


def _rank(truths: Mapping[int, float], signs: Mapping[int, float]) -> float:
    """Spearman's rank correlation over the frames of `truths`; NaN where all signs are alike."""
    values = [signs[index] for index in truths]
    if len(set(values)) < 2:
        return float("nan")
    return float(spearmanr(list(truths.values()), values).statistic)


def _shrunk(size: tuple[int, ...]) -> tuple[int, int]:
    scale = min(1.0, LOOKED_AT / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
