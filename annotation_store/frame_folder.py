"""Reading a folder of numbered pictures: which files, in what order, and whether they fit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from annotation_store.errors import IngestError
from annotation_store.picture_file import PictureError, opened
from annotation_store.video_source import Image

SUFFIXES = (".jpg", ".jpeg", ".png")
FORMATS = ("JPEG", "PNG")
_EXIF_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Picture:
    """One picture file; `width` and `height` are of the upright picture.

    `as_is`: an upright colour or grey JPEG, which needs no encoding to become a frame.
    """

    path: Path
    width: int
    height: int
    as_is: bool


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sorts file names the way people number them.

    >>> sorted(["frame10.jpg", "frame9.jpg", "Frame1.jpg"], key=natural_key)
    ['Frame1.jpg', 'frame9.jpg', 'frame10.jpg']
    """
    parts = re.split(r"([0-9]+)", name.casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def list_pictures(source: Path | Sequence[Path]) -> list[Path]:
    """The picture files of a folder, or of those given, in natural order of their names.

    Other files of a folder and hidden ones are passed over.

    Raises:
        IngestError: there is none, or one of those given is no picture by its name.
    """
    if isinstance(source, Path):
        if not source.is_dir():
            raise IngestError(f"There is no folder “{source}”.")
        found = [path for path in source.iterdir() if _is_picture(path)]
        if not found:
            raise IngestError(
                f"The folder “{source.name}” holds no pictures; expected JPEG or PNG files, "
                "one per frame, numbered in their names."
            )
    else:
        found = list(source)
        for path in found:
            if path.suffix.lower() not in SUFFIXES:
                raise IngestError(
                    f"“{path.name}” is not a frame; expected JPEG or PNG files, one per frame."
                )
        if not found:
            raise IngestError("No frames were given; expected JPEG or PNG files, one per frame.")
    return sorted(found, key=lambda path: (natural_key(path.name), path.name))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def measure(path: Path) -> Picture:
    """What the picture at `path` says of itself; its pixels are not looked at.

    Raises:
        PictureError: it is no JPEG or PNG.
    """
    with opened(path, FORMATS) as image:
        width, height = image.size
        turned = image.getexif().get(_EXIF_ORIENTATION, 1)
        plain = image.format == "JPEG" and turned == 1 and image.mode in ("RGB", "L")
    if turned in (5, 6, 7, 8):
        width, height = height, width
    return Picture(path, width, height, plain)


def require_one_size(pictures: Iterable[Picture]) -> tuple[int, int]:
    """(width, height) of all pictures.

    Raises:
        IngestError: two differ; both are named.
    """
    first: Picture | None = None
    for picture in pictures:
        if first is None:
            first = picture
        if (picture.width, picture.height) != (first.width, first.height):
            raise IngestError(
                f"All frames of a clip must have one size: “{first.path.name}” is "
                f"{first.width}x{first.height}, but “{picture.path.name}” is "
                f"{picture.width}x{picture.height}. Bring them to one size, or import them as "
                "two clips."
            )
    if first is None:
        raise IngestError("No frames were given; expected JPEG or PNG files, one per frame.")
    return first.width, first.height


def read_whole(picture: Picture) -> bytes:
    """The bytes of a picture that is taken as it is, after decoding it once to see it is whole.

    Raises:
        PictureError: it is damaged or cut short.
    """
    with opened(picture.path, FORMATS) as image:
        image.load()
    return picture.path.read_bytes()


def read_image(picture: Picture) -> Image:
    """(H, W, 3) BGR, upright, 8 bits a channel, without alpha.

    Raises:
        PictureError: it is damaged or cut short.
    """
    data = np.frombuffer(read_whole(picture), dtype=np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if image is None:
        raise PictureError(f"“{picture.path.name}” cannot be decoded. Save it again as a PNG.")
    return np.asarray(image, dtype=np.uint8)
