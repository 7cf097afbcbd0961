"""Clips with known masks, and whom they would make click where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from model.refiners.places import deep_points
from video_types import Click, Frame, Mask


class Clip(Sequence[Frame]):
    """The frames of one clip, read when asked for, with the true mask of each."""

    def __init__(self, root: Path, name: str, stride: int) -> None:
        self.name = name
        self._pictures = sorted((root / "JPEGImages" / "480p" / name).glob("*.jpg"))[::stride]
        self._truths = sorted((root / "Annotations" / "480p" / name).glob("*.png"))[::stride]
        if not self._pictures or len(self._pictures) != len(self._truths):
            raise SystemExit(f"{name}: expected as many masks as frames, and at least one")

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> Frame:  # type: ignore[override]  # no slices
        return np.asarray(Image.open(self._pictures[index]).convert("RGB"))

    def truth(self, index: int) -> Mask:
        """(H, W)."""
        return np.asarray(np.asarray(Image.open(self._truths[index]).convert("L")) > 0)


def next_click(truth: Mask, mask: Mask) -> Click | None:
    """A click at the deepest place of the largest connected error; None if there is no error."""
    largest, found = 0, None
    for positive, wrong in ((True, truth & ~mask), (False, mask & ~truth)):
        count, labels, stats, _ = cv2.connectedComponentsWithStats(
            wrong.astype(np.uint8), connectivity=4
        )
        if count == 1:
            continue
        part = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
        if stats[part, cv2.CC_STAT_AREA] > largest:
            largest = int(stats[part, cv2.CC_STAT_AREA])
            ((x, y),) = deep_points(np.asarray(labels == part), most=1)
            found = Click(0, float(x), float(y), positive)
    return found
