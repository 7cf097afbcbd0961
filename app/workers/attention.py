"""Which frames of a target to look at next: the store worker's part.

Works on frames and masks at a fraction of their size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass

import cv2
import numpy as np
from cachetools import LRUCache

from annotation_store import runs
from annotation_store.clips import Clip
from annotation_store.masks import StoredMask
from annotation_store.workspace import Workspace
from app.workers.process import Steps
from model.attention import FrameToSee, frames_to_see
from model.shots import Motion, MotionEstimator, follows, is_cut
from video_types import Frame, Mask, Size

SHRINK = 4
LONGEST_SIDE = 320  # pixels, of what is looked at
MASKS_KEPT = 10_000  # a bit a pixel: at most 80 MB
PAIRS_KEPT = 20_000
BYTES_OF_MOTION = 200_000_000  # of 3,400 pairs of wide frames
MOST_TOLD = 200


@dataclass(frozen=True)
class _Between:
    """What a frame and the one before it say, whatever their masks."""

    motion: Motion
    is_cut: bool


class Attention:
    """Answers for one workspace; what it has seen stays known while the process lives.

    What depends on frames alone is worked out once for a clip, and what depends on two masks once
    for those two: after an edit only the pairs around it are looked at again.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._small: LRUCache[Hashable, bytes] = LRUCache(MASKS_KEPT)
        self._pairs: LRUCache[Hashable, float] = LRUCache(PAIRS_KEPT)
        self._between: LRUCache[tuple[int, int], _Between] = LRUCache(
            BYTES_OF_MOTION, getsizeof=lambda one: one.motion.nbytes
        )
        self._glimpses: LRUCache[tuple[int, int], Frame] = LRUCache(2)
        self._estimator = MotionEstimator()

    def look(self, *, target_id: int) -> Steps:
        """A task: returns the frames to see, the most urgent first."""
        workspace = self._workspace
        clip = workspace.clips.get(workspace.targets.get(target_id).clip_id)
        shown = {
            one.frame_index: one
            for one in workspace.masks.load_all(target_id)
            if one.layer == "target" and one.rle is not None
        }
        masks: dict[int, Mask] = {}
        followed: dict[int, float] = {}
        cuts: set[int] = set()
        for index in sorted(shown):
            masks[index] = self._smaller(shown[index].rle or b"", clip.size)
            name = _pair_name(clip.id, index, shown)
            if name is None:
                continue
            between = self._between.get((clip.id, index))
            if between is None:
                between = self._look_between(clip, index)
                yield
            agreement = self._pairs.get(name)
            if agreement is None:
                agreement = follows(between.motion, masks[index - 1], masks[index])
                self._pairs[name] = agreement
                yield
            followed[index] = agreement
            if between.is_cut:
                cuts.add(index)
        drafts = self._newest_draft(clip.id, target_id, clip.size)
        yield
        confidences = {i: one.confidence for i, one in shown.items() if one.confidence is not None}
        found: list[FrameToSee] = frames_to_see(
            masks,
            drafts=drafts,
            confidences=confidences,
            followed=followed,
            cuts=cuts,
            settled={index for index, one in shown.items() if one.by_hand},
        )
        return found[:MOST_TOLD]

    def _smaller(self, rle: bytes, size: Size) -> Mask:
        name = (_digest(rle), size)
        height, width = shrunk(size)
        packed = self._small.get(name)
        if packed is None:
            whole = runs.decode(rle, size).view(np.uint8) * np.uint8(255)
            small = np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA))
            packed = np.packbits(small >= 128).tobytes()
            self._small[name] = packed
        bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=height * width)
        return bits.reshape(height, width).astype(np.bool_)

    def _look_between(self, clip: Clip, index: int) -> _Between:
        before, here = self._glimpse(clip, index - 1), self._glimpse(clip, index)
        found = _Between(self._estimator.between(before, here), is_cut(before, here))
        self._between[clip.id, index] = found
        return found

    def _glimpse(self, clip: Clip, frame_index: int) -> Frame:
        glimpse = self._glimpses.get((clip.id, frame_index))
        if glimpse is None:
            height, width = shrunk(clip.size)
            frame = self._workspace.frames.glimpse(clip.id, frame_index)
            glimpse = np.asarray(
                cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8
            )
            self._glimpses[clip.id, frame_index] = glimpse
        return glimpse

    def _newest_draft(self, clip_id: int, target_id: int, size: Size) -> dict[int, Mask]:
        """Its masks, where one of the target's expressions has a draft."""
        workspace = self._workspace
        mine = {one.id for one in workspace.expressions.list(clip_id) if one.target_id == target_id}
        drafts = [one for one in workspace.drafts.list(clip_id) if one.expression_id in mine]
        if not drafts:
            return {}
        newest = max(drafts, key=lambda one: one.id)
        return {index: self._smaller(rle, size) for index, rle in workspace.drafts.masks(newest.id)}


def shrunk(size: Size) -> Size:
    """The (h, w) that frames of `size` are looked at in.

    >>> shrunk((360, 640)), shrunk((1080, 1920)), shrunk((3, 5))
    ((90, 160), (180, 320), (1, 1))
    """
    shrink = max(SHRINK, max(size) / LONGEST_SIDE)
    return (max(1, int(size[0] / shrink)), max(1, int(size[1] / shrink)))


def _pair_name(clip_id: int, index: int, shown: dict[int, StoredMask]) -> Hashable | None:
    """What the answer for a frame and the one before it depends on; None without both masks."""
    before, here = shown.get(index - 1), shown[index]
    if before is None:
        return None
    return clip_id, index, _digest(before.rle or b""), _digest(here.rle or b"")


def _digest(rle: bytes) -> bytes:
    """Stands for run lengths, which may be long, in the name of what is kept of them."""
    return hashlib.blake2b(rle, digest_size=16).digest()
