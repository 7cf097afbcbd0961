"""What becomes of what jobs deliver when the store has moved on meanwhile."""

from __future__ import annotations

import sqlite3

import cv2
import numpy as np
import pytest

from annotation_store import runs
from annotation_store.edits import MaskChange
from annotation_store.runs import MaskRuns
from annotation_store.workspace import Workspace
from app.live import Live
from app.work.jobs import Jobs
from app.work.keepers import DraftKeeper, MaskKeeper
from app.workers.messages import FrameFilled, SegmentProgress
from app.workers.process import Told
from app.workers.worker import Priority, Worker
from tests.app.conftest import wait_for
from tests.app.workers import worker_tasks

SIZE = (20, 31)
FRAMES = 6


def bar(width: int) -> np.ndarray:
    mask = np.zeros(SIZE, dtype=bool)
    mask[3:9, :width] = True
    return mask


@pytest.fixture
def workspace(tmp_path):
    with Workspace.open(tmp_path / "work", patience_s=0.2) as opened:
        yield opened


@pytest.fixture
def clip(workspace):
    return workspace.clips.add(
        name="kettle steaming",
        width=SIZE[1],
        height=SIZE[0],
        frame_count=FRAMES,
        source_name="kettle.mp4",
        source_sha256="0" * 64,
        time_table=[n / 24 for n in range(FRAMES)],
        place=lambda _clip_id: None,
    )


@pytest.fixture
def steam(workspace, clip):
    return workspace.targets.add(clip.id, "steam")


@pytest.fixture
def call(tmp_path):
    """A task whose worker is us: what it tells is told with `hear`."""
    worker = Worker("test", worker_tasks.make_tasks, tmp_path, told=lambda *_: None)
    submitted = worker.submit("count", Priority.CLIP, upto=1)
    submitted.begun = True
    submitted.hear(Told("begun"))
    return submitted


def delivered(*frames: int) -> Told:
    png = cv2.imencode(".png", np.zeros((4, 5), np.uint8))[1].tobytes()
    counts = runs.encode(bar(5))
    return Told("step", SegmentProgress(1, 2, "", tuple((n, counts, png) for n in frames)))


def has_ended(job):
    return wait_for(lambda: job.state in ("done", "failed", "cancelled"), "the job's end")


def test_a_draft_discarded_while_it_is_made_ends_as_cancelled_and_leaves_no_file(
    workspace, clip, steam, call
):
    expression = workspace.expressions.add(steam.id, "the steam", "ana")
    draft = workspace.drafts.start(expression.id, "rem-demo", "abc", 0, {})
    jobs = Jobs(Live())
    keeper = DraftKeeper(workspace, jobs._live, clip, draft.id)
    job = jobs.start("segment", "Segmenting", call, keeper, draft_id=draft.id)
    call.hear(delivered(0))
    wait_for(lambda: workspace.drafts.get(draft.id).frames_done == 1, "the first frame")

    jobs.cancel_where(lambda one: one.draft_id == draft.id)
    workspace.drafts.remove(draft.id)
    call.hear(delivered(1))  # the step that was in the works comes all the same
    call.hear(Told("cancelled"))

    has_ended(job)
    assert job.state == "cancelled"
    assert list((workspace.folder / "cache" / "drafts").iterdir()) == []


def test_what_was_delivered_waits_for_another_program_that_holds_the_workspace(
    workspace, clip, steam, call
):
    keeper = MaskKeeper(workspace, Live(), clip, steam.id, "ana", "propagation", {2: 0})
    other = sqlite3.connect(workspace.folder / "refscribe.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    job = Jobs(Live()).start("propagate", "Propagating", call, keeper, target_id=steam.id)
    call.hear(Told("step", FrameFilled(2, runs.encode(bar(4)))))
    wait_for(lambda: job.stage.startswith("Waiting for another program"), "the job to say so")

    other.close()
    call.hear(Told("done"))

    has_ended(job)
    assert job.state == "done", job.message
    assert np.array_equal(workspace.masks.load(steam.id, "target", 2).decode(SIZE), bar(4))


def test_a_target_removed_while_it_is_propagated_ends_the_job_as_cancelled(
    workspace, clip, steam, call
):
    keeper = MaskKeeper(workspace, Live(), clip, steam.id, "ana", "propagation", {2: 0, 3: 0})
    job = Jobs(Live()).start("propagate", "Propagating", call, keeper, target_id=steam.id)
    workspace.targets.remove(steam.id)

    call.hear(Told("step", FrameFilled(2, runs.encode(bar(4)))))

    has_ended(job)
    assert job.state == "cancelled"
    assert call.cancelled


def test_a_repair_leaves_a_frame_alone_that_got_its_first_mask_meanwhile(
    workspace, clip, steam, call
):
    first, new = MaskRuns.encode(bar(4)), MaskRuns.encode(bar(9))
    workspace.edits.apply(steam.id, "stroke", "ana", [MaskChange("target", 2, first, 0)])
    keeper = MaskKeeper(workspace, Live(), clip, steam.id, "ana", "repair", {2: 1})
    workspace.edits.apply(steam.id, "stroke", "ben", [MaskChange("target", 3, new, 0)])
    job = Jobs(Live()).start("repair", "Smoothing", call, keeper, target_id=steam.id)

    for frame_index in (2, 3):
        call.hear(Told("step", FrameFilled(frame_index, runs.encode(bar(20)))))
    call.hear(Told("done"))

    has_ended(job)
    assert job.state == "done", job.message
    assert job.result == {"frames": 1, "left_alone": 1}
    shown = {stored.frame_index: stored for stored in workspace.masks.load_all(steam.id)}
    assert np.array_equal(shown[2].decode(SIZE), bar(20))
    assert np.array_equal(shown[3].decode(SIZE), bar(9))
