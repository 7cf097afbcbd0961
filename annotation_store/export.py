"""Clips become a dataset on disk: written aside, read back and compared, then renamed.

    python -m annotation_store.export my-dataset-2026 --workspace my-dataset --mask-step 4

What is exported is what the store held when the export began.
"""

from __future__ import annotations

import argparse
import errno
import itertools
import sys
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from annotation_store.errors import ExportError, StoreError
from annotation_store.export_check import Checked, check_clip, check_meta, reading_back
from annotation_store.export_files import FORMATS, ExportFormat, ExportOptions, steps_of, write_clip
from annotation_store.export_snapshot import take_snapshots
from annotation_store.formats import ref_vps
from annotation_store.half_done import half_done
from annotation_store.workspace import Workspace

__all__ = ["FORMATS", "ExportFormat", "ExportOptions", "ExportReport", "export", "export_steps"]

Steps = Generator[tuple[int, int, str], None, "ExportReport"]
"""Yields (steps done, steps in all, what is being done) and returns the report."""


@dataclass(frozen=True)
class ExportReport:
    """A finished export.  `frames` counts annotation images or masks of annotated frames."""

    folder: Path
    clips: int
    frames: int
    files: int
    checked: bool


def export_steps(
    workspace: Workspace,
    clip_ids: Sequence[int],
    destination: Path,
    options: ExportOptions | None = None,
) -> Steps:
    """Write clips to the new folder `destination`; closing the generator early leaves nothing.

    Where that name is taken by the end, the folder has the first number behind it that is free.

    Raises:
        ExportError: there is nothing to export, the disk is full, or what was written did not
            read back as it was.  Nothing is left.
        NotFoundError: a clip is not in the workspace.
    """
    options = options or ExportOptions()
    _require_sensible(clip_ids, options)
    snapshots = take_snapshots(workspace, clip_ids, options.mask_step)
    counts = [steps_of(snapshot, options) for snapshot in snapshots]
    total = 2 * sum(counts)
    done = 0
    with aside(destination) as folder:
        for snapshot in snapshots:
            for _ in write_clip(workspace.frames, folder, snapshot, options):
                done += 1
                yield done, total, f"Writing {snapshot.clip.name}"
        if "ref-vps" in options.formats:
            ref_vps.write_meta(folder, [snapshot.ref for snapshot in snapshots])
        checked = Checked(folder)
        with reading_back():
            for snapshot in snapshots:
                for _ in check_clip(workspace.frames, checked, snapshot, options):
                    done += 1
                    yield done, total, f"Reading {snapshot.clip.name} back"
            if "ref-vps" in options.formats:
                check_meta(checked, snapshots)
            checked.require_no_others()
        final = finish(folder, destination)
    return ExportReport(
        folder=final,
        clips=len(snapshots),
        frames=sum(len(snapshot.ref.annotated) for snapshot in snapshots),
        files=len(checked.files),
        checked=True,
    )


def export(
    workspace: Workspace,
    clip_ids: Sequence[int],
    destination: Path,
    options: ExportOptions | None = None,
    *,
    progress: Callable[[int, int, str], None] | None = None,
) -> ExportReport:
    """`export_steps` to its end."""
    with closing(export_steps(workspace, clip_ids, destination, options)) as steps:
        while True:
            try:
                step = next(steps)
            except StopIteration as finished:
                report: ExportReport = finished.value
                return report
            if progress is not None:
                progress(*step)


def _require_sensible(clip_ids: Sequence[int], options: ExportOptions) -> None:
    if not clip_ids:
        raise ExportError("No clip was chosen; choose at least one to export.")
    if options.mask_step not in (1, 4):
        raise ExportError(
            f"Masks are exported at every frame or every 4th; {options.mask_step} is neither."
        )
    unknown = set(options.formats) - set(FORMATS)
    if unknown or not options.formats:
        raise ExportError(f"Choose one or more of {', '.join(FORMATS)} to export.")


@contextmanager
def aside(destination: Path) -> Iterator[Path]:
    """A folder beside `destination`, gone afterwards unless it was renamed to it.

    Raises:
        ExportError: the disk is full or cannot be written.
    """
    folder = destination.with_name(f".{destination.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        with half_done(folder):
            yield folder
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise ExportError(
                f"The disk that holds “{destination.parent}” is full; nothing of the export was "
                "kept. Make room, or choose another place."
            ) from error
        raise ExportError(
            f"The export stopped: {error.strerror or error}. Nothing of it was kept."
        ) from error


def finish(folder: Path, destination: Path) -> Path:
    """Give `folder`, which is whole, its name: `destination`, numbered if that is taken.

    The name is taken only here: exports are named after the day, and several may run at once.
    """
    for number in itertools.count(1):
        final = (
            destination if number == 1 else destination.with_name(f"{destination.name}_{number}")
        )
        if final.exists():
            continue
        try:
            return folder.rename(final)
        except OSError as error:
            # Another export was faster between the question and the renaming.
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
    raise AssertionError("numbers do not end")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 0, or 1 if the export was refused."""
    parser = argparse.ArgumentParser(
        prog="python -m annotation_store.export",
        description="Write clips with their masks to a new folder and check what was written.",
    )
    parser.add_argument("destination", type=Path, help="the new folder")
    parser.add_argument("--workspace", type=Path, required=True, help="folder of the dataset")
    parser.add_argument(
        "--clip",
        type=int,
        action="append",
        metavar="ID",
        help="number of a clip, as often as wanted; otherwise every clip",
    )
    parser.add_argument(
        "--mask-step",
        type=int,
        choices=(1, 4),
        default=1,
        help="masks of every frame (24 a second) or of every 4th (6 a second); default 1",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        action="append",
        help="what to write, as often as wanted; default ref-vps",
    )
    options = parser.parse_args(arguments)
    wanted = ExportOptions(options.mask_step, frozenset(options.format or ("ref-vps",)))
    try:
        if options.destination.exists():
            raise ExportError(
                f"“{options.destination}” exists already; choose another name for the export."
            )
        with Workspace.open(options.workspace) as workspace:
            clip_ids = options.clip or [clip.id for clip in workspace.clips.list()]
            report = export(
                workspace, clip_ids, options.destination, wanted, progress=_show_progress
            )
    except StoreError as error:
        print(f"\r{error}", file=sys.stderr)
        return 1
    print(
        f"\r{report.folder}: {report.clips} clips, {report.frames} annotated frames, "
        f"{report.files} files, read back and compared"
    )
    return 0


def _show_progress(done: int, total: int, what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{what}: {100 * done // total} %", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
