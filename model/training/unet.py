"""Second and third stage of the demo weights: from frames and an expression to the mask's latent.

REM's objective: the mean squared error between the predicted and the encoded mask, both latents, at
timestep 0 and with the autoencoder frozen.  First on single frames, then on short clips.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from model.training.clips import HELD_OUT_SEED, Shard, ShardPlan, pooled, render_shard
from model.training.loop import Recipe, run
from model.training.networks import Networks, leave_out_time, new_networks, predict, tokens
from model.training.score import Score, by_type, mean_scores, score_masks
from model.training.stages import Stage, draw_expression, one_per_type
from model.training.state import load_average
from model.training.vae import VAE_FILE, frame_tensor, mask_tensor, new_vae
from video_types import Size

_COVERED = 4.0  # how much more a cell counts that some target covers
_POOL = 24  # shards kept
_USES = 3  # how often a target is trained on, about, each time with an expression drawn anew

SINGLE = Stage(
    "single", 1, 12, 64, 1 << 24, 1e-3,
    {"colour": 1.0, "kind": 2.5, "colour+kind": 2.2, "size": 1.2, "place": 1.8, "motion": 0.5},
)  # fmt: skip
VIDEO = Stage(
    "video", 4, 6, 16, 1 << 25, 8e-4,
    {"colour": 0.8, "kind": 2.0, "colour+kind": 1.8, "size": 1.0, "place": 1.5, "motion": 3.0},
)  # fmt: skip


@dataclass(frozen=True)
class EncodedShard:
    """A shard as latents."""

    frames: torch.Tensor  # (clips, C, T, h, w), scaled
    masks: torch.Tensor  # (targets, C, T, h, w), scaled
    covered: torch.Tensor  # (clips, T, h, w) of 0 and 1: cells that any target covers
    targets_of: tuple[tuple[int, ...], ...]  # per clip
    expressions: tuple[tuple[tuple[str, str], ...], ...]  # per target


@dataclass(frozen=True)
class FrozenVae:
    """The autoencoder of the first stage, and the factor between its latents and the network's."""

    module: AutoencoderKL
    scale: float

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """Scaled latents of images (N, 3, H, W), in parts that fit in memory."""
        device = next(self.module.parameters()).device
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
            parts = [
                self.module.encode(part.to(device)).latent_dist.mode().float()
                for part in images.split(64)
            ]
        return torch.cat(parts) * self.scale

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Mask values (N, H, W), about 0 to 1, of scaled latents (N, C, h, w)."""
        with torch.no_grad():
            parts = [self.module.decode(p / self.scale).sample for p in latents.split(64)]
        return torch.cat(parts).mean(dim=1)


def frozen_vae(folder: Path, size: Size, device: torch.device) -> FrozenVae:
    """What the first stage left in `folder`; latents of frames and masks get variance one."""
    vae = new_vae().to(device).eval().requires_grad_(False)
    load_average(folder / VAE_FILE, vae)
    shard = render_shard(ShardPlan(size, 1, 48, 0), 0)
    unscaled = FrozenVae(vae, 1.0)
    frames = unscaled.encode(frame_tensor(shard.frames[:, 0]))
    masks = unscaled.encode(mask_tensor(shard.masks[:, 0]))
    spread = 0.5 * (frames.std() + masks.std())
    return FrozenVae(vae, round(1 / spread.item(), 5))


def encode_shard(vae: FrozenVae, shard: Shard) -> EncodedShard:
    """The shard as latents."""
    count, length = shard.frames.shape[:2]
    frames = vae.encode(frame_tensor(shard.frames).flatten(0, 1))
    masks = vae.encode(mask_tensor(shard.masks.reshape(-1, *shard.masks.shape[2:])))
    covered = np.zeros(shard.frames.shape[:4], dtype=np.bool_)
    np.logical_or.at(covered, shard.clip_of, shard.masks)
    cells = F.max_pool2d(torch.from_numpy(covered).float(), kernel_size=6, stride=4, padding=1)
    targets_of: list[list[int]] = [[] for _ in range(count)]
    for target, owner in enumerate(shard.clip_of.tolist()):
        targets_of[owner].append(target)
    return EncodedShard(
        frames=frames.unflatten(0, (count, length)).movedim(1, 2),
        masks=masks.unflatten(0, (-1, length)).movedim(1, 2),
        covered=cells.to(frames.device),
        targets_of=tuple(tuple(targets) for targets in targets_of),
        expressions=shard.expressions,
    )


@dataclass(frozen=True)
class Batch:
    """Pairs of targets: two of the same clip stand next to each other where it has two."""

    frames: torch.Tensor  # (N, C, T, h, w)
    masks: torch.Tensor  # (N, C, T, h, w)
    covered: torch.Tensor  # (N, T, h, w)
    texts: tuple[str, ...]


def draw_batch(pool: list[EncodedShard], stage: Stage, rng: np.random.Generator) -> Batch:
    """`stage.clips` clips of the pool, up to two targets each, an expression each."""
    frames: list[torch.Tensor] = []
    masks: list[torch.Tensor] = []
    covered: list[torch.Tensor] = []
    texts: list[str] = []
    while len(frames) < 2 * stage.clips:
        shard = pool[int(rng.integers(len(pool)))]
        clip = int(rng.integers(len(shard.targets_of)))
        for target in rng.permutation(np.array(shard.targets_of[clip], dtype=np.int64))[:2]:
            text = draw_expression(shard.expressions[target], stage, rng)
            if text is None:
                continue
            frames.append(shard.frames[clip])
            masks.append(shard.masks[target])
            covered.append(shard.covered[clip])
            texts.append(text)
    return Batch(torch.stack(frames), torch.stack(masks), torch.stack(covered), tuple(texts))


def unet_loss(networks: Networks, batch: Batch) -> torch.Tensor:
    """What the second and third stage minimise."""
    device = batch.frames.device
    token_ids = tokens(batch.texts, networks.vocabulary).to(device)
    predicted = predict(networks.unet, networks.text_encoder, batch.frames, token_ids)
    weight = 1 + _COVERED * batch.covered[:, None]
    error = (predicted.float() - batch.masks).square() * weight
    return error.mean() / weight.mean()


def check(networks: Networks, vae: FrozenVae, stage: Stage, size: Size) -> dict[str, Score]:
    """Scores per type of expression on clips never trained on, at the training's own size."""
    shard = render_shard(ShardPlan(size, stage.frame_count, 16, HELD_OUT_SEED), 9)
    encoded = encode_shard(vae, shard)
    rng = np.random.default_rng(7)
    found: dict[str, list[Score]] = {}
    for clip, targets in enumerate(encoded.targets_of):
        wanted = [(t, *said) for t in targets for said in one_per_type(shard.expressions[t], rng)]
        if not wanted:
            continue
        frames = encoded.frames[clip : clip + 1].expand(len(wanted), -1, -1, -1, -1)
        token_ids = tokens([text for _, _, text in wanted], networks.vocabulary)
        generator = torch.Generator(frames.device).manual_seed(0)
        with torch.no_grad():
            latents = predict(
                networks.unet, networks.text_encoder, frames, token_ids.to(frames.device), generator
            )
        values = vae.decode(latents.movedim(2, 1).flatten(0, 1).float()).cpu().numpy() > 0.5
        values = values.reshape(len(wanted), stage.frame_count, *size)
        for value, (target, kind, _) in zip(values, wanted, strict=True):
            others = [shard.masks[other] for other in targets if other != target]
            found.setdefault(kind, []).append(score_masks(value, shard.masks[target], others))
    return {kind: mean_scores(scores) for kind, scores in found.items()}


def train_unet(
    folder: Path, stage: Stage, *, size: Size, seconds: float, device: torch.device
) -> None:
    """Train `stage` for `seconds` in all, over as many calls as it takes; leaves `<name>.pt`."""
    vae = frozen_vae(folder, size, device)
    empty = vae.encode(torch.zeros(1, 3, *size))
    networks = new_networks(empty.mean(dim=(0, 2, 3)).cpu())
    module = networks.together().to(device)
    if stage.frame_count == 1:
        leave_out_time(networks.unet)
    else:
        grow_in_time(SINGLE.file(folder), module)

    def loss(batch: Batch) -> torch.Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            return unet_loss(networks, batch)

    def held_out(average: torch.nn.Module) -> str:
        unet, text_encoder = (average.get_submodule(name) for name in ("unet", "text_encoder"))
        averaged = Networks(unet, text_encoder, networks.vocabulary)
        return by_type(check(averaged, vae, stage, size))

    run(
        stage.file(folder),
        Recipe(stage.learning_rate, warm_up=120, mean_decay=0.999),
        module,
        seconds=seconds,
        batches=lambda step: _batches(vae, stage, size, step),
        loss=loss,
        check=held_out,
    )


def _batches(vae: FrozenVae, stage: Stage, size: Size, step: int) -> Generator[Batch, None, None]:
    """Batches of pooled shards, from `step` on."""
    targets = 3.3 * stage.shard_clips  # about, in a shard
    source = pooled(
        ShardPlan(size, stage.frame_count, stage.shard_clips, stage.first_seed),
        step,
        render_shard,
        lambda shard: encode_shard(vae, shard),
        steps_per_shard=max(1, round(targets * _USES / (2 * stage.clips))),
        kept=_POOL,
    )
    with closing(source):
        for pool, rng in source:
            yield draw_batch(pool, stage, rng)


def grow_in_time(path: Path, module: torch.nn.Module) -> None:
    """Take over what the single-frame stage learned; temporal layers stay identities for now.

    Raises:
        FileNotFoundError: the single-frame stage has not run.
    """
    learned = torch.load(path, weights_only=True)["average"]
    missing, unexpected = module.load_state_dict(learned, strict=False)
    left_out = [key for key in missing if "temp" not in key and "transformer_in" not in key]
    if left_out or unexpected:
        raise ValueError(f"the single-frame stage does not fit: {left_out + unexpected}")
