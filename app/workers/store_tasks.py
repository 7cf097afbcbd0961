"""What the store worker does, as generators that yield after every bounded step.

Masks travel as COCO run lengths.  Whatever is heavy is imported by the task that needs it: this
process never loads torch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from annotation_store import runs
from annotation_store.clips import Clip
from annotation_store.edits import MaskChange
from annotation_store.errors import DuplicateClipError
from annotation_store.runs import MaskRuns
from annotation_store.workspace import Workspace
from app.settings import Settings
from app.workers.attention import Attention
from app.workers.comparison import compare_tasks
from app.workers.messages import Exported, FrameFilled, Progress
from app.workers.process import Steps, Tasks
from model.synthetic.samples import Sample
from video_types import Layer

SAMPLE_ANNOTATOR = "sample"


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
