"""Second and third stage of the demo weights: from frames and an expression to the mask's latent.

REM's objective: the mean squared error between the predicted and the encoded mask, both latents, at
timestep 0 and with the autoencoder frozen.  First on single frames, then on short clips.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from model.training.clips import HELD_OUT_SEED, Shard, ShardPlan, render_shard, shards
from model.training.networks import Networks, leave_out_time, new_networks, predict, tokens
from model.training.score import Score, mean_scores, score_masks
from model.training.state import Average, Clock, load_average, load_state, save_state
from model.training.vae import frame_tensor, mask_tensor, new_vae
from video_types import Size

log = logging.getLogger(__name__)

_COVERED = 4.0  # how much more a cell counts that some target covers
_POOL = 24  # shards kept
_USES = 3  # how often a target is trained on, about, each time with an expression drawn anew
_CHECK_SECONDS = 300.0
_SAVE_SECONDS = 120.0
_SEEN_IN_ONE_FRAME = ("burn", "drip", "melt", "fire")


@dataclass(frozen=True)
class Stage:
    """How one stage trains."""

    name: str
    frame_count: int
    clips: int  # of a step; two targets each
    shard_clips: int
    first_seed: int
    learning_rate: float
    weights: dict[str, float]  # of the types of expression


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
    load_average(folder / "vae.pt", vae)
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


def draw_expression(
    said: tuple[tuple[str, str], ...], stage: Stage, rng: np.random.Generator
) -> str | None:
    """One of what is said about a target: first a type by its weight, then a text of the type."""
    if stage.frame_count == 1:
        said = tuple(
            (kind, text) for kind, text in said
            if kind != "motion" or any(word in text for word in _SEEN_IN_ONE_FRAME)
        )  # fmt: skip
    types = sorted({kind for kind, _ in said})
    if not types:
        return None
    weights = np.array([stage.weights[kind] for kind in types])
    chosen = str(rng.choice(types, p=weights / weights.sum()))
    texts = [text for kind, text in said if kind == chosen]
    return texts[int(rng.integers(len(texts)))]


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


def one_per_type(
    said: tuple[tuple[str, str], ...], rng: np.random.Generator
) -> list[tuple[str, str]]:
    """Of what is said about a target, one (type, text) of each type."""
    shuffled = [said[index] for index in rng.permutation(len(said))]
    return list({kind: (kind, text) for kind, text in shuffled}.values())


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
        grow_in_time(folder / f"{SINGLE.name}.pt", module)
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=stage.learning_rate, weight_decay=0.01, betas=(0.9, 0.98)
    )
    average = Average(module, 0.999)
    averaged = Networks(
        average.module.get_submodule("unet"),
        average.module.get_submodule("text_encoder"),
        networks.vocabulary,
    )
    path = folder / f"{stage.name}.pt"
    state = load_state(path, module, optimizer, average)
    clock = Clock(seconds, state.seconds)
    checked, saved, step = clock.seconds(), clock.seconds(), state.step
    per_shard = max(1, round(stage.shard_clips * 3.3 * _USES / (2 * stage.clips)))
    plan = ShardPlan(size, stage.frame_count, stage.shard_clips, stage.first_seed)
    pool: list[EncodedShard] = []
    running = 0.0
    with shards(plan, step // per_shard, render_shard) as source:
        while clock.share() < 1:
            if step % per_shard == 0 or not pool:
                pool = [*pool[-(_POOL - 1) :], encode_shard(vae, next(source))]
            batch = draw_batch(pool, stage, np.random.default_rng([step, stage.first_seed]))
            for group in optimizer.param_groups:
                group["lr"] = clock.learning_rate(stage.learning_rate, step, warm_up=120)
            with torch.autocast(device.type, torch.bfloat16):
                loss = unet_loss(networks, batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()
            average.update(module)
            step += 1
            running += (loss.item() - running) * max(0.02, 1 / step)
            if step % 100 == 0:
                log.info(
                    "%s step %d, %.0f s, loss %.4f", stage.name, step, clock.seconds(), running
                )
            if clock.seconds() - checked > _CHECK_SECONDS:
                checked = clock.seconds()
                log.info("%s", describe(check(averaged, vae, stage, size)))
            if clock.seconds() - saved > _SAVE_SECONDS:
                saved = clock.seconds()
                save_state(path, module, optimizer, average, step, clock.seconds())
    save_state(path, module, optimizer, average, step, clock.seconds())
    log.info("%s", describe(check(averaged, vae, stage, size)))
    log.info("%s done: %d steps at %s", stage.name, step, time.strftime("%H:%M"))


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


def describe(scores: dict[str, Score]) -> str:
    """One line for the log."""
    total = mean_scores(list(scores.values()))
    parts = [f"{kind} {s.j:.2f}/{s.picked:.2f}" for kind, s in sorted(scores.items())]
    return f"held out, J/picked: {', '.join(parts)}, mean {total.j:.2f}/{total.picked:.2f}"
