"""First stage of the demo's VD-IT: an encoder whose latents tell what stands where.

VD-IT stands on a network that billions of pictures and captions were spent on.  Nothing of the kind
can be trained here, so the encoder of the autoencoder learns from labels instead: of every cell,
which colour and which kind of thing it shows and how far the thing reaches; of every pixel,
whether it is any thing's.  Afterwards it is frozen, as VD-IT's is.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.segmenters.schedule import LATENT_SCALE
from model.segmenters.vdit_features import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    encode_frames,
    vae_frames,
)
from model.segmenters.vdit_segmenter import padded
from model.training.clips import HELD_OUT_SEED, ShardPlan, shards
from model.training.loop import Recipe, run
from model.training.vdit_clips import (
    COLOUR_NAMES,
    KIND_NAMES,
    UNKNOWN,
    LabelledShard,
    render_labelled,
)
from model.training.vdit_networks import LATENT_CHANNELS, SHORT_SIDE, demo_config, new_network

ENCODER_FILE = "encoder.pt"
_FIRST_SEED = 1 << 27
_CLIPS = 12
_RECIPE = Recipe(learning_rate=2e-3, warm_up=50, mean_decay=0.995)
_REACH = 32.0  # pixels that distances to a thing's sides are counted in


class Probe(nn.Module):
    """Reads the labels off the encoder's maps; thrown away after the stage."""

    def __init__(self, quarter_channels: int) -> None:
        super().__init__()
        self.kinds, self.colours = len(KIND_NAMES), len(COLOUR_NAMES)
        outputs = self.kinds + self.colours + 5
        self.cells = nn.Sequential(
            nn.Conv2d(LATENT_CHANNELS, 96, 1), nn.SiLU(), nn.Conv2d(96, 4 * outputs, 1)
        )
        self.pixels = nn.Conv2d(quarter_channels, 16, 1)

    def forward(self, latents: Tensor, quarter: Tensor) -> tuple[list[Tensor], Tensor]:
        """Of (F, C, /8) and (F, C, /4): what each quarter-size cell shows, and each pixel's logit.

        The former are kinds, colours, whether any thing (1), and distances to its sides (4).
        """
        read = F.pixel_shuffle(self.cells(latents / LATENT_SCALE), 2)
        parts = list(read.split([self.kinds, self.colours, 1, 4], dim=1))
        return parts, F.pixel_shuffle(self.pixels(quarter), 4)[:, 0]


@dataclass(frozen=True)
class Labels:
    """What the probe should read; cells are a quarter of the frame's size."""

    kinds: Tensor  # (F, h, w) or UNKNOWN, also where there is no thing
    colours: Tensor  # (F, h, w)
    things: Tensor  # (F, h, w) of 0 and 1
    sides: Tensor  # (F, 4, h, w) left, top, right, bottom, in _REACH pixels
    pixels: Tensor  # (F, H, W) of 0 and 1


def picture_tensor(frames: np.ndarray[Any, Any]) -> tuple[Tensor, Tensor]:
    """Frames (..., H, W, 3) as the network takes them: (F, 3, H, W) padded, and the padding."""
    values = torch.from_numpy(frames).flatten(0, -4).permute(0, 3, 1, 2).float() / 255
    mean = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
    std = torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)
    return padded((values - mean) / std)


def number_tensor(things: np.ndarray[Any, Any]) -> Tensor:
    """Things' numbers (..., H, W) padded with 0: (F, H, W)."""
    numbers = torch.from_numpy(things).flatten(0, -3)[:, None]
    return padded(numbers)[0][:, 0].long()


def labels(numbers: Tensor, looks: Tensor) -> Labels:
    """Of numbers (F, H, W) and what each number looks like (F, n, 2)."""
    cells = numbers[:, 2::4, 2::4]
    frame = torch.arange(len(cells))[:, None, None]
    seen = looks[frame, cells]
    boxes = thing_boxes(numbers, looks.shape[1])[frame, cells]  # (F, h, w, 4)
    rows, columns = torch.meshgrid(
        torch.arange(cells.shape[1]) * 4.0 + 2,
        torch.arange(cells.shape[2]) * 4.0 + 2,
        indexing="ij",
    )
    here = torch.stack([columns, rows, columns, rows], dim=-1)
    away = (boxes - here) * boxes.new_tensor([-1, -1, 1, 1]) / _REACH
    return Labels(
        seen[..., 1], seen[..., 0], (cells > 0).float(), away.movedim(-1, 1), (numbers > 0).float()
    )


def thing_boxes(numbers: Tensor, count: int) -> Tensor:
    """(F, count, 4) of (F, H, W): left, top, right, bottom in pixels; 0 for what is not seen."""
    mine = numbers[:, None] == torch.arange(count)[:, None, None]
    sides = []
    for axis in (2, 3):  # what remains are columns, then rows
        along = mine.any(dim=axis).float()  # (F, count, length)
        length = along.shape[-1]
        first = along.argmax(dim=-1).float()
        last = length - along.flip(-1).argmax(dim=-1).float()
        sides.append((first, last))
    (left, right), (top, bottom) = sides
    boxes = torch.stack([left, top, right, bottom], dim=-1)
    return boxes * mine.flatten(2).any(dim=2)[..., None]


def encoder_loss(parts: list[Tensor], pixels: Tensor, wanted: Labels) -> Tensor:
    """What the stage minimises."""
    kinds, colours, things, sides = parts
    there = wanted.things[:, None]
    apart = (sides - wanted.sides).abs().mul(there).sum() / (4 * there.sum()).clamp(min=1)
    return (
        F.cross_entropy(kinds, wanted.kinds, ignore_index=UNKNOWN)
        + 0.5 * F.cross_entropy(colours, wanted.colours, ignore_index=UNKNOWN)
        + F.binary_cross_entropy_with_logits(things[:, 0], wanted.things)
        + F.binary_cross_entropy_with_logits(pixels, wanted.pixels)
        + apart
    )


@dataclass(frozen=True)
class Seen:
    """How much of a held-out shard the probe reads right."""

    kinds: float
    colours: float
    sides: float  # mean distance, in pixels
    pixels: float  # intersection over union of any thing

    def __str__(self) -> str:
        return (
            f"kinds {self.kinds:.2f}, colours {self.colours:.2f}, "
            f"sides {self.sides:.1f} px, things J {self.pixels:.2f}"
        )


def look(vae: Any, probe: Probe, shard: LabelledShard, chosen: Any) -> tuple[Any, ...]:
    """The probe's answers on the `chosen` clips of single frames, and the labels."""
    values, _ = picture_tensor(shard.frames[chosen])
    wanted = labels(number_tensor(shard.things[chosen]), torch.from_numpy(shard.looks[chosen]))
    with torch.autocast("cpu", torch.bfloat16):
        noise = torch.zeros(len(values), LATENT_CHANNELS, *(s // 8 for s in values.shape[2:]))
        latents, quarter = encode_frames(vae, vae_frames(values), noise, batch=len(values))
    parts, pixels = probe(latents.float(), quarter.float())
    return parts, pixels, wanted


@torch.no_grad()
def check_encoder(vae: Any, probe: Probe, shard: LabelledShard) -> Seen:
    """Score on a shard of single frames."""
    (kinds, colours, _, sides), pixels, wanted = look(vae, probe, shard, slice(None))
    known, there = wanted.kinds >= 0, wanted.things > 0
    found, true = pixels > 0, wanted.pixels > 0
    return Seen(
        (kinds.argmax(1) == wanted.kinds)[known].float().mean().item(),
        (colours.argmax(1) == wanted.colours)[known].float().mean().item(),
        (sides - wanted.sides).abs().mean(1)[there].mean().item() * _REACH,
        ((found & true).sum() / (found | true).sum()).item(),
    )


def train_encoder(folder: Path, *, seconds: float) -> None:
    """Train for `seconds` in all, over as many calls as it takes; leaves `encoder.pt`."""
    vae = new_network(demo_config(4)).features.vae
    vae.decoder.requires_grad_(False)
    vae.post_quant_conv.requires_grad_(False)
    probe = Probe(vae.config.block_out_channels[2])
    held_out = render_labelled(ShardPlan((SHORT_SIDE, 0), 1, 64, HELD_OUT_SEED), 3)

    def check(average: Any) -> Seen:
        return check_encoder(average["vae"], average["probe"], held_out)

    run(
        folder / ENCODER_FILE,
        _RECIPE,
        nn.ModuleDict({"vae": vae, "probe": probe}),
        seconds=seconds,
        batches=_batches,
        loss=lambda shard: encoder_loss(*look(vae, probe, shard, slice(None))),
        check=check,
    )


def _batches(step: int) -> Generator[LabelledShard, None, None]:
    plan = ShardPlan((SHORT_SIDE, 0), 1, _CLIPS, _FIRST_SEED)
    with shards(plan, step, render_labelled) as source:
        yield from source
