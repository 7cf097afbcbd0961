"""What a target probably looks like on a frame that has no mask of it yet."""

from __future__ import annotations

from contextlib import suppress

from annotation_store.errors import NotFoundError
from annotation_store.runs import is_empty
from annotation_store.workspace import Workspace

NEAR = 8
"""Frames away at which a mask still tells how large the target is and about where."""


def likely_mask(workspace: Workspace, target_id: int, frame_index: int) -> bytes | None:
    """The nearest mask in time, or else the newest draft's on that very frame, as COCO counts."""
    first = max(0, frame_index - NEAR)
    # Its own mask is what earlier clicks of the series made: asking it would change their answers.
    near = [
        (abs(one.frame_index - frame_index), one.frame_index, one.rle)
        for one in workspace.masks.load_all(target_id, range(first, frame_index + NEAR + 1))
        if one.layer == "target"
        and one.frame_index != frame_index
        and one.rle is not None
        and not is_empty(one.rle)
    ]
    return min(near)[2] if near else _drafted(workspace, target_id, frame_index)


def _drafted(workspace: Workspace, target_id: int, frame_index: int) -> bytes | None:
    clip_id = workspace.targets.get(target_id).clip_id
    mine = {one.id for one in workspace.expressions.list(clip_id) if one.target_id == target_id}
    for draft in workspace.drafts.list(clip_id):  # the newest first
        if draft.expression_id not in mine:
            continue
        with suppress(NotFoundError):  # discarded meanwhile
            for _, rle in workspace.drafts.masks(draft.id, [frame_index]):
                if not is_empty(rle):
                    return rle
    return None
