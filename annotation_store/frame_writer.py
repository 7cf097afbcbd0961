"""Writing a clip's pictures: numbered JPEGs, the list's thumbnail, the timeline's sprite."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from annotation_store.errors import IngestError
from annotation_store.frames import frame_name, strip_frames
from annotation_store.video_source import Image

JPEG_QUALITY = 95
THUMB_WIDTH = 320
STRIP_HEIGHT = 48


def encode_jpeg(image: Image, quality: int = JPEG_QUALITY) -> bytes:
    """`image`, (H, W, 3) BGR, as a JPEG file."""
    made, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not made:
        raise IngestError(f"A frame of {image.shape[1]}x{image.shape[0]} cannot be stored as JPEG.")
    return bytes(data)


class FrameWriter:
    """Writes frames in a few threads, holding only a few pictures in memory at a time.

    The first error of a thread is raised by a later `write` or by `finish`.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        threads = min(4, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="frames")
        self._limit = 3 * threads
        self._pending: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def write(self, jpeg: Callable[[], bytes], frame_indices: range) -> None:
        """Store what `jpeg()` returns as each of `frame_indices`; waits while much is pending."""
        while len(self._pending) >= self._limit:
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(self._write_now, jpeg, frame_indices))

    def finish(self) -> None:
        """Wait until all is written."""
        while self._pending:
            self._pending.popleft().result()

    def _write_now(self, jpeg: Callable[[], bytes], frame_indices: range) -> None:
        data = jpeg()
        for frame_index in frame_indices:
            (self._folder / frame_name(frame_index)).write_bytes(data)


def write_thumb_and_strip(folder: Path, frame_count: int) -> None:
    """Make `thumb.jpg` and `strip.jpg` in `folder` from its `frames/`.

    The thumbnail is the middle frame, at most 320 wide.  The strip is `strip_frames(frame_count)`
    side by side, each 48 high.
    """
    thumb = _shrunk(folder / "frames" / frame_name(frame_count // 2), width=THUMB_WIDTH)
    (folder / "thumb.jpg").write_bytes(encode_jpeg(thumb, 85))
    shown = [
        _shrunk(folder / "frames" / frame_name(frame_index), height=STRIP_HEIGHT)
        for frame_index in strip_frames(frame_count)
    ]
    (folder / "strip.jpg").write_bytes(encode_jpeg(np.hstack(shown), 80))


def _shrunk(path: Path, *, width: int | None = None, height: int | None = None) -> Image:
    """The JPEG at `path` brought to `height`, or to at most `width`."""
    data = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_REDUCED_COLOR_2)  # half size, far cheaper to decode
    if image is None or min(image.shape[:2]) < (height or 0) or image.shape[1] < (width or 0):
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if image is None:
        raise IngestError(f"The frame {path.name} cannot be read back after it was written.")
    full_height, full_width = image.shape[:2]
    scale = height / full_height if height else min(1.0, (width or full_width) / full_width)
    size = (max(1, round(full_width * scale)), height or max(1, round(full_height * scale)))
    shrunk = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, dtype=np.uint8)
