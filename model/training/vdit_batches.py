"""What the demo's VD-IT is trained on: clips as tensors, and expressions about their things."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.segmenters.vdit_features import vae_frames
from model.training.clips import ShardPlan, pooled
from model.training.stages import Stage, draw_expression
from model.training.vdit_clips import LabelledShard, render_labelled
from model.training.vdit_criterion import ClipTarget
from model.training.vdit_encoder import number_tensor, picture_tensor, thing_boxes
from model.training.vdit_networks import SHORT_SIDE

_POOL = 16  # shards kept
_USES = 3  # how often a clip is trained on, each time with expressions drawn anew


@dataclass(frozen=True)
class Pictures:
    """Some clips of a shard as tensors; things are numbered from 1."""

    frames: Tensor  # (clips, T, 3, H, W), -1 to 1, padded
    padding: Tensor  # (H, W)
    numbers: Tensor  # (clips, T, H, W) uint8
    boxes: Tensor  # (clips, T, things + 1, 4), (cx, cy, w, h) in 0 to 1 of the unpadded frame
    looks: Tensor  # (clips, things + 1, 2)
    targets: tuple[tuple[tuple[tuple[str, str], ...], ...], ...]  # per clip, things 1, 2, ...

    def part(self, clips: list[int]) -> Pictures:
        """Of those clips alone."""
        return Pictures(
            self.frames[clips],
            self.padding,
            self.numbers[clips],
            self.boxes[clips],
            self.looks[clips],
            tuple(self.targets[clip] for clip in clips),
        )


@dataclass(frozen=True)
class Ask:
    """One expression about one thing of one of the clips."""

    clip: int
    thing: int
    text: str


def pictures(shard: LabelledShard) -> Pictures:
    """A rendered shard as tensors."""
    clips, length, height, width = shard.frames.shape[:4]
    values, padding = picture_tensor(shard.frames)
    numbers = number_tensor(shard.things)
    corners = thing_boxes(numbers, shard.looks.shape[1])
    left, top, right, bottom = (corners / torch.tensor([width, height] * 2)).unbind(-1)
    boxes = torch.stack(
        [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], dim=-1
    )
    shape = (clips, length)
    return Pictures(
        vae_frames(values).unflatten(0, shape),
        padding,
        numbers.to(torch.uint8).unflatten(0, shape),
        boxes.unflatten(0, shape),
        torch.from_numpy(shard.looks),
        shard.targets,
    )


def draw_asks(seen: Pictures, stage: Stage, rng: np.random.Generator) -> list[Ask]:
    """Expressions about up to two things of each clip, all of them visible."""
    asks: list[Ask] = []
    for clip, targets in enumerate(seen.targets):
        for target in rng.permutation(len(targets))[:2]:
            text = draw_expression(targets[target], stage, rng)
            if text is not None and (seen.numbers[clip] == target + 1).any():
                asks.append(Ask(clip, int(target) + 1, text))
    return asks


def wanted(seen: Pictures, asks: list[Ask]) -> ClipTarget:
    """The things asked for."""
    clips = [ask.clip for ask in asks]
    things = torch.tensor([ask.thing for ask in asks])
    masks = (seen.numbers[clips] == things[:, None, None, None]).float().flatten(0, 1)
    boxes = seen.boxes[clips, :, things].flatten(0, 1)
    return ClipTarget(boxes, masks, masks.flatten(1).any(1))


def batches(stage: Stage, step: int) -> Generator[tuple[Pictures, list[Ask]], None, None]:
    """Clips of pooled shards and what is asked about them, from `step` on."""
    source = pooled(
        ShardPlan((SHORT_SIDE, 0), stage.frame_count, stage.shard_clips, stage.first_seed),
        step,
        render_labelled,
        pictures,
        steps_per_shard=max(1, round(stage.shard_clips * _USES / stage.clips)),
        kept=_POOL,
    )
    with closing(source):
        for pool, rng in source:
            shard = pool[int(rng.integers(len(pool)))]
            seen = shard.part(rng.permutation(len(shard.targets))[: stage.clips].tolist())
            yield seen, draw_asks(seen, stage, rng)
