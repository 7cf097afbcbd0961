"""What the model worker does, as generators that yield after every bounded step.

Masks travel as COCO run lengths.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import cv2

from annotation_store import runs
from annotation_store.drafts import mask_at
from app.settings import Settings
from app.workers.messages import (
    FrameFilled,
    FrameRefined,
    Progress,
    SegmentBegun,
    SegmentProgress,
)
from app.workers.models import Models
from app.workers.process import Steps, Tasks
from model.refiner import Refined
from model.segmenter import Answer, SegmentedFrame, SegmentStep
from video_types import Box, Click, Mask, Size

OWN_THRESHOLD = 0.5
"""Where segmenters cut their soft maps themselves."""
AHEAD, BEHIND = 4, 2


def model_tasks(settings: Settings) -> Tasks:
    """What the model worker does with the engines of the catalog."""
    return {**tasks_with(Models.of(settings)), "gpu": partial(gpu, settings.device)}


def tasks_with(models: Models) -> Tasks:
    """What a model worker does; the engines it has loaded stay loaded."""
    return {
        "segment": partial(segment, models),
        "refine": partial(refine, models),
        "redraw": partial(redraw, models),
        "propagate": partial(propagate, models),
        "prepare": partial(prepare, models),
        "load": partial(load, models),
    }


def gpu(device: str) -> Steps:
    """Memory, in bytes, of the GPU that networks run on; 0 without one."""
    from model.better_tools import gpu_bytes

    yield from ()
    return gpu_bytes(device)


def segment(
    models: Models,
    *,
    clip_id: int,
    frame_count: int,
    size: Size,
    segmenter: str,
    expression: str,
    seed: int,
    threshold: float,
) -> Steps:
    """Draft masks over a whole clip."""
    if not models.segmenters.has(segmenter):
        yield SegmentProgress(0, frame_count, "Loading the model")
    model = models.segmenters.get(segmenter)
    yield SegmentBegun(model.weights_hash, model.describe_expression(expression))
    frames = models.frames.sequence(clip_id, frame_count)
    for step in model.segment(frames, expression, seed=seed, clip_key=clip_id):
        yield packed_step(step, size, threshold)


def packed_step(step: SegmentStep, size: Size, threshold: float) -> SegmentProgress:
    """A step as it is sent, with masks (H, W) of `size` cut at `threshold`."""
    frames: list[tuple[int, bytes, bytes | None]] = []
    queries = []
    for frame in step.frames:
        if frame.queries:
            answers = tuple(_packed(one, size, threshold) for one in frame.queries)
            queries.append((frame.frame_index, answers))
        rle, png = _packed(frame, size, threshold)
        frames.append((frame.frame_index, rle, None if frame.queries else png))
    return SegmentProgress(
        step.done, step.total, step.stage, tuple(frames), tuple(queries), step.ranking
    )


def _packed(one: SegmentedFrame | Answer, size: Size, threshold: float) -> tuple[bytes, bytes]:
    """The mask at `threshold` as COCO counts, and the soft map as PNG."""
    own = threshold == OWN_THRESHOLD
    mask = one.mask if own else mask_at(one.soft_map, size, threshold)
    written, png = cv2.imencode(".png", one.soft_map, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not written:
        raise ValueError("a soft map could not be written")
    return runs.encode(mask), png.tobytes()


def refine(
    models: Models,
    *,
    clip_id: int,
    frame_index: int,
    size: Size,
    refiner: str,
    clicks: Sequence[Click],
    prior: bytes | None,
    box: Box | None,
    likely: bytes | None = None,
) -> Steps:
    """The mask of all clicks now in force on one frame; returns a FrameRefined."""
    yield from ()  # a click is one step
    refined = models.refiners.get(refiner).refine(
        models.frames.read(clip_id, frame_index),
        clicks,
        None if prior is None else runs.decode(prior, size),
        key=(clip_id, frame_index),
        box=box,
        likely=None if likely is None else runs.decode(likely, size),
    )
    return _refined(refined)


def redraw(
    models: Models, *, clip_id: int, frame_index: int, size: Size, refiner: str, rough: bytes
) -> Steps:
    """The mask the refiner reads from a roughly painted one; returns a FrameRefined."""
    yield from ()
    refined = models.refiners.get(refiner).redraw(
        models.frames.read(clip_id, frame_index),
        runs.decode(rough, size),
        key=(clip_id, frame_index),
    )
    return _refined(refined)


def _refined(refined: Refined) -> FrameRefined:
    return FrameRefined(
        runs.encode(refined.mask), tuple(runs.encode(other) for other in refined.candidates)
    )


def propagate(
    models: Models,
    *,
    clip_id: int,
    frame_count: int,
    size: Size,
    refiner: str,
    anchors: dict[int, bytes],
    targets: Sequence[int],
) -> Steps:
    """Carry the masks of `anchors` to `targets`, a frame a step."""
    if not models.refiners.has(refiner):
        yield Progress(0, len(targets), "Loading the model")
    model = models.refiners.get(refiner)
    frames = models.frames.sequence(clip_id, frame_count)
    known = DecodedMasks(anchors, size)
    for found in model.propagate(frames, known, targets=targets, clip_key=clip_id):
        if found is None:
            yield
        else:
            yield FrameFilled(found.frame_index, runs.encode(found.mask), found.confidence)


class DecodedMasks(Mapping[int, Mask]):
    """Masks (H, W) by frame index, each decoded from its COCO counts whenever it is asked for."""

    def __init__(self, counts: Mapping[int, bytes], size: Size) -> None:
        self._counts = counts
        self._size = size

    def __getitem__(self, frame_index: int) -> Mask:
        return runs.decode(self._counts[frame_index], self._size)

    def __iter__(self) -> Iterator[int]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    def __contains__(self, frame_index: object) -> bool:
        return frame_index in self._counts  # `Mapping` would decode it to see


def load(models: Models, *, refiner: str) -> Steps:
    """Load a refiner before it is needed."""
    models.refiners.get(refiner)
    yield


def prepare(
    models: Models, *, clip_id: int, frame_count: int, frame_index: int, refiner: str
) -> Steps:
    """Embed the frames around the playhead, so that a first click on them answers at once."""
    model = models.refiners.get(refiner)
    yield
    near = [frame_index]
    for way in range(1, max(AHEAD, BEHIND) + 1):
        near += [frame_index + way] * (way <= AHEAD) + [frame_index - way] * (way <= BEHIND)
    for wanted in near:
        if 0 <= wanted < frame_count:
            model.prepare(models.frames.read(clip_id, wanted), (clip_id, wanted))
            yield
