"""Last stage of the demo weights: the autoencoder's decoder once more, on masks alone.

The encoder stays as it is, so what the network learned to predict keeps its meaning; the decoder
gives up frames, which nobody decodes, for sharper outlines from latents that are a little wrong.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from model.training.clips import HELD_OUT_SEED, ShardPlan, render_shard, shards
from model.training.state import Average, Clock, load_average, load_state, save_state
from model.training.vae import half, mask_tensor, new_vae, score_vae
from video_types import Size

log = logging.getLogger(__name__)

DECODER_FILE = "decoder.pt"

_LEARNING_RATE = 1.5e-3
_BATCH = 16
_NOISE = 0.12  # the most that is added to latents
_WEAKEST = 0.35  # of a mask's latent, and still that mask
_FIRST_SEED = 1 << 26
_SAVE_EVERY = 100


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
    load_average(folder / "vae.pt", vae)
    trained = [*vae.decoder.parameters(), *vae.post_quant_conv.parameters()]
    optimizer = torch.optim.AdamW(trained, lr=_LEARNING_RATE, weight_decay=0.0)
    average = Average(vae, 0.99)
    path = folder / DECODER_FILE
    state = load_state(path, vae, optimizer, average)
    clock = Clock(seconds, state.seconds)
    held_out = render_shard(ShardPlan(size, 1, 48, HELD_OUT_SEED), 0)
    log.info("masks come back at J %.3f", score_vae(average.module, held_out).mask_j)
    step = state.step
    with shards(ShardPlan(size, 1, 8, _FIRST_SEED), step, render_shard) as source:
        while clock.share() < 1:
            shard = next(source)
            chosen = np.random.default_rng(step).permutation(len(shard.masks))[:_BATCH]
            for group in optimizer.param_groups:
                group["lr"] = clock.learning_rate(_LEARNING_RATE, step, warm_up=30)
            loss = decoder_loss(vae, mask_tensor(shard.masks[chosen, 0]).to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            average.update(vae)
            step += 1
            if step % _SAVE_EVERY == 0:
                save_state(path, vae, optimizer, average, step, clock.seconds())
                log.info("decoder step %d, %.0f s, loss %.4f", step, clock.seconds(), loss.item())
    save_state(path, vae, optimizer, average, step, clock.seconds())
    mask_j = score_vae(average.module, held_out).mask_j
    log.info("decoder done: %d steps, J %.3f, at %s", step, mask_j, time.strftime("%H:%M"))
