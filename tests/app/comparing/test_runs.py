"""What is compared is read from the store at one moment, whatever is done to it meanwhile."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from sqlalchemy import event

from annotation_store import runs as coco_runs
from annotation_store.workspace import Workspace
from app.comparing import runs
from tests.app.conftest import FRAMES, HEIGHT, SIZE, WIDTH, disc


@pytest.fixture
def workspace(tmp_path):
    with Workspace.open(tmp_path / "workspace") as opened:
        yield opened


def add_draft(workspace, expression, seed):
    draft = workspace.drafts.start(expression.id, "rem-demo", "", seed, {})
    mask = disc(60 + seed, 50)
    _, png = cv2.imencode(".png", np.uint8(255) * mask)
    workspace.drafts.save_frames(draft.id, [(0, coco_runs.encode(mask), png.tobytes())])
    return workspace.drafts.finish(draft.id, "done").id


def test_runs_removed_while_they_are_read_are_those_of_before(workspace):
    clip = workspace.clips.add(
        name="disc",
        width=WIDTH,
        height=HEIGHT,
        frame_count=FRAMES,
        source_name="disc.mp4",
        source_sha256="0" * 64,
        time_table=[n / 24 for n in range(FRAMES)],
        place=lambda _clip_id: None,
    )
    target = workspace.targets.add(clip.id)
    expression = workspace.expressions.add(target.id, "the disc", "ana")
    first, second = (add_draft(workspace, expression, seed) for seed in (1, 2))
    somebody = Workspace.open(workspace.folder)
    removed = []

    @event.listens_for(workspace._database.engine, "after_cursor_execute")
    def meanwhile(_connection, _cursor, statement, *_):
        if statement.startswith("SELECT draft_frame") and not removed:
            removed.append(second)
            somebody.targets.remove(target.id)

    with somebody:
        compared = runs.load(workspace, clip.id, [f"draft:{first}", f"draft:{second}"], None)

    assert removed, "something happened meanwhile"
    assert compared.annotation.target_id == target.id
    for seed, run in enumerate(compared.runs, start=1):
        assert np.array_equal(coco_runs.decode(run.masks[0], SIZE), disc(60 + seed, 50))
