"""Optical flow on pictures whose motion is known."""

from __future__ import annotations

import cv2
import numpy as np

from model.refiners.flow import FlowEstimator

SIZE = (120, 200)


def textured() -> np.ndarray:
    noise = np.random.default_rng(5).integers(0, 255, (30, 50, 3), dtype=np.uint8)
    return cv2.resize(noise, SIZE[::-1], interpolation=cv2.INTER_CUBIC)


def test_a_mask_is_carried_along_with_the_picture():
    before = textured()
    now = np.roll(before, (4, 7), axis=(0, 1))
    mask = np.zeros(SIZE, dtype=np.float32)
    mask[40:80, 60:120] = 1

    flow = FlowEstimator().between(now, before)
    carried = flow.carry(mask) > 0.5

    assert carried[46:82, 69:125].mean() > 0.97
    assert carried[:40].sum() + carried[:, :60].sum() == 0
    assert flow.trust[46:82, 69:125].mean() > 0.9


def test_what_was_hidden_before_is_not_trusted():
    ground = textured()
    other = textured()[::-1, ::-1].copy()
    before, now = ground.copy(), ground.copy()
    before[30:90, 40:100] = other[30:90, 40:100]
    now[30:90, 100:160] = other[30:90, 40:100]

    flow = FlowEstimator().between(now, before)

    assert flow.trust[40:80, 50:80].mean() < flow.trust[100:, :].mean() - 0.3


def test_the_same_frames_give_the_same_flow():
    before = textured()
    now = np.roll(before, 5, axis=1)

    first, second = (FlowEstimator().between(now, before) for _ in range(2))

    assert np.array_equal(first.source_x, second.source_x)
    assert np.array_equal(first.trust, second.trust)
