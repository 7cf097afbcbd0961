"""Overlay videos: the clip with its masks drawn in, to look at; H.264 in MP4."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import cv2
import numpy as np

from annotation_store.errors import StoreError
from annotation_store.formats.palette_png import (
    IGNORE,
    IGNORE_COLOUR,
    IndexImage,
    target_colour,
)
from video_types import Frame, Size

FILL = 0.45
HATCH_EVERY = 8
"""Pixels from one stripe of Ignore to the next, along a row."""


class OverlayVideoError(StoreError):
    """A file is no video that can be read."""


def draw(frame: Frame, index: IndexImage) -> Frame:
    """`frame`, (H, W, 3) RGB, with the targets of `index`, (H, W), filled and outlined.

    Ignore is hatched, so that it is told from a target without its colour.
    """
    drawn = frame.copy()
    for number in np.unique(index[index > 0]):
        inside = index == number
        if number == IGNORE:
            _hatch(drawn, inside)
            continue
        colour = np.array(target_colour(int(number)), dtype=np.float32)
        drawn[inside] = (drawn[inside] * (1 - FILL) + colour * FILL).astype(np.uint8)
        outlines, _ = cv2.findContours(
            inside.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(drawn, outlines, -1, target_colour(int(number)), 2)
    return drawn


def _hatch(drawn: Frame, inside: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> None:
    rows, columns = np.nonzero(inside)
    stripe = (rows + columns) % HATCH_EVERY < HATCH_EVERY // 4
    drawn[rows[stripe], columns[stripe]] = IGNORE_COLOUR
    outlines, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawn, outlines, -1, IGNORE_COLOUR, 1)


class OverlayWriter:
    """Encodes frames of one size (H, W); odd sides gain a row or column, repeated from the edge."""

    def __init__(self, path: Path, size: Size, fps: int) -> None:
        height, width = size
        self._size = size
        self._container = av.open(str(path), "w", options={"movflags": "faststart"})
        self._stream = self._container.add_stream(
            "libx264", rate=fps, options={"crf": "20", "preset": "veryfast"}
        )
        self._stream.width, self._stream.height = width + width % 2, height + height % 2
        self._stream.pix_fmt = "yuv420p"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._container.mux(self._stream.encode())
        self._container.close()

    def write(self, frame: Frame) -> None:
        """Add one frame, (H, W, 3) RGB.

        Raises:
            ValueError: it is not of the size given at first.
        """
        if frame.shape[:2] != self._size:
            raise ValueError(f"expected a frame of {self._size}, got {frame.shape[:2]}")
        height, width = self._size
        even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(even, format="rgb24")
        self._container.mux(self._stream.encode(picture))


def decoded_sizes(path: Path) -> Iterator[Size]:
    """The size (H, W) of each frame that a video really decodes to.

    Raises:
        OverlayVideoError: it cannot be decoded to its end.
    """
    try:
        with av.open(str(path)) as container:
            for picture in container.decode(video=0):
                yield picture.height, picture.width
    except (av.error.FFmpegError, IndexError) as error:
        raise OverlayVideoError(f"“{path.name}” cannot be read back as a video.") from error
