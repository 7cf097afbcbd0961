"""Second and third stage of the demo's VD-IT: from an expression to the thing it names.

The objective is VD-IT's (`vdit_criterion`).  On single frames everything is trained, the encoder
by its labels too and the maps by `Pointer`, because nothing was there before; on short clips,
later, the encoder is frozen.
"""

from __future__ import annotations

import json
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
from model.segmenters.vdit_features import encode_frames
from model.training.clips import HELD_OUT_SEED, ShardPlan
from model.training.loop import Recipe, run
from model.training.score import Score, by_type, mean_scores, score_masks
from model.training.stages import Stage, one_per_type
from model.training.state import load_average
from model.training.vdit_batches import Ask, Pictures, batches, pictures, wanted
from model.training.vdit_clips import render_labelled
from model.training.vdit_encoder import ENCODER_FILE, Probe, encoder_loss, labels
from model.training.vdit_networks import (
    LATENT_CHANNELS,
    SHORT_SIDE,
    demo_config,
    demo_tokenizer,
    new_network,
    sizes,
    tokens,
)
from model.training.vdit_objective import Pointer, pointing_loss, stacked_loss

SINGLE = Stage(
    "vdit-single", 1, 14, 42, 1 << 28, 1e-3,
    {"colour": 3.0, "kind": 1.6, "colour+kind": 1.8, "size": 1.6, "place": 1.4, "motion": 0.3},
)  # fmt: skip
VIDEO = Stage(
    "vdit-video", 3, 6, 16, (1 << 28) + (1 << 27), 6e-4,
    {"colour": 0.8, "kind": 1.5, "colour+kind": 1.5, "size": 1.0, "place": 1.4, "motion": 2.0},
)  # fmt: skip
_LABELS = 3.0  # how much the labels count that the encoder began with
_POINTING = 8.0  # how much it counts that the maps themselves show the thing asked for


@dataclass(frozen=True)
class Encoded:
    """Clips as the encoder sees them."""

    pictures: Pictures
    latents: Tensor  # (clips, T, C, /8), scaled
    quarter: Tensor  # (clips, T, c, /4)


def encode(network: VdIt, seen: Pictures) -> Encoded:
    """What the encoder makes of the clips."""
    frames = seen.frames.flatten(0, 1)
    calm = torch.zeros(len(frames), LATENT_CHANNELS, *(side // 8 for side in seen.padding.shape))
    with torch.autocast("cpu", torch.bfloat16):
        latents, quarter = encode_frames(network.features.vae, frames, calm, batch=len(frames))
    shape = seen.frames.shape[:2]
    return Encoded(seen, latents.float().unflatten(0, shape), quarter.float().unflatten(0, shape))


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
        load_average(SINGLE.file(folder), parts)
        vae.requires_grad_(False)
        probe.requires_grad_(False)
    else:
        load_average(folder / ENCODER_FILE, nn.ModuleDict({"vae": vae, "probe": probe}))
    return parts


def stage_loss(parts: Any, seen: Pictures, asks: list[Ask], tokenizer: CompactTokenizer) -> Tensor:
    """What a stage minimises on some clips; the labels count on single frames."""
    network, probe = parts["network"], parts["probe"]
    clips = encode(network, seen)
    queries, maps = answer(network, clips, asks, tokenizer)
    truth = wanted(seen, asks)
    loss = stacked_loss(network, queries, truth, len(asks))
    loss = loss + _POINTING * pointing_loss(parts["pointer"](maps[1:]), truth.masks)
    if seen.frames.shape[1] == 1:
        cells, pixels = probe(clips.latents.flatten(0, 1), clips.quarter.flatten(0, 1))
        shown = labels(seen.numbers.flatten(0, 1).long(), seen.looks)
        loss = loss + _LABELS * encoder_loss(cells, pixels, shown)
    return loss


def train_vdit(folder: Path, stage: Stage, *, seconds: float) -> None:
    """Train `stage` for `seconds` in all, over as many calls as it takes; leaves `<name>.pt`."""
    tokenizer = demo_tokenizer()
    parts = start_of(stage, folder, tokenizer)

    def held_out(average: Any) -> str:
        return by_type(check(average["network"], tokenizer, stage))

    # For so few tokens, the plain attention is the faster one on a CPU.
    with sdpa_kernel(SDPBackend.MATH):
        run(
            stage.file(folder),
            Recipe(stage.learning_rate, warm_up=100, mean_decay=0.997, largest_gradient=5.0),
            parts,
            seconds=seconds,
            batches=lambda step: batches(stage, step),
            loss=lambda batch: stage_loss(parts, *batch, tokenizer),
            check=held_out,
        )


def export_vdit(folder: Path, destination: Path) -> None:
    """Write `config.json` and `weights.safetensors` (half precision) of the trainings in `folder`.

    What the video stage left is written, or what the single-frame stage did where it has not run.

    Raises:
        FileNotFoundError: neither has run.
    """
    tokenizer = demo_tokenizer()
    config = demo_config(len(tokenizer.vocabulary))
    parts = fresh_parts(config)
    stage = next((one for one in (VIDEO, SINGLE) if one.file(folder).is_file()), SINGLE)
    load_average(stage.file(folder), parts)
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
