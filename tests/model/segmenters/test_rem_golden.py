"""REM keeps giving the numbers it gave when it was proven equal to the official implementation.

`python -m tests.model.segmenters.test_rem_golden` writes them again, after a proven change only.
"""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

from model.segmenters.rem import RemNetworks
from tests.model.golden import expect_golden, fill, wave, write_golden
from tests.model.segmenters.test_rem import TOY_TEXT, TOY_UNET, TOY_VAE

GOLDEN = "rem_toy_golden.json"


@cache
def stages() -> dict[str, Tensor]:
    """What each stage of a three-frame chunk gives, the stage before it being its input."""
    torch.manual_seed(0)
    networks = RemNetworks.build(TOY_UNET, TOY_VAE, TOY_TEXT)
    with torch.no_grad():
        for network in (networks.unet, networks.vae, networks.text_encoder):
            fill(network)
        text = networks.encode_text((torch.arange(77)[None] * 7) % 60)
        latents = networks.encode_frames(wave(3, 3, 72, 88, pace=0.37))
        noise = wave(*latents.shape, pace=2.3)
        predicted = networks.predict(latents, noise, text)
        return {
            "text": text,
            "latents": latents,
            "predicted": predicted,
            "decoded": networks.decode(predicted),
            "one frame": networks.predict(latents[:1], noise[:1], text),
        }


@pytest.mark.parametrize("stage", ["text", "latents", "predicted", "decoded", "one frame"])
def test_a_stage_gives_the_numbers_it_was_proven_with(stage):
    expect_golden(GOLDEN, stage, stages()[stage])


if __name__ == "__main__":
    write_golden(GOLDEN, stages())
