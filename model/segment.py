"""Draft masks for one clip from the command line, with no workspace.

A video is taken at its own frames, upright and in order, whatever their rate; a folder's images in
the natural order of their names.  Masks are PNGs of 0 and 255 called as their frame is.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from model import catalog
from model.segmenter import ModelError, SegmentedFrame, SegmentStep, TextSegmenter
from video_types import Frame

IMAGES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
FASTEST_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]

log = logging.getLogger(__name__)


class FrameFiles(Sequence[Frame]):
    """The images at `paths` as frames (H, W, 3), read when asked for: a clip may be long."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, place):  # type: ignore[no-untyped-def]  # Sequence's two overloads
        if isinstance(place, slice):
            return FrameFiles(self.paths[place])
        image = cv2.imread(str(self.paths[place]), cv2.IMREAD_COLOR)
        if image is None:
            raise ModelError(f"{self.paths[place]} is not an image that can be read.")
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def frames_of_folder(folder: Path) -> FrameFiles:
    """Every image in `folder`, in natural order: 9.jpg before 10.jpg.

    Raises:
        ModelError: there is none, or two share a name, whose masks would be one file.
    """
    paths = [path for path in folder.iterdir() if path.suffix.lower() in IMAGES]
    if not paths:
        raise ModelError(f"There are no images in {folder}.")
    if len({path.stem for path in paths}) < len(paths):
        raise ModelError(f"Two images in {folder} differ in their ending alone; keep one kind.")
    return FrameFiles(sorted(paths, key=_natural))


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"([0-9]+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def frames_of_video(video: Path, folder: Path) -> FrameFiles:
    """Every frame of `video`, upright, written losslessly into `folder`.

    Raises:
        ModelError: no frame of it can be decoded.
    """
    capture = cv2.VideoCapture(str(video))
    paths: list[Path] = []
    try:
        while True:
            read, image = capture.read()
            if not read:
                break
            paths.append(folder / f"{len(paths):05d}.png")
            _write(paths[-1], image)
    finally:
        capture.release()
    if not paths:
        raise ModelError(f"{video} is not a video that can be read.")
    return FrameFiles(paths)


def draft(
    segmenter: TextSegmenter, frames: FrameFiles, expression: str, out: Path, *, seed: int
) -> Iterator[SegmentStep]:
    """Segment `frames`, writing each one's mask and soft map as it is done.

    `out/masks` holds PNGs of 0 and 255 at the frames' size, `out/soft_maps` 8-bit PNGs at the
    network's; both are called as the frame is.
    """
    for kind in ("masks", "soft_maps"):
        (out / kind).mkdir(parents=True, exist_ok=True)
    for step in segmenter.segment(frames, expression, seed=seed):
        for frame in step.frames:
            _save(frame, out, f"{frames.paths[frame.frame_index].stem}.png")
        yield step


def _save(frame: SegmentedFrame, out: Path, name: str) -> None:
    _write(out / "masks" / name, frame.mask.astype(np.uint8) * 255)
    _write(out / "soft_maps" / name, frame.soft_map)


def _write(path: Path, image: npt.NDArray[np.uint8]) -> None:
    if not cv2.imwrite(str(path), image, FASTEST_PNG):
        raise ModelError(f"{path} cannot be written.")


def _warn(segmenter: TextSegmenter, expression: str) -> None:
    report = segmenter.describe_expression(expression)
    if report.cut:
        log.warning("The expression is too long; only this is read: %s", report.kept_text)
    if report.unknown_words:
        log.warning("%s does not know: %s", segmenter.name, ", ".join(report.unknown_words))


def _parser() -> argparse.ArgumentParser:
    names = [entry.name for entry in catalog.entries() if entry.kind == "segmenter"]
    parser = argparse.ArgumentParser(prog="python -m model.segment", description=__doc__)
    parser.add_argument("clip", type=Path, metavar="CLIP", help="a video or a folder of images")
    parser.add_argument("--expression", required=True, metavar="TEXT", help="what to look for")
    parser.add_argument(
        "--segmenter", choices=names, default=names[0], help="%(default)s unless said"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="CLIP's name and _masks unless said"
    )
    parser.add_argument("--weights", type=Path, metavar="PATH", help="the segmenter's checkpoint")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the noise; 0 unless said"
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, mps or auto")
    return parser


def run(options: argparse.Namespace, folder: Path) -> int:
    """Do what the command line asks, with `folder` for frames in passing; the number of masks."""
    clip: Path = options.clip
    out: Path = options.out or Path(f"{clip.resolve().stem}_masks")
    if not clip.exists():
        raise ModelError(f"There is nothing at {clip}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ModelError(f"{out} is not empty; name another folder with --out.")
    state = catalog.state(options.segmenter, options.device, options.weights)
    if not state.ready:
        raise ModelError(f"{options.segmenter} cannot run here: {state.sentence}.")
    frames = frames_of_folder(clip) if clip.is_dir() else frames_of_video(clip, folder)
    segmenter: TextSegmenter = catalog.load_segmenter(
        options.segmenter, options.device, options.weights
    )
    _warn(segmenter, options.expression)
    written = 0
    for step in draft(segmenter, frames, options.expression, out, seed=options.seed):
        written += len(step.frames)
        print(f"\r{step.stage}: {step.done} of {step.total}  ", end="", file=sys.stderr)
    print(file=sys.stderr)
    facts = {
        "clip": clip.name,
        "expression": options.expression,
        **asdict(segmenter.describe_expression(options.expression)),
        "segmenter": segmenter.name,
        "weights_sha256": segmenter.weights_hash,
        "seed": options.seed,
    }
    text = json.dumps(facts, indent=1, ensure_ascii=False)
    (out / "draft.json").write_text(text + "\n", encoding="utf-8")
    print(f"{written} masks in {out / 'masks'}")
    return written


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="%(message)s")
    try:
        with tempfile.TemporaryDirectory(prefix="refscribe-") as folder:
            run(options, Path(folder))
    except ModelError as error:
        print(f"model.segment: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped; the masks written so far are kept.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
