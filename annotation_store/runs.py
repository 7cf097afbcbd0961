"""Masks as COCO run lengths, the form they are stored in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco

from video_types import Mask, Size, require_mask


def encode(mask: Mask) -> bytes:
    """COCO's compressed counts of `mask` (H, W): down each column in turn, background first.

    >>> decode(encode(np.eye(2, 3, dtype=bool)), (2, 3)).astype(int).tolist()
    [[1, 0, 0], [0, 1, 0]]
    """
    require_mask(mask)
    return bytes(coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"])


def decode(counts: bytes, size: Size) -> Mask:
    """The mask (H, W) of `counts`.

    Raises:
        ValueError: the counts are not those of a mask of `size`.
    """
    height, width = size
    runs = run_lengths(counts)
    if (runs < 0).any() or runs.sum() != height * width:
        raise ValueError(f"these run lengths are not of a mask of {height} rows, {width} columns")
    columns = np.repeat(np.arange(runs.size) % 2 == 1, runs).reshape(width, height)
    return np.ascontiguousarray(columns.T)


def run_lengths(counts: bytes) -> npt.NDArray[np.int64]:
    """The runs themselves (n,) int64, column by column, background first.

    COCO writes 5 bits a character from 48 on, least significant first, 32 meaning "more
    follows", and from the fourth run on the difference to the run two before.

    >>> run_lengths(encode(np.array([[False, True], [False, True]]))).tolist()
    [2, 2]
    """
    characters = np.frombuffer(counts, dtype=np.uint8).astype(np.int64) - 48
    if characters.size == 0:
        return characters
    last = (characters & 32) == 0
    starts = np.concatenate([[0], np.flatnonzero(last)[:-1] + 1])
    place = np.arange(characters.size) - np.repeat(starts, np.diff([*starts, characters.size]))
    values = np.add.reduceat((characters & 31) << (5 * place), starts)
    ends = np.flatnonzero(last)
    negative = (characters[ends] & 16) != 0
    values[negative] -= np.int64(1) << (5 * (place[ends[negative]] + 1))
    # Runs 0, 1, 2 stand as they are; each later one adds to the run two before it.
    runs = values.copy()
    runs[1::2] = np.cumsum(values[1::2])
    runs[2::2] = np.cumsum(values[2::2])
    return runs
