"""What the app may ask of a refiner: a mask from clicks on one frame, and masks carried to others.

MobileSAM with optical flow is one refiner and is always at hand; networks with a memory, such as
SAM 2.1 and EdgeTAM, are others.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from video_types import Box, Click, Frame, Mask


@dataclass(frozen=True)
class Refined:
    """The answer to the clicks on one frame.

    `mask` is (H, W) and honours every click: it holds the pixel of each positive one
    and of no negative one.  `confidence` is between 0 and 1.  `candidates` are other
    readings of the same clicks, likeliest first and `mask` not among them; empty where
    the refiner is sure.
    """

    mask: Mask
    confidence: float
    candidates: tuple[Mask, ...] = ()


@dataclass(frozen=True)
class Propagated:
    """The mask that arrived on one frame, (H, W), and how sure the refiner is of it, 0 to 1."""

    frame_index: int
    mask: Mask
    confidence: float


class ClickRefiner(Protocol):
    """Turns clicks on one frame into a mask."""

    name: str

    def prepare(self, frame: Frame, key: Hashable) -> None:
        """Do what does not depend on the clicks now, so that the first click answers at once."""
        ...

    def refine(
        self,
        frame: Frame,
        clicks: Sequence[Click],
        prior: Mask | None,
        *,
        key: Hashable,
        box: Box | None = None,
        likely: Mask | None = None,
    ) -> Refined:
        """Segment the target under `clicks`, or correct `prior` by them.

        The answer depends on the arguments alone, so leaving out the last click undoes it.

        Args:
            frame: (H, W, 3).
            clicks: all clicks now in force on the frame, in the order they were made.
            prior: (H, W), the mask the clicks began from, if the frame had one.  What no
                click reaches is kept as it is.
            key: names the frame; the same key must always come with the same frame.
            box: a rectangle the target fills, when the person drew one.
            likely: (H, W), what the target looks like close by in time or in a draft: it chooses
                among the readings of a first click, and nothing of it is taken over.

        Raises:
            ValueError: there is neither a click nor a box, a click lies outside the
                frame, or `prior` or `likely` is not of the frame's size.
        """
        ...

    def redraw(self, frame: Frame, rough: Mask, *, key: Hashable) -> Refined:
        """Segment what `rough` (H, W) was painted over: a few strokes of a brush will do.

        Raises:
            ValueError: `rough` is empty or not of the frame's size.
        """
        ...


class FeatureShelf(Protocol):
    """Where features of stored frames outlive the process.  No method raises."""

    def load(self, clip_id: int, frame_index: int, engine: str) -> npt.NDArray[np.float16] | None:
        """What was saved, to the bit; None where there is nothing."""
        ...

    def save(
        self, clip_id: int, frame_index: int, engine: str, features: npt.NDArray[np.float16]
    ) -> None:
        """Keep features, if there is room; `engine` names all that they depend on."""
        ...


@runtime_checkable
class UsesShelf(Protocol):
    """A refiner that looks on a shelf before it computes features, where keys are
    (clip_id, frame_index)."""

    def use_shelf(self, shelf: FeatureShelf) -> None:
        """Use it from now on."""
        ...


class MaskPropagator(Protocol):
    """Carries masks from the frames a person settled to the frames around them."""

    name: str

    def propagate(
        self,
        frames: Sequence[Frame],
        anchors: Mapping[int, Mask],
        *,
        targets: Sequence[int],
        clip_key: Hashable = None,
    ) -> Iterator[Propagated | None]:
        """Yield one mask for each frame of `targets`.

        Each step of the iterator looks at one frame; it yields None where that filled none, as
        for an anchor or a frame on the way.  Close it at any time to stop; what was yielded stands.

        Args:
            frames: the whole clip; frames are read when they are needed, few at a time.
            anchors: frame_index -> (H, W) mask to rely on, asked for when it is used and not
                kept: they may be decoded on the way.  An empty mask says that the target is not in
                view there.  Anchors are never yielded.
            targets: the frames wanted, in the order wanted.  A frame between two anchors comes
                from the nearer one, with what the other shows known; the half of a gap
                that is nearer to its far anchor therefore arrives from there backwards.
            clip_key: names the clip; (clip_key, frame_index) is then the `key` of its frames.

        Raises:
            ValueError: there is no anchor, or a frame_index lies outside the clip, or, once it is
                used, a mask is not of its frame's size.
        """
        ...


class Refiner(ClickRefiner, MaskPropagator, Protocol):
    """What `catalog.load_refiner` gives: clicks on one frame, and masks carried to others."""
