"""Pictures of several runs on one frame: side by side, or with an edge that wipes between two."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from annotation_store.formats.overlay_video import draw
from video_types import Frame, Mask, Size

CAPTION_HEIGHT = 30
CAPTION_SIZE = 16
BAR, INK = (32, 32, 32), (240, 240, 240)
GAP = 4
WIPE_S = 4.0
"""Seconds in which the edge goes to one side, to the other and back."""


def columns_for(panes: int) -> int:
    """How many panes stand in a row.

    >>> [columns_for(panes) for panes in (1, 2, 3, 4)]
    [1, 2, 3, 2]
    """
    return 2 if panes == 4 else panes


def caption(text: str, width: int) -> Frame:
    """A bar (CAPTION_HEIGHT, width, 3) with `text`, shortened to fit."""
    bar = Image.new("RGB", (width, CAPTION_HEIGHT), BAR)
    pen = ImageDraw.Draw(bar)
    font = _font()
    shown = text
    while len(shown) > 1 and pen.textlength(shown, font=font) > width - 12:
        shown = shown[:-2].rstrip() + "…"
    pen.text((6, CAPTION_HEIGHT / 2), shown, fill=INK, font=font, anchor="lm")
    return np.asarray(bar, dtype=np.uint8)


def _font() -> ImageFont.FreeTypeFont:
    from matplotlib import font_manager

    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), CAPTION_SIZE)


def shown(frame: Frame, mask: Mask | None, number: int) -> Frame:
    """`frame` (H, W, 3) with `mask` (H, W) in the colour of `number`; as it is for None."""
    if mask is None:
        return frame
    index: npt.NDArray[np.uint8] = mask.astype(np.uint8) * np.uint8(number)
    return draw(frame, index)


def side_by_side_size(size: Size, panes: int) -> Size:
    """(H, W) of `side_by_side` of frames of `size`.

    >>> side_by_side_size((100, 200), 4)
    (264, 404)
    """
    columns = columns_for(panes)
    rows = math.ceil(panes / columns)
    height = rows * (size[0] + CAPTION_HEIGHT) + (rows - 1) * GAP
    return height, columns * size[1] + (columns - 1) * GAP


def side_by_side(pictures: Sequence[Frame], captions: Sequence[Frame]) -> Frame:
    """Pictures (H, W, 3) of one size, each below its caption."""
    size = pictures[0].shape[0], pictures[0].shape[1]
    canvas = np.zeros((*side_by_side_size(size, len(pictures)), 3), dtype=np.uint8)
    columns = columns_for(len(pictures))
    for place, (picture, bar) in enumerate(zip(pictures, captions, strict=True)):
        row, column = divmod(place, columns)
        top = row * (size[0] + CAPTION_HEIGHT + GAP)
        left = column * (size[1] + GAP)
        canvas[top : top + CAPTION_HEIGHT, left : left + size[1]] = bar
        top += CAPTION_HEIGHT
        canvas[top : top + size[0], left : left + size[1]] = picture
    return canvas


def edge_at(seconds: float, width: int) -> int:
    """Where the edge of a wipe stands, in pixels from the left: it swings to and fro.

    >>> [edge_at(seconds, 100) for seconds in (0, 1, 2, 3, 4)]
    [50, 100, 50, 0, 50]
    """
    return round(width * (0.5 + 0.5 * math.sin(2 * math.pi * seconds / WIPE_S)))


def wipe_size(size: Size) -> Size:
    """(H, W) of `wipe` of frames of `size`."""
    return size[0] + CAPTION_HEIGHT, size[1]


def wipe(left: Frame, right: Frame, edge: int, bar: Frame) -> Frame:
    """`left` (H, W, 3) up to column `edge`, `right` from there on, below the caption `bar`."""
    picture = np.concatenate([left[:, :edge], right[:, edge:]], axis=1)
    picture[:, max(0, edge - 1) : edge + 1] = 255
    return np.concatenate([bar, picture], axis=0)


def wipe_caption(left: str, right: str, width: int) -> Frame:
    """Both titles, each at its side."""
    half = width // 2
    return np.concatenate([caption(left, half), caption(right, width - half)], axis=1)
