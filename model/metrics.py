"""Figures that compare masks: J, F, temporal consistency, overlap and precision.

They equal the official tools: davis2017-evaluation for J and F, pycocotools and A2D's
own script for single annotated frames.  `ignore` holds pixels left out of a comparison, which
those tools call void.

For evaluation on benchmarks, not for the page: `over_time`, `match_targets`, `steadiness`,
`overlap_figures`, `average_precision`.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from video_types import Mask, require_mask

BOUNDARY_SHARE = 0.008
"""A boundary may be off by this share of the diagonal, rounded up to whole pixels."""
OVERLAP_EPSILON = 1e-6
PRECISIONS_AT = (0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class OverTime:
    """How a value per frame did over a clip: its mean, the share of frames above 0.5, and its
    fall from the first quarter of the clip to the last."""

    mean: float
    recall: float
    decay: float


@dataclass(frozen=True)
class Consistency:
    """How steady the overlap with the truth is from frame to frame, four ways.

    The paper that introduced the figure writes a signed difference divided by the number of
    frames, which telescopes to nearly nothing; what it reports needs the absolute value.
    `absolute_over_frames` is that; `mean_absolute` divides by the number of steps.
    """

    signed_over_frames: float
    absolute_over_frames: float
    mean_signed: float
    mean_absolute: float


@dataclass(frozen=True)
class ScoredMask:
    """One of several masks a segmenter proposes for an expression, with its score."""

    mask: Mask
    score: float


def region_similarity(mask: Mask, truth: Mask, ignore: Mask | None = None) -> float:
    """J: intersection over union of two (H, W) masks, outside `ignore`; 1 if the union is empty.

    >>> left, both = np.array([[True, False]]), np.array([[True, True]])
    >>> region_similarity(left, both), region_similarity(left, both, ignore=~left)
    (0.5, 1.0)
    """
    mask, truth = _outside(ignore, mask, truth)
    union = int(np.count_nonzero(mask | truth))
    return int(np.count_nonzero(mask & truth)) / union if union else 1.0


def boundary_pixels(size: tuple[int, int]) -> int:
    """How many pixels a boundary may be off on a frame of `size` (H, W).

    >>> boundary_pixels((480, 854))
    8
    """
    return math.ceil(BOUNDARY_SHARE * math.hypot(*size))


def boundary_of(mask: Mask) -> Mask:
    """Pixels of `mask` or beside it where it changes to the right, below, or diagonally below."""
    right, below, diagonal = mask.copy(), mask.copy(), mask.copy()
    right[:, :-1] = mask[:, 1:]
    below[:-1] = mask[1:]
    diagonal[:-1, :-1] = mask[1:, 1:]
    changes = (mask ^ right) | (mask ^ below) | (mask ^ diagonal)
    changes[-1] = mask[-1] ^ right[-1]
    changes[:, -1] = mask[:, -1] ^ below[:, -1]
    changes[-1, -1] = False
    return np.asarray(changes)


def boundary_similarity(mask: Mask, truth: Mask, ignore: Mask | None = None) -> float:
    """F: the harmonic mean of how much of each boundary lies near the other, outside `ignore`."""
    mask, truth = _outside(ignore, mask, truth)
    reach = boundary_pixels(truth.shape)
    mask, truth = _near_either(mask, truth)
    rows, columns = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    near = (rows**2 + columns**2 <= reach**2).astype(np.uint8)
    edge, true_edge = boundary_of(mask), boundary_of(truth)
    around_truth = cv2.dilate(true_edge.astype(np.uint8), near).astype(bool)
    around_mask = cv2.dilate(edge.astype(np.uint8), near).astype(bool)
    count, true_count = int(edge.sum()), int(true_edge.sum())
    precision, recall = 1.0, 1.0
    if count and true_count:
        precision = int((edge & around_truth).sum()) / count
        recall = int((true_edge & around_mask).sum()) / true_count
    elif count:
        precision = 0.0
    elif true_count:
        recall = 0.0
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def over_time(values: Sequence[float]) -> OverTime:
    """Mean, recall and decay of one value per frame, as davis2017-evaluation counts them.

    Its four parts of the clip share the frames between them; past 255 frames it counts
    frames in 8 bits, and so does this.
    """
    array = np.asarray(values, dtype=np.float64)
    if not array.size:
        raise ValueError("expected a value for at least one frame")
    edges = (np.round(np.linspace(1, array.size, 5) + 1e-10) - 1).astype(np.uint8)
    first = array[edges[0] : edges[1] + 1]
    last = array[edges[3] : edges[4] + 1]
    with np.errstate(invalid="ignore"):
        decay = _mean_or_nan(first) - _mean_or_nan(last)
    return OverTime(float(np.nanmean(array)), float((array > 0.5).mean()), float(decay))


def match_targets(
    masks: Sequence[Sequence[Mask]],
    truths: Sequence[Sequence[Mask]],
    ignores: Sequence[Mask] | None = None,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], list[int]]:
    """Compare every proposed target with every true one, and pair them for the best J and F.

    Args:
        masks: targets x frames of (H, W).
        truths: likewise, as many targets or more.
        ignores: one (H, W) for each frame.

    Returns:
        J and F, each (targets, true targets, frames), and for each proposed target the
        number of the true one it is paired with.

    Raises:
        ValueError: more targets are proposed than there are true ones.
    """
    from scipy.optimize import linear_sum_assignment  # not for the page to wait for

    if len(masks) > len(truths):
        raise ValueError(
            f"expected no more proposed targets than true ones, got {len(masks)} and {len(truths)}"
        )
    frames = len(truths[0])
    region = np.zeros((len(masks), len(truths), frames))
    boundary = np.zeros_like(region)
    for row, target in enumerate(masks):
        for column, truth in enumerate(truths):
            for index in range(frames):
                ignore = None if ignores is None else ignores[index]
                region[row, column, index] = region_similarity(target[index], truth[index], ignore)
                boundary[row, column, index] = boundary_similarity(
                    target[index], truth[index], ignore
                )
    worth = (region.mean(axis=2) + boundary.mean(axis=2)) / 2
    _, partners = linear_sum_assignment(worth, maximize=True)
    return region, boundary, partners.tolist()


def temporal_consistency(overlaps: Sequence[float]) -> Consistency:
    """How steady J is over the consecutive frames of a clip of at least two.

    >>> temporal_consistency([0.5, 1.0, 0.5]).mean_absolute
    0.5
    """
    steps = overlap_differences(overlaps, gap=1)
    return Consistency(
        signed_over_frames=float(steps.sum() / len(overlaps)),
        absolute_over_frames=float(np.abs(steps).sum() / len(overlaps)),
        mean_signed=float(steps.mean()),
        mean_absolute=float(np.abs(steps).mean()),
    )


def overlap_differences(
    overlaps: Sequence[float], *, gap: int, strided: bool = False
) -> npt.NDArray[np.float64]:
    """J some `gap` frames later minus J, from every frame, or only every `gap` frames.

    Raises:
        ValueError: the clip is not longer than the gap.
    """
    values = np.asarray(overlaps, dtype=np.float64)
    if gap < 1 or values.size <= gap:
        raise ValueError(f"expected more than {gap} frames, got {values.size}")
    if strided:
        return np.diff(values[::gap])
    return values[gap:] - values[:-gap]


def steadiness(masks: Sequence[Mask]) -> float:
    """Mean J of each mask with the next one: needs no truth, and motion lowers it too."""
    pairs = itertools.pairwise(masks)
    return float(np.mean([region_similarity(first, second) for first, second in pairs]))


def overlap_figures(
    proposals: Sequence[Sequence[ScoredMask]], truths: Sequence[Mask]
) -> dict[str, float]:
    """Precision at five overlaps, overall and mean IoU of the best-scored mask of each sample.

    Overall IoU divides the sum of intersections by the sum of unions, so large targets weigh more.
    Among equal scores the last proposal counts, as in the official script.
    """
    intersections, unions = [], []
    for sample, truth in zip(proposals, truths, strict=True):
        best = sorted(sample, key=lambda proposal: proposal.score)[-1].mask
        mask, truth = _outside(None, best, truth)
        intersections.append(np.float64((mask & truth).sum()))
        unions.append(np.float64((mask | truth).sum()))
    overlaps = (np.array(intersections) + OVERLAP_EPSILON) / (np.array(unions) + OVERLAP_EPSILON)
    figures = {f"P@{bar}": float((overlaps > bar).mean()) for bar in PRECISIONS_AT}
    figures["overall_iou"] = float(
        (np.sum(intersections) + OVERLAP_EPSILON) / (np.sum(unions) + OVERLAP_EPSILON)
    )
    figures["mean_iou"] = float(overlaps.mean())
    return figures


def average_precision(
    truth: Mapping[str, Any], predictions: Sequence[Mapping[str, Any]]
) -> dict[str, float]:
    """mAP of every scored proposal, whatever its class, over samples in COCO's own form.

    `truth` is a COCO annotation file's content, `predictions` a COCO result file's; masks
    are run lengths.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools narrates
        annotations = COCO()
        annotations.dataset = dict(truth)
        annotations.createIndex()
        results = annotations.loadRes([dict(prediction) for prediction in predictions])
        evaluation = COCOeval(annotations, results, iouType="segm")
        evaluation.params.useCats = 0
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    names = (
        "mAP 0.5:0.95",
        "AP 0.5",
        "AP 0.75",
        "AP 0.5:0.95 S",
        "AP 0.5:0.95 M",
        "AP 0.5:0.95 L",
    )
    return {name: float(value) for name, value in zip(names, evaluation.stats[:6], strict=True)}


def _outside(ignore: Mask | None, mask: Mask, truth: Mask) -> tuple[Mask, Mask]:
    """Both masks without the pixels of `ignore`, all of one size."""
    require_mask(truth)
    require_mask(mask, truth.shape)
    if ignore is None:
        return mask, truth
    require_mask(ignore, truth.shape)
    return mask & ~ignore, truth & ~ignore


def _near_either(mask: Mask, truth: Mask) -> tuple[Mask, Mask]:
    """The part of both that holds every pixel of either and its neighbours: boundaries lie there,
    and most of a frame need not be looked at."""
    either = mask | truth
    rows = np.flatnonzero(either.any(axis=1))
    columns = np.flatnonzero(either.any(axis=0))
    if not rows.size:
        return mask, truth
    part = (
        slice(max(0, rows[0] - 2), rows[-1] + 3),
        slice(max(0, columns[0] - 2), columns[-1] + 3),
    )
    return mask[part], truth[part]


def _mean_or_nan(values: npt.NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else math.nan
