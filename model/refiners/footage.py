"""A clip as a chain sees it: features of each frame and the flow between two, ready when asked for.

While a chain thinks about one frame, a thread reads the next one, embeds it and finds its flow.
What comes out is the same as without the thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from cachetools import LRUCache

from model.refiners.flow import Flow, FlowEstimator
from model.refiners.mobile_sam import Embedding
from video_types import Frame

FRAMES_KEPT = 4
EXPECTED_KEPT = 4
"""Frames made ready that no chain came to yet; 16 MB each at 720p."""


@dataclass(frozen=True)
class Sight:
    """What is known of a frame before its mask: its `embedding`, and the `flow` that brings a map
    of the frame seen before it here."""

    embedding: Embedding
    flow: Flow


class Footage(Sequence[Frame]):
    """The frames of one clip with what chains ask of them.  Close it, or use it in a `with`."""

    def __init__(self, frames: Sequence[Frame], embed: Callable[[int, Frame], Embedding]) -> None:
        """`embed` is called with an index and its frame, also from a thread."""
        self._frames = frames
        self._embed = embed
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._reading = threading.Lock()
        self._kept: LRUCache[int, Frame] = LRUCache(FRAMES_KEPT)
        self._expected: LRUCache[tuple[int, int], Future[Sight]] = LRUCache(EXPECTED_KEPT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Expect nothing any more; waits for the frame under way."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> Frame:  # type: ignore[override]  # no slices
        """A frame, (H, W, 3); the last few are kept."""
        with self._reading:
            frame = self._kept.get(index)
            if frame is None:
                frame = self._kept[index] = self._frames[index]
            return frame

    def embedding(self, frame_index: int) -> Embedding:
        """The features of one frame."""
        return self._embed(frame_index, self[frame_index])

    def sight(self, frame_index: int, before: int) -> Sight:
        """A frame as it is seen by who was on frame `before`."""
        expected = self._expected.pop((frame_index, before), None)
        return self._sight(frame_index, before) if expected is None else expected.result()

    def expect(self, frame_index: int, before: int) -> None:
        """`sight` is going to be asked with these: begin now."""
        name = frame_index, before
        if name not in self._expected:
            self._expected[name] = self._thread.submit(self._sight, *name)

    def _sight(self, frame_index: int, before: int) -> Sight:
        frame, other = self[frame_index], self[before]
        embedding = self._embed(frame_index, frame)
        return Sight(embedding, FlowEstimator().between(frame, other))
