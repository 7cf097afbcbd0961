"""Small rendered clips for the journeys: a bright disc that grows and drifts over a dark ground."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.media_fixtures import write_video
from video_types import Frame, Mask

HEIGHT, WIDTH, FRAMES = 120, 160, 24


def disc(frame_index: int) -> Mask:
    """(H, W) bool: where the disc is on one frame."""
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    x, y, radius = disc_place(frame_index)
    return np.asarray((xx - x) ** 2 + (yy - y) ** 2 < radius**2)


def disc_place(frame_index: int) -> tuple[float, float, float]:
    """(x, y, radius) of the disc in pixels."""
    return 50 + 2.0 * frame_index, 60.0, 22 + 0.4 * frame_index


def picture(frame_index: int, shade: int = 0) -> Frame:
    """(H, W, 3) RGB: an orange disc on a blue-grey ground with a faint pattern."""
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    ground = 60 + shade + 8 * np.sin(xx / 9) + 8 * np.cos(yy / 7)
    frame = np.stack([ground * 0.7, ground * 0.9, ground * 1.2], axis=-1).astype(np.uint8)
    frame[disc(frame_index)] = (235, 140, 40)
    return frame


def disc_clip(path: Path, frames: int = FRAMES, shade: int = 0) -> Path:
    """A one-second video of the disc; of another shade of ground it is another clip."""
    return write_video(path, [picture(number, shade) for number in range(frames)])
