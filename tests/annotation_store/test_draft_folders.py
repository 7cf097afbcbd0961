"""The files of a draft go when the draft goes, whatever took it along, and do not come back."""

from __future__ import annotations

import numpy as np
import pytest

from annotation_store import runs
from annotation_store.errors import NotFoundError
from annotation_store.workspace import Workspace

SIZE = (6, 9)
COUNTS = runs.encode(np.eye(*SIZE, dtype=bool))


@pytest.fixture
def workspace(tmp_path):
    with Workspace.open(tmp_path / "work") as opened:
        yield opened


@pytest.fixture
def steam(workspace):
    clip = workspace.clips.add(
        name="kettle steaming",
        width=SIZE[1],
        height=SIZE[0],
        frame_count=5,
        source_name="kettle.mp4",
        source_sha256="0" * 64,
        time_table=[n / 24 for n in range(5)],
        place=lambda _clip_id: None,
    )
    return workspace.targets.add(clip.id, "steam")


def add_draft(workspace, target):
    expression = workspace.expressions.add(target.id, "the steam", "ana")
    draft = workspace.drafts.start(expression.id, "vdit-demo", "abc", 0, {})
    workspace.drafts.save_frames(draft.id, [(0, COUNTS, b"map")])
    workspace.drafts.queries.note(draft.id, [0.9, 0.2], 0)
    workspace.drafts.queries.save(draft.id, [(0, [(COUNTS, b"map"), (COUNTS, b"other")])])
    return draft


def folders(workspace):
    return sorted(path.name for path in (workspace.folder / "cache" / "drafts").iterdir())


REMOVALS = {
    "draft": lambda workspace, draft: workspace.drafts.remove(draft.id),
    "expression": lambda workspace, draft: workspace.expressions.remove(draft.expression_id),
    "target": lambda workspace, draft: workspace.targets.remove(
        workspace.expressions.get(draft.expression_id).target_id
    ),
    "clip": lambda workspace, draft: workspace.clips.remove(draft.clip_id),
}


@pytest.mark.parametrize("what", REMOVALS)
def test_removing_a_draft_or_what_it_hangs_on_takes_its_files(workspace, steam, what):
    draft = add_draft(workspace, steam)
    other = add_draft(workspace, workspace.targets.add(steam.clip_id))

    REMOVALS[what](workspace, draft)

    assert folders(workspace) == ([] if what == "clip" else [str(other.id)])


@pytest.mark.parametrize("what", REMOVALS)
def test_what_is_delivered_after_a_draft_was_removed_leaves_no_file(workspace, steam, what):
    draft = add_draft(workspace, steam)
    REMOVALS[what](workspace, draft)

    with pytest.raises(NotFoundError, match="it may have been discarded"):
        workspace.drafts.save_frames(draft.id, [(1, COUNTS, b"map")])
    with pytest.raises(NotFoundError, match="it may have been discarded"):
        workspace.drafts.queries.save(draft.id, [(1, [(COUNTS, b"map")])])

    assert folders(workspace) == []


def test_a_draft_removed_while_its_frames_are_written_leaves_no_file(workspace, steam):
    draft = add_draft(workspace, steam)

    def delivered(rows):
        yield rows[0]
        workspace.drafts.remove(draft.id)
        yield rows[1]

    with pytest.raises(NotFoundError):
        workspace.drafts.save_frames(
            draft.id, delivered([(1, COUNTS, b"map"), (2, COUNTS, b"map")])
        )
    assert folders(workspace) == []

    draft = add_draft(workspace, steam)
    with pytest.raises(NotFoundError):
        workspace.drafts.queries.save(
            draft.id, delivered([(1, [(COUNTS, b"map")]), (2, [(COUNTS, b"map")])])
        )
    assert folders(workspace) == []
