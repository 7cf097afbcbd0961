"""The likest cells, found piece by piece, are those of the plain product."""

from __future__ import annotations

import pytest
import torch

from model.refiners.likeness import ROWS, likest


def unit(rows: int, seed: int) -> torch.Tensor:
    drawn = torch.randn(rows, 24, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(drawn, dim=1)


@pytest.mark.parametrize("rows", [5, ROWS, ROWS + 37])
def test_the_likest_are_those_of_the_whole_product(rows):
    query, keys = unit(rows, 0), unit(611, 1)

    likeness, places = likest(query, keys, 7)

    expected = (query @ keys.T).topk(7, dim=1)
    torch.testing.assert_close(likeness, expected.values, atol=0.01, rtol=0)
    same = (places[:, :, None] == expected.indices[:, None]).any(dim=2).float().mean()
    assert same > 0.95


def test_a_cost_counts_for_each_frame_of_keys_in_turn():
    query = unit(ROWS + 3, 0)
    keys = torch.cat([query, query])
    cost = torch.rand(len(query), len(query), generator=torch.Generator().manual_seed(2))

    likeness, _ = likest(query, keys, 4, cost=cost)

    expected = (query @ keys.T - cost.repeat(1, 2)).topk(4, dim=1)
    torch.testing.assert_close(likeness, expected.values, atol=0.01, rtol=0)
