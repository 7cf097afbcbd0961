"""Which reading of a click is taken, and which change of a mask is too much for one click."""

from __future__ import annotations

import numpy as np

from model.refiners.prompt_network import Decoded
from model.refiners.proposals import (
    box_with,
    is_about,
    is_bearable,
    is_much,
    plausible,
    touches_border,
    unlike,
    whole_of,
)
from video_types import Box, Click

SIZE = (21, 34)


def rectangle(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros(SIZE, dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def firm(mask: np.ndarray) -> np.ndarray:
    return np.where(mask, 5, -5).astype(np.float32)


def leaking(mask: np.ndarray) -> np.ndarray:
    """A reading that ends nowhere: half of the picture is nearly on it."""
    return np.where(mask, 0.5, -0.5).astype(np.float32)


def decoded(maps: list[np.ndarray], scores: list[float]) -> Decoded:
    return Decoded(np.stack(maps), np.array(scores, dtype=np.float32))


PART, WHOLE, SCENE = rectangle(4, 4, 8, 8), rectangle(3, 2, 12, 15), rectangle(0, 0, 34, 18)


def test_the_largest_plausible_reading_is_the_whole_even_where_a_part_scores_more():
    maps = [firm(PART), firm(WHOLE)]

    assert whole_of(decoded(maps, [0.93, 0.78]), maps) == 1


def test_a_reading_that_leaks_or_that_the_network_doubts_is_not_plausible():
    maps = [firm(PART), firm(WHOLE), leaking(SCENE)]

    assert plausible(decoded(maps, [0.9, 0.95, 0.92]), maps) == [0, 1]
    assert plausible(decoded(maps, [0.9, 0.5, 0.92]), maps) == [0]


def test_without_a_plausible_reading_the_best_of_all_is_taken():
    maps = [leaking(SCENE), leaking(PART)]

    assert whole_of(decoded(maps, [0.3, 0.8]), maps) == 1


def test_readings_that_a_person_could_not_tell_apart_are_offered_once():
    nearly = WHOLE.copy()
    nearly[2, 3] = False

    assert [int(each.sum()) for each in unlike(WHOLE, [nearly, PART, PART])] == [16]
    assert unlike(WHOLE, [np.zeros(SIZE, dtype=bool)]) == ()


def test_a_click_may_take_a_part_or_a_thing_by_itself_but_not_most_of_what_it_lies_on():
    body, beside = rectangle(2, 2, 12, 12), rectangle(20, 2, 34, 15)
    on_body, on_beside = Click(0, 6, 6, False), Click(0, 25, 8, False)

    assert is_bearable(body, body & ~PART, on_body)
    assert not is_bearable(body, rectangle(2, 2, 4, 12), on_body)
    assert is_bearable(body | beside, body, on_beside)
    assert not is_bearable(beside, np.zeros(SIZE, dtype=bool), on_beside)


def test_a_change_is_about_what_most_of_it_is_near():
    near = rectangle(0, 0, 10, 21)

    assert is_about(rectangle(4, 4, 14, 8), near)
    assert not is_about(rectangle(7, 4, 20, 8), near)
    assert is_much(rectangle(0, 0, 8, 10), rectangle(0, 0, 10, 10))
    assert not is_much(rectangle(0, 0, 6, 10), rectangle(0, 0, 10, 10))


def test_surroundings_reach_a_border_of_the_frame():
    assert touches_border(rectangle(30, 5, 34, 9))
    assert not touches_border(rectangle(29, 5, 33, 9))


def test_a_box_holds_the_mask_and_what_was_clicked_on_beside_it():
    clicks = [Click(0, 20.5, 6, True), Click(0, 33, 20, False)]

    assert box_with(PART, clicks) == Box(4, 4, 21.5, 8)
    assert box_with(np.zeros(SIZE, dtype=bool), clicks) is None
