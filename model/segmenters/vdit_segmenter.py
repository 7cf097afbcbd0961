"""VD-IT as a TextSegmenter: one pass over the whole clip as the official code, or windows.

The official code (its inference_ytvos.py) takes a clip at once, so that its memory grows with the
clip.  With `window_frames` the networks see a bounded number of frames at a time, and still
one query is chosen for the whole clip; since the predicted noise is normalised over
what is seen together, windows change the numbers and are off by default.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from model.segmenter import (
    Answer,
    ExpressionReport,
    ModelError,
    Ranking,
    SegmentedFrame,
    SegmentStep,
)
from model.segmenters.inference import inference
from model.segmenters.packed import packed_map, packed_mask, unpacked_map, unpacked_mask
from model.segmenters.schedule import chunks, spread_chunks
from model.segmenters.tokenizer import Tokenizer
from model.segmenters.vdit import Queries, VdIt
from model.segmenters.vdit_features import IMAGENET_MEAN, IMAGENET_STD
from video_types import Frame, Size

OFFICIAL_SHORT_SIDE = 360
PADDING_MULTIPLE = 16
QUERIES_AT_ONCE = 8  # frames whose masks are refined, and later handed over, together


class WordTokenizer(Protocol):
    """Text to the ids of the words' encoder (RoBERTa), neither padded nor cut."""

    def encode(self, text: str) -> list[int]: ...


def resized_size(size: Size, short_side: int) -> Size:
    """(h, w) with the shorter side at `short_side`, the longer one cut to a whole number.

    >>> resized_size((720, 1280), 360)
    (360, 640)
    """
    height, width = size
    if height <= width:
        return short_side, int(short_side * width / height)
    return int(short_side * height / width), short_side


def normalised_frames(frames: Sequence[Frame], short_side: int) -> Tensor:
    """Frames (H, W, 3) as (F, 3, h, w): PIL bilinear, ImageNet mean and deviation."""
    height, width = resized_size((frames[0].shape[0], frames[0].shape[1]), short_side)
    arrays = [
        np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR))
        for frame in frames
    ]
    values = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float() / 255
    mean = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
    std = torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)
    return (values - mean) / std


def padded(values: Tensor, multiple: int = PADDING_MULTIPLE) -> tuple[Tensor, Tensor]:
    """Zero-pad (F, 3, h, w) at the right and bottom; also the mask (H, W), True on padding."""
    height, width = values.shape[2:]
    bottom, right = -height % multiple, -width % multiple
    padding = torch.ones(height + bottom, width + right, dtype=torch.bool)
    padding[:height, :width] = False
    return F.pad(values, (0, right, 0, bottom)), padding


@dataclass
class _Answers:
    """Every query's masks by the frames seen so far, packed small, and their scores (Q,)."""

    scores: list[Tensor] = field(default_factory=list)
    masks: dict[int, list[bytes]] = field(default_factory=dict)
    maps: dict[int, list[bytes]] = field(default_factory=dict)


class VdItSegmenter:
    """See TextSegmenter.

    `short_side` is 360 in the official scripts.  `window_frames` bounds how many frames the network
    sees at once, in a row or, with `spread`, from all over the clip; the official code sees all.
    """

    def __init__(
        self,
        name: str,
        network: VdIt,
        clip_tokenizer: Tokenizer,
        word_tokenizer: WordTokenizer,
        *,
        weights_hash: str,
        short_side: int = OFFICIAL_SHORT_SIDE,
        window_frames: int | None = None,
        spread: bool = False,
    ) -> None:
        self.name = name
        self.weights_hash = weights_hash
        self._network = network.eval()
        self._clip_tokenizer = clip_tokenizer
        self._word_tokenizer = word_tokenizer
        self._short_side = short_side
        self._window_frames = window_frames
        self._windows = spread_chunks if spread else chunks

    def describe_expression(self, text: str) -> ExpressionReport:
        return self._clip_tokenizer.describe(text)

    def segment(
        self,
        frames: Sequence[Frame],
        expression: str,
        *,
        seed: int = 0,
        clip_key: Hashable | None = None,
    ) -> Iterator[SegmentStep]:
        """As TextSegmenter.  Frames come at the end, when one query is chosen for the whole clip,
        and bring the other queries' masks along.

        `seed` draws the sample from the VAE's posterior, the model's only random number.
        """
        del clip_key  # nothing here is the same for two expressions: the prompt enters the network
        if not len(frames):
            raise ModelError("The clip has no frames to segment.")
        if not expression.strip():
            raise ModelError("The expression has no words; type what you see.")
        device = next(self._network.parameters()).device
        clip_ids = torch.tensor([self._clip_tokenizer.encode(expression)], device=device)
        word_ids = torch.tensor([self._word_tokenizer.encode(expression)], device=device)
        total = 2 * len(frames)
        answers = _Answers()
        size = (frames[0].shape[0], frames[0].shape[1])
        done = 0
        for window in self._windows(len(frames), self._window_frames or len(frames)):
            with inference(self.name, len(window), device):
                values = normalised_frames([frames[i] for i in window], self._short_side)
                picture = (values.shape[2], values.shape[3])
                values, padding = padded(values)
                channels = self._network.config.vae["latent_channels"]
                shape = (len(window), channels, values.shape[2] // 8, values.shape[3] // 8)
                generator = torch.Generator().manual_seed(seed * 1_000_003 + window.start)
                noise = torch.randn(shape, generator=generator)
                queries = self._network(
                    values.to(device), padding.to(device), clip_ids, word_ids, noise.to(device)
                )
            done += len(window)
            yield SegmentStep(done, total, "looking for the target")
            for part in chunks(len(window), QUERIES_AT_ONCE):
                with inference(self.name, len(window), device):
                    some = queries.part(slice(part.start, part.stop))
                    self._keep(answers, window[part.start : part.stop], some, picture, size)
                done += len(part)
                yield SegmentStep(done, total, "painting every query's masks")
        scores = torch.stack(answers.scores).mean(dim=0)
        best = int(scores.argmax())
        ranking = Ranking(tuple(scores.tolist()), best)
        for part in chunks(len(frames), QUERIES_AT_ONCE):
            found = tuple(_frame(answers, index, best, size) for index in part)
            yield SegmentStep(total, total, f"query {best} of {len(scores)}", found, ranking)

    def _keep(
        self, answers: _Answers, frames: range, queries: Queries, picture: Size, size: Size
    ) -> None:
        every = torch.arange(queries.scores.shape[2], device=queries.scores.device)
        logits = self._network.masks(queries, every)[:, :, : picture[0], : picture[1]]
        enlarged = F.interpolate(logits, size, mode="bilinear", align_corners=False)
        answers.scores += list(queries.scores[-1].sigmoid().cpu())
        # sigmoid(x) > 0.5 is x > 0
        for index, frame in zip(frames, (enlarged > 0).cpu().numpy(), strict=True):
            answers.masks[index] = [packed_mask(mask) for mask in frame]
        soft = (logits.sigmoid() * 255).round().to(torch.uint8).cpu().numpy()
        for index, frame in zip(frames, soft, strict=True):
            answers.maps[index] = [packed_map(soft_map) for soft_map in frame]


def _frame(answers: _Answers, index: int, chosen: int, size: Size) -> SegmentedFrame:
    """One frame with all its answers."""
    queries = tuple(
        Answer(unpacked_mask(mask, size), unpacked_map(soft_map))
        for mask, soft_map in zip(answers.masks[index], answers.maps[index], strict=True)
    )
    return SegmentedFrame(index, queries[chosen].mask, queries[chosen].soft_map, queries)
