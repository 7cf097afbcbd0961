"""Masks from a folder of PNGs become masks of a target, as one edit that can be undone.

    python -m annotation_store.import_ Annotations/candle --workspace my-dataset --target 3

Palette PNGs are read as datasets have them: the pixels of one number are the target, those of
255 are Ignore.  Grey PNGs are plain masks: whatever is not 0 is the target.

    python -m annotation_store.import_ results/candle --workspace my-dataset --run 5 --name "Cutie"

makes them a run of the expression 5 instead, to be compared with other runs.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from annotation_store import runs
from annotation_store.clips import Clip
from annotation_store.edits import MaskChange
from annotation_store.errors import StoreError
from annotation_store.formats import mask_png, palette_png
from annotation_store.frame_folder import natural_key
from annotation_store.picture_file import opened
from annotation_store.runs import MaskRuns
from annotation_store.workspace import Workspace
from video_types import Mask, Size

SAVED_AT_ONCE = 32
IMPORTED = "import:"  # before the name of a run that was imported
Steps = Generator[tuple[int, int], None, "ImportReport"]
"""Yields (files done, files in all) and returns the report."""


class MaskImportError(StoreError):
    """A folder holds no masks that fit the clip; nothing was changed."""


@dataclass(frozen=True)
class ImportReport:
    """A finished import: its edit, and on how many frames it put a mask."""

    edit_id: int
    frames: int


def numbered_files(folder: Path, frame_count: int) -> list[tuple[int, Path]]:
    """The PNGs of `folder`, each with the `frame_index` it belongs to.

    As many files as the clip has frames belong to them in natural order.  Otherwise the number
    in each name is the frame's, counted from 0.

    Raises:
        MaskImportError: there are none, or a name has no number, one too high, or one twice.
    """
    files = [path for path in folder.glob("*.png") if not path.name.startswith(".")]
    if not files:
        raise MaskImportError(f"The folder “{folder.name}” holds no PNG files; expected masks.")
    files.sort(key=lambda path: natural_key(path.name))
    if len(files) == frame_count:
        return list(enumerate(files))
    numbered: dict[int, Path] = {}
    for path in files:
        numbers = re.findall(r"[0-9]+", path.stem)
        if not numbers:
            raise MaskImportError(
                f"“{path.name}” has no number, and {len(files)} masks do not cover the clip's "
                f"{frame_count} frames; name each after its frame, such as 00012.png."
            )
        frame_index = int(numbers[-1])
        if frame_index >= frame_count:
            raise MaskImportError(
                f"“{path.name}” is beyond the clip's last frame, {frame_count - 1}; frames are "
                "counted from 0."
            )
        if frame_index in numbered:
            raise MaskImportError(
                f"“{numbered[frame_index].name}” and “{path.name}” are both of frame {frame_index}."
            )
        numbered[frame_index] = path
    return sorted(numbered.items())


def read_mask(path: Path, size: Size, value: int) -> tuple[Mask, Mask | None]:
    """The target, (H, W), and for a palette PNG its Ignore.

    Raises:
        MaskImportError: it is not of `size`.
        PictureError, PaletteImageError, MaskImageError: it is no mask.
    """
    if _is_palette(path):
        index = palette_png.read(path)
        target, ignore = index == value, index == palette_png.IGNORE
    else:
        target, ignore = mask_png.read(path), None
    if target.shape != size:
        raise MaskImportError(
            f"“{path.name}” is {target.shape[1]}x{target.shape[0]}, but the clip's frames are "
            f"{size[1]}x{size[0]}. Import masks made on these frames."
        )
    return np.asarray(target, dtype=np.bool_), ignore


def _is_palette(path: Path) -> bool:
    with opened(path, ("PNG",)) as picture:
        return picture.mode == "P"


def import_steps(
    workspace: Workspace,
    target_id: int,
    folder: Path,
    annotator: str,
    *,
    value: int | None = None,
) -> Steps:
    """Give a target the masks in `folder`, replacing those it has on the same frames.

    `value` is the number to take from palette PNGs; by default the target's own.  Every file is
    read before the first change.  Closed early, what was saved stands and is one edit to undo.

    Raises:
        MaskImportError: the files do not fit the clip.
        StaleMaskError: a mask was changed meanwhile.
    """
    target = workspace.targets.get(target_id)
    clip = workspace.clips.get(target.clip_id)
    wanted = target.number if value is None else value
    files = numbered_files(folder, clip.frame_count)
    total = 2 * len(files)
    done = 0
    for _ in _masks(files, clip, wanted):
        done += 1
        yield done, total
    seen = {
        (stored.layer, stored.frame_index): stored.version
        for stored in workspace.masks.load_all(target_id)
    }
    edit_id = workspace.edits.start(target_id, "import", annotator, note=f"masks of {folder.name}")
    pending: list[MaskChange] = []
    for frame_index, mask, ignore in _masks(files, clip, wanted):
        known = seen.get(("target", frame_index), 0)
        pending.append(MaskChange("target", frame_index, MaskRuns.encode(mask), known))
        known = seen.get(("ignore", frame_index), 0)
        if ignore is not None and (known or ignore.any()):
            pending.append(MaskChange("ignore", frame_index, MaskRuns.encode(ignore), known))
        if len(pending) >= SAVED_AT_ONCE:
            workspace.edits.extend(edit_id, pending)
            pending = []
        done += 1
        yield done, total
    if pending:
        workspace.edits.extend(edit_id, pending)
    return ImportReport(edit_id, len(files))


def import_run_steps(
    workspace: Workspace, expression_id: int, folder: Path, name: str, *, value: int | None = None
) -> Generator[tuple[int, int], None, int]:
    """Make the masks in `folder` a finished draft of an expression, as if `name` had drawn them.

    Yields (files done, files in all) and returns the draft's id.  Every file is read before the
    draft is begun.  Their soft maps are as hard as the masks.

    Raises:
        MaskImportError: the files do not fit the clip.
        StoreError: `name` is empty.
    """
    if not name.strip():
        raise StoreError("Expected a name for the run, such as the method's.")
    expression = workspace.expressions.get(expression_id)
    clip = workspace.clips.get(expression.clip_id)
    wanted = workspace.targets.get(expression.target_id).number if value is None else value
    files = numbered_files(folder, clip.frame_count)
    total = 2 * len(files)
    done = 0
    digest = hashlib.sha256()
    for _, mask, _ in _masks(files, clip, wanted):
        digest.update(np.packbits(mask).tobytes())
        done += 1
        yield done, total
    draft = workspace.drafts.start(
        expression_id, f"{IMPORTED}{name.strip()}", digest.hexdigest(), 0, {"folder": folder.name}
    )
    try:
        for frame_index, mask, _ in _masks(files, clip, wanted):
            soft_map = cv2.imencode(".png", mask.astype(np.uint8) * 255)[1].tobytes()
            workspace.drafts.save_frames(draft.id, [(frame_index, runs.encode(mask), soft_map)])
            done += 1
            yield done, total
    except BaseException:  # also closed early: half a run would look like a bad one
        workspace.drafts.remove(draft.id)
        raise
    workspace.drafts.finish(draft.id, "done")
    return draft.id


def _masks(
    files: Sequence[tuple[int, Path]], clip: Clip, value: int
) -> Iterator[tuple[int, Mask, Mask | None]]:
    for frame_index, path in files:
        mask, ignore = read_mask(path, (clip.height, clip.width), value)
        yield frame_index, mask, ignore


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 0, or 1 if the masks were refused."""
    parser = argparse.ArgumentParser(
        prog="python -m annotation_store.import_",
        description="Give a target the masks in a folder of PNGs, one per frame, or make them a "
        "run to compare others with.",
    )
    parser.add_argument("folder", type=Path, help="palette or grey PNGs, named after their frames")
    parser.add_argument("--workspace", type=Path, required=True, help="folder of the dataset")
    whose = parser.add_mutually_exclusive_group(required=True)
    whose.add_argument("--target", type=int, metavar="ID", help="whose masks they become")
    whose.add_argument("--run", type=int, metavar="ID", help="the expression they are a run of")
    parser.add_argument("--name", default="", help="what the run is called, such as the method's")
    parser.add_argument("--annotator", default="import", help="in whose name; default import")
    parser.add_argument(
        "--value", type=int, help="number to take from palette PNGs; default the target's own"
    )
    options = parser.parse_args(arguments)
    try:
        with Workspace.open(options.workspace) as workspace:
            folder, value = options.folder, options.value
            steps: Generator[tuple[int, int], None, object]
            if options.run is not None:
                steps = import_run_steps(workspace, options.run, folder, options.name, value=value)
            else:
                steps = import_steps(
                    workspace, options.target, folder, options.annotator, value=value
                )
            frames = sum(1 for _ in steps) // 2
    except StoreError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"masks on {frames} frames")
    return 0


if __name__ == "__main__":
    sys.exit(main())
