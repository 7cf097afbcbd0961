"""Memory and time of the refiners, without any clip at hand: frames are drawn."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from model.mobile_sam_refiner import load as load_mobile_sam
from model.refiner import ClickRefiner, MaskPropagator
from model.sam2_refiner import untrained
from video_types import Click, Frame, Mask

MEGABYTE = 2**20
SIZE = (720, 1280)
FIRST_LOOK = 100


class DrawnClip(Sequence[Frame]):
    """A disc that wanders over a textured ground; frames are drawn when asked for."""

    def __init__(self, length: int) -> None:
        self._length = length
        noise = np.random.default_rng(0).integers(0, 255, (45, 80, 3), dtype=np.uint8)
        self._ground = cv2.resize(noise, SIZE[::-1], interpolation=cv2.INTER_CUBIC)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Frame:  # type: ignore[override]  # no slices
        frame = self._ground.copy()
        cv2.circle(frame, self._centre(index), 90, (230, 60, 40), thickness=-1)
        return frame

    def truth(self, index: int) -> Mask:
        """(H, W)."""
        drawn = np.zeros(SIZE, dtype=np.uint8)
        cv2.circle(drawn, self._centre(index), 90, 1, thickness=-1)
        return drawn.astype(bool)

    def _centre(self, index: int) -> tuple[int, int]:
        return int(640 + 400 * np.sin(index / 40)), int(360 + 200 * np.cos(index / 55))


def resident_bytes() -> int:
    """Memory this process holds now, as Linux counts it."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def print_memory(device: str, length: int) -> None:
    """Memory while a mask is carried through a long clip: early, and at its end."""
    propagators: list[MaskPropagator] = [load_mobile_sam(device), untrained(device, image_size=512)]
    for propagator in propagators:
        clip = DrawnClip(length)
        look = min(FIRST_LOOK, length // 2)
        early = 0
        began = time.perf_counter()
        last = 0
        for done, found in enumerate(
            propagator.propagate(clip, {0: clip.truth(0)}, targets=range(1, length)), start=1
        ):
            last = found.frame_index
            if done == look:
                early = resident_bytes()
        late = resident_bytes()
        seconds = (time.perf_counter() - began) / last
        print(
            f"{propagator.name}: {early / MEGABYTE:.0f} MB at frame {look}, "
            f"{late / MEGABYTE:.0f} MB at frame {last} ({(late - early) / MEGABYTE:+.0f} MB), "
            f"{seconds:.2f} s a frame",
            flush=True,
        )


def print_latency(device: str) -> None:
    """Seconds of a first click on a frame, and of a click on a frame visited before."""
    clip = DrawnClip(4)
    refiners: list[ClickRefiner] = [load_mobile_sam(device), untrained(device)]
    for refiner in refiners:
        seconds = []
        for index, x in ((0, 640.0), (1, 650.0), (0, 660.0)):
            began = time.perf_counter()
            refiner.refine(clip[index], [Click(index, x, 400.0, True)], None, key=index)
            seconds.append(time.perf_counter() - began)
        print(
            f"{refiner.name}: first click on a frame {seconds[1]:.2f} s, "
            f"on a frame visited before {seconds[2]:.2f} s",
            flush=True,
        )
