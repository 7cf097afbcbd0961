"""Several models' masks of one clip in numbers: against the annotation, and against each other.

Masks come as COCO run lengths, the form they are stored in, and J is counted on the runs: a clip
of 500 frames takes a tenth of a second.  Every figure equals that of `metrics` on the pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco

from model import metrics
from video_types import Size

GAPS = (1, 5)
"""Frames between the two whose J is compared, as VD-IT reports it."""

PerFrame = Sequence[float | None]
"""One value per frame of a clip; None where there is nothing to compare."""


@dataclass(frozen=True)
class Mean:
    """Means over the frames compared; `f` and `jf` are None where F was left out."""

    j: float
    f: float | None
    jf: float | None


@dataclass(frozen=True)
class Temporal:
    """How steady J is from one compared frame to the next.

    `consistency` is the REM paper's formula as written: the sum of signed differences by the
    number of frames.  `consistency_absolute` takes their absolute values, as the figures the
    paper reports do.
    """

    consistency: float
    consistency_absolute: float


@dataclass(frozen=True)
class Summary:
    """What a clip comes to.

    `iou_gap` holds the mean absolute difference of J at each of GAPS, None where the clip is too
    short.  Steps and gaps count the compared frames: of a clip annotated on every 4th, those.
    """

    frames: int
    mean: Mean | None
    temporal: Temporal | None
    iou_gap: dict[int, float | None]


def overlap(first: bytes, second: bytes, size: Size, ignore: bytes | None = None) -> float:
    """J of two masks (H, W) given as COCO counts, outside `ignore`; 1 if the union is empty.

    >>> from pycocotools import mask as coco
    >>> left, both = (
    ...     coco.encode(np.array([row], dtype=np.uint8, order="F"))["counts"]
    ...     for row in ([1, 0], [1, 1])
    ... )
    >>> overlap(left, both, (1, 2))
    0.5
    """
    pair = [_coco(first, size), _coco(second, size)]
    shared, either = coco.merge(pair, intersect=True), coco.merge(pair)
    areas = coco.area([shared, either]).astype(int)
    if ignore is not None:
        removed = [
            coco.merge([one, _coco(ignore, size)], intersect=True) for one in (shared, either)
        ]
        areas -= coco.area(removed).astype(int)
    return int(areas[0]) / int(areas[1]) if areas[1] else 1.0


def _coco(counts: bytes, size: Size) -> dict[str, object]:
    return {"size": list(size), "counts": counts}


def summarise(j: PerFrame, f: PerFrame | None = None) -> Summary:
    """Means, steadiness and differences at gaps over the frames that have a J.

    >>> summarise([0.5, None, 1.0]).mean
    Mean(j=0.75, f=None, jf=None)
    """
    overlaps = [value for value in j if value is not None]
    if not overlaps:
        return Summary(0, None, None, dict.fromkeys(GAPS))
    return Summary(
        len(overlaps),
        _mean(overlaps, None if f is None else [value for value in f if value is not None]),
        _temporal(overlaps),
        {gap: _difference(overlaps, gap) for gap in GAPS},
    )


def _mean(overlaps: Sequence[float], boundaries: Sequence[float] | None) -> Mean:
    j = float(np.mean(overlaps))
    if not boundaries:
        return Mean(j, None, None)
    f = float(np.mean(boundaries))
    return Mean(j, f, (j + f) / 2)


def _temporal(overlaps: Sequence[float]) -> Temporal | None:
    if len(overlaps) < 2:
        return None
    steady = metrics.temporal_consistency(overlaps)
    return Temporal(steady.signed_over_frames, steady.absolute_over_frames)


def _difference(overlaps: Sequence[float], gap: int) -> float | None:
    if len(overlaps) <= gap:
        return None
    return float(np.abs(metrics.overlap_differences(overlaps, gap=gap)).mean())
