"""The few types that cross packages: frames, masks, clicks.  numpy only.

Sizes are `(H, W)`, points are `(x, y)`, both in stored-frame pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Frame: TypeAlias = npt.NDArray[np.uint8]
"""(H, W, 3) RGB."""

Mask: TypeAlias = npt.NDArray[np.bool_]
"""(H, W); True belongs to the target, or to Ignore."""

SoftMap: TypeAlias = npt.NDArray[np.uint8]
"""(h, w) at the network's own size; 255 times the value per pixel before the threshold, rounded."""

Size: TypeAlias = tuple[int, int]
"""(H, W)."""

Layer: TypeAlias = Literal["target", "ignore"]
"""Which of a target's two layers a mask belongs to."""


@dataclass(frozen=True)
class Click:
    """One click on one frame, in image pixels.

    `x` runs right and `y` runs down from the top-left corner of the frame at
    its stored size, whatever the zoom of the canvas; both may be fractional.
    """

    frame_index: int
    x: float
    y: float
    positive: bool  # True adds to the target, False carves away


@dataclass(frozen=True)
class Box:
    """A rectangle on one frame, in image pixels; `right` and `bottom` lie just outside it."""

    left: float
    top: float
    right: float
    bottom: float


def require_mask(array: npt.NDArray[Any], size: Size | None = None) -> Mask:
    """Return `array` if it is a mask, of `size` (H, W) when one is given.

    Raises:
        TypeError: it is not boolean.
        ValueError: it is not two-dimensional, or not of `size`.

    >>> require_mask(np.zeros((2, 3), dtype=bool), size=(3, 2))
    Traceback (most recent call last):
    ...
    ValueError: expected a mask of 3 rows and 2 columns, got 2 rows and 3 columns
    """
    if array.dtype != np.bool_:
        raise TypeError(f"expected a boolean mask, got an array of {array.dtype}")
    if array.ndim != 2:
        raise ValueError(f"expected a mask of shape (H, W), got shape {array.shape}")
    if size is not None and array.shape != size:
        raise ValueError(
            f"expected a mask of {size[0]} rows and {size[1]} columns, "
            f"got {array.shape[0]} rows and {array.shape[1]} columns"
        )
    return array


def require_frame(array: npt.NDArray[Any]) -> Frame:
    """Return `array` if it is a frame.

    Raises:
        TypeError: it is not of 8-bit values.
        ValueError: its shape is not (H, W, 3).
    """
    if array.dtype != np.uint8:
        raise TypeError(f"expected a frame of uint8, got an array of {array.dtype}")
    if array.ndim != 3 or array.shape[2] != 3:
        raise ValueError(f"expected a frame of shape (H, W, 3), got shape {array.shape}")
    return array
