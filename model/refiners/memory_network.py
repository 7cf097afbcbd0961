"""What propagating asks of a network that remembers: SAM 2.1, EdgeTAM and SAM 3's tracker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from model.refiners.prompt_network import Logits, PromptNetwork
from video_types import Mask, Size, require_mask

CERTAIN = 10.0
"""Logit the networks themselves give to the inside of a mask they are handed, and minus it
outside."""


@dataclass(frozen=True)
class PictureFeatures:
    """One picture as the decoder sees it: `levels`, each (1, C, h, w), finest first, in half
    precision where the device multiplies it; `size` is the picture's (H, W)."""

    levels: tuple[Tensor, ...]
    size: Size


@dataclass(frozen=True)
class Remembered:
    """What the network keeps of a frame: `entry` in its own form, and its low-resolution
    `logits` (h, w) with the chance, 0 to 1, that the target is in view."""

    entry: dict[str, Any]
    logits: Logits
    in_view: float


class MemoryNetwork(PromptNetwork[PictureFeatures], Protocol):
    """A PromptNetwork that finds the target on a frame by what it keeps of others.

    It holds nothing of a clip itself: the caller holds what is needed and drops the rest.
    """

    @property
    def frames_remembered(self) -> int:
        """How many frames back the network can look; older memory is of no use."""
        ...

    def remember(self, frame_index: int, embedding: PictureFeatures, mask: Mask) -> Remembered:
        """What the network keeps of a frame whose `mask` (H, W) is settled."""
        ...

    def track(
        self,
        frame_index: int,
        embedding: PictureFeatures,
        settled: Mapping[int, Remembered],
        passed: Mapping[int, Remembered],
        *,
        backwards: bool,
    ) -> Remembered:
        """The target on a frame, given the `settled` frames and those just `passed`."""
        ...


def multiplies_half(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 as fast as it should."""
    return device.type == "cuda" or (
        device.type == "cpu" and bool(torch.cpu.get_capabilities().get("avx512_bf16", False))
    )


def stretched(logits: Logits, size: Size) -> Logits:
    """Square logits (h, h) -> (H, W), bilinear."""
    return cv2.resize(logits, size[::-1], interpolation=cv2.INTER_LINEAR)


def cell_shares(mask: Mask, side: int) -> Logits:
    """The share, 0 to 1, of each of (side, side) cells that a mask (H, W) fills."""
    require_mask(mask)
    return cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
