"""Video files and folders of frames become clips: all or nothing.

    python -m annotation_store.ingest candle.mp4 --workspace my-dataset --trim 2.5 9

Frames are written to `incoming/<unique>/`.  When all are there, one transaction inserts the
clip's row, renames that folder to `clips/<id>/`, and commits.  A process that dies before the
commit leaves no row; whatever folder it left is no clip and is cleared away.
"""

from __future__ import annotations

import argparse
import errno
import shutil
import sys
import threading
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TypeVar

import av

from annotation_store.clips import Clip
from annotation_store.errors import DuplicateClipError, IngestError, StoreError
from annotation_store.features import features_folder
from annotation_store.frame_folder import (
    Picture,
    list_pictures,
    measure,
    read_image,
    read_whole,
    require_one_size,
)
from annotation_store.frame_writer import FrameWriter, encode_jpeg, write_thumb_and_strip
from annotation_store.frames import clip_folder
from annotation_store.half_done import half_done
from annotation_store.ingest_plan import (
    Limits,
    Plan,
    Wish,
    digest_steps,
    make_plan,
    require_at_most,
)
from annotation_store.video_source import (
    CLIP_FPS,
    Shown,
    Timed,
    Uprighter,
    at_constant_rate,
    cropped,
    probe,
    shown_pictures,
)
from annotation_store.workspace import Workspace

T = TypeVar("T")

Steps = Generator[tuple[int, int | None], None, Clip]
"""Yields (frames done, frames in all or None while unknown) and returns the clip."""


def ingest_steps(
    workspace: Workspace,
    source: Path | Sequence[Path],
    *,
    name: str | None = None,
    trim_s: tuple[float, float | None] | None = None,
    crop: tuple[int, int, int, int] | None = None,
    allow_duplicate: bool = False,
    limits: Limits | None = None,
    source_name: str | None = None,
) -> Steps:
    """Make a clip of a video file, a folder of frames, or the picture files given.

    `trim_s` is (start, end) in seconds from the source's first picture, end None for all the
    rest; the pictures of a folder count as 24 a second.  `crop` is (x, y, width, height) in
    pixels of the upright picture.  `source_name` stands in the clip's row instead of the
    source's own name, for an upload that lies under another.  Closing the generator early
    leaves nothing behind.

    Raises:
        IngestError: the source is missing, damaged, too large, or trim or crop lie outside it.
        DuplicateClipError: the same source with the same trim and crop is a clip already.
    """
    wish = Wish(name, trim_s, crop, allow_duplicate, limits or Limits(), source_name)
    with _disk_explained(workspace.folder):
        if isinstance(source, Path) and not source.is_dir():
            return (yield from _video_steps(workspace, source, wish))
        return (yield from _frames_steps(workspace, source, wish))


def _video_steps(workspace: Workspace, path: Path, wish: Wish) -> Steps:
    name = wish.source_name or path.name
    if path.is_file():
        require_at_most(path.stat().st_size, wish.limits.max_bytes, "bytes", name)
    info = probe(path)
    largest = max(info.width * info.height, info.stored_width * info.stored_height)
    require_at_most(largest, wish.limits.max_pixels, "pixels a frame", name)
    plan = make_plan(
        wish,
        source_name=path.name,
        source_sha256=(yield from digest_steps([path])),
        size=(info.width, info.height),
        duration_s=None if info.duration_s is None else Fraction(info.duration_s),
        rotation=info.rotation,
    )
    _refuse_duplicate(workspace, plan, wish)
    mine = threading.local()

    def jpeg(picture: av.VideoFrame) -> bytes:
        if not hasattr(mine, "uprighter"):
            mine.uprighter = Uprighter(info, plan.crop)
        return encode_jpeg(mine.uprighter.image(picture))

    with closing(shown_pictures(info, plan.start_s, plan.stop_s)) as shown:
        return (yield from _write(workspace, plan, shown, jpeg, wish))


def _frames_steps(workspace: Workspace, source: Path | Sequence[Path], wish: Wish) -> Steps:
    paths = list_pictures(source)
    folder_name = source.name if isinstance(source, Path) else paths[0].parent.name
    name = wish.source_name or folder_name
    require_at_most(len(paths), wish.limits.max_frames, "frames", name)
    size_bytes = sum(path.stat().st_size for path in paths)
    require_at_most(size_bytes, wish.limits.max_bytes, "bytes", name)
    pictures = [measure(path) for path in paths]
    width, height = require_one_size(pictures)
    require_at_most(width * height, wish.limits.max_pixels, "pixels a frame", name)
    plan = make_plan(
        wish,
        source_name=folder_name,
        source_sha256=(yield from digest_steps(paths)),
        size=(width, height),
        duration_s=Fraction(len(pictures), CLIP_FPS),
        rotation=0,
    )
    _refuse_duplicate(workspace, plan, wish)

    def jpeg(picture: Picture) -> bytes:
        if picture.as_is and plan.crop is None:
            return read_whole(picture)
        return encode_jpeg(cropped(read_image(picture), plan.crop))

    length_s = Fraction(1, CLIP_FPS)
    timed = (Timed(place * length_s, length_s, picture) for place, picture in enumerate(pictures))
    shown = at_constant_rate(timed, plan.start_s, plan.stop_s)
    return (yield from _write(workspace, plan, shown, jpeg, wish))


def _write(
    workspace: Workspace,
    plan: Plan,
    shown: Iterable[Shown[T]],
    jpeg: Callable[[T], bytes],
    wish: Wish,
) -> Steps:
    """Write all frames aside, then make them a clip."""
    aside = workspace.folder / "incoming" / f"ingest-{uuid.uuid4().hex}"
    with half_done(aside) as folder:
        times: list[float] = []
        with FrameWriter(folder / "frames") as writer:
            for one in shown:
                count = one.last + 1
                require_at_most(count, wish.limits.max_frames, "frames", plan.source_name)
                writer.write(partial(jpeg, one.shown), range(one.first, count))
                times += [one.source_s] * (count - one.first)
                yield count, None if plan.total is None else max(plan.total, count)
            writer.finish()
        if not times:
            raise IngestError(
                f"“{plan.source_name}” has no pictures after {float(plan.start_s):g} s. Choose an "
                "earlier start of the trim."
            )
        write_thumb_and_strip(folder, len(times))
        yield len(times), len(times)
        return _keep(workspace, folder, plan, times, wish)


def _keep(workspace: Workspace, folder: Path, plan: Plan, times: list[float], wish: Wish) -> Clip:
    """Insert the clip's row and rename `folder` to the clip's own, in one transaction."""
    crop = plan.crop
    ours = folder.stat().st_ino
    final = folder

    def place(clip_id: int) -> None:
        # Nobody else can insert now: what was no duplicate at the start may have become one.
        _refuse_duplicate(workspace, plan, wish)
        nonlocal final
        final = clip_folder(workspace.folder, clip_id)
        _move(folder, final, features_folder(workspace.folder, clip_id))

    try:
        return workspace.clips.add(
            name=plan.name,
            width=plan.width,
            height=plan.height,
            frame_count=len(times),
            source_name=plan.source_name,
            source_sha256=plan.source_sha256,
            trim_start_s=plan.trim_start_s,
            trim_end_s=plan.trim_end_s,
            crop=None if crop is None else (crop.x, crop.y, crop.width, crop.height),
            rotation=plan.rotation,
            time_table=times,
            place=place,
        )
    except BaseException:
        # The row was taken back, and another import may be using its number by now.
        if final.exists() and final.stat().st_ino == ours:
            final.rename(folder)
        raise


def _move(folder: Path, final: Path, features: Path) -> None:
    """Rename `folder` to `final`, clearing what a process that died may have left there.

    `features` of another clip may be there where an older database was put back.
    """
    if final.exists():
        shutil.rmtree(final)
    shutil.rmtree(features, ignore_errors=True)
    final.parent.mkdir(exist_ok=True)
    folder.rename(final)


def _refuse_duplicate(workspace: Workspace, plan: Plan, wish: Wish) -> None:
    if wish.allow_duplicate:
        return
    crop = plan.crop and (plan.crop.x, plan.crop.y, plan.crop.width, plan.crop.height)
    wanted = (plan.trim_start_s, plan.trim_end_s, crop)
    for clip in workspace.clips.find_by_hash(plan.source_sha256):
        if (clip.trim_start_s, clip.trim_end_s, clip.crop) == wanted:
            raise DuplicateClipError(clip.id, clip.name)


@contextmanager
def _disk_explained(folder: Path) -> Iterator[None]:
    """Turns a full or read-only disk into a sentence for the person."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise IngestError(
                f"The disk that holds “{folder}” is full; nothing of the import was kept. Make "
                "room and import again."
            ) from error
        raise IngestError(
            f"The import stopped: {error.strerror or error}. Nothing of it was kept."
        ) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 0, or 1 if a source was refused."""
    parser = argparse.ArgumentParser(
        prog="python -m annotation_store.ingest",
        description="Make clips of video files, or of folders of frames, at 24 frames a second.",
    )
    parser.add_argument("source", nargs="+", type=Path, help="video file, or folder of JPEG or PNG")
    parser.add_argument("--workspace", type=Path, required=True, help="folder of the dataset")
    parser.add_argument(
        "--trim", nargs=2, type=float, metavar=("FROM", "TO"), help="seconds of the source to keep"
    )
    parser.add_argument(
        "--crop",
        nargs=4,
        type=int,
        metavar=("X", "Y", "WIDTH", "HEIGHT"),
        help="part of the upright picture to keep, in pixels",
    )
    parser.add_argument("--name", help="name of the clip; otherwise the source's own")
    parser.add_argument(
        "--again", action="store_true", help="import a source that is in the workspace already"
    )
    options = parser.parse_args(arguments)
    if options.name and len(options.source) > 1:
        parser.error("--name fits one source only")
    refused = 0
    try:
        workspace = Workspace.open(options.workspace)
    except StoreError as error:
        print(error, file=sys.stderr)
        return 1
    with workspace:
        for source in options.source:
            try:
                steps = ingest_steps(
                    workspace,
                    source,
                    name=options.name,
                    trim_s=options.trim and tuple(options.trim),
                    crop=options.crop and tuple(options.crop),
                    allow_duplicate=options.again,
                )
                clip = _shown_to_its_end(steps, source.name)
            except StoreError as error:
                refused += 1
                print(f"\r{error}", file=sys.stderr)
            else:
                size = f"{clip.width}x{clip.height}"
                print(f"\rclip {clip.id} “{clip.name}”: {clip.frame_count} frames of {size}")
    return 1 if refused else 0


def _shown_to_its_end(steps: Steps, name: str) -> Clip:
    with closing(steps):
        while True:
            try:
                done, total = next(steps)
            except StopIteration as finished:
                clip: Clip = finished.value
                return clip
            if sys.stderr.isatty():
                shown = f"\r{name}: {done} of {total or '?'} frames"
                print(shown, end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
