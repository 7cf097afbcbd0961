"""A folder of weights as the library transformers writes it: `config.json`, `model.safetensors`.

Official files are loaded into the network the project builds itself; a folder of a person's own,
after a training for one, says what network it holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from model.checkpoint import read_tensors
from model.segmenter import ModelError

WEIGHTS = "model.safetensors"
DESCRIPTION = "config.json"
Network = TypeVar("Network")


def described(folder: Path, build: Callable[[dict[str, Any]], Network], what: str) -> Network:
    """The untrained network that the description in `folder` asks `build` for.

    Raises:
        ModelError: there is no description, or it is not one of `what`.
    """
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"Expected a folder with {DESCRIPTION} and {WEIGHTS} at {folder}."
        ) from error
    try:
        return build(description)
    except Exception as error:  # whatever the library makes of values that are none
        raise ModelError(f"{folder / DESCRIPTION} does not describe {what}: {error}.") from error


def weights_in(folder: Path) -> Mapping[str, Tensor]:
    """The tensors of a folder; raises ModelError where there are none."""
    return read_tensors(folder / WEIGHTS)
