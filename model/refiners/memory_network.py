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
from video_types import Frame, Mask, Size, require_frame, require_mask

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
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


def squeezed(
    picture: Frame,
    side: int,
    device: torch.device,
    *,
    mean: tuple[float, float, float],
    deviation: tuple[float, float, float],
) -> Tensor:
    """`picture` (H, W, 3) as (1, 3, side, side), normalised; its sides' ratio is not kept."""
    require_frame(picture)
    shrinks = max(picture.shape[:2]) > side
    square = cv2.resize(
        picture, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    pixels = torch.from_numpy(square).to(device).permute(2, 0, 1)[None].float() / 255
    centre, spread = (
        torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (mean, deviation)
    )
    return (pixels - centre) / spread


def stretched(logits: Logits, size: Size) -> Logits:
    """Square logits (h, h) -> (H, W), bilinear."""
    return cv2.resize(logits, size[::-1], interpolation=cv2.INTER_LINEAR)


def cell_shares(mask: Mask, side: int) -> Logits:
    """The share, 0 to 1, of each of (side, side) cells that a mask (H, W) fills."""
    require_mask(mask)
    return cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
