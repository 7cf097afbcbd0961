"""The simulated person clicks where a person would, and the baselines are what they say."""

from __future__ import annotations

import numpy as np

from benchmarks.known_clips import Clip, next_click
from benchmarks.refinement import FlowAlone
from benchmarks.refiner_costs import DrawnClip
from model.metrics import region_similarity

SIZE = (60, 100)


def block(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros(SIZE, dtype=bool)
    mask[top : top + height, left : left + width] = True
    return mask


def test_the_first_click_goes_to_the_middle_of_the_target():
    click = next_click(block(10, 20, 21, 41), np.zeros(SIZE, dtype=bool))

    assert click is not None
    assert click.positive
    assert abs(click.y - 20) <= 1
    assert 30 <= click.x <= 50


def test_the_next_click_goes_to_the_larger_error_with_its_sign():
    truth = block(10, 10, 20, 20)
    mask = block(10, 15, 20, 15) | block(40, 60, 15, 15)

    click = next_click(truth, mask)

    assert click is not None
    assert not click.positive
    assert (click.x, click.y) == (67, 47)


def test_a_perfect_mask_needs_no_click():
    assert next_click(block(1, 1, 5, 5), block(1, 1, 5, 5)) is None


def test_flow_alone_follows_a_disc_for_a_few_frames():
    clip = DrawnClip(3)
    standing_still = region_similarity(clip.truth(0), clip.truth(2))
    follower = FlowAlone(clip[0], clip.truth(0))

    mask = clip.truth(0)
    for index in (1, 2):
        mask, _ = follower.step(index, clip[index])

    assert region_similarity(mask, clip.truth(2)) > standing_still + 0.05


def test_a_clip_pairs_each_frame_with_its_mask(shared):
    clip = Clip(shared / "davis", "libby", stride=10)

    assert len(clip) == 5
    assert clip[2].shape[:2] == clip.truth(2).shape
    assert clip.truth(2).any()
