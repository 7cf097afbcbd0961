"""The stored frames of the clips: numbered JPEGs on disk, read one at a time.

Needs no database, so that the model worker opens it on the workspace folder alone.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import overload

import cv2
import numpy as np
from cachetools import LRUCache

from annotation_store.errors import NotFoundError
from video_types import Frame

KEPT_FRAMES = 8
"""How many decoded frames one `ClipFrames` holds: 22 MB of 1280x720."""


def frame_name(frame_index: int) -> str:
    """File name of a stored frame.

    >>> frame_name(7)
    '00007.jpg'
    """
    return f"{frame_index:05d}.jpg"


def clip_folder(workspace_folder: Path, clip_id: int) -> Path:
    """Where everything of one clip that is not a row lies: frames/, thumb.jpg, strip.jpg."""
    return workspace_folder / "clips" / str(clip_id)


def read_frame(path: Path, *, quarter: bool = False) -> Frame:
    """The image at `path`, (H, W, 3) RGB, turned as its EXIF note says (as browsers do).

    At a `quarter` of its size, rounded up, it is decoded in less than half the time.

    Raises:
        NotFoundError: there is no such file, or it is no image.
    """
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise NotFoundError(
            f"The stored frame {path} cannot be read ({error.strerror or error}). "
            "If the workspace was moved or cleaned by hand, put the file back."
        ) from error
    how = cv2.IMREAD_REDUCED_COLOR_4 if quarter else cv2.IMREAD_COLOR_RGB
    image = cv2.imdecode(data, how) if data.size else None
    if image is None:
        raise NotFoundError(
            f"The stored frame {path} is damaged: it is no readable image. "
            "Remove the clip and import its video again."
        )
    return np.asarray(image[..., ::-1] if quarter else image, dtype=np.uint8)


class FrameStore:
    """Reads stored frames by clip and `frame_index`; `folder` is the workspace folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def path(self, clip_id: int, frame_index: int) -> Path:
        """The JPEG of one frame; the file exists for every frame of an ingested clip.

        Raises:
            NotFoundError: `frame_index` is negative.
        """
        if frame_index < 0:
            raise NotFoundError(f"Frames are counted from 0; there is no frame {frame_index}.")
        return clip_folder(self.folder, clip_id) / "frames" / frame_name(frame_index)

    def thumb_path(self, clip_id: int) -> Path:
        """A JPEG of the clip's middle frame, at most 320 pixels wide."""
        return clip_folder(self.folder, clip_id) / "thumb.jpg"

    def strip_path(self, clip_id: int) -> Path:
        """The timeline's sprite: `strip_frames(frame_count)` side by side in one row."""
        return clip_folder(self.folder, clip_id) / "strip.jpg"

    def read(self, clip_id: int, frame_index: int) -> Frame:
        """One frame, (H, W, 3) RGB; decoded anew by each call.

        Raises:
            NotFoundError: the clip has no such frame, or its file is damaged.
        """
        return read_frame(self.path(clip_id, frame_index))

    def glimpse(self, clip_id: int, frame_index: int) -> Frame:
        """As `read`, at a quarter of the frame's size."""
        return read_frame(self.path(clip_id, frame_index), quarter=True)

    def sequence(self, clip_id: int, frame_count: int) -> ClipFrames:
        """All frames of a clip as a sequence that reads from disk when asked."""
        return ClipFrames(self, clip_id, frame_count)


class ClipFrames(Sequence[Frame]):
    """The frames of one clip, decoded when asked for; the last few asked for are kept.

    Frames are read-only arrays, since a kept one is handed out again.  Safe from many threads.
    """

    def __init__(
        self, store: FrameStore, clip_id: int, frame_count: int, *, kept: int = KEPT_FRAMES
    ) -> None:
        self._store = store
        self._clip_id = clip_id
        self._frame_indices = range(frame_count)
        self._kept: LRUCache[int, Frame] = LRUCache(kept)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._frame_indices)

    @overload
    def __getitem__(self, place: int) -> Frame: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Frame]: ...

    def __getitem__(self, place: int | slice) -> Frame | Sequence[Frame]:
        """One frame, or for a slice another lazy sequence over that part of the clip."""
        if isinstance(place, slice):
            part = ClipFrames(self._store, self._clip_id, 0, kept=int(self._kept.maxsize))
            part._frame_indices = self._frame_indices[place]
            return part
        frame_index = self._frame_indices[place]  # IndexError past the end, as a list has it
        with self._lock:
            kept = self._kept.get(frame_index)
        if kept is not None:
            return kept
        frame = self._store.read(self._clip_id, frame_index)  # decoded outside the lock
        frame.setflags(write=False)
        with self._lock:
            self._kept[frame_index] = frame
        return frame


STRIP_FRAMES = 24


def strip_frames(frame_count: int) -> tuple[int, ...]:
    """Which frames the timeline's sprite shows: at most 24, evenly spaced, first and last in it.

    >>> strip_frames(3)
    (0, 1, 2)
    >>> strip_frames(47)[:3], strip_frames(47)[-1]
    ((0, 2, 4), 46)
    """
    shown = min(STRIP_FRAMES, frame_count)
    if shown <= 1:
        return (0,) * shown
    return tuple(round(place * (frame_count - 1) / (shown - 1)) for place in range(shown))
