"""What an import will make, checked against its source before anything is written."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from annotation_store.errors import IngestError
from annotation_store.names import clean_text
from annotation_store.video_source import Crop, frames_until

SMALLEST_SIDE = 16
NAME_LENGTH = 300
TRIM_TOLERANCE_S = 0.5
"""How far a trim may reach beyond the end: what a person reads off a player is rounded."""

_CHUNK = 8 * 2**20


@dataclass(frozen=True)
class Limits:
    """What is too large to become a clip."""

    max_frames: int = 20_000  # 13 min 53 s at 24 frames a second
    max_bytes: int = 8 * 2**30
    max_pixels: int = 7680 * 4320  # of one frame


@dataclass(frozen=True)
class Wish:
    """What the person asked for, as it came in; `ingest_steps` explains each."""

    name: str | None
    trim_s: tuple[float, float | None] | None
    crop: tuple[int, int, int, int] | None
    allow_duplicate: bool
    limits: Limits
    source_name: str | None


@dataclass(frozen=True)
class Plan:
    """What will be made of a source."""

    name: str
    source_name: str
    source_sha256: str
    rotation: int
    width: int
    height: int
    trim_start_s: float | None  # None and None: all of the source
    trim_end_s: float | None  # None: to the source's end
    crop: Crop | None  # None: all of the picture
    total: int | None  # frames expected; None: the source does not say

    @property
    def start_s(self) -> Fraction:
        return Fraction(self.trim_start_s or 0)

    @property
    def stop_s(self) -> Fraction | None:
        return None if self.trim_end_s is None else Fraction(self.trim_end_s)


def make_plan(
    wish: Wish,
    *,
    source_name: str,
    source_sha256: str,
    size: tuple[int, int],
    duration_s: Fraction | None,
    rotation: int,
) -> Plan:
    """Check `wish` against a source of upright `size` (width, height).

    Raises:
        IngestError: trim or crop do not fit, or the clip would be too long.
    """
    shown_name = wish.source_name or source_name
    crop = _checked_crop(wish.crop, size)
    start_s, end_s = _checked_trim(wish.trim_s, duration_s)
    stop = min((t for t in (end_s, duration_s) if t is not None), default=None)
    total = None if stop is None else max(1, frames_until(Fraction(stop) - Fraction(start_s or 0)))
    if total is not None:
        require_at_most(total, wish.limits.max_frames, "frames", shown_name)
    return Plan(
        name=_clip_name(wish.name, shown_name),
        source_name=shown_name,
        source_sha256=source_sha256,
        rotation=rotation,
        width=crop.width if crop else size[0],
        height=crop.height if crop else size[1],
        trim_start_s=start_s,
        trim_end_s=end_s,
        crop=crop,
        total=total,
    )


def require_at_most(number: int, limit: int, unit: str, name: str) -> None:
    """Refuse a source that is too large.

    Raises:
        IngestError: `number` is above `limit`.
    """
    if number > limit:
        advice = "Make it smaller" if unit.startswith("pixels") else "Trim it or cut it into parts"
        raise IngestError(
            f"“{name}” has {number:,} {unit}; at most {limit:,} can be taken. {advice}."
        )


def digest_steps(paths: Sequence[Path]) -> Generator[tuple[int, None], None, str]:
    """The SHA-256 of one file, or of several files' SHA-256 digests in order, as hexadecimal.

    Yields now and then, so that a large file can be cancelled.

    Raises:
        IngestError: a file is changing while it is read.
    """
    digests = []
    for path in paths:
        before = path.stat()
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                yield 0, None
        after = path.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise IngestError(
                f"“{path.name}” is still being written. Import it when that has finished."
            )
        digests.append(digest)
    if len(digests) == 1:
        return digests[0].hexdigest()
    return hashlib.sha256(b"".join(one.digest() for one in digests)).hexdigest()


def _clip_name(wished: str | None, source_name: str) -> str:
    """The name wished for, or one made of the source's own, whatever signs that holds."""
    if wished is not None:
        return clean_text(wished, "a clip's name", longest=NAME_LENGTH)
    stem = Path(source_name).stem
    shown = "".join(sign if sign.isprintable() else " " for sign in stem)
    return shown.strip()[:NAME_LENGTH] or "clip"


def _checked_crop(crop: tuple[int, int, int, int] | None, size: tuple[int, int]) -> Crop | None:
    width, height = size
    if min(size) < SMALLEST_SIDE:
        raise IngestError(
            f"The pictures are {width}x{height}; at least {SMALLEST_SIDE}x{SMALLEST_SIDE} "
            "pixels are needed."
        )
    if crop is None or crop == (0, 0, width, height):
        return None
    checked = Crop(*crop)
    if checked.width < SMALLEST_SIDE or checked.height < SMALLEST_SIDE:
        raise IngestError(
            f"The crop is {checked.width}x{checked.height}; at least "
            f"{SMALLEST_SIDE}x{SMALLEST_SIDE} pixels are needed."
        )
    inside = (
        checked.x >= 0
        and checked.y >= 0
        and checked.x + checked.width <= width
        and checked.y + checked.height <= height
    )
    if not inside:
        raise IngestError(
            f"The crop of {checked.width}x{checked.height} at ({checked.x}, {checked.y}) reaches "
            f"outside the upright {width}x{height} picture."
        )
    return checked


def _checked_trim(
    trim_s: tuple[float, float | None] | None, duration_s: Fraction | None
) -> tuple[float | None, float | None]:
    """(start, end) as the clip's row keeps them: (None, None) for all of the source."""
    if trim_s is None:
        return None, None
    start, end = trim_s
    shown = f"The trim from {start:g} s to {'the end' if end is None else f'{end:g} s'}"
    if not math.isfinite(start) or start < 0 or (end is not None and not math.isfinite(end)):
        raise IngestError(f"{shown} does not fit: times are seconds from 0 on.")
    if end is not None and end <= start:
        raise IngestError(f"{shown} does not fit: the end must come after the start.")
    if duration_s is not None:
        length = float(duration_s)
        if start >= length or (end is not None and end > length + TRIM_TOLERANCE_S):
            raise IngestError(f"{shown} does not fit: the source lasts {length:.2f} s.")
        if end is not None and end >= length:
            end = None
    if start == 0 and end is None:
        return None, None
    return float(start), None if end is None else float(end)
