"""What a training keeps between steps and runs: its clock, averaged weights, checkpoints."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch


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


class Average:
    """A running mean of a network's weights: what is shipped and tested."""

    def __init__(self, module: torch.nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self._decay = decay
        self.updates = 0

    def update(self, module: torch.nn.Module) -> None:
        """Move towards `module`, faster over the first steps."""
        self.updates += 1
        decay = min(self._decay, (1 + self.updates) / (10 + self.updates))
        ours = [p.data for p in self.module.parameters()]
        torch._foreach_lerp_(ours, [p.data for p in module.parameters()], 1 - decay)


def save_state(
    path: Path,
    module: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    average: Average,
    step: int,
    seconds: float,
) -> None:
    """Write a checkpoint whole or not at all."""
    part = path.with_suffix(".part")
    torch.save(
        {
            "module": module.state_dict(),
            "optimizer": optimizer.state_dict(),
            "average": average.module.state_dict(),
            "updates": average.updates,
            "step": step,
            "seconds": seconds,
        },
        part,
    )
    part.replace(path)


def load_state(
    path: Path, module: torch.nn.Module, optimizer: torch.optim.Optimizer, average: Average
) -> Progress:
    """Take up a checkpoint, if there is one."""
    if not path.is_file():
        return Progress(0, 0.0)
    state = torch.load(path, weights_only=True)
    module.load_state_dict(state["module"])
    optimizer.load_state_dict(state["optimizer"])
    average.module.load_state_dict(state["average"])
    average.updates = state["updates"]
    return Progress(state["step"], state["seconds"])


def load_average(path: Path, module: torch.nn.Module) -> None:
    """Fill `module` with the averaged weights of a checkpoint.

    Raises:
        FileNotFoundError: the stage before has not run.
    """
    module.load_state_dict(torch.load(path, weights_only=True)["average"])
