"""Reading an export back: every file is compared with what the store held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from annotation_store.errors import ExportError, StoreError
from annotation_store.export_files import ExportOptions, overlay_path, plain_masks
from annotation_store.export_snapshot import Snapshot
from annotation_store.formats import mask_png, overlay_video, ref_vps
from annotation_store.frames import FrameStore


class Checked:
    """The files of an export that were read back and found right."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: set[Path] = set()

    def require(self, right: bool, path: Path) -> None:
        if not right:
            raise ExportError(
                f"“{path.relative_to(self.folder)}” does not read back as it was written. The "
                "disk may be failing; nothing of the export was kept."
            )
        self.files.add(path)

    def require_no_others(self) -> None:
        found = {path for path in self.folder.rglob("*") if path.is_file()}
        for path in found - self.files:
            raise ExportError(
                f"“{path.relative_to(self.folder)}” appeared in the export from elsewhere; "
                "nothing of the export was kept."
            )


@contextmanager
def reading_back() -> Iterator[None]:
    """Turns a reader's complaint about a file of ours into an ExportError."""
    try:
        yield
    except ExportError:
        raise
    except StoreError as error:
        raise ExportError(
            f"The export does not read back as it was written: {error} Nothing of it was kept."
        ) from error


def check_clip(
    frames: FrameStore, checked: Checked, snapshot: Snapshot, options: ExportOptions
) -> Iterator[None]:
    """Read a clip's files back, yielding as often as writing them did.

    Raises:
        ExportError: one of them is not as the store had it.
    """
    if "ref-vps" in options.formats:
        dataset = ref_vps.RefVpsDataset(checked.folder)
        for frame_index in range(snapshot.clip.frame_count):
            stored = frames.path(snapshot.clip.id, frame_index)
            path = dataset.frame_path(snapshot.ref, frame_index)
            checked.require(path.read_bytes() == stored.read_bytes(), path)
            if frame_index in snapshot.ref.annotated:
                image = dataset.annotation(snapshot.ref, frame_index)
                expected = snapshot.index(frame_index)
                path = dataset.annotation_path(snapshot.ref, frame_index)
                checked.require(np.array_equal(image, expected), path)
            yield
    if "masks" in options.formats:
        for frame_index in snapshot.ref.annotated:
            for path, mask in plain_masks(checked.folder, snapshot, frame_index):
                checked.require(np.array_equal(mask_png.read(path), mask), path)
            yield
    if "overlay" in options.formats:
        path = overlay_path(checked.folder, snapshot)
        height, width = snapshot.size
        even = (height + height % 2, width + width % 2)
        count = 0
        for size in overlay_video.decoded_sizes(path):
            checked.require(size == even, path)
            count += 1
            yield
        checked.require(count == snapshot.clip.frame_count, path)


def check_meta(checked: Checked, snapshots: Sequence[Snapshot]) -> None:
    """Read the JSON files back and compare all they say."""
    folder = checked.folder
    right = ref_vps.read(folder).clips == tuple(snapshot.ref for snapshot in snapshots)
    checked.require(right, folder / "meta.json")
    checked.require(right, folder / "meta_expressions" / "meta_expressions.json")
