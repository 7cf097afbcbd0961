"""Writes what was trained where the project finds it: one file of weights and its description."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from model.training.decoder import DECODER_FILE
from model.training.networks import (
    SCHEDULER_CONFIG,
    TEXT_LENGTH,
    UNET_CONFIG,
    new_networks,
    text_encoder_config,
)
from model.training.state import load_average
from model.training.unet import SINGLE, VIDEO, FrozenVae, grow_in_time
from model.training.vae import VAE_CONFIG
from video_types import Size

_CHUNK = 16  # frames at once where they do not see each other; as many as the VAE takes at once


def export(
    folder: Path, destination: Path, *, vae: FrozenVae, size: Size, video: bool = False
) -> None:
    """Write `config.json` and `weights.safetensors` (half precision) of the trainings in `folder`.

    Without `video` the single-frame stage is written, its temporal layers identities.

    Raises:
        FileNotFoundError: the stage to write has not run.
    """
    networks = new_networks(torch.zeros(UNET_CONFIG["out_channels"]))
    module = networks.together()
    if video:
        load_average(VIDEO.file(folder), module)
    else:
        grow_in_time(SINGLE.file(folder), module)
    decoder = folder / DECODER_FILE
    if decoder.is_file():
        load_average(decoder, vae.module)
    module["vae"] = vae.module.cpu()
    state = module.state_dict()
    destination.mkdir(parents=True, exist_ok=True)
    weights = {key: value.to(torch.float16).contiguous() for key, value in state.items()}
    save_file(weights, destination / "weights.safetensors")
    config = {
        "unet": UNET_CONFIG,
        "vae": VAE_CONFIG,
        "text_encoder": text_encoder_config(len(networks.vocabulary)),
        "scheduler": SCHEDULER_CONFIG,
        "vocabulary": networks.vocabulary,
        "context": TEXT_LENGTH,
        "frame_size": size,
        "chunk_frames": VIDEO.frame_count if video else _CHUNK,
        "chunk_spread": video,
        "latent_scale": vae.scale,
    }
    text = json.dumps(config, indent=1, ensure_ascii=False)
    (destination / "config.json").write_text(text + "\n", encoding="utf-8")
