"""What an export takes from the store: clips, texts and masks as they are at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import Connection

from annotation_store.clips import Clip, get_clip, time_table_of
from annotation_store.errors import ExportError
from annotation_store.expressions import expressions_of
from annotation_store.formats import palette_png, ref_vps
from annotation_store.formats.ref_vps import RefClip, RefExpression, RefSource, RefTarget
from annotation_store.masks import StoredMask, masks_of
from annotation_store.targets import targets_of
from annotation_store.workspace import Workspace
from video_types import Layer, Mask, Size


@dataclass(frozen=True)
class Snapshot:
    """One clip as it is exported."""

    clip: Clip
    ref: RefClip
    masks: dict[tuple[int, Layer, int], StoredMask] = field(repr=False)
    """By (target number, layer, frame index); only frames that hold a mask."""

    @property
    def size(self) -> Size:
        return self.clip.height, self.clip.width

    def mask(self, number: int, layer: Layer, frame_index: int) -> Mask:
        """A target's mask or its Ignore on one frame, (H, W); empty where nothing is stored."""
        stored = self.masks.get((number, layer, frame_index))
        if stored is None:
            return np.zeros(self.size, dtype=np.bool_)
        return stored.decode(self.size)

    def index(self, frame_index: int) -> palette_png.IndexImage:
        """All targets and Ignore of one frame as an annotation image, (H, W)."""
        ignore: Mask | None = None
        targets = []
        for target in self.ref.targets:
            if (target.number, "target", frame_index) in self.masks:
                targets.append((target.number, self.mask(target.number, "target", frame_index)))
            if (target.number, "ignore", frame_index) in self.masks:
                part = self.mask(target.number, "ignore", frame_index)
                ignore = part if ignore is None else ignore | part
        return palette_png.compose(self.size, targets, ignore)


def take_snapshots(workspace: Workspace, clip_ids: Sequence[int], mask_step: int) -> list[Snapshot]:
    """The clips of an export with masks every `mask_step` frames.

    Raises:
        ExportError: a clip has no mask on any frame that would be exported.
        NotFoundError: a clip is not in the workspace.
    """
    with workspace.read() as connection:
        clips = [get_clip(connection, clip_id) for clip_id in dict.fromkeys(clip_ids)]
        folders = ref_vps.folder_names([clip.name for clip in clips])
        return [
            _take(connection, clip, folder, mask_step)
            for clip, folder in zip(clips, folders, strict=True)
        ]


def _take(connection: Connection, clip: Clip, folder: str, mask_step: int) -> Snapshot:
    annotated = range(0, clip.frame_count, mask_step)
    numbers = {}
    targets = []
    masks: dict[tuple[int, Layer, int], StoredMask] = {}
    for target in targets_of(connection, clip.id):
        if target.number > palette_png.MAX_TARGET:
            raise ExportError(
                f"“{clip.name}” has more than {palette_png.MAX_TARGET} targets, which an "
                "annotation image cannot hold."
            )
        numbers[target.id] = target.number
        stored = [held for held in masks_of(connection, target.id) if held.rle is not None]
        masks.update({(target.number, held.layer, held.frame_index): held for held in stored})
        own = sorted(
            (held.frame_index, held.verified)
            for held in stored
            if held.layer == "target" and held.frame_index in annotated
        )
        targets.append(
            RefTarget(
                number=target.number,
                name=target.name,
                masked=tuple(frame_index for frame_index, _ in own),
                verified=tuple(frame_index for frame_index, verified in own if verified),
            )
        )
    if not any(target.masked for target in targets):
        every = "" if mask_step == 1 else f" on any of its exported frames (every {mask_step}th)"
        raise ExportError(
            f"“{clip.name}” has no mask{every}. Annotate it, or leave it out of the export."
        )
    trimmed = clip.trim_start_s is not None or clip.trim_end_s is not None
    ref = RefClip(
        folder=folder,
        name=clip.name,
        concept=clip.concept,
        category=clip.category,
        width=clip.width,
        height=clip.height,
        frame_count=clip.frame_count,
        mask_step=mask_step,
        fps=float(clip.fps),
        source=RefSource(
            name=clip.source_name,
            sha256=clip.source_sha256,
            trim_s=(clip.trim_start_s or 0.0, clip.trim_end_s) if trimmed else None,
            crop=clip.crop,
            rotation=clip.rotation,
            times_s=time_table_of(connection, clip.id),
        ),
        targets=tuple(targets),
        expressions=tuple(
            RefExpression(expression.text, numbers[expression.target_id], expression.annotator)
            for expression in expressions_of(connection, clip.id)
        ),
    )
    return Snapshot(clip, ref, masks)
