"""Run lengths turned between COCO's order, column by column, and the browser's, row by row.

Both list where a mask's border is crossed, so one is turned into the other without ever painting
the pixels in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from annotation_store import runs as coco_runs
from annotation_store.runs import Integers
from video_types import Size

AT_ONCE = 64
"""Masks turned together: enough to spread numpy's cost per call, few enough to stay in cache."""
BYTES_AT_ONCE = 2**18
"""Of COCO counts turned together: turning takes 65 times as much memory meanwhile, which for
64 ragged masks of a large frame would be gigabytes."""

Words = npt.NDArray[np.uint32]


def row_major_runs(size: Size, counts: Sequence[bytes]) -> list[Words]:
    """Row-major runs of each mask of COCO `counts`; every mask is of `size` (H, W).

    Raises:
        ValueError: some counts are not of a mask of `size`.

    >>> counts = coco_runs.encode(np.array([[False, True, True], [True, False, False]]))
    >>> [found.tolist() for found in row_major_runs((2, 3), [counts])]
    [[1, 3, 2]]
    """
    height, width = size
    at_once = min(AT_ONCE, (2**31 - 1) // ((height + 1) * (width + 2)))
    found: list[Words] = []
    for together in _parts(counts, at_once):
        found += _turn(size, *coco_runs.all_run_lengths(together))
    return found


def _parts(counts: Sequence[bytes], at_once: int) -> Iterator[Sequence[bytes]]:
    """`counts` in parts of at most `at_once` masks and BYTES_AT_ONCE, or of one mask."""
    first, size = 0, 0
    for place, one in enumerate(counts):
        if place > first and (place - first == at_once or size + len(one) > BYTES_AT_ONCE):
            yield counts[first:place]
            first, size = place, 0
        size += len(one)
    if counts:
        yield counts[first:]


def column_major_counts(size: Size, runs: Words) -> bytes:
    """COCO counts of the mask of `size` (H, W) that has the row-major `runs` (n,).

    The runs must fill the mask; those of no length may stand among them.

    >>> column_major_counts((2, 3), np.array([1, 3, 2], dtype=np.uint32)) == coco_runs.encode(
    ...     np.array([[False, True, True], [True, False, False]])
    ... )
    True
    """
    height, width = size
    # Read row by row, a mask is what its mirror image at the diagonal is column by column.
    turned = _turn((width, height), runs.astype(np.int32), np.array([runs.size]))[0]
    return coco_runs.compress(turned, size)


def _turn(size: Size, runs: Integers, runs_of: Integers) -> list[Words]:
    """Row-major runs of masks whose column-major `runs` follow each other, `runs_of` of each."""
    height, width = size
    area = height * width
    # Every mask fills `area`, so masks follow each other in one long row.
    ends = np.cumsum(runs, dtype=np.int32)
    last = np.cumsum(runs_of) - 1
    if (runs < 0).any() or (ends[last] != area * np.arange(1, len(runs_of) + 1)).any():
        raise ValueError(f"these run lengths are not of masks of {height} rows, {width} columns")
    place = np.arange(runs.size) - np.repeat(last + 1 - runs_of, runs_of)
    on = (place % 2 == 1) & (runs > 0)
    toggles = _crossings(ends[on] - runs[on], ends[on], size)
    return _runs_between(toggles, len(runs_of), area)


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
