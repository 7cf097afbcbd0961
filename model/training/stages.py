"""The stages that learn expressions: how each trains, and what it asks about a target."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

_SEEN_IN_ONE_FRAME = ("burn", "drip", "melt", "fire")


@dataclass(frozen=True)
class Stage:
    """How one stage trains."""

    name: str
    frame_count: int
    clips: int  # of a step; two targets each
    shard_clips: int
    first_seed: int
    learning_rate: float
    weights: dict[str, float]  # of the types of expression

    def file(self, folder: Path) -> Path:
        """The checkpoint the stage leaves in the folder of a training."""
        return folder / f"{self.name}.pt"


def draw_expression(
    said: tuple[tuple[str, str], ...], stage: Stage, rng: np.random.Generator
) -> str | None:
    """One of what is said about a target: first a type by its weight, then a text of the type.

    None where nothing of it can be asked in `stage`.
    """
    if stage.frame_count == 1:
        said = tuple(
            (kind, text) for kind, text in said
            if kind != "motion" or any(word in text for word in _SEEN_IN_ONE_FRAME)
        )  # fmt: skip
    types = sorted({kind for kind, _ in said})
    if not types:
        return None
    weights = np.array([stage.weights[kind] for kind in types])
    chosen = str(rng.choice(types, p=weights / weights.sum()))
    texts = [text for kind, text in said if kind == chosen]
    return texts[int(rng.integers(len(texts)))]


def one_per_type(
    said: tuple[tuple[str, str], ...], rng: np.random.Generator
) -> list[tuple[str, str]]:
    """Of what is said about a target, one (type, text) of each type."""
    shuffled = [said[index] for index in rng.permutation(len(said))]
    return list({kind: (kind, text) for kind, text in shuffled}.values())
