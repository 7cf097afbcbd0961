"""REM keeps giving the numbers it gave when it was proven equal to the official implementation.

The official numbers are not part of the project; these are, for weights and inputs that a formula
gives.  `python -m tests.model.test_rem_golden` writes them again, after a proven change only.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from model.rem import RemNetworks
from tests.model.test_rem import TOY_TEXT, TOY_UNET, TOY_VAE

GOLDEN = Path(__file__).parent.parent / "fixtures" / "rem_toy_golden.json"
SHOWN = 24  # values of a stage, evenly taken
TOLERANCE = 1e-4


def wave(*shape: int, pace: float) -> Tensor:
    """Values between -1 and 1 that look random and are the same everywhere."""
    count = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return torch.sin(count * pace + (count * 0.013) ** 2).float().reshape(shape)


def fill(module: torch.nn.Module) -> None:
    """Weights of a sensible size for each layer, by formula."""
    for place, (name, value) in enumerate(sorted(module.state_dict().items())):
        values = wave(*value.shape, pace=1.1 + 0.01 * (place % 50))
        if value.dim() > 1:
            value.copy_(values * (3 / value[0].numel()) ** 0.5)
        else:
            value.copy_(values * 0.1 + float("norm" in name and name.endswith("weight")))


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


def figures(values: Tensor) -> dict[str, object]:
    flat = values.flatten().double()
    places = torch.linspace(0, flat.numel() - 1, SHOWN).long()
    return {
        "shape": list(values.shape),
        "mean": float(flat.mean()),
        "spread": float(flat.std()),
        "values": [round(float(value), 6) for value in flat[places]],
    }


@pytest.mark.parametrize("stage", ["text", "latents", "predicted", "decoded", "one frame"])
def test_a_stage_gives_the_numbers_it_was_proven_with(stage):
    golden = json.loads(GOLDEN.read_text())[stage]
    now = figures(stages()[stage])

    assert now["shape"] == golden["shape"]
    assert now["values"] == pytest.approx(golden["values"], abs=TOLERANCE)
    assert now["mean"] == pytest.approx(golden["mean"], abs=TOLERANCE)
    assert now["spread"] == pytest.approx(golden["spread"], abs=TOLERANCE)


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({name: figures(one) for name, one in stages().items()}, indent=1))
