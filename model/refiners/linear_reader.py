"""Target against background as a linear function of an image's features, fitted while following.

Nearest cells say what a place looks like; a ridge regression says which of the features tell the
target from what surrounds it, and is not taken in by a crowd that looks like the target in all
the others.  Its statistics are sums, so a frame costs one small system of equations whatever was
seen before.
"""

from __future__ import annotations

import torch
from torch import Tensor

FADING = 0.9
"""What a passed frame counts of what it counted a frame before."""
RIDGE = 0.001
"""Penalty on the squared weights, a share of the weight of all frames."""
LEAST_SHARE = 1e-3
"""Cells of target, and of background, below which a frame says nothing of the two."""


class LinearReader:
    """A ridge regression of the target's share of each cell on the cell's features.

    On every frame target and background weigh the same, however small the target is.  Frames whose
    mask a person settled count for good, passed ones fade.
    """

    def __init__(self) -> None:
        self._settled: _Sums | None = None
        self._passed: _Sums | None = None

    def settle(self, keys: Tensor, share: Tensor) -> None:
        """Learn from a settled frame: `keys` (N, C), `share` (N,) from 0 to 1, the target's."""
        sums = _sums(keys, share)
        if sums is not None:
            self._settled = sums if self._settled is None else self._settled.plus(sums)

    def passed(self, keys: Tensor, share: Tensor) -> None:
        """Learn from the frame just passed, as `settle` takes it."""
        sums = _sums(keys, share)
        if sums is not None:
            before = self._passed
            self._passed = sums if before is None else before.faded(FADING).plus(sums)

    def read(self, keys: Tensor) -> Tensor | None:
        """The target's share (N,) of each cell by its `keys` (N, C); None before it has learnt."""
        sums = self._settled
        if sums is None:
            sums = self._passed
        elif self._passed is not None:
            sums = sums.plus(self._passed)
        if sums is None:
            return None
        weights = sums.solve().to(keys.dtype).to(keys.device)
        return (keys @ weights[:-1] + weights[-1]).clamp(0, 1)


class _Sums:
    """The normal equations of one frame or many: `products` (C + 1, C + 1), `answers` (C + 1,)."""

    def __init__(self, products: Tensor, answers: Tensor, weight: float) -> None:
        self._products = products
        self._answers = answers
        self._weight = weight

    def plus(self, other: _Sums) -> _Sums:
        return _Sums(
            self._products + other._products,
            self._answers + other._answers,
            self._weight + other._weight,
        )

    def faded(self, share: float) -> _Sums:
        return _Sums(share * self._products, share * self._answers, share * self._weight)

    def solve(self) -> Tensor:
        """(C + 1,) weights, the constant last."""
        penalty = torch.full_like(self._answers, RIDGE * self._weight)
        penalty[-1] = 0
        return torch.linalg.solve(self._products + torch.diag(penalty), self._answers)


def _sums(keys: Tensor, share: Tensor) -> _Sums | None:
    """Those of one frame; None where it shows only one of the two."""
    # Close to singular without its penalty: in float32 the solution is noise.  Not every
    # accelerator has float64, and the equations are small.
    keys, share = keys.cpu(), share.cpu().double()
    rest = 1 - share
    if min(float(share.sum()), float(rest.sum())) < LEAST_SHARE:
        return None
    ones = keys.new_ones(len(keys), 1)
    features = torch.cat([keys, ones], dim=1).double()
    weighted = features.T * (share / (2 * share.sum()) + rest / (2 * rest.sum()))
    return _Sums(weighted @ features, weighted @ share, 1.0)
