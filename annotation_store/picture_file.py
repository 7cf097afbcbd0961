"""Opening a picture that comes from outside: whatever is wrong with it is one kind of error."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from annotation_store.errors import StoreError

MOST_PIXELS = 64 * 2**20
"""Beyond any frame; a file of a few bytes may claim to hold far more."""
Image.MAX_IMAGE_PIXELS = None  # Pillow only warns of what is not twice as large again
_BROKEN = (
    OSError,
    SyntaxError,  # how Pillow says that a file is not of its format
    ValueError,
    EOFError,
    MemoryError,
    zlib.error,
    struct.error,
)


class PictureError(StoreError):
    """A file is no whole picture of a kind that was asked for."""


@contextmanager
def opened(path: Path, formats: Sequence[str]) -> Iterator[Image.Image]:
    """The picture at `path`, its pixels not yet read; reading them within is watched too.

    Raises:
        PictureError: it is missing, no plain file, damaged, of another format, or too large.
    """
    if not path.is_file():  # opening a pipe waits for who writes into it, a device may not end
        raise PictureError(f"“{path.name}” is no file with a picture.")
    try:
        with Image.open(path, formats=tuple(formats)) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise PictureError(
                    f"“{path.name}” says that it is {picture.width}x{picture.height}, which is "
                    "more than any frame; it is damaged or made to do harm."
                )
            yield picture
    except _BROKEN as error:
        raise PictureError(
            f"“{path.name}” is damaged, cut short, or no {' or '.join(formats)} picture. Copy it "
            "again, or leave it out."
        ) from error
