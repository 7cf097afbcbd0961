"""Features that engines computed of stored frames, kept on disk so that none is computed twice.

They are only saved work: what is missing, damaged or not writable is computed again, and nobody is
bothered with it.  Together they take no more room than they may; those not used for longest
go first.  Needs no database.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from annotation_store.frames import clip_folder

log = logging.getLogger(__name__)

ROOM_LEFT_BYTES = 2**30
"""Of the disk, for what people make; features are not written into it."""
AFTER_CLEARING = 0.9
"""Of the room they may take, what is full after the oldest have gone."""
LEFT_BEHIND_S = 3600.0

Features = npt.NDArray[np.float16]


def features_folder(workspace_folder: Path, clip_id: int) -> Path:
    """All that is kept of one clip's frames."""
    return workspace_folder / "cache" / "features" / str(clip_id)


class FeatureStore:
    """Features by clip, frame and engine.  No method raises; threads and processes may share it."""

    def __init__(
        self, workspace_folder: Path, bound_bytes: int, *, room_left_bytes: int = ROOM_LEFT_BYTES
    ) -> None:
        """`bound_bytes` is the room all features may take, 0 to keep none."""
        self._workspace = Path(workspace_folder)
        self._root = self._workspace / "cache" / "features"
        self._bound = bound_bytes
        self._room_left = room_left_bytes
        self._lock = threading.Lock()
        self._taken: int | None = None  # bytes; None until they were counted
        self._complained = False

    def load(self, clip_id: int, frame_index: int, engine: str) -> Features | None:
        """What `save` was given; None where there is nothing, or nothing whole."""
        if not self._bound:
            return None
        path = self._path(clip_id, frame_index, engine)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
                found: npt.NDArray[Any] = kept["features"]  # read through: its sum is checked
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001  # a flipped bit: an archive raises anything
            log.warning("%s is damaged; it is computed again (%s)", path, error)
            return None
        with suppress(OSError):  # somebody else's file may be read and not touched
            os.utime(path)  # used just now
        return found if found.dtype == np.float16 else None

    def save(self, clip_id: int, frame_index: int, engine: str, features: Features) -> None:
        """Keep features, whole or not at all."""
        if not self._bound or not clip_folder(self._workspace, clip_id).is_dir():
            return  # a clip that was removed meanwhile takes its features along
        path = self._path(clip_id, frame_index, engine)
        aside = path.with_name(f".{uuid4().hex}.part")
        try:
            if shutil.disk_usage(self._workspace).free - features.nbytes < self._room_left:
                self._complain("the disk is nearly full")
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            with aside.open("wb") as file:
                np.savez(file, features=features.astype(np.float16, copy=False))
                written = file.tell()
            aside.replace(path)
        except OSError as error:
            self._complain(error.strerror or str(error))
            try:
                aside.unlink(missing_ok=True)
            except OSError:
                log.warning("%s is left behind", aside)
            return
        with self._lock:
            if self._taken is not None:
                self._taken += written
            if self._taken is None or self._taken > self._bound:
                self._clear()

    def size_bytes(self) -> int:
        """The room all features take now."""
        return sum(size for _, size, _ in self._files())

    def _path(self, clip_id: int, frame_index: int, engine: str) -> Path:
        word = hashlib.sha256(engine.encode()).hexdigest()[:16]
        return features_folder(self._workspace, clip_id) / word / f"{frame_index:05d}.npz"

    def _clear(self) -> None:
        """Count what is there, and remove the oldest where it is too much."""
        self._remove_orphans()
        files = sorted(self._files())
        self._taken = sum(size for _, size, _ in files)
        if self._taken <= self._bound:
            return
        for _, size, path in files:
            if self._taken <= AFTER_CLEARING * self._bound:
                break
            try:
                Path(path).unlink(missing_ok=True)
            except OSError as error:
                self._complain(error.strerror or str(error))
            else:
                self._taken -= size

    def _remove_orphans(self) -> None:
        """What a removed clip or a killed program left behind."""
        try:
            for folder in self._root.iterdir():
                if (
                    folder.name.isdecimal()
                    and not clip_folder(self._workspace, int(folder.name)).is_dir()
                ):
                    shutil.rmtree(folder, ignore_errors=True)
            for part in self._root.glob("*/*/.*.part"):
                if time.time() - part.stat().st_mtime > LEFT_BEHIND_S:
                    part.unlink(missing_ok=True)
        except OSError as error:
            log.info("features left behind cannot be looked for: %s", error)

    def _files(self) -> Iterator[tuple[float, int, str]]:
        """When each file was last used, its size, and its path."""
        for folder, _, names in os.walk(self._root):
            for name in names:
                path = os.path.join(folder, name)
                try:
                    about = os.stat(path)
                except OSError:
                    continue  # another program was faster
                yield about.st_mtime, about.st_size, path

    def _complain(self, reason: str) -> None:
        if not self._complained:
            self._complained = True
            log.warning("features of frames are not kept on disk: %s", reason)
