"""What clicks ask of a network: features of a picture once, masks for prompts many times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from video_types import Box, Frame, Mask

Logits = npt.NDArray[np.float32]
"""(h, w) at the network's low resolution, or (H, W); above 0 the pixel is on the target."""


@dataclass(frozen=True)
class Decoded:
    """Masks for one prompt: `logits` (k, h, w), low resolution, and `scores` (k,), the
    overlap with the truth that the network expects of each."""

    logits: Logits
    scores: npt.NDArray[np.float32]


Features = TypeVar("Features")


class PromptNetwork(Protocol[Features]):
    """MobileSAM and SAM2 are two of these.

    `finer_views` says whether a small target is drawn better on a view of it than on the frame.
    """

    finer_views: bool

    def embed(self, picture: Frame) -> Features:
        """The features of `picture`, (H, W, 3): the expensive part."""
        ...

    def decode(
        self,
        embedding: Features,
        *,
        points: npt.NDArray[np.floating[Any]] | None = None,
        positive: npt.NDArray[np.bool_] | None = None,
        box: Box | None = None,
        logits: Logits | None = None,
        several: bool = False,
    ) -> Decoded:
        """Masks for one prompt.

        Args:
            points: (n, 2) as (x, y) in picture pixels.
            positive: (n,), whether each point is on the target.
            box: around the target, in picture pixels.
            logits: (h, w), an earlier answer or `logits_of` a mask.
            several: three readings of the prompt instead of one.
        """
        ...

    def to_picture(self, logits: Logits, embedding: Features) -> Logits:
        """Low-resolution logits (h, w) -> (H, W)."""
        ...

    def logits_of(self, mask: Mask, embedding: Features) -> Logits:
        """A mask of the picture, (H, W), as the low-resolution logits `decode` takes."""
        ...
