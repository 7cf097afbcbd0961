"""What the two worker processes do, as generators that yield after every bounded step.

Masks travel as COCO run lengths.  Whatever is heavy is imported by the task that needs it: the
store worker never loads torch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import cv2

from annotation_store import runs
from annotation_store.clips import Clip
from annotation_store.drafts import mask_at
from annotation_store.edits import MaskChange
from annotation_store.errors import DuplicateClipError
from annotation_store.runs import MaskRuns
from annotation_store.workspace import Workspace
from app.settings import Settings
from app.workers.attention import Attention
from app.workers.comparison import compare_tasks
from app.workers.messages import (
    Exported,
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
from model.synthetic.samples import Sample
from video_types import Box, Click, Layer, Mask, Size

OWN_THRESHOLD = 0.5
"""Where segmenters cut their soft maps themselves."""
AHEAD, BEHIND = 4, 2
SAMPLE_ANNOTATOR = "sample"


def model_tasks(settings: Settings) -> Tasks:
    """What the model worker does with the engines of the catalog."""
    return tasks_with(Models.of(settings))


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


def store_tasks(settings: Settings) -> Tasks:
    """What the store worker does."""
    workspace = Workspace.open(settings.workspace)
    return {
        **compare_tasks(workspace),
        "attention": Attention(workspace).look,
        "ingest": partial(ingest, workspace),
        "export": partial(export, workspace),
        "samples": partial(samples, workspace),
        "repair": partial(repair, workspace),
    }


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
) -> Steps:
    """The mask of all clicks now in force on one frame; returns a FrameRefined."""
    yield from ()  # a click is one step
    refined = models.refiners.get(refiner).refine(
        models.frames.read(clip_id, frame_index),
        clicks,
        None if prior is None else runs.decode(prior, size),
        key=(clip_id, frame_index),
        box=box,
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


def repair(
    workspace: Workspace, *, target_id: int, operation: str, pixels: int, first: int, last: int
) -> Steps:
    """Repair a target's masks from frame `first` to `last`; yields those that change."""
    from model.postprocess import REPAIRS

    size = workspace.clips.get(workspace.targets.get(target_id).clip_id).size
    found = [
        one
        for one in workspace.masks.load_all(target_id, range(first, last + 1))
        if one.layer == "target" and one.rle is not None
    ]
    for done, one in enumerate(found, start=1):
        after = runs.encode(REPAIRS[operation](one.decode(size), pixels))
        if after != one.rle:
            yield FrameFilled(one.frame_index, after)
        yield Progress(done, len(found))


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


def ingest(
    workspace: Workspace,
    *,
    source: str | Sequence[str],
    source_name: str | None,
    trim_s: tuple[float, float | None] | None,
    crop: tuple[int, int, int, int] | None,
) -> Steps:
    """Make a clip of a video, a folder of frames, or frame files; returns the clip's id."""
    from annotation_store.ingest import ingest_steps

    paths = Path(source) if isinstance(source, str) else [Path(one) for one in source]
    steps = ingest_steps(workspace, paths, source_name=source_name, trim_s=trim_s, crop=crop)
    clip = yield from _telling(steps, lambda done, total: Progress(done, total or 0))
    return clip.id


def export(
    workspace: Workspace,
    *,
    clip_ids: Sequence[int],
    destination: str,
    mask_step: int,
    formats: Sequence[str],
) -> Steps:
    """Write clips to a new folder of the workspace's exports."""
    from annotation_store.export import ExportOptions, export_steps

    options = ExportOptions(mask_step, frozenset(formats))  # type: ignore[arg-type]  # checked there
    steps = export_steps(workspace, clip_ids, Path(destination), options)
    report = yield from _telling(steps, Progress)
    return Exported(str(report.folder), report.files, report.frames, report.checked)


def _telling(steps: Generator[Any, None, Any], say: Callable[..., Any]) -> Steps:
    """`steps` with `say` of everything it yields; closed with it."""
    with closing(steps):
        while True:
            try:
                said = next(steps)
            except StopIteration as finished:
                return finished.value
            yield say(*said)


def samples(workspace: Workspace) -> Steps:
    """Render the sample clips and add them with their exact masks; returns the clips' ids.

    A sample that is in the workspace already is left as it is.
    """
    from annotation_store.half_done import half_done
    from model.synthetic.samples import SAMPLES

    clip_ids = []
    for place, sample in enumerate(SAMPLES):
        yield Progress(place, len(SAMPLES), f"Rendering “{sample.name}”")
        with half_done(workspace.folder / "incoming" / f"sample-{uuid4().hex}") as folder:
            clip_ids.append((yield from _add_sample(workspace, sample, folder / "sample.mp4")))
    return clip_ids


def _add_sample(workspace: Workspace, sample: Sample, path: Path) -> Steps:
    from annotation_store.ingest import ingest_steps
    from model.synthetic.samples import rendered, write_video

    clip = rendered(sample)
    yield
    write_video(clip, path)
    yield
    try:
        steps = ingest_steps(workspace, path, name=sample.name, source_name=f"{sample.name}.mp4")
        added: Clip = yield from _telling(steps, lambda *_: None)
    except DuplicateClipError as error:
        return error.clip_id
    workspace.clips.update(added.id, concept=sample.concept, category=sample.category)
    shown = next(
        one for one in clip.targets if sample.expression in [text for _, text in one.expressions]
    )
    target = workspace.targets.add(added.id)
    workspace.expressions.add(target.id, sample.expression, SAMPLE_ANNOTATOR)
    layers: tuple[tuple[Layer, Any], ...] = (("target", shown.masks), ("ignore", shown.ignore))
    changes = [
        MaskChange(layer, frame_index, MaskRuns.encode(masks[frame_index]), 0)
        for layer, masks in layers
        for frame_index in range(added.frame_count)
        if layer == "target" or masks[frame_index].any()
    ]
    workspace.edits.apply(target.id, "import", SAMPLE_ANNOTATOR, changes, note="exact masks")
    return added.id
