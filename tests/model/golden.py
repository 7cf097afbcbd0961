"""Weights and inputs that a formula gives, and how a stage's values are kept and compared.

The official implementations' numbers are not part of the project; those that ours gave when it was
proven equal to them are, in `tests/fixtures`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

FIXTURES = Path(__file__).parent.parent / "fixtures"
TOLERANCE = 1e-4
SHOWN = 24  # values of a stage, evenly taken


def wave(*shape: int, pace: float) -> Tensor:
    """Values between -1 and 1 that look random and are the same everywhere."""
    count = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return torch.sin(count * pace + (count * 0.013) ** 2).float().reshape(shape)


def fill(module: torch.nn.Module) -> None:
    """Weights of a sensible size for each layer, by formula; counters stay as they are."""
    for place, (name, value) in enumerate(sorted(module.state_dict().items())):
        if not value.is_floating_point():
            continue
        values = wave(*value.shape, pace=1.1 + 0.01 * (place % 50))
        if value.dim() > 1:
            value.copy_(values * (3 / value[0].numel()) ** 0.5)
        else:
            value.copy_(values * 0.1 + float("norm" in name and name.endswith("weight")))


def figures(values: Tensor) -> dict[str, Any]:
    """What is kept of a stage."""
    flat = values.flatten().double()
    places = torch.linspace(0, flat.numel() - 1, SHOWN).long()
    return {
        "shape": list(values.shape),
        "mean": float(flat.mean()),
        "spread": float(flat.std(correction=min(1, flat.numel() - 1))),
        "values": [round(float(value), 6) for value in flat[places]],
    }


def expect_golden(name: str, stage: str, values: Tensor) -> None:
    """Fail unless `values` are those kept for `stage` in `name`."""
    golden = json.loads((FIXTURES / name).read_text())[stage]
    now = figures(values)
    assert now["shape"] == golden["shape"]
    for figure in ("values", "mean", "spread"):
        assert now[figure] == pytest.approx(golden[figure], rel=TOLERANCE, abs=TOLERANCE), figure


def write_golden(name: str, stages: Mapping[str, Tensor]) -> None:
    """Keep what the stages give now; after a proven change only."""
    text = json.dumps({stage: figures(values) for stage, values in stages.items()}, indent=1)
    (FIXTURES / name).write_text(text + "\n")
