"""Second and third stage of the demo's VD-IT: from an expression to the thing it names.

The objective is VD-IT's (`vdit_loss`).  On single frames everything is trained, the encoder by its
labels too and the maps by `Pointer`, because nothing was there before; on short clips, later, the
encoder is frozen.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from model.segmenters.tokenizer import CompactTokenizer
from model.segmenters.vdit import Queries, VdIt, VdItConfig
from model.segmenters.vdit_features import encode_frames, vae_frames
from model.training.clips import HELD_OUT_SEED, ShardPlan, shards
from model.training.score import Score, mean_scores, score_masks
from model.training.state import Average, Clock, load_average, load_state, save_state
from model.training.unet import Stage, describe, draw_expression, one_per_type
from model.training.vdit_clips import LabelledShard, render_labelled
from model.training.vdit_encoder import (
    ENCODER_FILE,
    Probe,
    encoder_loss,
    labels,
    number_tensor,
    picture_tensor,
    thing_boxes,
)
from model.training.vdit_loss import ClipTarget
from model.training.vdit_networks import (
    LATENT_CHANNELS,
    SHORT_SIDE,
    demo_config,
    demo_tokenizer,
    new_network,
    sizes,
    tokens,
)
from model.training.vdit_step_loss import Pointer, pointing_loss, stacked_loss

log = logging.getLogger(__name__)

SINGLE = Stage(
    "vdit-single", 1, 14, 42, 1 << 28, 1e-3,
    {"colour": 3.0, "kind": 1.6, "colour+kind": 1.8, "size": 1.6, "place": 1.4, "motion": 0.3},
)  # fmt: skip
VIDEO = Stage(
    "vdit-video", 3, 6, 16, (1 << 28) + (1 << 27), 6e-4,
    {"colour": 0.8, "kind": 1.5, "colour+kind": 1.5, "size": 1.0, "place": 1.4, "motion": 2.0},
)  # fmt: skip
_POOL = 16  # shards kept
_USES = 3  # how often a clip is trained on, each time with expressions drawn anew
_CHECK_SECONDS = 300.0
_SAVE_SECONDS = 120.0
_DECAY = 0.997
_LABELS = 3.0  # how much the labels count that the encoder began with
_POINTING = 8.0  # how much it counts that the maps themselves show the thing asked for


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
class Encoded:
    """Clips as the encoder sees them."""

    pictures: Pictures
    latents: Tensor  # (clips, T, C, /8), scaled
    quarter: Tensor  # (clips, T, c, /4)


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


def encode(network: VdIt, seen: Pictures) -> Encoded:
    """What the encoder makes of the clips."""
    frames = seen.frames.flatten(0, 1)
    calm = torch.zeros(len(frames), LATENT_CHANNELS, *(side // 8 for side in seen.padding.shape))
    with torch.autocast("cpu", torch.bfloat16):
        latents, quarter = encode_frames(network.features.vae, frames, calm, batch=len(frames))
    shape = seen.frames.shape[:2]
    return Encoded(seen, latents.float().unflatten(0, shape), quarter.float().unflatten(0, shape))


def draw_asks(seen: Pictures, stage: Stage, rng: np.random.Generator) -> list[Ask]:
    """Expressions about up to two things of each clip, all of them visible."""
    asks: list[Ask] = []
    for clip, targets in enumerate(seen.targets):
        for target in rng.permutation(len(targets))[:2]:
            text = draw_expression(targets[target], stage, rng)
            if text is not None and (seen.numbers[clip] == target + 1).any():
                asks.append(Ask(clip, int(target) + 1, text))
    return asks


def answer(
    network: VdIt, clips: Encoded, asks: list[Ask], tokenizer: CompactTokenizer
) -> tuple[Queries, list[Tensor]]:
    """What the network says to each of the expressions, stacked, and the maps it read that off."""
    chosen = [ask.clip for ask in asks]
    ids = tokens([ask.text for ask in asks], tokenizer)
    words = ids[:, : int((ids > 0).sum(1).max())]
    features = network.features
    with torch.autocast("cpu", torch.bfloat16):
        prompt = features.prompt(ids, clips.pictures.frames[chosen].flatten(0, 1))
        # The noise is normalised over a clip, never over its neighbours.
        noisy = [features.denoiser_input(each, each) for each in clips.latents[chosen]]
        maps = features.maps(
            torch.cat(noisy), clips.quarter[chosen].flatten(0, 1), prompt, clips=len(asks)
        )
    maps = [level.float() for level in maps]
    return network.answer(maps, clips.pictures.padding, words, words == 0), maps


def wanted(seen: Pictures, asks: list[Ask]) -> ClipTarget:
    """The things asked for."""
    clips = [ask.clip for ask in asks]
    things = torch.tensor([ask.thing for ask in asks])
    masks = (seen.numbers[clips] == things[:, None, None, None]).float().flatten(0, 1)
    boxes = seen.boxes[clips, :, things].flatten(0, 1)
    return ClipTarget(boxes, masks, masks.flatten(1).any(1))


@torch.no_grad()
def check(network: VdIt, tokenizer: CompactTokenizer, stage: Stage) -> dict[str, Score]:
    """Scores per type of expression on clips never trained on, at the training's own size."""
    plan = ShardPlan((SHORT_SIDE, 0), stage.frame_count, 24, HELD_OUT_SEED)
    clips = encode(network, pictures(render_labelled(plan, 9)))
    rng = np.random.default_rng(7)
    found: dict[str, list[Score]] = {}
    for clip, targets in enumerate(clips.pictures.targets):
        asked = [
            (Ask(clip, thing, text), kind)
            for thing, said in enumerate(targets, start=1)
            for kind, text in one_per_type(said, rng)
        ]
        if not asked:
            continue
        asks = [ask for ask, _ in asked]
        queries, _ = answer(network, clips, asks, tokenizer)
        best = queries.scores[-1].sigmoid().unflatten(0, (len(asks), -1)).mean(1).argmax(1)
        length = stage.frame_count
        frame = torch.arange(len(asks) * length)
        low = network.low_masks(queries, -1, torch.arange(network.config.queries))
        chosen = low[frame, best.repeat_interleave(length)][:, None]
        masks = network.refined(chosen, queries)[:, 0].unflatten(0, (len(asks), -1)) > 0
        numbers = clips.pictures.numbers[clip].numpy()
        for (ask, kind), mask in zip(asked, masks.numpy(), strict=True):
            others = [numbers == n for n in range(1, numbers.max() + 1) if n != ask.thing]
            score = score_masks(mask, numbers == ask.thing, others)
            found.setdefault(kind, []).append(score)
    return {kind: mean_scores(scores) for kind, scores in found.items()}


def fresh_parts(config: VdItConfig) -> nn.ModuleDict:
    """The `network` and what trains with it: `probe` reads its latents, `pointer` its maps."""
    return nn.ModuleDict(
        {
            "network": new_network(config),
            "probe": Probe(config.vae["block_out_channels"][2]),
            "pointer": Pointer(config.map_widths[1:]),
        }
    )


def _left_by(stage: Stage, folder: Path) -> Path:
    return folder / f"{stage.name}.pt"


def _features(parts: Any) -> Any:
    return parts["network"].features


def start_of(stage: Stage, folder: Path, tokenizer: CompactTokenizer) -> nn.ModuleDict:
    """The `network` as the stage before left it, with what reads its latents and maps.

    The video stage keeps the encoder as it is.

    Raises:
        FileNotFoundError: the stage before has not run.
    """
    parts = fresh_parts(demo_config(len(tokenizer.vocabulary)))
    vae, probe = _features(parts).vae, parts["probe"]
    if stage.frame_count > 1:
        load_average(_left_by(SINGLE, folder), parts)
        vae.requires_grad_(False)
        probe.requires_grad_(False)
    else:
        load_average(folder / ENCODER_FILE, nn.ModuleDict({"vae": vae, "probe": probe}))
    return parts


def stage_loss(
    parts: Any, seen: Pictures, stage: Stage, tokenizer: CompactTokenizer, rng: np.random.Generator
) -> Tensor:
    """What `stage` minimises on some clips."""
    network, probe = parts["network"], parts["probe"]
    asks = draw_asks(seen, stage, rng)
    clips = encode(network, seen)
    queries, maps = answer(network, clips, asks, tokenizer)
    truth = wanted(seen, asks)
    loss = stacked_loss(network, queries, truth, len(asks))
    loss = loss + _POINTING * pointing_loss(parts["pointer"](maps[1:]), truth.masks)
    if stage.frame_count == 1:
        cells, pixels = probe(clips.latents.flatten(0, 1), clips.quarter.flatten(0, 1))
        shown = labels(seen.numbers.flatten(0, 1).long(), seen.looks)
        loss = loss + _LABELS * encoder_loss(cells, pixels, shown)
    return loss


def train_vdit(folder: Path, stage: Stage, *, seconds: float) -> None:
    """Train `stage` for `seconds` in all, over as many calls as it takes; leaves `<name>.pt`."""
    tokenizer = demo_tokenizer()
    parts = start_of(stage, folder, tokenizer)
    trained = [parameter for parameter in parts.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        trained, lr=stage.learning_rate, weight_decay=0.01, betas=(0.9, 0.98)
    )
    average = Average(parts, _DECAY)
    averaged: Any = average.module
    path = _left_by(stage, folder)
    state = load_state(path, parts, optimizer, average)
    clock = Clock(seconds, state.seconds)
    checked, saved, step = clock.seconds(), clock.seconds(), state.step
    per_shard = max(1, round(stage.shard_clips * _USES / stage.clips))
    plan = ShardPlan((SHORT_SIDE, 0), stage.frame_count, stage.shard_clips, stage.first_seed)
    pool: list[Pictures] = []
    running = 0.0
    # For so few tokens, the plain attention is the faster one on a CPU.
    plain = sdpa_kernel(SDPBackend.MATH)
    with plain, shards(plan, step // per_shard, render_labelled) as source:
        while clock.share() < 1:
            if step % per_shard == 0 or not pool:
                pool = [*pool[-(_POOL - 1) :], pictures(next(source))]
            rng = np.random.default_rng([step, stage.first_seed])
            shard = pool[int(rng.integers(len(pool)))]
            clips = rng.permutation(len(shard.targets))[: stage.clips].tolist()
            for group in optimizer.param_groups:
                group["lr"] = clock.learning_rate(stage.learning_rate, step, warm_up=100)
            loss = stage_loss(parts, shard.part(clips), stage, tokenizer, rng)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 5.0)
            optimizer.step()
            average.update(parts)
            step += 1
            running += (loss.item() - running) * max(0.02, 1 / step)
            if step % 50 == 0:
                log.info(
                    "%s step %d, %.0f s, loss %.3f", stage.name, step, clock.seconds(), running
                )
            if clock.seconds() - checked > _CHECK_SECONDS:
                checked = clock.seconds()
                log.info("%s", describe(check(averaged["network"], tokenizer, stage)))
            if clock.seconds() - saved > _SAVE_SECONDS:
                saved = clock.seconds()
                save_state(path, parts, optimizer, average, step, clock.seconds())
    save_state(path, parts, optimizer, average, step, clock.seconds())
    log.info("%s", describe(check(averaged["network"], tokenizer, stage)))
    log.info("%s done: %d steps at %s", stage.name, step, time.strftime("%H:%M"))


def export_vdit(folder: Path, destination: Path) -> None:
    """Write `config.json` and `weights.safetensors` (half precision) of the trainings in `folder`.

    What the video stage left is written, or what the single-frame stage did where it has not run.

    Raises:
        FileNotFoundError: neither has run.
    """
    tokenizer = demo_tokenizer()
    config = demo_config(len(tokenizer.vocabulary))
    parts = fresh_parts(config)
    stage = next((one for one in (VIDEO, SINGLE) if _left_by(one, folder).is_file()), SINGLE)
    load_average(_left_by(stage, folder), parts)
    destination.mkdir(parents=True, exist_ok=True)
    state = parts["network"].state_dict()
    weights = {key: value.to(torch.float16).contiguous() for key, value in state.items()}
    save_file(weights, destination / "weights.safetensors")
    description = {
        "network": sizes(config),
        "vocabulary": tokenizer.vocabulary,
        "context": tokenizer.context,
        "short_side": SHORT_SIDE,
        "window_frames": stage.frame_count,
    }
    text = json.dumps(description, indent=1, ensure_ascii=False)
    (destination / "config.json").write_text(text + "\n", encoding="utf-8")
