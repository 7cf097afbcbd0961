"""Plain masks: grey PNGs of one target or of Ignore, 255 where the mask is and 0 elsewhere."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from annotation_store.errors import StoreError
from annotation_store.picture_file import opened
from video_types import Mask, require_mask


class MaskImageError(StoreError):
    """A file is no plain mask."""


def encode(mask: Mask) -> bytes:
    """`mask`, (H, W), as a PNG file."""
    picture = Image.fromarray(require_mask(mask).astype(np.uint8) * 255)
    file = io.BytesIO()
    picture.save(file, format="PNG", compress_level=3)
    return file.getvalue()


def read(path: Path) -> Mask:
    """The mask in a plain mask PNG, (H, W).

    Raises:
        MaskImageError: it holds more than 0 and one other value.
        PictureError: it is missing or damaged.
    """
    with opened(path, ("PNG",)) as picture:
        if picture.mode not in ("L", "1"):
            raise MaskImageError(
                f"“{path.name}” is of kind {picture.mode}; expected a grey PNG of 0 and 255."
            )
        values = np.array(picture.convert("L"))
    mask = np.asarray(values > 0, dtype=np.bool_)
    if np.any(values[mask] != values.max(initial=0)):
        raise MaskImageError(f"“{path.name}” holds several values; expected only 0 and 255.")
    return mask
