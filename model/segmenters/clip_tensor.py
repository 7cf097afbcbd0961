"""Frames to tensors and soft maps to masks, without a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from video_types import Frame, Mask, Size, SoftMap

THRESHOLD = 0.5


def pixel_values(frames: Sequence[Frame], size: Size) -> Tensor:
    """Frames (H, W, 3) as (F, 3, h, w) in -1 to 1, stretched to `size` (h, w).

    PIL's bilinear resize, which smooths when it shrinks, and no regard for the aspect ratio, as
    the official REM prepares frames.
    """
    resized = np.stack([resized_frame(frame, size) for frame in frames])
    tensor = torch.from_numpy(resized).permute(0, 3, 1, 2).float()
    return (tensor / 255 - 0.5) / 0.5


def resized_frame(frame: Frame, size: Size) -> Frame:
    """`frame` (H, W, 3) at `size` (h, w), bilinear with smoothing.

    PIL rounds to 8 bits between its two passes, so their order shows in the last digit: the
    one that leaves less to do for the other goes first, here whatever PIL's version does.
    """
    (rows, columns), (height, width) = frame.shape[:2], size
    between = (columns, height) if height * columns < rows * width else (width, rows)
    image = Image.fromarray(frame).resize(between, Image.Resampling.BILINEAR)
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def soft_maps(decoded: Tensor) -> list[SoftMap]:
    """Decoded masks (F, 3, h, w), 1 on the target, as 8-bit maps (h, w)."""
    maps = (decoded.mean(dim=1).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    return list(maps)


def resized_mean(decoded: Tensor, size: Size) -> Tensor:
    """(F, H, W): `decoded` (F, 3, h, w) enlarged to `size` (H, W), then averaged over colour.

    The official order: resize first.  Both steps are linear; only rounding differs.
    """
    return F.interpolate(decoded, size, mode="bilinear", align_corners=False).mean(dim=1)


def masks(decoded: Tensor, size: Size) -> list[Mask]:
    """Masks (H, W) of `decoded` (F, 3, h, w); exactly one half is background."""
    # One at a time: enlarged, 16 frames of 4K video would be 2 GB.
    return [(resized_mean(frame, size)[0] > THRESHOLD).cpu().numpy() for frame in decoded.split(1)]
