"""The list of frames to look at: what depends on frames alone is worked out once for a clip."""

from __future__ import annotations

import pytest

from annotation_store.edits import MaskChange
from annotation_store.runs import MaskRuns
from annotation_store.workspace import Workspace
from app.workers.attention import Attention
from app.workers.store_tasks import ingest
from tests.app.conftest import FRAMES, disc, disc_video, disc_x


@pytest.fixture
def workspace(tmp_path):
    with Workspace.open(tmp_path / "workspace") as opened:
        yield opened


@pytest.fixture
def clip(workspace, tmp_path):
    path = disc_video(tmp_path / "disc.mp4")
    clip_id = result(ingest(workspace, source=str(path), source_name=None, trim_s=None, crop=None))
    return workspace.clips.get(clip_id)


def result(steps):
    while True:
        try:
            next(steps)
        except StopIteration as finished:
            return finished.value


def give_masks(workspace, target_id, masks):
    """As a propagation gives them: not by hand."""
    shown = {one.frame_index: one.version for one in workspace.masks.load_all(target_id)}
    changes = [
        MaskChange("target", index, MaskRuns.encode(mask), shown.get(index, 0))
        for index, mask in masks.items()
    ]
    workspace.edits.apply(target_id, "propagation", "ana", changes)


def test_masks_changed_are_judged_anew_without_reading_a_frame_again(workspace, clip):
    target = workspace.targets.add(clip.id).id
    attention = Attention(workspace)
    give_masks(workspace, target, {i: disc(disc_x(i), 60) for i in range(FRAMES)})
    before = result(attention.look(target_id=target))
    for index in range(FRAMES):
        workspace.frames.path(clip.id, index).unlink()

    give_masks(workspace, target, {8: disc(30, 60, 12)})
    after = result(attention.look(target_id=target))

    assert before == []
    assert {one.frame_index for one in after} & {8, 9}
    assert {one.reason for one in after} <= {"jump", "motion"}


def test_another_target_of_the_clip_needs_no_frame_read_again(workspace, clip):
    attention = Attention(workspace)
    first, second = (workspace.targets.add(clip.id).id for _ in range(2))
    give_masks(workspace, first, {i: disc(disc_x(i), 60) for i in range(FRAMES)})
    result(attention.look(target_id=first))
    for index in range(FRAMES):
        workspace.frames.path(clip.id, index).unlink()

    give_masks(workspace, second, {i: disc(disc_x(i), 60, 20) for i in range(FRAMES)})

    assert result(attention.look(target_id=second)) == []
