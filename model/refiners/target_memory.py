"""What the target and its surroundings looked like, asked for where the target is now.

The image features that MobileSAM computes for every frame tell things apart well enough to
find each cell's likeness on frames whose masks are known, and to learn what tells the target from
its surroundings.  This finds the target again after it was hidden, where optical flow has nothing
to carry.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.refiners.likeness import likest
from model.refiners.linear_reader import LinearReader
from model.refiners.mobile_sam import CERTAIN, Embedding, logits_of_share

NEIGHBOURS = 16
"""Likest cells that vote on each cell."""
TEMPERATURE = 0.05
"""Likeness by which a voter must lead to count e times as much."""
RECENT_KEPT = 3
RARE_KEPT = 4
RARE_EVERY = 10
"""Every so many frames a frame enters the longer memory."""
LEARNT_WEIGHT = 0.5
"""What was learnt of target and background counts this much beside the likest cells."""
REACH = 6.0
"""Cells a target moves between two frames at little cost in the recent memory."""

Share = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Seen:
    """One frame: `keys` (N, 256) of unit length, and the target's share (N,) of each cell."""

    keys: Tensor
    share: Tensor


class TargetMemory:
    """Remembers anchors for good and a bounded number of frames between."""

    def __init__(self) -> None:
        self._anchors: list[_Seen] = []
        self._rare: deque[_Seen] = deque(maxlen=RARE_KEPT)
        self._recent: deque[_Seen] = deque(maxlen=RECENT_KEPT)
        self._learnt = LinearReader()
        self._steps = 0

    @property
    def frames_held(self) -> int:
        """How many frames are remembered now."""
        return len(self._anchors) + len(self._rare) + len(self._recent)

    def add_anchor(self, embedding: Embedding, share: Share) -> None:
        """Remember a frame whose mask a person settled; `share` is (H, W) from 0 to 1."""
        seen = _seen(embedding, share)
        self._anchors.append(seen)
        self._learnt.settle(seen.keys, seen.share)

    def add(self, embedding: Embedding, share: Share, *, sure: bool) -> None:
        """Remember the frame just passed; only one that is `sure` for longer."""
        seen = _seen(embedding, share)
        self._recent.append(seen)
        self._learnt.passed(seen.keys, seen.share)
        self._steps += 1
        if sure and self._steps % RARE_EVERY == 0:
            self._rare.append(seen)

    @torch.inference_mode()
    def read(self, embedding: Embedding) -> Share:
        """Where the target is by likeness, (H, W) from 0 to 1, as coarse as the features."""
        query = _keys(embedding)
        height, width = embedding.features.shape[-2:]
        lasting = [*self._anchors, *self._rare]
        votes = _vote(query, lasting, None)
        if self._recent:
            votes = 0.5 * votes + 0.5 * _vote(query, list(self._recent), (height, width))
        learnt = self._learnt.read(query)
        if learnt is not None:
            votes = (1 - LEARNT_WEIGHT) * votes + LEARNT_WEIGHT * learnt
        cells = votes.view(height, width).cpu().numpy().astype(np.float32)
        return _spread(cells, embedding)


def _vote(query: Tensor, frames: list[_Seen], grid: tuple[int, int] | None) -> Tensor:
    """The share (N,) that the likest cells of `frames` give each cell of `query`.

    With `grid` (h, w), a far cell must be more alike than a near one.
    """
    cost = None if grid is None else _distance_cost(grid, query.device)
    keys = torch.cat([seen.keys for seen in frames])
    best, place = likest(query, keys, min(NEIGHBOURS, len(keys)), cost=cost)
    weight = torch.softmax(best / TEMPERATURE, dim=1)
    share = torch.cat([seen.share for seen in frames])
    return (weight * share[place]).sum(dim=1)


@lru_cache(maxsize=2)
def _distance_cost(grid: tuple[int, int], device: torch.device) -> Tensor:
    """(N, N): what the way between two cells of one grid takes off their likeness."""
    rows, columns = torch.meshgrid(
        torch.arange(grid[0], device=device), torch.arange(grid[1], device=device), indexing="ij"
    )
    places = torch.stack([rows.flatten(), columns.flatten()], dim=1).float()
    return 0.1 * (torch.cdist(places, places) / REACH) ** 2


def _keys(embedding: Embedding) -> Tensor:
    """(N, 256) of unit length."""
    return torch.nn.functional.normalize(embedding.features[0].flatten(1).T, dim=1)


def _seen(embedding: Embedding, share: Share) -> _Seen:
    height, width = embedding.features.shape[-2:]
    fine = (logits_of_share(share, embedding) / CERTAIN + 1) / 2
    cells = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
    return _Seen(_keys(embedding), torch.from_numpy(cells).to(embedding.features.device).flatten())


def _spread(cells: Share, embedding: Embedding) -> Share:
    """A value for each cell -> (H, W), bilinear."""
    height, width = embedding.size
    step = embedding.scale / 16
    matrix = np.array([[step, 0, 0.5 * step - 0.5], [0, step, 0.5 * step - 0.5]])
    return cv2.warpAffine(
        cells,
        matrix,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
