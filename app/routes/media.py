"""Videos and folders of frames below the folders named at launch, offered by number.

A request names an entry by an id derived from its path; the path itself never comes from outside.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from annotation_store.frame_folder import SUFFIXES

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ogv", ".gif", ".ts"}
)
AT_MOST = 2000
DEEPEST = 3


@dataclass(frozen=True)
class Medium:
    """One thing that can become a clip; `name` is its path below the folder named at launch."""

    id: str
    name: str
    kind: Literal["video", "frames"]
    path: Path


def list_media(folders: Sequence[Path]) -> list[Medium]:
    """Everything offered now, by name; at most 2000 entries, three folders deep."""
    found: list[Medium] = []
    for folder in folders:
        for path, kind in _walk(folder, DEEPEST):
            if len(found) == AT_MOST:
                return found
            name = path.name if path == folder else path.relative_to(folder).as_posix()
            number = hashlib.blake2b(str(path).encode(), digest_size=8).hexdigest()
            found.append(Medium(number, name, kind, path))
    return found


def find_medium(folders: Sequence[Path], medium_id: str) -> Medium | None:
    """The entry called `medium_id` among those offered now."""
    return next((one for one in list_media(folders) if one.id == medium_id), None)


def _walk(folder: Path, depth: int) -> Iterator[tuple[Path, Literal["video", "frames"]]]:
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError:
        return  # gone, or not for us to read: it offers nothing
    if any(entry.suffix.lower() in SUFFIXES for entry in entries):
        yield folder, "frames"
    for entry in entries:
        if entry.suffix.lower() in VIDEO_SUFFIXES and entry.is_file():
            yield entry, "video"
        elif depth > 0 and entry.is_dir() and not entry.is_symlink():
            yield from _walk(entry, depth - 1)
