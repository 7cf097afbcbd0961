"""Rendered clips for training, made by one process beside the training, in a fixed order.

The shard of index `i` holds the clips of seeds `i * clips` onwards, so two trainings see the same
clips in the same order however fast each runs.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from multiprocessing.queues import Queue
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from model.synthetic.clips import SyntheticClip, render
from video_types import Size

HELD_OUT_SEED = 1 << 30
"""Seeds from here on are never trained on."""

Rendered = TypeVar("Rendered")
Prepared = TypeVar("Prepared")

_WAITING = 6  # rendered shards that wait for the training, at most


@dataclass(frozen=True)
class ShardPlan:
    """What to render."""

    size: Size
    frame_count: int
    clips: int  # of a shard
    first_seed: int


@dataclass(frozen=True)
class Shard:
    """Some clips, all of one length; the masks of all targets are in one stack."""

    frames: npt.NDArray[np.uint8]  # (clips, T, H, W, 3)
    masks: npt.NDArray[np.bool_]  # (targets, T, H, W)
    clip_of: npt.NDArray[np.int64]  # (targets,): which clip a target belongs to
    expressions: tuple[tuple[tuple[str, str], ...], ...]  # per target, (type, text)


def sample_aspect(rng: np.random.Generator) -> float:
    """Width over height of a training clip: often that of a film, else anything common."""
    return 16 / 9 if rng.random() < 0.4 else float(np.exp(rng.uniform(np.log(0.8), np.log(2.0))))


def sample_moments(rng: np.random.Generator, frame_count: int) -> list[float]:
    """Increasing moments over most of the clip; any one moment for a single frame."""
    if frame_count == 1:
        return [float(rng.uniform(0, 1))]
    start, end = rng.uniform(0, 0.2), rng.uniform(0.8, 1.0)
    jitter = rng.uniform(-0.25, 0.25, size=frame_count)
    steps = np.clip(np.arange(frame_count) + jitter, 0, frame_count - 1) / (frame_count - 1)
    return [float(moment) for moment in start + (end - start) * steps]


def training_clip(seed: int, size: Size, frame_count: int) -> SyntheticClip:
    """The clip of `seed` as trainings see it: any aspect, squeezed to `size`."""
    rng = np.random.default_rng([seed, 0xA59EC7])
    aspect = sample_aspect(rng)
    return render(
        seed,
        size=size,
        frame_count=frame_count,
        aspect=aspect,
        moments=sample_moments(rng, frame_count),
    )


def render_shard(plan: ShardPlan, index: int) -> Shard:
    """Shard `index` of `plan`."""
    first = plan.first_seed + index * plan.clips
    clips = [training_clip(first + k, plan.size, plan.frame_count) for k in range(plan.clips)]
    masks = [target.masks for clip in clips for target in clip.targets]
    owners = [at for at, clip in enumerate(clips) for _ in clip.targets]
    rng = np.random.default_rng([first, 0xA5CED])
    said = [asked(target.expressions, rng) for clip in clips for target in clip.targets]
    return Shard(
        frames=np.stack([clip.frames for clip in clips]),
        masks=np.stack(masks),
        clip_of=np.array(owners, dtype=np.int64),
        expressions=tuple(said),
    )


def asked(
    said: tuple[tuple[str, str], ...], rng: np.random.Generator
) -> tuple[tuple[str, str], ...]:
    """What the training is asked about a target, of all that can be `said`.

    Shapes are learned slowest, and colour answers most expressions that name both: where its kind
    alone singles out a target, four times in ten nothing else is asked.
    """
    by_kind = tuple((kind, text) for kind, text in said if kind == "kind")
    return by_kind if by_kind and rng.random() < 0.4 else said


def _render_on(
    plan: ShardPlan, start: int, waiting: Queue[Any], render: Callable[[ShardPlan, int], Any]
) -> None:
    """Render shards for ever, at low priority, as fast as they are taken."""
    os.nice(3)
    cv2.setNumThreads(1)
    parent = os.getppid()
    index = start
    while os.getppid() == parent:
        waiting.put(render(plan, index))
        index += 1


@contextlib.contextmanager
def shards(
    plan: ShardPlan, start: int, render: Callable[[ShardPlan, int], Rendered]
) -> Iterator[Iterator[Rendered]]:
    """Shards `start`, `start + 1`, ... of `plan`, rendered by another process meanwhile.

    `render` is a function of a module, such as `render_shard`.
    """
    context = multiprocessing.get_context("spawn")
    waiting: Queue[Rendered] = context.Queue(maxsize=_WAITING)
    worker = context.Process(target=_render_on, args=(plan, start, waiting, render), daemon=True)
    worker.start()

    def taken() -> Iterator[Rendered]:
        while True:
            yield waiting.get()

    try:
        yield taken()
    finally:
        worker.terminate()
        worker.join()
        waiting.close()


def pooled(
    plan: ShardPlan,
    step: int,
    render: Callable[[ShardPlan, int], Rendered],
    prepare: Callable[[Rendered], Prepared],
    *,
    steps_per_shard: int,
    kept: int,
) -> Generator[tuple[list[Prepared], np.random.Generator], None, None]:
    """For each step from `step` on: the newest shards, at most `kept`, and the step's own chance.

    A shard comes in every `steps_per_shard` steps, as `prepare` makes it of the rendered one.
    """
    pool: list[Prepared] = []
    with shards(plan, step // steps_per_shard, render) as source:
        for at in itertools.count(step):
            if at % steps_per_shard == 0 or not pool:
                pool = [*pool[-(kept - 1) :], prepare(next(source))]
            yield pool, np.random.default_rng([at, plan.first_seed])
