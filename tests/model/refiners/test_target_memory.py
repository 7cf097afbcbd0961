"""The memory finds a likeness again, far from where it was, and stays small."""

from __future__ import annotations

import numpy as np
import torch

from model.refiners.mobile_sam import Embedding
from model.refiners.target_memory import RARE_KEPT, RECENT_KEPT, TargetMemory

GRID = (9, 16)
SIZE = (144, 256)
SCALE = 1.0


def seen(left: int) -> tuple[Embedding, np.ndarray]:
    """Features of a frame whose target covers 3x3 cells from column `left`; its share of pixels."""
    generator = torch.Generator().manual_seed(2)
    features = 0.1 * torch.randn((1, 256, *GRID), generator=generator)
    features[:, 0] += 3
    features[:, 0, 3:6, left : left + 3] -= 3
    features[:, 1, 3:6, left : left + 3] += 3
    share = np.zeros(SIZE, dtype=np.float32)
    share[48:96, 16 * left : 16 * (left + 3)] = 1
    return Embedding(features, SCALE, SIZE), share


def test_the_target_is_found_where_its_likeness_is():
    memory = TargetMemory()
    memory.add_anchor(*seen(2))
    embedding, share = seen(11)

    found = memory.read(embedding)

    assert found.shape == SIZE
    assert ((found > 0.5) == (share > 0.5)).mean() > 0.98


def test_an_anchor_without_target_finds_nothing():
    memory = TargetMemory()
    embedding, share = seen(2)
    memory.add_anchor(embedding, np.zeros_like(share))

    assert memory.read(embedding).max() == 0


def test_what_is_held_does_not_grow_with_the_clip():
    memory = TargetMemory()
    memory.add_anchor(*seen(2))

    for step in range(100):
        memory.add(*seen(2 + step % 10), sure=True)

    assert memory.frames_held == 1 + RARE_KEPT + RECENT_KEPT
