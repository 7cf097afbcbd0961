"""Masks between server and browser: the message "RSM1" of row-major run lengths.

Little-endian 32-bit words: magic, height, width, count; then per entry frame_index, layer,
version, flags, number of clicks, number of runs; three words a click (x and y as float32, positive
0 or 1); then the runs, row by row, background first.  No runs: there is no mask, which is not the
same as an empty one.  Flag bit 0 is "verified"; bits 8 to 15 say where the mask came from.

The store holds COCO's run lengths, column by column.  Both forms list where a mask's border is
crossed, so one is turned into the other without ever painting the pixels in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from annotation_store.masks import StoredMask
from app.notices import RefusedError
from video_types import Layer, Mask, Size

MAGIC = 0x314D5352
MEDIA_TYPE = "application/octet-stream"
LAYERS: tuple[Layer, ...] = ("target", "ignore")
ORIGINS = ("none", "draft", "propagation", "click", "stroke", "import", "clear", "verify")
HEADER_WORDS, ENTRY_WORDS, CLICK_WORDS = 4, 6, 3
AT_ONCE = 64
"""Masks turned together: enough to spread numpy's cost per call, few enough to stay in cache."""

Words = npt.NDArray[np.uint32]
Integers = npt.NDArray[np.int32]
"""32 bits are twice as fast to sort and divide, and enough for the masks turned together."""


@dataclass(frozen=True)
class SentMask:
    """One layer of one frame as the browser sends it: (H, W), or None for no mask."""

    frame_index: int
    layer: Layer
    seen: int
    mask: Mask | None


def encode_masks(size: Size, masks: Sequence[StoredMask]) -> bytes:
    """The message that shows `masks`, all of one clip of `size` (H, W)."""
    parts: list[Words] = [np.array([MAGIC, *size, len(masks)], dtype=np.uint32)]
    shown = iter(row_major_runs(size, [one.rle for one in masks if one.rle is not None]))
    for one in masks:
        runs = np.zeros(0, dtype=np.uint32) if one.rle is None else next(shown)
        flags = int(one.verified) | ORIGINS.index(one.origin or "none") << 8
        parts.append(
            np.array(
                [
                    one.frame_index,
                    LAYERS.index(one.layer),
                    one.version,
                    flags,
                    len(one.clicks),
                    runs.size,
                ],
                dtype=np.uint32,
            )
        )
        for click in one.clicks:
            place = np.array([click.x, click.y], dtype="<f4").view(np.uint32)
            parts.append(np.append(place, np.uint32(click.positive)))
        parts.append(runs)
    return np.concatenate(parts).astype("<u4", copy=False).tobytes()


def draft_masks(draft_masks: Iterable[tuple[int, bytes]]) -> list[StoredMask]:
    """(frame_index, COCO counts) of a draft in the form `encode_masks` takes."""
    return [
        StoredMask(0, "target", frame_index, 0, rle, "draft", False, (), 0)
        for frame_index, rle in draft_masks
    ]


def decode_masks(data: bytes, size: Size) -> list[SentMask]:
    """The masks of a message from the browser, whose clip is of `size` (H, W).

    Raises:
        RefusedError: it is no such message, it is cut short, or its masks are not of `size`.
    """
    if len(data) < 4 * HEADER_WORDS or len(data) % 4:
        raise RefusedError(f"Expected masks as run lengths; {len(data)} bytes are cut short.")
    words = np.frombuffer(data, dtype="<u4")
    if words[0] != MAGIC:
        raise RefusedError("Expected masks as run lengths, got something else.")
    height, width = size
    if (int(words[1]), int(words[2])) != size:
        raise RefusedError(
            f"Expected masks of {height} rows and {width} columns, "
            f"got {words[1]} rows and {words[2]} columns."
        )
    found, at = [], HEADER_WORDS
    for _ in range(int(words[3])):
        entry = [int(word) for word in words[at : at + ENTRY_WORDS]]
        if len(entry) < ENTRY_WORDS:
            raise RefusedError("The message of masks ends before its last mask.")
        frame_index, layer, seen, _, clicks, count = entry
        begin = at + ENTRY_WORDS + CLICK_WORDS * clicks
        at = begin + count
        if at > words.size or layer >= len(LAYERS):
            raise RefusedError("The message of masks ends inside a mask, or names no known layer.")
        mask = _painted(words[begin:at], size, frame_index) if count else None
        found.append(SentMask(frame_index, LAYERS[layer], seen, mask))
    if at != words.size:
        raise RefusedError("The message of masks goes on behind its last mask.")
    return found


def _painted(runs: Words, size: Size, frame_index: int) -> Mask:
    lengths = runs.astype(np.int64)
    if int(lengths.sum()) != size[0] * size[1]:
        raise RefusedError(
            f"The runs of frame {frame_index} cover {int(lengths.sum())} pixels of "
            f"{size[0] * size[1]}."
        )
    return np.repeat(np.arange(runs.size) % 2 == 1, lengths).reshape(size)


def row_major_runs(size: Size, counts: Sequence[bytes]) -> list[Words]:
    """Row-major runs of each mask of COCO `counts`; every mask is of `size` (H, W).

    Raises:
        ValueError: some counts are not of a mask of `size`.

    >>> from annotation_store import runs
    >>> counts = runs.encode(np.array([[False, True, True], [True, False, False]]))
    >>> [found.tolist() for found in row_major_runs((2, 3), [counts])]
    [[1, 3, 2]]
    """
    height, width = size
    at_once = min(AT_ONCE, (2**31 - 1) // ((height + 1) * (width + 2)))
    found: list[Words] = []
    for first in range(0, len(counts), at_once):
        found += _turn(size, counts[first : first + at_once])
    return found


def _turn(size: Size, counts: Sequence[bytes]) -> list[Words]:
    height, width = size
    area = height * width
    runs, runs_of = _coco_runs(counts)
    ends = np.cumsum(
        runs, dtype=np.int32
    )  # every mask fills `area`, so masks follow each other in one long row
    last = np.cumsum(runs_of) - 1
    if (runs < 0).any() or (ends[last] != area * np.arange(1, len(counts) + 1)).any():
        raise ValueError(f"these run lengths are not of masks of {height} rows, {width} columns")
    place = np.arange(runs.size) - np.repeat(last + 1 - runs_of, runs_of)
    on = (place % 2 == 1) & (runs > 0)
    toggles = _crossings(ends[on] - runs[on], ends[on], size)
    return _runs_between(toggles, len(counts), area)


def _coco_runs(counts: Sequence[bytes]) -> tuple[Integers, Integers]:
    """Runs of all masks one after the other, and how many each mask has.

    COCO writes 5 bits a character from 48 on, least significant first, 32 meaning "more
    follows", and from the fourth run on the difference to the run two before.
    """
    characters = np.frombuffer(b"".join(counts), dtype=np.uint8) - np.uint8(48)
    sizes = np.array([len(one) for one in counts])
    if not sizes.all():
        raise ValueError("expected run lengths, got none")
    ends = np.flatnonzero((characters & 32) == 0)
    starts = np.empty_like(ends)
    starts[0], starts[1:] = 0, ends[:-1] + 1
    lengths = ends - starts + 1
    values = (characters[starts] & 31).astype(np.int32)
    for digit in range(1, int(lengths.max())):
        longer = np.flatnonzero(lengths > digit)
        values[longer] += (characters[starts[longer] + digit] & 31).astype(np.int32) << 5 * digit
    negative = np.flatnonzero(characters[ends] & 16)
    values[negative] -= (1 << (5 * lengths[negative])).astype(np.int32)

    runs_of = np.diff(np.searchsorted(ends, np.cumsum(sizes) - 1, side="right"), prepend=0)
    index = np.arange(values.size) - np.repeat(np.cumsum(runs_of) - runs_of, runs_of)
    odd = (index & 1).astype(bool)
    # Runs 0, 1, 2 stand as they are; each later one adds to the run two before it.
    for chain, chain_of in ((odd, runs_of // 2), (~odd & (index > 0), (runs_of - 1) // 2)):
        sums = np.concatenate([[0], np.cumsum(values[chain])]).astype(np.int32)
        before = np.cumsum(chain_of) - chain_of  # sums of the masks before do not count
        values[chain] = sums[1:] - np.repeat(sums[before], chain_of)
    return values, runs_of


def _crossings(begin: Integers, end: Integers, size: Size) -> Integers:
    """Where reading row by row enters or leaves a mask, sorted, mask m beginning at m * (area + 1).

    `begin` and `end` bound the stretches of mask read column by column, mask m beginning at
    m * area.  A border between two columns is where just one of them belongs to the mask.
    """
    height, width = size
    first, top = np.divmod(begin, height)
    last, bottom = np.divmod(end - 1, height)
    columns = last - first + 1
    total = int(columns.sum())
    # Most stretches lie in one column; the others are cut at the top of each column they reach.
    column, top, bottom = (
        np.repeat(first, columns),
        np.repeat(top, columns),
        np.repeat(bottom, columns),
    )
    bottom += 1
    column += _steps(columns)
    longer = columns > 1
    if longer.any():
        here = np.repeat(longer, columns)
        top[here] = np.where(column[here] == np.repeat(first, columns)[here], top[here], 0)
        bottom[here] = np.where(
            column[here] == np.repeat(last, columns)[here], bottom[here], height
        )

    # The left border of column c is border c of its mask, the right one c + 1: width + 1 a mask.
    border = column + column // width
    left = border * (height + 1)
    corners = np.empty(4 * total, dtype=np.int32)
    corners[0 : 2 * total : 2], corners[1 : 2 * total : 2] = left + top, left + bottom
    corners[2 * total :] = corners[: 2 * total] + (height + 1)
    corners = _odd_ones(np.sort(corners, kind="stable"))

    # Between each pair of corners every row crosses the border.
    upper, lower = corners[::2], corners[1::2]
    rows = lower - upper
    border, row = np.divmod(upper, height + 1)
    mask_index, at = np.divmod(border, width + 1)
    here = mask_index * (height * width + 1) + row * width + at
    flat = np.repeat(here, rows) + _steps(rows) * width
    flat.sort()
    return _odd_ones(flat)


def _steps(counts: Integers) -> Integers:
    """0, 1, 2 ... up to each of `counts`, one after the other.

    >>> _steps(np.array([2, 0, 3], dtype=np.int32)).tolist()
    [0, 1, 0, 1, 2]
    """
    before = np.cumsum(counts, dtype=np.int32) - counts
    return np.arange(int(counts.sum()), dtype=np.int32) - np.repeat(before, counts)


def _odd_ones(keys: Integers) -> Integers:
    """Sorted `keys` without those that stand there twice: two crossings at one place are none."""
    if keys.size == 0:
        return keys
    different = keys[1:] != keys[:-1]
    return keys[np.append(True, different) & np.append(different, True)]


def _runs_between(toggles: Integers, count: int, area: int) -> list[Words]:
    """The runs of each of `count` masks of `area` pixels from its toggles, as `_crossings` has."""
    bounds = np.searchsorted(toggles, np.arange(count + 1) * (area + 1))
    found = []
    for mask_index in range(count):
        start = mask_index * (area + 1)
        own = toggles[bounds[mask_index] : bounds[mask_index + 1]]
        runs = np.diff(own, prepend=start, append=start + area)
        # A mask that holds the last pixel ends there: no background follows.
        found.append((runs[:-1] if own.size and runs[-1] == 0 else runs).astype(np.uint32))
    return found
