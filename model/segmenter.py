"""What the app may ask of a text segmenter: a clip and an expression in, masks out."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from video_types import Frame, Mask, SoftMap


class ModelError(Exception):
    """A model cannot do what was asked; the message is a sentence for the person."""


@dataclass(frozen=True)
class Answer:
    """One of several masks a model has for a frame, with its soft map; see SegmentedFrame."""

    mask: Mask
    soft_map: SoftMap


@dataclass(frozen=True)
class SegmentedFrame:
    """One frame of a draft.

    `mask` is (H, W) at the frame's own size and at the model's own threshold; `soft_map` (h, w)
    is what it was cut from, at the network's size, so that the threshold can be moved later.
    `queries` are all answers of a model that has several, the chosen one among them.
    """

    frame_index: int
    mask: Mask
    soft_map: SoftMap
    queries: tuple[Answer, ...] = ()


@dataclass(frozen=True)
class Ranking:
    """How a model scored its answers for a clip, and which of them it chose."""

    scores: tuple[float, ...]
    chosen: int


@dataclass(frozen=True)
class SegmentStep:
    """One bounded piece of work, done; `done` of `total` tells how far the clip is.

    Steps whose frames have several answers carry their `ranking`.
    """

    done: int
    total: int
    stage: str
    frames: tuple[SegmentedFrame, ...] = ()
    ranking: Ranking | None = None


@dataclass(frozen=True)
class ExpressionReport:
    """What a text encoder makes of an expression.

    `kept_text` is the part it reads; `cut` says that its limit left the end out;
    `unknown_words` are words it has never seen (a small vocabulary only).
    """

    kept_text: str
    cut: bool = False
    unknown_words: tuple[str, ...] = ()


class TextSegmenter(Protocol):
    """Finds the target an expression refers to.  REM and Grounding DINO are two of these."""

    name: str
    weights_hash: str

    def describe_expression(self, text: str) -> ExpressionReport:
        """What of `text` the model will read."""
        ...

    def segment(
        self,
        frames: Sequence[Frame],
        expression: str,
        *,
        seed: int = 0,
        clip_key: Hashable | None = None,
    ) -> Iterator[SegmentStep]:
        """Yield after each bounded step; each frame comes once, not necessarily in order.

        The caller stops by closing the iterator; what was yielded stands.  What does not depend on
        the expression is kept for the next one under `clip_key`, if it is given.

        Raises:
            ModelError: the clip has no frames, or the expression no words.
        """
        ...
