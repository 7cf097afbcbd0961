"""Which frames deserve a look next.  Pure.

A mask that changes size or shape all at once, that does not follow the motion, that falls apart,
that its refiner doubted or that disagrees with a draft is likelier wrong than its neighbours; so
is the first one after a cut.  Of those the most doubted come first: against true masks the
refiner's doubt, taken over a few frames, tells how bad a mask is better than any of the others.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from model.metrics import region_similarity
from video_types import Mask

Reason = Literal["vanished", "jump", "motion", "cut", "disagreement", "in pieces", "unsure"]

JUMP = 0.35
"""A J with both neighbours this much below that of most steps makes a jump."""
DISAGREEMENT = 0.25
"""1 - J between mask and draft from which they disagree."""
UNSURE = 0.5
"""Confidence below which a propagated mask is unsure."""
LESS_SURE = 0.1
"""Confidence this much below the clip's median is unsure, too."""
SURE = 0.8
"""Confidence from which even the least sure frame of a clip needs no look."""
BESIDE = 2
"""Frames on each side that share in a frame's doubt: a network's score jumps, its errors last."""
STRAYING_WEIGHT = 0.5
"""What not following the motion counts beside the refiner's doubt."""
REASON_WEIGHT = 0.5
"""What the strength of a reason counts beside doubt."""
PIECE_SHARE = 0.05
STRAYING = 0.2
"""A J with the mask that flow brings from the frame before this much below the usual one strays."""
AFTER_CUT = 0.5
"""Urgency of the first frame of a new shot."""


@dataclass(frozen=True)
class FrameToSee:
    """A frame, why it is suspicious, and how much, 0 to 1."""

    frame_index: int
    reason: Reason
    urgency: float


def frames_to_see(
    masks: Mapping[int, Mask],
    *,
    drafts: Mapping[int, Mask] | None = None,
    confidences: Mapping[int, float] | None = None,
    followed: Mapping[int, float] | None = None,
    cuts: Collection[int] = (),
    settled: Collection[int] = (),
) -> list[FrameToSee]:
    """Suspicious frames, the most urgent first; each frame once, with its strongest reason.

    Args:
        masks: frame_index -> (H, W), in any order; gaps are allowed.
        drafts: frame_index -> (H, W) proposed by a segmenter.
        confidences: what a propagation thought of its masks.
        followed: J of a mask with the one that optical flow carries here from the frame before.
        cuts: first frames of new shots.
        settled: frames verified or edited by hand, which are never suspicious.
    """
    order = sorted(masks)
    steps = [region_similarity(masks[a], masks[b]) for a, b in itertools.pairwise(order)]
    usual = float(np.quantile(steps, 0.75)) if steps else 1.0
    following = float(np.median(list(followed.values()))) if followed else 1.0
    sure = _smooth({i: one for i, one in (confidences or {}).items() if i not in settled})
    unsure = _unsure(sure)
    doubts = _doubts(sure, _smooth(followed or {}))
    found = []
    for place, index in enumerate(order):
        if index in settled:
            continue
        # The first and the last frame have one neighbour, which may be the wrong one of the two.
        first = min(max(0, place - 1), max(0, len(order) - 3))
        others = [other for other in order[first : first + 3] if other != index]
        sides = [region_similarity(masks[index], masks[other]) for other in others]
        reasons: list[tuple[float, Reason]] = []
        neighbours_seen = 0 < place < len(order) - 1 and all(masks[each].any() for each in others)
        if neighbours_seen and not masks[index].any():
            reasons.append((1.0, "vanished"))
        elif sides and usual - max(sides) > JUMP:
            reasons.append((usual - max(sides), "jump"))
        if drafts is not None and index in drafts:
            distance = 1 - region_similarity(masks[index], drafts[index])
            if distance > DISAGREEMENT:
                reasons.append((distance, "disagreement"))
        if index in unsure:
            reasons.append((1 - sure[index], "unsure"))
        if followed is not None and following - followed.get(index, following) > STRAYING:
            reasons.append((following - followed[index], "motion"))
        if index in cuts and masks[index].any():
            reasons.append((AFTER_CUT, "cut"))
        scattered = _scattered(masks[index])
        if scattered > PIECE_SHARE:
            reasons.append((scattered / 2, "in pieces"))
        if reasons:
            strength, reason = max(reasons)
            urgency = (doubts.get(index, 0.0) + REASON_WEIGHT * strength) / (1 + REASON_WEIGHT)
            found.append(FrameToSee(index, reason, min(1.0, urgency)))
    return sorted(found, key=lambda frame: (-frame.urgency, frame.frame_index))


def _smooth(values: Mapping[int, float]) -> dict[int, float]:
    """Each value averaged with the mean of those beside it, itself among them."""
    return {
        index: (value + float(np.mean([values[i] for i in _around(index) if i in values]))) / 2
        for index, value in values.items()
    }


def _around(index: int) -> range:
    return range(index - BESIDE, index + BESIDE + 1)


def _unsure(confidences: Mapping[int, float]) -> set[int]:
    """Frames of low confidence, for itself or beside the others, and the least sure of all."""
    if not confidences:
        return set()
    least = min(confidences, key=lambda index: (confidences[index], index))
    bound = max(UNSURE, float(np.median(list(confidences.values()))) - LESS_SURE)
    found = {index for index, confidence in confidences.items() if confidence < bound}
    return found | ({least} if confidences[least] < SURE else set())


def _doubts(confidences: Mapping[int, float], followed: Mapping[int, float]) -> dict[int, float]:
    """How wrong each frame is likely to be: what its refiner doubts, and how little it follows."""
    most = 1 + STRAYING_WEIGHT
    return {
        index: (1 - confidence + STRAYING_WEIGHT * (1 - followed.get(index, 1.0))) / most
        for index, confidence in confidences.items()
    }


def _scattered(mask: Mask) -> float:
    """Share of a mask's pixels that are outside its two largest parts."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 3:
        return 0.0
    areas = np.sort(stats[1:, cv2.CC_STAT_AREA])
    return float(areas[:-2].sum() / areas.sum())
