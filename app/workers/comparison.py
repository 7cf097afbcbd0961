"""What the store worker does for a comparison: the slow numbers, and taking it all out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from annotation_store.export import aside, finish
from annotation_store.export_check import Checked, reading_back
from annotation_store.workspace import Workspace
from app.comparing import files as compare_files
from app.comparing import runs as compare_runs
from app.comparing.files import VIDEO_NAMES, Written
from app.comparing.numbers import (
    Pair,
    boundaries,
    boundary,
    comparison_json,
    overlaps,
    truth_pairs,
)
from app.comparing.runs import Compared
from app.notices import RefusedError
from app.workers.messages import Exported, Progress
from app.workers.process import Steps, Tasks
from video_types import Size

ComparisonFormat = Literal["png", "pdf", "csv", "json", "masks", "side-by-side", "wipe"]
USUAL_FRAMES = 5
MOST_COLUMNS = 12
MOST_PANES = 4


def compare_tasks(workspace: Workspace) -> Tasks:
    """Tasks beside those of `store_tasks.store_tasks`."""
    return {"boundaries": boundaries, "export-comparison": partial(export_comparison, workspace)}


def evenly_spaced(frame_count: int, wanted: int = USUAL_FRAMES) -> list[int]:
    """Frames for a figure: the middles of as many equal parts of the clip.

    >>> evenly_spaced(100), evenly_spaced(2)
    ([10, 30, 50, 70, 90], [0, 1])
    """
    count = min(wanted, frame_count)
    return [(2 * place + 1) * frame_count // (2 * count) for place in range(count)]


def require_exportable(
    compared: Compared, formats: Sequence[str], frames: Sequence[int] | None
) -> list[int]:
    """The frames of the figure, if all of `formats` can be made.

    Raises:
        RefusedError: a frame is not in the clip, or there are too few or many runs or frames.
    """
    count = compared.clip.frame_count
    chosen = evenly_spaced(count) if frames is None else sorted(set(frames))
    outside = [index for index in chosen if not 0 <= index < count]
    if outside:
        raise RefusedError(
            f"Frame {outside[0]} is not in “{compared.clip.name}”, whose frames are 0 to "
            f"{count - 1}."
        )
    if not 1 <= len(chosen) <= MOST_COLUMNS and {"png", "pdf"} & set(formats):
        raise RefusedError(
            f"Expected one to {MOST_COLUMNS} frames for the figure, got {len(chosen)}."
        )
    if "side-by-side" in formats and len(compared.runs) > MOST_PANES:
        raise RefusedError(
            f"Expected at most {MOST_PANES} runs side by side, got {len(compared.runs)}."
        )
    if "wipe" in formats and len(compared.runs) < 2:
        raise RefusedError("Expected two runs to wipe between, got one.")
    return chosen


def export_comparison(
    workspace: Workspace,
    *,
    clip_id: int,
    keys: Sequence[str],
    target_id: int | None,
    frames: Sequence[int] | None,
    formats: Sequence[ComparisonFormat],
    destination: str,
) -> Steps:
    """Write a comparison to the new folder `destination`, numbered if that name is taken.

    Returns an Exported.

    What is written is what the store held when this began.  Closed early, it leaves nothing.
    """
    compared = compare_runs.load(workspace, clip_id, keys, target_id)
    chosen = require_exportable(compared, formats, frames)
    pairs = {pair for run in compared.runs for pair in truth_pairs(compared, run).values()}
    total = len(pairs) + 2 * _steps(compared, formats)
    numbers = yield from _numbers(compared, pairs, total)
    written = Written(compared, numbers, workspace.frames)
    done = len(pairs)
    with aside(Path(destination)) as folder:
        for stage in _write(folder, written, chosen, formats):
            done += 1
            yield Progress(done, total, stage)
        checked = Checked(folder)
        with reading_back():
            for _ in _check(checked, written, formats):
                done += 1
                yield Progress(done, total, "Reading it back")
            checked.require_no_others()
        final = finish(folder, Path(destination))
    return Exported(str(final), len(checked.files), compared.clip.frame_count, checked=True)


def _numbers(compared: Compared, pairs: set[Pair], total: int) -> Steps:
    """Everything `comparison_json` has; yields after each F of `pairs`, which are slow."""
    edges: dict[Pair, float] = {}
    for done, pair in enumerate(pairs, start=1):
        edges[pair] = boundary(pair, compared.clip.size)
        yield Progress(done, total, "Measuring boundaries")

    def measured(wanted: Sequence[Pair], _size: Size) -> list[float]:
        return [edges[pair] for pair in wanted]

    return comparison_json(compared, overlaps, measured)


def _steps(compared: Compared, formats: Sequence[str]) -> int:
    """How many steps writing takes; reading back takes about as many."""
    videos = len(VIDEO_NAMES.keys() & set(formats)) * compared.clip.frame_count
    masks = sum(len(run.masks) for run in compared.runs) if "masks" in formats else 0
    return max(1, videos + masks)


def _write(
    folder: Path, written: Written, frames: Sequence[int], formats: Sequence[str]
) -> Iterator[str]:
    """Yields what is being written."""
    if "csv" in formats:
        for name, rows in compare_files.tables(written).items():
            (folder / name).write_text(compare_files.csv_text(rows), "utf-8")
    if "json" in formats:
        compare_files.write_json(folder / "numbers.json", written)
    figures = [folder / f"figure.{ending}" for ending in ("png", "pdf") if ending in formats]
    if figures:
        compare_files.write_figures(figures, written, frames)
    if "masks" in formats:
        for _ in compare_files.write_masks(folder, written):
            yield "Writing masks"
    if "side-by-side" in formats:
        for _ in compare_files.write_side_by_side(folder / VIDEO_NAMES["side-by-side"], written):
            yield "Filming side by side"
    if "wipe" in formats:
        for _ in compare_files.write_wipe(folder / VIDEO_NAMES["wipe"], written):
            yield "Filming the wipe"


def _check(checked: Checked, written: Written, formats: Sequence[str]) -> Iterator[None]:
    folder = checked.folder
    if "csv" in formats:
        for name, rows in compare_files.tables(written).items():
            text = (folder / name).read_text("utf-8")
            checked.require(text == compare_files.csv_text(rows), folder / name)
    if "json" in formats:
        path = folder / "numbers.json"
        said: Any = json.loads(path.read_text("utf-8"))
        checked.require(said == compare_files.described(written), path)
    for name, begins in (("figure.png", b"\x89PNG"), ("figure.pdf", b"%PDF")):
        if name.removeprefix("figure.") in formats:
            checked.require((folder / name).read_bytes().startswith(begins), folder / name)
    if "masks" in formats:
        yield from compare_files.check_masks(checked, written)
    for name in VIDEO_NAMES:
        if name in formats:
            yield from compare_files.check_video(checked, written, name)
