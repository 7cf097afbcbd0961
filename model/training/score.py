"""How good a predicted mask is: region similarity, and whether it lies on the right thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model.synthetic.clips import MaskStack


@dataclass(frozen=True)
class Score:
    """Of one expression, or the mean over many."""

    j: float  # mean over frames of intersection over union; 1 where both are empty
    picked: float  # 1 where the right thing is overlapped more than any other


def score_masks(predicted: MaskStack, target: MaskStack, others: Sequence[MaskStack]) -> Score:
    """Score (T, H, W) masks against the target's, among the `others` of the clip.

    >>> a, b = np.zeros((2, 1, 2, 2), dtype=bool)
    >>> a[0, 0], b[0, 1] = True, True
    >>> score_masks(a, a, [b]), score_masks(b, a, [b])
    (Score(j=1.0, picked=1.0), Score(j=0.0, picked=0.0))
    """
    both = (predicted & target).sum(axis=(1, 2))
    either = (predicted | target).sum(axis=(1, 2))
    j = np.where(either == 0, 1.0, both / np.maximum(either, 1))
    right = _overlap(predicted, target)
    best_other = max((_overlap(predicted, other) for other in others), default=0.0)
    return Score(float(j.mean()), float(right > best_other))


def mean_scores(scores: Sequence[Score]) -> Score:
    """The mean of both figures."""
    return Score(
        float(np.mean([score.j for score in scores])),
        float(np.mean([score.picked for score in scores])),
    )


def by_type(scores: Mapping[str, Score]) -> str:
    """Scores per type of expression, and their mean, in one line for the log."""
    total = mean_scores(list(scores.values()))
    parts = [f"{kind} {s.j:.2f}/{s.picked:.2f}" for kind, s in sorted(scores.items())]
    return f"J/picked: {', '.join(parts)}, mean {total.j:.2f}/{total.picked:.2f}"


def _overlap(predicted: MaskStack, target: MaskStack) -> float:
    """Intersection over union over the whole clip."""
    either = int(np.count_nonzero(predicted | target))
    return np.count_nonzero(predicted & target) / either if either else 0.0
