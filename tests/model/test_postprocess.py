"""Repairs change what they say and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from model.postprocess import drop_islands, fill_holes, grow, shrink, smooth

SIZE = (40, 60)


def block(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros(SIZE, dtype=bool)
    mask[top : top + height, left : left + width] = True
    return mask


def test_a_bay_that_reaches_the_border_is_no_hole():
    mask = block(0, 10, 20, 20)
    mask[0:8, 18:22] = False
    inner = mask.copy()
    inner[12:15, 15:18] = False

    assert np.array_equal(fill_holes(inner), mask)


def test_only_holes_up_to_the_given_size_are_filled():
    mask = block(5, 5, 30, 40)
    mask[10:12, 10:12] = False
    mask[20:25, 20:25] = False

    filled = fill_holes(mask, largest=4)

    assert filled[10:12, 10:12].all()
    assert not filled[20:25, 20:25].any()


def test_islands_below_the_given_size_go_and_the_rest_stays():
    mask = block(2, 2, 10, 10) | block(20, 30, 3, 3) | block(30, 50, 1, 2)

    kept = drop_islands(mask, smallest=9)

    assert np.array_equal(kept, block(2, 2, 10, 10) | block(20, 30, 3, 3))
    assert np.array_equal(drop_islands(mask), block(2, 2, 10, 10))


def test_of_two_equal_parts_exactly_one_is_kept():
    mask = block(2, 2, 4, 4) | block(20, 30, 4, 4)

    assert drop_islands(mask).sum() == 16


def test_growing_and_shrinking_undo_each_other_on_a_convex_mask():
    mask = block(10, 15, 15, 20)

    assert np.array_equal(shrink(grow(mask, 3), 3), mask)


def test_shrinking_leaves_the_frame_border_alone():
    mask = block(0, 0, 20, 60)

    shrunk = shrink(mask, 4)

    assert np.array_equal(shrunk, block(0, 0, 16, 60))


def test_smoothing_removes_a_hair_and_keeps_a_straight_border():
    mask = block(0, 0, 40, 30)
    hairy = mask.copy()
    hairy[20, 30:50] = True

    assert np.array_equal(smooth(hairy, 3)[:, :29], mask[:, :29])
    assert not smooth(hairy, 3)[20, 34:].any()
    assert np.array_equal(smooth(mask, 3), mask)


@pytest.mark.parametrize("repair", [fill_holes, drop_islands])
def test_an_empty_mask_stays_empty(repair):
    assert not repair(np.zeros(SIZE, dtype=bool)).any()


def test_a_negative_distance_is_refused():
    with pytest.raises(ValueError, match="got -1"):
        grow(block(0, 0, 3, 3), -1)
