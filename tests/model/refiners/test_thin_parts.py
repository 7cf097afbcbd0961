"""Thin parts go with the target, and nothing else is taken for one."""

from __future__ import annotations

import cv2
import numpy as np

from model.metrics import region_similarity
from model.refiners.flow import Flow
from model.refiners.thin_parts import ThinParts, thin_parts

SIZE = (361, 643)
STEP = 4
"""Pixels that everything on the picture moves to the right from one frame to the next."""


def body(x: int) -> np.ndarray:
    drawn = np.zeros(SIZE, dtype=np.uint8)
    cv2.circle(drawn, (x, 180), 60, 1, thickness=-1)
    return drawn.astype(bool)


def strap(x: int) -> np.ndarray:
    drawn = np.zeros(SIZE, dtype=np.uint8)
    cv2.line(drawn, (x + 50, 160), (x + 220, 80), 1, thickness=2)
    return drawn.astype(bool)


def picture(x: int) -> np.ndarray:
    noise = np.random.default_rng(5).integers(100, 130, (*SIZE, 3), dtype=np.uint8)
    noise[body(x) | strap(x)] = (200, 50, 40)
    return noise


def moved(by: float) -> Flow:
    columns, rows = np.meshgrid(
        np.arange(SIZE[1], dtype=np.float32), np.arange(SIZE[0], dtype=np.float32)
    )
    return Flow(columns - by, rows, np.ones(SIZE, dtype=np.float32))


def test_a_strap_is_a_thin_part_and_a_rough_border_is_none():
    rough = body(200)
    rough[118:121, 195:200] = True

    assert region_similarity(thin_parts(body(200) | strap(200)), strap(200) & ~body(200)) > 0.8
    assert not thin_parts(rough).any()


def test_a_strap_the_network_never_draws_goes_with_the_target_though_flow_is_a_little_off():
    thin = ThinParts(picture(120), body(120) | strap(120))

    for number in range(1, 9):
        x = 120 + STEP * number
        found = thin.added_to(body(x), picture(x), moved(STEP + 0.4))
        assert region_similarity(found, body(x) | strap(x)) > 0.95


def test_a_strap_that_is_gone_is_not_carried_on():
    thin = ThinParts(picture(120), body(120) | strap(120))
    bare = picture(120)
    bare[strap(120) & ~body(120)] = (115, 115, 115)

    found = thin.added_to(body(120), bare, moved(0))

    assert region_similarity(found, body(120)) > 0.98


def test_what_passes_in_front_of_a_strap_is_not_taken_for_it():
    thin = ThinParts(picture(120), body(120) | strap(120))
    covered = picture(120)
    covered[60:175, 185:] = (30, 60, 220)

    found = body(120)
    for _ in range(3):
        found = thin.added_to(body(120), covered, moved(0))

    assert not found[60:175, 185:].any()


def test_where_the_target_is_gone_its_thin_parts_are_too():
    thin = ThinParts(picture(120), body(120) | strap(120))

    for _ in range(2):
        assert not thin.added_to(np.zeros(SIZE, dtype=bool), picture(120), moved(0)).any()


def test_a_target_without_thin_parts_is_left_as_it_is():
    thin = ThinParts(picture(120), body(120))

    assert np.array_equal(thin.added_to(body(124), picture(124), moved(STEP)), body(124))
