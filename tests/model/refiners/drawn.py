"""Small pictures of discs on a ragged ground, for the embedded refiner."""

from __future__ import annotations

import cv2
import numpy as np

SIZE = (180, 320)


def ground() -> np.ndarray:
    noise = np.random.default_rng(3).integers(90, 130, (18, 32, 3), dtype=np.uint8)
    return cv2.resize(noise, SIZE[::-1], interpolation=cv2.INTER_CUBIC)


def disc(x: int, y: int, radius: int) -> np.ndarray:
    drawn = np.zeros(SIZE, dtype=np.uint8)
    cv2.circle(drawn, (x, y), radius, 1, thickness=-1)
    return drawn.astype(bool)


def picture(*masks: np.ndarray) -> np.ndarray:
    frame = ground()
    for mask in masks:
        frame[mask] = (220, 60, 40)
    return frame
