"""Masks between server and browser: the message "RSM1" of row-major run lengths.

Little-endian 32-bit words: magic, height, width, count; then per entry frame_index, layer,
version, flags, number of clicks, number of runs; three words a click (x and y as float32, positive
0 or 1); then the runs, row by row, background first.  No runs: there is no mask, which is not the
same as an empty one.  Flag bit 0 is "verified"; bits 8 to 15 say where the mask came from.

The store holds COCO's run lengths, column by column; `row_runs` turns one into the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from annotation_store.masks import StoredMask
from annotation_store.runs import MaskRuns
from app.notices import RefusedError
from app.routes.row_runs import Words, column_major_counts, row_major_runs
from video_types import Layer, Size

MAGIC = 0x314D5352
MEDIA_TYPE = "application/octet-stream"
LAYERS: tuple[Layer, ...] = ("target", "ignore")
ORIGINS = (
    "none",
    "draft",
    "propagation",
    "click",
    "stroke",
    "import",
    "clear",
    "verify",
    "repair",
)
"""By number in a message: a new one goes to the end."""
HEADER_WORDS, ENTRY_WORDS, CLICK_WORDS = 4, 6, 3
MOST_COUNTS = 64 * 2**20
"""Bytes of run lengths in one message once they are COCO's, which stripes make many of."""


@dataclass(frozen=True)
class SentMask:
    """One layer of one frame as the browser sends it, or None for no mask."""

    frame_index: int
    layer: Layer
    seen: int
    mask: MaskRuns | None


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


def decode_masks(data: bytes, size: Size, frame_count: int) -> list[SentMask]:
    """The masks of a message from the browser, whose clip is `frame_count` frames of `size` (H, W).

    However small, a message cannot ask for more than one mask a layer and frame.

    Raises:
        RefusedError: it is no such message, it is cut short, or its masks do not fit the clip.
    """
    words, count = _header(data, size)
    if count > len(LAYERS) * frame_count:
        raise RefusedError(
            f"Expected at most one mask a layer for each of the clip's {frame_count} frames, "
            f"got {count} masks."
        )
    found: dict[tuple[Layer, int], SentMask] = {}
    at, room = HEADER_WORDS, MOST_COUNTS
    for _ in range(count):
        entry = [int(word) for word in words[at : at + ENTRY_WORDS]]
        if len(entry) < ENTRY_WORDS:
            raise RefusedError("The message of masks ends before its last mask.")
        frame_index, layer, seen, _, clicks, runs = entry
        begin = at + ENTRY_WORDS + CLICK_WORDS * clicks
        at = begin + runs
        if at > words.size or layer >= len(LAYERS):
            raise RefusedError("The message of masks ends inside a mask, or names no known layer.")
        if frame_index >= frame_count:
            raise RefusedError(
                f"Frame {frame_index} is not in the clip: its frames are 0 to {frame_count - 1}."
            )
        if (LAYERS[layer], frame_index) in found:
            raise RefusedError(f"Frame {frame_index} has two masks of one layer in the message.")
        mask = _turned(words[begin:at], size, frame_index) if runs else None
        room -= 0 if mask is None else len(mask.counts)
        if room < 0:
            raise RefusedError(
                f"These masks take more than {MOST_COUNTS // 2**20} MB once they are stored. "
                "Save fewer frames at once."
            )
        found[LAYERS[layer], frame_index] = SentMask(frame_index, LAYERS[layer], seen, mask)
    if at != words.size:
        raise RefusedError("The message of masks goes on behind its last mask.")
    return list(found.values())


def _header(data: bytes, size: Size) -> tuple[Words, int]:
    """All words of a message whose clip is of `size`, and how many masks it announces."""
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
    return words, int(words[3])


def _turned(runs: Words, size: Size, frame_index: int) -> MaskRuns:
    covered, area = int(runs.sum(dtype=np.uint64)), size[0] * size[1]
    if covered != area:
        raise RefusedError(f"The runs of frame {frame_index} cover {covered} pixels of {area}.")
    return MaskRuns(column_major_counts(size, runs), size)
