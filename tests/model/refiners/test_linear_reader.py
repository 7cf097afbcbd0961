"""A linear reading of features: what tells the target from its surroundings."""

from __future__ import annotations

import torch
from torch import Tensor

from model.refiners.linear_reader import LinearReader

CELLS = 7 * 11
CHANNELS = 12


def scene(seed: int, telling: int) -> tuple[Tensor, Tensor]:
    """Keys of unit length, alike but for one channel, and the share of the few target cells."""
    chance = torch.Generator().manual_seed(seed)
    keys = torch.randn(CELLS, CHANNELS, generator=chance)
    share = torch.zeros(CELLS)
    share[:6] = 1
    keys[:, telling] = 2 * share - 1
    return torch.nn.functional.normalize(keys, dim=1), share


def test_one_telling_feature_is_found_among_many_that_tell_nothing():
    reader = LinearReader()
    for seed in range(8):
        reader.settle(*scene(seed, telling=3))
    keys, share = scene(99, telling=3)

    read = reader.read(keys)

    assert read is not None
    assert float(read[share == 1].min()) > float(read[share == 0].max())
    assert float(read.min()) >= 0
    assert float(read.max()) <= 1


def test_passed_frames_teach_a_change_of_looks_and_fade():
    reader = LinearReader()
    reader.settle(*scene(0, telling=3))
    for seed in range(1, 40):
        reader.passed(*scene(seed, telling=5))
    keys, share = scene(99, telling=5)

    read = reader.read(keys)

    assert read is not None
    assert float(read[share == 1].mean()) > float(read[share == 0].mean()) + 0.3


def test_nothing_is_read_before_target_and_background_were_seen():
    reader = LinearReader()
    keys, _ = scene(0, telling=3)

    reader.settle(keys, torch.zeros(CELLS))
    reader.passed(keys, torch.ones(CELLS))

    assert reader.read(keys) is None
