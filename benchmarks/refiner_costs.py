"""Memory and time of the refiners, without any clip at hand: frames are drawn."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from app.workers.process import Priority, Steps, Tasks
from app.workers.worker import Worker
from model.refiner import MaskPropagator
from model.refiners import edgetam
from model.refiners.mobile_sam_refiner import load as load_mobile_sam
from model.refiners.sam2_refiner import CPU_IMAGE_SIZE, untrained
from video_types import Click, Frame, Mask

MEGABYTE = 2**20
SIZE = (720, 1280)
FIRST_LOOK = 100
STEPS = 24
WARM_UP, MEASURED = 4, 24  # frames; the first ones compile and fill the memory
ENOUGH_S = 600.0

_LOADERS: Mapping[str, Callable[[str], Any]] = {
    "mobile-sam": load_mobile_sam,
    "sam2.1-tiny": untrained,
    "sam2.1-tiny-512": lambda device: untrained(device, image_size=512),
    "edgetam": edgetam.untrained,
    "edgetam-512": lambda device: edgetam.untrained(device, image_size=512),
}


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
        steps = propagator.propagate(clip, {0: clip.truth(0)}, targets=range(1, length))
        for done, found in enumerate(filter(None, steps), start=1):
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


def print_speed(device: str) -> None:
    """Frames a second of propagation, and memory; SAM 2.1 tiny eager and compiled."""
    image_size = CPU_IMAGE_SIZE if device == "cpu" else 1024
    loaders: list[Callable[[], MaskPropagator]] = [
        lambda: load_mobile_sam(device),
        lambda: edgetam.untrained(device, image_size=image_size),
        lambda: untrained(device, image_size=image_size),
        lambda: untrained(device, image_size=image_size, compiled=True),
    ]
    clip = DrawnClip(WARM_UP + MEASURED + 1)
    for load in loaders:
        propagator = load()
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        began = 0.0
        targets = range(1, len(clip))
        steps = propagator.propagate(clip, {0: clip.truth(0)}, targets=targets)
        for done, _ in enumerate(filter(None, steps)):
            if done == WARM_UP - 1:
                began = time.perf_counter()
        seconds = time.perf_counter() - began
        held = torch.cuda.max_memory_allocated() if device == "cuda" else resident_bytes()
        print(
            f"{propagator.name} on {device}: {MEASURED / seconds:.1f} frames a second, "
            f"{held / MEGABYTE:.0f} MB",
            flush=True,
        )


def print_latency(device: str) -> None:
    """Seconds of clicks: on a new frame, on one visited before, and while masks are carried."""
    for name in _LOADERS:
        worker = Worker("benchmark", make_tasks, (name, device), told=lambda *_: None)
        worker.start()
        try:
            _print_latency_of(worker)
        finally:
            worker.stop()


def _print_latency_of(worker: Worker) -> None:
    def click(index: int, x: float) -> float:
        began = time.perf_counter()
        worker.submit("click", Priority.CLICK, index=index, x=x).result(ENOUGH_S)
        return time.perf_counter() - began

    click(0, 640.0)  # loads the network
    first, again = click(1, 650.0), click(0, 660.0)
    carrying = worker.submit("carry", Priority.PROPAGATION, length=STEPS)
    steps: list[float] = []
    meanwhile: list[float] = []
    while (told := carrying.take(ENOUGH_S)) and told.kind != "done":
        if told.kind != "step":
            continue
        steps.append(told.what)
        time.sleep(0.05)  # the next step is under way
        meanwhile.append(click(0, 640.0 + len(steps)))
    name = worker.submit("name", Priority.CLICK).result(ENOUGH_S)
    print(
        f"{name}: first click on a frame {first:.2f} s, on a frame visited before {again:.3f} s; "
        f"while masks are carried {np.median(meanwhile):.2f} s (median of {len(meanwhile)}, worst "
        f"{max(meanwhile):.2f} s), where a step takes {np.median(steps):.2f} s (worst "
        f"{max(steps):.2f} s)",
        flush=True,
    )


def make_tasks(settings: tuple[str, str]) -> Tasks:
    """What the worker process of this benchmark does."""
    name, device = settings
    refiner = _LOADERS[name](device)
    clip = DrawnClip(STEPS + 1)

    def click(*, index: int, x: float) -> Steps:
        yield from ()
        refiner.refine(clip[index], [Click(index, x, 400.0, True)], None, key=index)

    def carry(*, length: int) -> Steps:
        began = time.perf_counter()
        for _ in refiner.propagate(clip, {0: clip.truth(0)}, targets=range(1, length)):
            yield time.perf_counter() - began
            began = time.perf_counter()

    def told_name() -> Steps:
        yield from ()
        return refiner.name

    return {"click": click, "carry": carry, "name": told_name}
