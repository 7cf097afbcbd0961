"""Clicks are honoured and changes stay local, whatever a network proposes."""

from __future__ import annotations

import numpy as np
import pytest

from model.refiners.click_rules import (
    changed_near,
    honour,
    is_honoured,
    reach_of,
    require_prompt,
    without_islands,
)
from video_types import Box, Click

SIZE = (60, 100)
FRAME = np.zeros((*SIZE, 3), dtype=np.uint8)


def block(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros(SIZE, dtype=bool)
    mask[top : top + height, left : left + width] = True
    return mask


def click(x: float, y: float, positive: bool) -> Click:
    return Click(0, x, y, positive)


def test_only_the_change_under_the_click_is_taken_over():
    before = block(5, 5, 20, 20)
    proposal = block(5, 5, 20, 30) | block(40, 60, 10, 10)

    changed = changed_near(before, proposal, click(30, 15, True))

    assert np.array_equal(changed, block(5, 5, 20, 30))


def test_a_positive_click_never_takes_away():
    before = block(5, 5, 20, 40)
    proposal = block(5, 30, 20, 40)

    changed = changed_near(before, proposal, click(60, 15, True))

    assert np.array_equal(changed, before | proposal)


def test_a_negative_click_never_adds():
    before = block(5, 5, 20, 40)
    proposal = ~before

    changed = changed_near(before, proposal, click(20, 15, False))

    assert not changed.any()


def test_changes_joined_by_a_hair_are_two_places():
    before = np.zeros(SIZE, dtype=bool)
    left, right = block(10, 5, 20, 20), block(10, 60, 20, 20)
    hair = block(20, 25, 1, 35)

    changed = changed_near(before, left | hair | right, click(15, 20, True))

    assert changed[20, 15]
    assert not changed[20, 70]


def test_a_click_the_network_fails_gets_a_dot_that_spares_its_neighbour():
    clicks = [click(50, 30, True), click(53, 30, False)]

    mask = honour(np.zeros(SIZE, dtype=bool), clicks)

    assert all(is_honoured(each, mask) for each in clicks)
    assert mask.sum() < 10


def test_two_clicks_on_one_pixel_follow_the_later():
    clicks = [click(50, 30, True), click(50.4, 30.2, False)]

    assert not honour(np.ones(SIZE, dtype=bool), clicks)[30, 50]


def test_an_island_that_was_clicked_on_stays():
    mask = block(5, 5, 30, 40) | block(50, 90, 2, 2) | block(50, 70, 2, 2)

    kept = without_islands(mask, [click(91, 51, True)], share=0.05)

    assert kept[51, 91]
    assert not kept[51, 71]


def test_a_click_near_the_border_reaches_less_far_than_one_deep_inside():
    mask = block(0, 0, 60, 60)

    assert reach_of(click(58, 30, False), mask) < reach_of(click(30, 30, False), mask)


@pytest.mark.parametrize(
    ("clicks", "box", "message"),
    [
        ([], None, "at least one click or a box"),
        ([Click(0, 100, 3, True)], None, "outside the 100x60 frame"),
        ([], Box(5, 5, 5, 9), "a box with an area"),
    ],
)
def test_a_prompt_that_does_not_fit_is_refused(clicks, box, message):
    with pytest.raises(ValueError, match=message):
        require_prompt(FRAME, clicks, None, box)
