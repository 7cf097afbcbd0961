"""Memory and time of the refiners, without any clip at hand: frames are drawn."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from annotation_store.features import FeatureStore
from annotation_store.frames import clip_folder
from app.workers.process import Priority, Steps, Tasks
from app.workers.worker import Worker
from model.refiner import MaskPropagator
from model.refiners import edgetam
from model.refiners.mobile_sam import load_network
from model.refiners.mobile_sam_refiner import MobileSamRefiner
from model.refiners.mobile_sam_refiner import load as load_mobile_sam
from model.refiners.sam2_refiner import CPU_IMAGE_SIZE, untrained
from video_types import Click, Frame, Mask

MEGABYTE = 2**20
SIZE = (720, 1280)
FIRST_LOOK = 100
STEPS = 24
WARM_UP, MEASURED = 4, 24  # frames; the first ones compile and fill the memory
ENOUGH_S = 600.0
DRAWN = 1
"""Id of the drawn clip."""
ROOM_BYTES = 512 * MEGABYTE
"""For features of the long clip: less than they would take."""

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
    """Memory while a mask is carried through a long clip: early, and at its end; room on disk."""
    with _shelf(ROOM_BYTES) as shelf:
        mobile_sam = load_mobile_sam(device)
        mobile_sam.use_shelf(shelf)
        _print_memory_of(mobile_sam, length)
        print(
            f"  features on disk: {shelf.size_bytes() / MEGABYTE:.0f} MB of "
            f"{ROOM_BYTES / MEGABYTE:.0f} MB they may take",
            flush=True,
        )
    _print_memory_of(untrained(device, image_size=512), length)


def _print_memory_of(propagator: MaskPropagator, length: int) -> None:
    clip = DrawnClip(length)
    look = min(FIRST_LOOK, length // 2)
    early = 0
    began = time.perf_counter()
    last = 0
    steps = propagator.propagate(clip, {0: clip.truth(0)}, targets=range(1, length), clip_key=DRAWN)
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
        lambda: edgetam.untrained(device, image_size=image_size),
        lambda: untrained(device, image_size=image_size),
        lambda: untrained(device, image_size=image_size, compiled=True),
    ]
    _print_speed_of_mobile_sam(device)
    for load in loaders:
        propagator = load()
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        cost = _cost_of(propagator)
        held = torch.cuda.max_memory_allocated() if device == "cuda" else resident_bytes()
        print(f"{propagator.name} on {device}: {cost}, {held / MEGABYTE:.0f} MB", flush=True)


@dataclass(frozen=True)
class Cost:
    """Seconds of one frame: on the clock, and of all processors together."""

    wall_s: float
    processor_s: float

    def __str__(self) -> str:
        return (
            f"{1 / self.wall_s:.2f} frames a second, {self.processor_s:.2f} processor seconds each"
        )

    def than(self, other: Cost) -> str:
        """This cost beside another."""
        return (
            f"{other.wall_s / self.wall_s:.1f} times as fast, "
            f"{self.processor_s / other.processor_s:.2f} of the processor time"
        )


def _cost_of(propagator: MaskPropagator, *, clip_key: int | None = None) -> Cost:
    clip = DrawnClip(WARM_UP + MEASURED + 1)
    wall, processor = 0.0, 0.0
    steps = propagator.propagate(
        clip, {0: clip.truth(0)}, targets=range(1, len(clip)), clip_key=clip_key
    )
    for done, _ in enumerate(filter(None, steps)):
        if done == WARM_UP - 1:
            wall, processor = time.perf_counter(), time.process_time()
    return Cost(
        (time.perf_counter() - wall) / MEASURED, (time.process_time() - processor) / MEASURED
    )


def _print_speed_of_mobile_sam(device: str) -> None:
    """Eager, on the runtime that the app takes, and once more with all features on disk."""
    eager = MobileSamRefiner(load_network(device))
    first = _cost_of(eager)
    print(f"mobile-sam on {device}, {eager.runtime}: {first}", flush=True)
    with _shelf() as shelf:
        runtime = load_mobile_sam(device)
        runtime.use_shelf(shelf)
        cost = _cost_of(runtime, clip_key=DRAWN)
        print(f"mobile-sam on {device}, {runtime.runtime}: {cost}; {cost.than(first)}", flush=True)
        again = load_mobile_sam(device)  # remembers nothing
        again.use_shelf(shelf)
        cost = _cost_of(again, clip_key=DRAWN)
        print(f"  the same, features on disk: {cost}; {cost.than(first)}", flush=True)


@contextmanager
def _shelf(bound_bytes: int = 2**32) -> Iterator[FeatureStore]:
    """Room on disk for features of a clip called `DRAWN`, gone afterwards."""
    with tempfile.TemporaryDirectory() as name:
        clip_folder(Path(name), DRAWN).mkdir(parents=True)
        yield FeatureStore(Path(name), bound_bytes)


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
