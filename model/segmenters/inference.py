"""Running a segmenter's networks for one bounded step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from model.segmenter import ModelError


@contextmanager
def inference(
    name: str, frames_at_once: int, device: torch.device, autocast: torch.dtype | None = None
) -> Iterator[None]:
    """No gradients and, when asked for, autocast; never held across a step.

    Raises:
        ModelError: the device has no memory left for `frames_at_once`.
    """
    shorter = nullcontext() if autocast is None else torch.autocast(device.type, autocast)
    try:
        with torch.inference_mode(), shorter:
            yield
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"{name} ran out of memory on {frames_at_once} frames at once. Close what else uses "
            "the GPU, or let it see fewer frames at once."
        ) from error
