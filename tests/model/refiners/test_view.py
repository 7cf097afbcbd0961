"""A view shows the target with room around it, or the whole frame."""

from __future__ import annotations

import numpy as np

from model.refiners.view import View, around, box_of, points_in
from video_types import Box, Click

SIZE = (480, 854)


def test_a_small_target_gets_a_view_that_holds_it_with_room():
    view = around(Box(400, 200, 460, 260), SIZE)

    assert view.left < 380
    assert view.top < 180
    assert view.right > 480
    assert view.bottom > 280
    assert max(view.size) < 427


def test_a_view_stays_inside_the_frame():
    view = around(Box(0, 440, 40, 480), SIZE)

    assert (view.left, view.bottom) == (0, 480)
    assert view.right <= 854
    assert view.top >= 0


def test_a_large_target_is_seen_on_the_whole_frame():
    assert around(Box(100, 50, 600, 400), SIZE) == View(0, 0, 854, 480)


def test_a_mask_that_grows_a_bit_keeps_its_view():
    views = {around(Box(400, 200, 460 + grown, 261), SIZE) for grown in range(3)}

    assert len(views) == 1


def test_clicks_outside_the_view_are_left_out_and_others_moved():
    view = View(100, 50, 200, 150)

    places, positive = points_in(view, [Click(0, 110, 60, False), Click(0, 300, 60, True)])

    assert places.tolist() == [[10, 10]]
    assert positive.tolist() == [False]


def test_an_empty_mask_has_no_box():
    assert box_of(np.zeros(SIZE, dtype=bool)) is None
