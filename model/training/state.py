"""What a training keeps between steps and runs: its clock, averaged weights, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


@dataclass(frozen=True)
class Progress:
    """How far a stage had come."""

    step: int
    seconds: float


class Clock:
    """The time a stage may take, over all its runs; the learning rate follows it."""

    def __init__(self, allowed: float, spent: float) -> None:
        self._allowed = allowed
        self._start = time.monotonic() - spent

    def seconds(self) -> float:
        """Spent so far."""
        return time.monotonic() - self._start

    def share(self) -> float:
        """Of the allowed time, 0 to 1 and beyond."""
        return self.seconds() / self._allowed

    def learning_rate(self, highest: float, step: int, warm_up: int) -> float:
        """Rises over `warm_up` steps, then falls along a cosine to a fiftieth."""
        falling = 0.02 + 0.49 * (1 + math.cos(math.pi * min(1.0, self.share())))
        return highest * min(1.0, (step + 1) / warm_up) * falling


def running_mean(module: torch.nn.Module, decay: float) -> AveragedModel:
    """The mean of a network's weights that is shipped and tested.

    It follows `module` faster over the first steps, and `decay` is what it keeps of itself later.
    """

    def follow(
        mean: Sequence[torch.Tensor], weights: Sequence[torch.Tensor], count: torch.Tensor | int
    ) -> None:
        kept = min(decay, (1 + int(count)) / (10 + int(count)))
        get_ema_multi_avg_fn(kept)(list(mean), list(weights), count)

    average = AveragedModel(module, multi_avg_fn=follow).eval().requires_grad_(False)
    average.n_averaged.fill_(1)  # the fresh weights: the first step is mixed with them
    return average


def save_state(
    path: Path,
    module: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    average: AveragedModel,
    progress: Progress,
) -> None:
    """Write a checkpoint whole or not at all."""
    part = path.with_suffix(".part")
    torch.save(
        {
            "module": module.state_dict(),
            "optimizer": optimizer.state_dict(),
            "average": average.module.state_dict(),
            "step": progress.step,
            "seconds": progress.seconds,
        },
        part,
    )
    part.replace(path)


def load_state(
    path: Path, module: torch.nn.Module, optimizer: torch.optim.Optimizer, average: AveragedModel
) -> Progress:
    """Take up a checkpoint, if there is one."""
    if not path.is_file():
        return Progress(0, 0.0)
    state = torch.load(path, weights_only=True)
    module.load_state_dict(state["module"])
    optimizer.load_state_dict(state["optimizer"])
    average.module.load_state_dict(state["average"])
    average.n_averaged.fill_(1 + state["step"])  # each step was averaged, after the fresh weights
    return Progress(state["step"], state["seconds"])


def load_average(path: Path, module: torch.nn.Module) -> None:
    """Fill `module` with the averaged weights of a checkpoint.

    Raises:
        FileNotFoundError: the stage before has not run.
    """
    module.load_state_dict(torch.load(path, weights_only=True)["average"])
