"""Masks as COCO run lengths, the form they are stored in and travel in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco

from video_types import Mask, Size, require_mask

Integers = npt.NDArray[np.int32]
"""32 bits are twice as fast to sort and divide, and enough for masks handled together."""


@dataclass(frozen=True)
class MaskRuns:
    """A mask of `size` (H, W) as COCO's compressed counts; a thousandth of its pixels' room."""

    counts: bytes
    size: Size

    @classmethod
    def encode(cls, mask: Mask) -> MaskRuns:
        """The runs of `mask` (H, W)."""
        return cls(encode(mask), mask.shape)

    @classmethod
    def empty(cls, size: Size) -> MaskRuns:
        """The mask of `size` without any pixel, which is not the same as no mask.

        >>> MaskRuns.empty((2, 3)) == MaskRuns.encode(np.zeros((2, 3), dtype=bool))
        True
        """
        return cls(compress(np.array([size[0] * size[1]]), size), size)

    def decode(self) -> Mask:
        """The mask (H, W); ValueError if the counts are not of a mask of `size`."""
        return decode(self.counts, self.size)

    def require_fitting(self) -> MaskRuns:
        """These runs, if they are of a mask of `size`.

        Raises:
            ValueError: they are not.
        """
        _fitting(self.counts, self.size)
        return self


def encode(mask: Mask) -> bytes:
    """COCO's compressed counts of `mask` (H, W): down each column in turn, background first.

    Equal masks have equal counts.

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
    runs = _fitting(counts, size)
    columns = np.repeat(np.arange(runs.size) % 2 == 1, runs).reshape(width, height)
    return np.ascontiguousarray(columns.T)


def is_empty(counts: bytes) -> bool:
    """Whether the mask of `counts` has no pixel.

    >>> [is_empty(encode(np.array([[on]]))) for on in (False, True)]
    [True, False]
    """
    return not run_lengths(counts)[1::2].any()


def compress(runs: npt.NDArray[np.integer], size: Size) -> bytes:
    """COCO's compressed counts of run lengths (n,) of a mask of `size`, background first.

    >>> compress(np.array([2, 2]), (2, 2)) == encode(np.array([[False, True], [False, True]]))
    True
    """
    lengths = {"counts": runs.astype(np.uint32), "size": list(size)}
    return bytes(coco.frPyObjects(lengths, *size)["counts"])


def run_lengths(counts: bytes) -> Integers:
    """The runs themselves (n,), column by column, background first.

    >>> run_lengths(encode(np.array([[False, True], [False, True]]))).tolist()
    [2, 2]
    """
    return all_run_lengths([counts])[0]


def _fitting(counts: bytes, size: Size) -> Integers:
    height, width = size
    runs = run_lengths(counts)
    if (runs < 0).any() or runs.sum(dtype=np.int64) != height * width:
        raise ValueError(f"these run lengths are not of a mask of {height} rows, {width} columns")
    return runs


def all_run_lengths(counts: Sequence[bytes]) -> tuple[Integers, Integers]:
    """Runs of all masks one after the other, and how many each mask has; int32.

    COCO writes 5 bits a character from 48 on, least significant first, 32 meaning "more
    follows", and from the fourth run on the difference to the run two before.

    Raises:
        ValueError: some counts are empty.
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
