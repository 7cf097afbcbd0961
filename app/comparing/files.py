"""The files of an exported comparison: tables, masks and videos, written and read back."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from annotation_store import runs as coco_runs
from annotation_store.export_check import Checked
from annotation_store.formats import comparison_video, mask_png, overlay_video
from annotation_store.formats.comparison_figure import Cell, Column, Row, write_figure
from annotation_store.formats.ref_vps import folder_names
from annotation_store.frames import FrameStore
from app.comparing.numbers import RUN_FACTS
from app.comparing.runs import ANNOTATION, Compared, Run
from app.settings import VERSION
from video_types import Frame, Mask

LIBRARIES = ("torch", "diffusers", "transformers")
FORMAT, FORMAT_VERSION = "refscribe comparison", 1
VIDEO_NAMES = {"side-by-side": "side-by-side.mp4", "wipe": "wipe.mp4"}


@dataclass(frozen=True)
class Written:
    """What an export is made of: the runs as they were when it began, and their numbers."""

    compared: Compared
    numbers: Mapping[str, Any]
    frames: FrameStore

    def mask(self, run: Run, frame_index: int) -> Mask | None:
        return self._decoded(run.masks, frame_index)

    def _decoded(self, masks: Mapping[int, bytes], frame_index: int) -> Mask | None:
        counts = masks.get(frame_index)
        return None if counts is None else coco_runs.decode(counts, self.compared.clip.size)

    def frame(self, frame_index: int) -> Frame:
        return self.frames.read(self.compared.clip.id, frame_index)

    def annotated(self, frame_index: int) -> tuple[Mask | None, Mask | None]:
        """The annotation and its Ignore."""
        annotation = self.compared.annotation
        if annotation is None:
            return None, None
        return (
            self._decoded(annotation.masks, frame_index),
            self._decoded(annotation.ignore, frame_index),
        )


def versions() -> dict[str, str]:
    """What computed the numbers and, where they are installed, the masks."""
    found = {"refscribe": VERSION}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = ""
    return found


def mask_folders(compared: Compared) -> dict[str, str]:
    """By run: the folder of its masks, `masks/<run>/Annotations/<clip>/<expression>`."""
    (clip,) = folder_names([compared.clip.name])
    names = folder_names([run.title for run in compared.runs])
    return {
        run.key: f"masks/{name}/Annotations/{clip}/{run.place}"
        for run, name in zip(compared.runs, names, strict=True)
    }


def write_json(path: Path, written: Written) -> None:
    path.write_text(json.dumps(described(written), ensure_ascii=False, indent=1) + "\n", "utf-8")


def described(written: Written) -> dict[str, Any]:
    """All numbers, and what is needed to have them again."""
    clip = written.compared.clip
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "versions": versions(),
        "clip": {
            "name": clip.name,
            "width": clip.width,
            "height": clip.height,
            "fps": clip.fps,
            "source_name": clip.source_name,
            "source_sha256": clip.source_sha256,
        },
        "mask_folders": mask_folders(written.compared),
        **written.numbers,
    }


def tables(written: Written) -> dict[str, list[list[Any]]]:
    """The CSV files by name: rows of cells, the first row being the heads."""
    numbers = written.numbers
    found = versions()
    heads = [*RUN_FACTS, "target_id"]
    per_frame: list[list[Any]] = [[*heads, "frame_index", "j", "f"]]
    per_clip: list[list[Any]] = [
        [
            *(*heads, "frames_done", "frames_compared", "j", "f", "jf", "consistency"),
            *("consistency_absolute", "iou_gap_1", "iou_gap_5", *found),
        ]
    ]
    for run in numbers["runs"]:
        facts = [run[name] for name in RUN_FACTS] + [numbers["target_id"]]
        for frame_index, (j, f) in enumerate(zip(run["j"], run["f"], strict=True)):
            per_frame.append([*facts, frame_index, j, f])
        mean = run["mean"] or {}
        temporal = run["temporal"] or {}
        per_clip.append(
            [
                *(*facts, run["frames_done"], run["frames_compared"]),
                *(mean.get(name) for name in ("j", "f", "jf")),
                *(temporal.get(name) for name in ("consistency", "consistency_absolute")),
                *(*run["iou_gap"].values(), *found.values()),
            ]
        )
    agreed: list[list[Any]] = [["a", "b", "frame_index", "j"]]
    for pair in numbers["agreement"]:
        agreed += [[pair["a"], pair["b"], index, j] for index, j in enumerate(pair["j"])]
    both = {"frames.csv": per_frame, "clip.csv": per_clip}
    return both | ({"agreement.csv": agreed} if numbers["agreement"] else {})


def csv_text(rows: Sequence[Sequence[Any]]) -> str:
    """Numbers in full, nothing for what there is none of.

    >>> csv_text([["a", "b"], [0.1, None]])
    'a,b\\n0.1,\\n'
    """
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()


def write_masks(folder: Path, written: Written) -> Iterator[None]:
    """PNGs of 0 and 255 in the layout the benchmarks take, a step each."""
    for path, mask in _mask_files(folder, written):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(mask_png.encode(mask))
        yield


def _mask_files(folder: Path, written: Written) -> Iterator[tuple[Path, Mask]]:
    folders = mask_folders(written.compared)
    for run in written.compared.runs:
        for frame_index in sorted(run.masks):
            mask = written.mask(run, frame_index)
            assert mask is not None
            yield folder / folders[run.key] / f"{frame_index:05d}.png", mask


def write_side_by_side(path: Path, written: Written) -> Iterator[None]:
    """Every frame with each run's mask, below the run's title."""
    clip = written.compared.clip
    runs = written.compared.runs
    captions = [comparison_video.caption(run.title, clip.width) for run in runs]
    size = comparison_video.side_by_side_size(clip.size, len(runs))
    with overlay_video.OverlayWriter(path, size, round(clip.fps)) as writer:
        for frame_index in range(clip.frame_count):
            pictures = _pictures(written, runs, frame_index)
            writer.write(comparison_video.side_by_side(pictures, captions))
            yield


def write_wipe(path: Path, written: Written) -> Iterator[None]:
    """The first two runs, with an edge that swings between them."""
    clip = written.compared.clip
    left, right = written.compared.runs[:2]
    bar = comparison_video.wipe_caption(left.title, right.title, clip.width)
    size = comparison_video.wipe_size(clip.size)
    with overlay_video.OverlayWriter(path, size, round(clip.fps)) as writer:
        for frame_index in range(clip.frame_count):
            first, second = _pictures(written, (left, right), frame_index)
            edge = comparison_video.edge_at(frame_index / clip.fps, clip.width)
            writer.write(comparison_video.wipe(first, second, edge, bar))
            yield


def _pictures(written: Written, runs: Sequence[Run], frame_index: int) -> list[Frame]:
    frame = written.frame(frame_index)
    return [
        comparison_video.shown(frame, written.mask(run, frame_index), number)
        for number, run in enumerate(runs, start=1)
    ]


def write_figures(paths: Sequence[Path], written: Written, frames: Sequence[int]) -> None:
    """The same figure at each of `paths`: .png or .pdf."""
    fps = written.compared.clip.fps
    columns = [
        Column(f"frame {index}  ({index / fps:.2f} s)", written.frame(index)) for index in frames
    ]
    rows = _annotation_rows(written, frames)
    by_key = {run["key"]: run for run in written.numbers["runs"]}
    for number, run in enumerate(written.compared.runs, start=1):
        numbers = by_key[run.key]
        cells = [
            Cell(written.mask(run, index), None, _note(numbers["j"][index], numbers["f"][index]))
            for index in frames
        ]
        rows.append(Row(run.title, run.expression, number, cells))
    for path in paths:
        write_figure(path, columns, rows)


def _annotation_rows(written: Written, frames: Sequence[int]) -> list[Row]:
    """The annotation's row, unless nothing is annotated or it is among the runs anyway."""
    compared = written.compared
    own = compared.annotation
    if own is None or not own.masks or own.target_id in [run.target_id for run in compared.runs]:
        return []
    cells = [Cell(*written.annotated(frame_index)) for frame_index in frames]
    return [Row(ANNOTATION.capitalize(), "", len(compared.runs) + 1, cells)]


def _note(j: float | None, f: float | None) -> str:
    """
    >>> _note(0.8, 0.5), _note(None, None)
    ('J 0.80  F 0.50', '')
    """
    return "" if j is None or f is None else f"J {j:.2f}  F {f:.2f}"


def check_masks(checked: Checked, written: Written) -> Iterator[None]:
    for path, mask in _mask_files(checked.folder, written):
        checked.require(np.array_equal(mask_png.read(path), mask), path)
        yield


def check_video(checked: Checked, written: Written, name: str) -> Iterator[None]:
    """Decode a video to its end: as many frames as the clip, of the right size."""
    path = checked.folder / VIDEO_NAMES[name]
    size = written.compared.clip.size
    height, width = (
        comparison_video.wipe_size(size)
        if name == "wipe"
        else comparison_video.side_by_side_size(size, len(written.compared.runs))
    )
    even = (height + height % 2, width + width % 2)
    count = 0
    for decoded in overlay_video.decoded_sizes(path):
        checked.require(decoded == even, path)
        count += 1
        yield
    checked.require(count == written.compared.clip.frame_count, path)
