"""The files of an export: where each lies and what is in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from annotation_store.export_snapshot import Snapshot
from annotation_store.formats import mask_png, overlay_video, palette_png, ref_vps
from annotation_store.frames import FrameStore
from video_types import Mask

ExportFormat = Literal["ref-vps", "masks", "overlay"]
FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)


@dataclass(frozen=True)
class ExportOptions:
    """What to write.

    `mask_step`: masks of every frame (1, 24 a second) or of every 4th (6 a second), from
    frame 0 on.  Overlay videos always show all frames.
    """

    mask_step: int = 1
    formats: frozenset[ExportFormat] = frozenset({"ref-vps"})


def steps_of(snapshot: Snapshot, options: ExportOptions) -> int:
    """How many steps writing a clip takes; checking takes as many."""
    count = snapshot.clip.frame_count
    return (
        ("ref-vps" in options.formats) * count
        + ("masks" in options.formats) * len(snapshot.ref.annotated)
        + ("overlay" in options.formats) * count
    )


def write_clip(
    frames: FrameStore, folder: Path, snapshot: Snapshot, options: ExportOptions
) -> Iterator[None]:
    """Write a clip's files below `folder`, yielding `steps_of` times."""
    if "ref-vps" in options.formats:
        dataset = ref_vps.RefVpsDataset(folder)
        dataset.frame_path(snapshot.ref, 0).parent.mkdir(parents=True)
        dataset.annotation_path(snapshot.ref, 0).parent.mkdir(parents=True)
        for frame_index in range(snapshot.clip.frame_count):
            stored = frames.path(snapshot.clip.id, frame_index)
            shutil.copyfile(stored, dataset.frame_path(snapshot.ref, frame_index))
            if frame_index in snapshot.ref.annotated:
                image = palette_png.encode(snapshot.index(frame_index))
                dataset.annotation_path(snapshot.ref, frame_index).write_bytes(image)
            yield
    if "masks" in options.formats:
        for frame_index in snapshot.ref.annotated:
            for path, mask in plain_masks(folder, snapshot, frame_index):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(mask_png.encode(mask))
            yield
    if "overlay" in options.formats:
        path = overlay_path(folder, snapshot)
        path.parent.mkdir(exist_ok=True)
        with overlay_video.OverlayWriter(path, snapshot.size, round(snapshot.clip.fps)) as writer:
            for frame_index in range(snapshot.clip.frame_count):
                frame = frames.read(snapshot.clip.id, frame_index)
                writer.write(overlay_video.draw(frame, snapshot.index(frame_index)))
                yield


def plain_masks(folder: Path, snapshot: Snapshot, frame_index: int) -> Iterator[tuple[Path, Mask]]:
    """Every plain mask of a frame: each target's own, and Ignore of those that have any."""
    name = f"{frame_index:05d}.png"
    clip = folder / "Masks" / snapshot.ref.folder
    with_ignore = {number for number, layer, _ in snapshot.masks if layer == "ignore"}
    for target in snapshot.ref.targets:
        number = target.number
        yield clip / str(number) / name, snapshot.mask(number, "target", frame_index)
        if number in with_ignore:
            ignore = snapshot.mask(number, "ignore", frame_index)
            yield clip / "ignore" / str(number) / name, ignore


def overlay_path(folder: Path, snapshot: Snapshot) -> Path:
    return folder / "Overlays" / f"{snapshot.ref.folder}.mp4"
