"""A frame as a network that takes square pictures sees it."""

from __future__ import annotations

import cv2
import torch
from torch import Tensor

from video_types import Frame, require_frame

Channels = tuple[float, float, float]

IMAGENET_MEAN: Channels = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION: Channels = (0.229, 0.224, 0.225)
SAM3_MEAN: Channels = (0.5, 0.5, 0.5)
"""The library's processor for videos has ImageNet's."""
SAM3_DEVIATION: Channels = (0.5, 0.5, 0.5)


def squeezed(
    picture: Frame,
    side: int,
    device: torch.device,
    *,
    mean: Channels,
    deviation: Channels,
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
