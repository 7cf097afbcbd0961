"""Rendered clips with every thing of them labelled, for training the demo's VD-IT."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.synthetic.clips import SyntheticClip
from model.synthetic.expressions import look_of
from model.synthetic.scene import COLOURS
from model.synthetic.shapes import KINDS
from model.training.clips import ShardPlan, asked, training_clip

COLOUR_NAMES = tuple(COLOURS)
KIND_NAMES = tuple(KINDS)
UNKNOWN = -1
_WIDTHS = (1.77, 1.77, 1.77, 4 / 3, 1.0)  # over the height, one per shard


@dataclass(frozen=True)
class LabelledShard:
    """Clips of one length and size.  Things are numbered from 1 within their clip."""

    frames: npt.NDArray[np.uint8]  # (clips, T, H, W, 3)
    things: npt.NDArray[np.uint8]  # (clips, T, H, W): whose pixel it is, 0 nobody's
    looks: npt.NDArray[np.int64]  # (clips, most things + 1, 2): colour and kind, or UNKNOWN
    targets: tuple[tuple[tuple[tuple[str, str], ...], ...], ...]  # per clip: things 1, 2, ...


def render_labelled(plan: ShardPlan, index: int) -> LabelledShard:
    """Shard `index` of `plan`, whose size gives the height; the width is the shard's own."""
    first = plan.first_seed + index * plan.clips
    rng = np.random.default_rng([first, 0xA5CED])
    height = plan.size[0]
    size = (height, int(height * _WIDTHS[int(rng.integers(len(_WIDTHS)))]))
    clips = [training_clip(first + k, size, plan.frame_count) for k in range(plan.clips)]
    most = max(len(clip.targets) + len(clip.distractors) for clip in clips)
    looks = np.full((len(clips), most + 1, 2), UNKNOWN)
    for clip, of_clip in zip(clips, looks, strict=True):
        for number, target in enumerate(clip.targets, start=1):
            of_clip[number] = _look(target.expressions)
    return LabelledShard(
        frames=np.stack([clip.frames for clip in clips]),
        things=np.stack([_numbered(clip) for clip in clips]),
        looks=looks,
        targets=tuple(tuple(asked(t.expressions, rng) for t in clip.targets) for clip in clips),
    )


def _look(said: tuple[tuple[str, str], ...]) -> tuple[int, int]:
    colour, kind = look_of(
        text for type_, text in said if type_ in ("colour", "kind", "colour+kind")
    )
    return (
        COLOUR_NAMES.index(colour) if colour else UNKNOWN,
        KIND_NAMES.index(kind) if kind else UNKNOWN,
    )


def _numbered(clip: SyntheticClip) -> npt.NDArray[np.uint8]:
    """(T, H, W) numbers: the targets' first, then the distractors'."""
    numbers = np.zeros(clip.frames.shape[:3], dtype=np.uint8)
    masks = [*(target.masks for target in clip.targets), *clip.distractors]
    for number, mask in enumerate(masks, start=1):
        numbers[mask] = number
    return numbers
