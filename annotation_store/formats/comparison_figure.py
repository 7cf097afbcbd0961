"""A figure for a paper: frames of a clip in columns, the annotation and each model in rows.

Text stays text in the PDF and outlines stay lines; only the frames are pixels.  Colours are those
of Okabe and Ito, and every row is named, so that no row is told by its colour alone.
"""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from annotation_store.formats.palette_png import IGNORE_COLOUR, target_colour
from video_types import Frame, Mask, Size

CELL_INCHES = 1.55
LABEL_INCHES = 1.65
HEAD_INCHES = 0.3
GAP_INCHES = 0.05
PNG_DPI, PDF_DPI = 200, 300
FILL = 0.4
LABEL_WIDTH = 27
"""Characters of a row's label on one line."""
MOST_LABEL_LINES = 6
FAMILY = "DejaVu Sans"
"""Comes with matplotlib, so that figures look alike everywhere."""
OTHER_FAMILIES = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "PingFang SC", "Hiragino Sans", "Microsoft YaHei"),
    *("WenQuanYi Zen Hei", "Malgun Gothic", "Noto Sans Devanagari", "Noto Sans Thai"),
)
"""For letters that FAMILY lacks, where the system has one of these."""
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Column:
    """One frame, (H, W, 3), and what stands above it."""

    head: str
    frame: Frame = field(repr=False)


@dataclass(frozen=True)
class Cell:
    """One row's mask, (H, W), on one frame; None where the run has none.

    `ignore` is hatched; `note` stands in the corner.
    """

    mask: Mask | None = field(default=None, repr=False)
    ignore: Mask | None = field(default=None, repr=False)
    note: str = ""


@dataclass(frozen=True)
class Row:
    """One cell for each column; `number` chooses the colour, counted from 1."""

    title: str
    text: str
    number: int
    cells: Sequence[Cell]


def write_figure(path: Path, columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Draw the frames themselves, then every row, into `path`, a .png or a .pdf."""
    import matplotlib
    from matplotlib import font_manager

    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells of every glyph
    there = {font.name for font in font_manager.fontManager.ttflist}
    settings = {
        "pdf.fonttype": 42,  # whole TrueType characters: text can be searched and edited
        "font.family": [FAMILY, *(name for name in OTHER_FAMILIES if name in there)],
        "hatch.linewidth": 0.7,
    }
    pdf = path.suffix == ".pdf"
    with matplotlib.rc_context(settings):
        figure = _draw(columns, rows)
        # No date: the same comparison makes the same file.
        metadata = {"CreationDate": None} if pdf else {}
        figure.savefig(path, dpi=PDF_DPI if pdf else PNG_DPI, metadata=metadata)


def _draw(columns: Sequence[Column], rows: Sequence[Row]) -> Any:
    from matplotlib.figure import Figure

    size: Size = columns[0].frame.shape[0], columns[0].frame.shape[1]
    cell_height = CELL_INCHES * size[0] / size[1]
    width = LABEL_INCHES + len(columns) * (CELL_INCHES + GAP_INCHES)
    height = HEAD_INCHES + (1 + len(rows)) * (cell_height + GAP_INCHES)
    figure = Figure(figsize=(width, height))

    def cell(row: int, column: int) -> Any:
        left = LABEL_INCHES + column * (CELL_INCHES + GAP_INCHES)
        top = HEAD_INCHES + row * (cell_height + GAP_INCHES)
        bottom = height - top - cell_height
        axes = figure.add_axes(
            (left / width, bottom / height, CELL_INCHES / width, cell_height / height)
        )
        axes.set_axis_off()
        axes.imshow(columns[column].frame)
        return axes

    def label(row: int, title: str, text: str) -> None:
        top = HEAD_INCHES + row * (cell_height + GAP_INCHES)
        y = 1 - (top + 0.03) / height
        lines = _wrapped(title, 2)
        place: dict[str, Any] = {"va": "top", "parse_math": False, "linespacing": 1.15}
        figure.text(0.06 / width, y, "\n".join(lines), fontsize=8, weight="bold", **place)
        below = y - (0.15 * len(lines)) / height
        quoted = "\n".join(_wrapped(f"“{text}”", MOST_LABEL_LINES)) if text else ""
        figure.text(0.06 / width, below, quoted, fontsize=7, color="0.25", **place)

    for place, column in enumerate(columns):
        axes = cell(0, place)
        axes.set_title(column.head, fontsize=8, pad=3)
    label(0, "Frames", "")
    for number, row in enumerate(rows, start=1):
        label(number, row.title, row.text)
        colour = _shares(target_colour(row.number))
        for place, one in enumerate(row.cells):
            _draw_cell(cell(number, place), one, colour, size)
    return figure


def _draw_cell(axes: Any, cell: Cell, colour: Colour, size: Size) -> None:
    from matplotlib.patches import PathPatch

    if cell.mask is not None and (path := outline(cell.mask)) is not None:
        axes.add_patch(PathPatch(path, facecolor="none", edgecolor="white", linewidth=2.0))
        face = (*colour, FILL)
        axes.add_patch(PathPatch(path, facecolor=face, edgecolor=colour, linewidth=1.0))
    if cell.ignore is not None and (path := outline(cell.ignore)) is not None:
        yellow = _shares(IGNORE_COLOUR)
        axes.add_patch(
            PathPatch(path, facecolor="none", edgecolor=yellow, hatch="//////", linewidth=0.8)
        )
    note = cell.note if cell.mask is not None else "no mask"
    if note:
        axes.text(
            0.02 * size[1],
            0.97 * size[0],
            note,
            fontsize=6,
            va="bottom",
            ha="left",
            parse_math=False,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.2},
        )


def outline(mask: Mask) -> Any:
    """The border of `mask`, (H, W), as one path in pixels with holes left open; None if empty.

    It runs a quarter of a pixel inside the mask, so that a single pixel has an area too.
    """
    from matplotlib.path import Path as Outline

    # Borders run through pixel centres: at twice the size those are a quarter pixel inside.
    doubled = np.kron(np.pad(mask, 1), np.ones((2, 2), dtype=np.uint8)).astype(np.uint8)
    found, _ = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    points: list[Any] = []
    codes: list[Any] = []
    for border in found:
        corners = cv2.approxPolyDP(border, 1.0, True).reshape(-1, 2) / 2 - 1.25
        if len(corners) < 3:
            corners = border.reshape(-1, 2) / 2 - 1.25
        points += [*corners.tolist(), [0.0, 0.0]]
        codes += [Outline.MOVETO, *[Outline.LINETO] * (len(corners) - 1), Outline.CLOSEPOLY]
    return Outline(points, codes) if points else None


def _wrapped(text: str, most: int) -> list[str]:
    return textwrap.wrap(text, LABEL_WIDTH, max_lines=most, placeholder=" …") or [""]


def _shares(colour: tuple[int, int, int]) -> Colour:
    red, green, blue = (part / 255 for part in colour)
    return red, green, blue
