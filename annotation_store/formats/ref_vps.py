"""Ref-VPS style datasets: laid out as Ref-YouTube-VOS, with Ignore.

    JPEGImages/<clip>/00000.jpg                  every frame, 24 a second
    Annotations/<clip>/00000.png                 palette PNG: 0, target numbers, 255 = Ignore
    meta_expressions/meta_expressions.json       expressions, frames, annotated frames
    meta.json                                    where each clip comes from, and who annotated it

The benchmark's own release format is not public; this layout follows its closest relative.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annotation_store.errors import StoreError
from annotation_store.formats import palette_png
from annotation_store.formats.palette_png import IGNORE, IndexImage

FORMAT = "refscribe ref-vps"
VERSION = 1
OVERLAP_RULE = (
    "Where targets overlap the lower target number is written; "
    "Ignore (255) is written over every target."
)
_WINDOWS_NAMES = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{p}{n}" for p in ("com", "lpt") for n in "123456789"),
}


class RefVpsError(StoreError):
    """A folder is no dataset in this layout."""


@dataclass(frozen=True)
class RefExpression:
    """One expression; `target` is the number its pixels have in the annotation images."""

    text: str
    target: int
    annotator: str = ""


@dataclass(frozen=True)
class RefTarget:
    """One target.  `masked` and `verified` are frame numbers among the annotated ones: those
    that somebody gave a mask, be it empty, and those that somebody looked over."""

    number: int
    name: str
    masked: tuple[int, ...] = ()
    verified: tuple[int, ...] = ()


@dataclass(frozen=True)
class RefSource:
    """Where a clip comes from; times are seconds of the source."""

    name: str
    sha256: str
    trim_s: tuple[float, float | None] | None = None
    crop: tuple[int, int, int, int] | None = None  # x, y, width, height
    rotation: int = 0
    times_s: tuple[float, ...] = ()  # of each frame


@dataclass(frozen=True)
class RefClip:
    """One clip of a dataset; `folder` is its name below JPEGImages/ and Annotations/."""

    folder: str
    name: str
    concept: str
    category: str
    width: int
    height: int
    frame_count: int
    mask_step: int  # every how many frames there is an annotation image, from frame 0 on
    source: RefSource
    fps: float = 24.0
    targets: tuple[RefTarget, ...] = ()
    expressions: tuple[RefExpression, ...] = ()

    @property
    def annotated(self) -> range:
        """The frames that have an annotation image."""
        return range(0, self.frame_count, self.mask_step)

    @property
    def annotators(self) -> tuple[str, ...]:
        """Who wrote its expressions, in order of the first of each."""
        return tuple(dict.fromkeys(one.annotator for one in self.expressions if one.annotator))


@dataclass(frozen=True)
class RefVpsDataset:
    """A dataset on disk."""

    root: Path
    clips: tuple[RefClip, ...] = field(default_factory=tuple)

    def frame_path(self, clip: RefClip, frame_index: int) -> Path:
        return self.root / "JPEGImages" / clip.folder / f"{frame_index:05d}.jpg"

    def annotation_path(self, clip: RefClip, frame_index: int) -> Path:
        return self.root / "Annotations" / clip.folder / f"{frame_index:05d}.png"

    def annotation(self, clip: RefClip, frame_index: int) -> IndexImage:
        """Target numbers of one annotated frame, (H, W).

        Raises:
            PaletteImageError: the image is missing or damaged.
            RefVpsError: it is not of the clip's size, or holds a number that is no target's.
        """
        path = self.annotation_path(clip, frame_index)
        index = palette_png.read(path)
        if index.shape != (clip.height, clip.width):
            raise RefVpsError(
                f"“{clip.folder}/{path.name}” is {index.shape[1]}x{index.shape[0]}; expected "
                f"{clip.width}x{clip.height}."
            )
        known = {0, IGNORE, *(target.number for target in clip.targets)}
        strange = set(map(int, _values(index))) - known
        if strange:
            raise RefVpsError(
                f"“{clip.folder}/{path.name}” holds the values {sorted(strange)}, which are "
                "numbers of no target of the clip."
            )
        return index


def _values(index: IndexImage) -> Iterable[int]:
    present = [False] * 256
    for value in set(index.tobytes()):
        present[value] = True
    return (value for value, there in enumerate(present) if there)


def folder_names(names: Sequence[str]) -> list[str]:
    """Names of clips as folder names: readable, safe on every system, each only once.

    >>> folder_names(["Candle melting!", "candle melting", "…", "nul"])
    ['Candle-melting', 'candle-melting_2', 'clip', 'clip_nul']
    """
    taken: set[str] = set()
    folders = []
    for name in names:
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        base = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._")[:80] or "clip"
        if base.lower().split(".")[0] in _WINDOWS_NAMES:
            base = f"clip_{base}"
        folder, number = base, 1
        while folder.lower() in taken:
            number += 1
            folder = f"{base}_{number}"
        taken.add(folder.lower())
        folders.append(folder)
    return folders


def meta_expressions(clips: Iterable[RefClip]) -> dict[str, Any]:
    """`meta_expressions.json`, as loaders of Ref-YouTube-VOS expect it, with annotated frames."""
    return {
        "videos": {
            clip.folder: {
                "fps": clip.fps,
                "annotation_fps": clip.fps / clip.mask_step,
                "frames": _names(range(clip.frame_count)),
                "annotated_frames": _names(clip.annotated),
                "expressions": {
                    str(place): {
                        "exp": one.text,
                        "obj_id": str(one.target),
                        "annotator": one.annotator,
                    }
                    for place, one in enumerate(clip.expressions)
                },
            }
            for clip in clips
        }
    }


def meta(clips: Iterable[RefClip]) -> dict[str, Any]:
    """`meta.json`: what a person who gets the dataset should know of each clip."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "ignore_index": IGNORE,
        "overlap_rule": OVERLAP_RULE,
        "videos": {clip.folder: _meta_of(clip) for clip in clips},
    }


def _meta_of(clip: RefClip) -> dict[str, Any]:
    source = clip.source
    return {
        "name": clip.name,
        "concept": clip.concept,
        "category": clip.category,
        "annotators": list(clip.annotators),
        "fps": clip.fps,
        "mask_step": clip.mask_step,
        "width": clip.width,
        "height": clip.height,
        "frame_count": clip.frame_count,
        "trim": None if source.trim_s is None else list(source.trim_s),
        "source": {
            "name": source.name,
            "sha256": source.sha256,
            "crop": None if source.crop is None else list(source.crop),
            "rotation": source.rotation,
            "times": list(source.times_s),
        },
        "objects": {
            str(target.number): {
                "category": clip.concept or target.name,
                "name": target.name,
                "frames": _names(target.masked),
                "verified_frames": _names(target.verified),
            }
            for target in clip.targets
        },
    }


def _names(frames: Iterable[int]) -> list[str]:
    return [f"{frame_index:05d}" for frame_index in frames]


def write_meta(root: Path, clips: Sequence[RefClip]) -> None:
    """Write both JSON files below `root`; images are written one by one where they are made."""
    (root / "meta_expressions").mkdir(parents=True)
    _write_json(root / "meta_expressions" / "meta_expressions.json", meta_expressions(clips))
    _write_json(root / "meta.json", meta(clips))


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def read(root: Path) -> RefVpsDataset:
    """The dataset below `root`; images are read when asked for.

    Raises:
        RefVpsError: a JSON file is missing, damaged, or misses something; it is named.
    """
    expressions = _read_json(root / "meta_expressions" / "meta_expressions.json")
    described = _read_json(root / "meta.json")
    try:
        if described["version"] > VERSION:
            raise RefVpsError(
                f"“{root.name}” is of version {described['version']} of this layout; this "
                f"program reads up to {VERSION}."
            )
        clips = tuple(
            _clip(folder, expressions["videos"][folder], one)
            for folder, one in described["videos"].items()
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RefVpsError(
            f"“{root.name}” misses something a Ref-VPS style dataset has: {error}."
        ) from error
    return RefVpsDataset(root, clips)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, or no JSON
        raise RefVpsError(f"“{path.name}” of the dataset is missing or damaged.") from error
    if not isinstance(value, dict):
        raise RefVpsError(f"“{path.name}” of the dataset holds no JSON object.")
    return value


def _clip(folder: str, spoken: dict[str, Any], described: dict[str, Any]) -> RefClip:
    if not folder or folder in (".", "..") or "/" in folder or "\\" in folder:
        raise RefVpsError(f"“{folder}” is no name of a folder; the dataset cannot be trusted.")
    source = described["source"]
    trim = described["trim"]
    return RefClip(
        folder=folder,
        name=described["name"],
        concept=described["concept"],
        category=described["category"],
        width=described["width"],
        height=described["height"],
        frame_count=len(spoken["frames"]),
        mask_step=described["mask_step"],
        fps=described["fps"],
        source=RefSource(
            name=source["name"],
            sha256=source["sha256"],
            trim_s=None if trim is None else (trim[0], trim[1]),
            crop=None if source["crop"] is None else tuple(source["crop"]),
            rotation=source["rotation"],
            times_s=tuple(source["times"]),
        ),
        targets=tuple(
            RefTarget(
                number=int(number),
                name=one["name"],
                masked=tuple(map(int, one["frames"])),
                verified=tuple(map(int, one["verified_frames"])),
            )
            for number, one in described["objects"].items()
        ),
        expressions=tuple(
            RefExpression(one["exp"], int(one["obj_id"]), one.get("annotator", ""))
            for _, one in sorted(spoken["expressions"].items(), key=lambda item: int(item[0]))
        ),
    )
