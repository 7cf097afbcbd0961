"""Annotation images: palette PNGs whose pixel values are target numbers.

0 is background, 1 to 254 are targets, 255 is Ignore.  Only Pillow reads them back as they are:
OpenCV and many editors turn a palette into colours and lose the numbers.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from annotation_store.errors import StoreError
from annotation_store.picture_file import opened
from video_types import Mask, Size, require_mask

IGNORE = 255
MAX_TARGET = 254
IndexImage = npt.NDArray[np.uint8]
"""(H, W); the palette index of each pixel."""

# The colours of Okabe and Ito, which people with any colour vision tell apart.
# Yellow is Ignore's alone; further rounds of the six are darker.
TARGET_COLOURS = (
    (204, 121, 167),
    (86, 180, 233),
    (230, 159, 0),
    (0, 158, 115),
    (0, 114, 178),
    (213, 94, 0),
)
IGNORE_COLOUR = (240, 228, 66)


class PaletteImageError(StoreError):
    """A file is no annotation image."""


def target_colour(number: int) -> tuple[int, int, int]:
    """RGB of target `number`, counted from 1.

    >>> target_colour(1), target_colour(7)
    ((204, 121, 167), (153, 91, 125))
    """
    round_, place = divmod(number - 1, len(TARGET_COLOURS))
    red, green, blue = (round(part * 0.75 ** min(round_, 4)) for part in TARGET_COLOURS[place])
    return red, green, blue


def _palette() -> bytes:
    colours = [(0, 0, 0), *(target_colour(n) for n in range(1, IGNORE)), IGNORE_COLOUR]
    return bytes(part for colour in colours for part in colour)


PALETTE = _palette()


def compose(size: Size, targets: Iterable[tuple[int, Mask]], ignore: Mask | None) -> IndexImage:
    """One image of several targets' masks, each (number, mask), and of Ignore.

    Where two targets overlap the lower number wins; Ignore wins over every target.

    >>> left = np.array([[True, True, False]])
    >>> right = np.array([[False, True, True]])
    >>> compose((1, 3), [(1, left), (2, right)], None).tolist()
    [[1, 1, 2]]
    >>> compose((1, 3), [(1, left)], right).tolist()
    [[1, 255, 255]]

    Raises:
        ValueError: a mask is not of `size`, or a number is not from 1 to 254.
    """
    image = np.zeros(size, dtype=np.uint8)
    for number, mask in sorted(targets, key=lambda target: -target[0]):
        if not 1 <= number <= MAX_TARGET:
            raise ValueError(f"expected a target number from 1 to {MAX_TARGET}, got {number}")
        image[require_mask(mask, size)] = number
    if ignore is not None:
        image[require_mask(ignore, size)] = IGNORE
    return image


def encode(image: IndexImage) -> bytes:
    """`image`, (H, W), as a PNG file in our palette."""
    picture = Image.fromarray(image, mode=None)
    picture.putpalette(PALETTE)
    file = io.BytesIO()
    picture.save(file, format="PNG", compress_level=3)
    return file.getvalue()


def read(path: Path) -> IndexImage:
    """The numbers in an annotation image, (H, W), whatever colours its palette has.

    Raises:
        PaletteImageError: it holds colours instead of numbers.
        PictureError: it is missing or damaged.
    """
    with opened(path, ("PNG",)) as picture:
        if picture.mode not in ("P", "L", "1"):
            raise PaletteImageError(
                f"“{path.name}” holds colours ({picture.mode}), not target numbers; expected "
                "a palette or grey PNG. An image editor may have converted it."
            )
        index = picture.convert("L") if picture.mode == "1" else picture
        return np.array(index, dtype=np.uint8)
