"""The loop every stage trains in: learning rate, step, average; log, check, save."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from model.training.state import Clock, Progress, load_state, running_mean, save_state

log = logging.getLogger(__name__)

Batch = TypeVar("Batch")

_LOG_STEPS = 50
_CHECK_SECONDS = 300.0
_SAVE_SECONDS = 120.0


@dataclass(frozen=True)
class Recipe:
    """How a stage steps, with AdamW."""

    learning_rate: float  # the highest; `Clock.learning_rate` says when
    warm_up: int  # steps
    mean_decay: float  # of the weights' running mean
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    largest_gradient: float = 1.0  # norm over all that is trained


def run(
    path: Path,
    recipe: Recipe,
    module: nn.Module,
    *,
    seconds: float,
    batches: Callable[[int], Generator[Batch, None, None]],
    loss: Callable[[Batch], Tensor],
    check: Callable[[nn.Module], object],
) -> None:
    """Train `module` for `seconds` in all, over as many calls as it takes; leaves `path`.

    Args:
        path: the checkpoint, taken up where there is one; its stem names the stage in the log.
        module: all of it is saved and averaged; what needs a gradient is trained.
        batches: from a step on, one for each step.
        loss: what is minimised on a batch.
        check: given the averaged module, how good it is, for the log.
    """
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        trained, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, betas=recipe.betas
    )
    average = running_mean(module, recipe.mean_decay)
    before = load_state(path, module, optimizer, average)
    clock = Clock(seconds, before.seconds)
    step, shown = before.step, 0.0
    checked = saved = clock.seconds()

    def save() -> None:
        save_state(path, module, optimizer, average, Progress(step, clock.seconds()))

    with closing(batches(step)) as source:
        while clock.share() < 1:
            batch = next(source)
            for group in optimizer.param_groups:
                group["lr"] = clock.learning_rate(recipe.learning_rate, step, recipe.warm_up)
            value = loss(batch)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            torch.nn.utils.clip_grad_norm_(trained, recipe.largest_gradient)
            optimizer.step()
            average.update_parameters(module)
            step += 1
            shown += (value.item() - shown) * max(0.02, 1 / (step - before.step))
            if step % _LOG_STEPS == 0:
                log.info("%s step %d, %.0f s, loss %.4f", path.stem, step, clock.seconds(), shown)
            if clock.seconds() - checked > _CHECK_SECONDS:
                checked = clock.seconds()
                log.info("%s held out: %s", path.stem, check(average.module))
            if clock.seconds() - saved > _SAVE_SECONDS:
                saved = clock.seconds()
                save()
    save()
    log.info("%s held out: %s", path.stem, check(average.module))
    log.info("%s done: %d steps, %.0f s", path.stem, step, clock.seconds())
