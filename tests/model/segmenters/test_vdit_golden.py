"""VD-IT keeps giving the numbers it gave when it was proven equal to the official implementation.

`python -m tests.model.segmenters.test_vdit_golden` writes them again, after a proven change only.
"""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

from model.segmenters.vdit import VdIt
from model.segmenters.vdit_features import denoiser_features, encode_frames, vae_frames
from model.training.vdit_criterion import ClipTarget, total_loss, vdit_losses
from tests.model.golden import expect_golden, fill, wave, write_golden
from tests.model.segmenters.test_vdit import padded, toy_config

GOLDEN = "vdit_toy_golden.json"
STAGES = (
    *("prompt", "latents", "noisy", "denoiser", "scores", "boxes", "query features", "masks"),
    *("one frame", "loss"),
)


@cache
def stages() -> dict[str, Tensor]:
    """What each stage gives for three odd-sized frames, and all of it for one."""
    torch.manual_seed(0)
    network = VdIt(toy_config()).eval()
    with torch.no_grad():
        fill(network)
        frames, padding = padded(wave(3, 3, 57, 75, pace=0.37), 16)
        text_ids = (torch.arange(77)[None] * 7) % 90
        word_ids = (torch.arange(9)[None] * 11) % 110 + 3
        noise = wave(3, 4, 8, 10, pace=2.3)
        features = network.features
        seen = vae_frames(frames)
        prompt = features.prompt(text_ids, seen)
        latents, _ = encode_frames(features.vae, seen, noise)
        noisy = features.denoiser_input(latents, noise)
        tapped = denoiser_features(features.unet, noisy, prompt)
        queries = network(frames, padding, text_ids, word_ids, noise)
        masks = network.masks(queries, torch.arange(network.config.queries))
        alone = network(frames[:1], padding, text_ids, word_ids, noise[:1])
        boxes = torch.tensor([[0.4, 0.5, 0.3, 0.4]]).expand(3, -1)
        truth = torch.zeros(3, *padding.shape)
        truth[:, 16:40, 20:44] = 1
        target = ClipTarget(boxes, truth, torch.tensor([True, True, False]))
        loss = total_loss(vdit_losses(network, queries, target))
    return {
        "prompt": prompt,
        "latents": latents,
        "noisy": noisy,
        "denoiser": tapped.up[2],
        "scores": queries.scores,
        "boxes": queries.boxes,
        "query features": queries.hidden,
        "masks": masks,
        "one frame": alone.scores,
        "loss": loss[None],
    }


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_gives_the_numbers_it_was_proven_with(stage):
    expect_golden(GOLDEN, stage, stages()[stage])


if __name__ == "__main__":
    write_golden(GOLDEN, stages())
