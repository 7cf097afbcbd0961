"""Last stage of the demo weights: the autoencoder's decoder once more, on masks alone.

The encoder stays as it is, so what the network learned to predict keeps its meaning; the decoder
gives up frames, which nobody decodes, for sharper outlines from latents that are a little wrong.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from model.training.clips import HELD_OUT_SEED, ShardPlan, render_shard, shards
from model.training.loop import Recipe, run
from model.training.state import load_average
from model.training.vae import VAE_FILE, half, mask_tensor, new_vae, score_vae
from video_types import Size

DECODER_FILE = "decoder.pt"

_RECIPE = Recipe(
    learning_rate=1.5e-3, warm_up=30, mean_decay=0.99, weight_decay=0.0, betas=(0.9, 0.999)
)
_BATCH = 16
_NOISE = 0.12  # the most that is added to latents
_WEAKEST = 0.35  # of a mask's latent, and still that mask
_FIRST_SEED = 1 << 26


def decoder_loss(vae: AutoencoderKL, masks: torch.Tensor) -> torch.Tensor:
    """What the last stage minimises, for masks (N, 3, H, W)."""
    with half(masks):
        with torch.no_grad():
            latent = vae.encode(masks).latent_dist.mode().float()
            empty = vae.encode(torch.zeros_like(masks[:1])).latent_dist.mode().float()
            strength, spread = torch.rand(2, len(masks), 1, 1, 1, device=masks.device)
            # A network that is unsure predicts something between the mask and none.
            latent = empty + (_WEAKEST + (1 - _WEAKEST) * strength) * (latent - empty)
            latent = latent + _NOISE * spread * torch.randn_like(latent)
        value = vae.decode(latent).sample.float().mean(dim=1)
    wanted = masks[:, 0]
    outline = F.binary_cross_entropy_with_logits(10 * (value - 0.5), wanted)
    return outline + 0.5 * (value - wanted).square().mean()


def train_decoder(folder: Path, *, size: Size, seconds: float, device: torch.device) -> None:
    """Train for `seconds` in all, over as many calls as it takes; leaves `decoder.pt`.

    Raises:
        FileNotFoundError: the first stage has not run.
    """
    torch.manual_seed(3)
    vae = new_vae().to(device)
    load_average(folder / VAE_FILE, vae)
    vae.requires_grad_(False)
    vae.decoder.requires_grad_(True)
    vae.post_quant_conv.requires_grad_(True)
    held_out = render_shard(ShardPlan(size, 1, 48, HELD_OUT_SEED), 0)
    run(
        folder / DECODER_FILE,
        _RECIPE,
        vae,
        seconds=seconds,
        batches=lambda step: _batches(size, step, device),
        loss=lambda masks: decoder_loss(vae, masks),
        check=lambda average: score_vae(average, held_out),
    )


def _batches(size: Size, step: int, device: torch.device) -> Generator[torch.Tensor, None, None]:
    """Masks (N, 3, H, W); a shard for each step."""
    with shards(ShardPlan(size, 1, 8, _FIRST_SEED), step, render_shard) as source:
        for at, shard in enumerate(source, start=step):
            chosen = np.random.default_rng(at).permutation(len(shard.masks))[:_BATCH]
            yield mask_tensor(shard.masks[chosen, 0]).to(device)
