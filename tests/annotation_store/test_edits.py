"""What an edit costs: few statements and little memory, however many frames it has."""

from __future__ import annotations

import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest
from sqlalchemy import event

from annotation_store import runs
from annotation_store.edits import MaskChange
from annotation_store.errors import StaleMaskError, StoreError
from annotation_store.runs import MaskRuns
from annotation_store.workspace import Workspace

SIZE = (30, 47)
FRAMES = 300
ANA, BEN = "ana", "ben"


@pytest.fixture
def workspace(tmp_path):
    with Workspace.open(tmp_path / "work") as opened:
        yield opened


def add_clip(workspace, size=SIZE):
    return workspace.clips.add(
        name="kettle steaming",
        width=size[1],
        height=size[0],
        frame_count=FRAMES,
        source_name="kettle.mp4",
        source_sha256="0" * 64,
        time_table=[n / 24 for n in range(FRAMES)],
        place=lambda _clip_id: None,
    )


@pytest.fixture
def steam(workspace):
    return workspace.targets.add(add_clip(workspace).id, "steam")


def bar(width: int, size=SIZE) -> MaskRuns:
    mask = np.zeros(size, dtype=bool)
    mask[3:9, : 1 + width % 40] = True
    return MaskRuns.encode(mask)


def changes(frames: int, *, seen: int = 0, shift: int = 0) -> list[MaskChange]:
    return [MaskChange("target", n, bar(n + shift), seen) for n in range(frames)]


@contextmanager
def statements(workspace):
    """What is asked of the database; one that runs over many rows counts once."""
    asked: list[str] = []

    def note(_connection, _cursor, statement, *_more):
        asked.append(statement)

    event.listen(workspace._database.engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(workspace._database.engine, "before_cursor_execute", note)


def count_of(workspace, do) -> int:
    with statements(workspace) as asked:
        do()
    return len(asked)


def everything_of(workspace, target, frames: int) -> list[int]:
    """Statements of applying, changing, extending, undoing and redoing an edit of `frames`."""
    edits, clip_id = workspace.edits, target.clip_id
    counts = [
        count_of(workspace, lambda: edits.apply(target.id, "import", ANA, changes(frames))),
        count_of(
            workspace,
            lambda: edits.apply(target.id, "import", ANA, changes(frames, seen=1, shift=3)),
        ),
        count_of(workspace, lambda: edits.undo(clip_id, ANA)),
        count_of(workspace, lambda: edits.redo(clip_id, ANA)),
    ]
    edit_id = edits.start(target.id, "propagation", ANA)
    for shift, seen in enumerate((4, 5)):  # the second comes back to the same frames
        fresh = changes(frames, seen=seen, shift=shift)
        counts.append(count_of(workspace, lambda fresh=fresh: edits.extend(edit_id, fresh)))
    return counts


def test_an_edit_of_300_frames_takes_as_few_statements_as_one_of_3(workspace):
    few = workspace.targets.add(add_clip(workspace).id)
    many = workspace.targets.add(add_clip(workspace).id)

    counts = everything_of(workspace, many, FRAMES)

    assert counts == everything_of(workspace, few, 3)
    assert max(counts) <= 14


def test_accepting_300_frames_of_a_draft_takes_as_few_statements_as_3(workspace, steam):
    expression = workspace.expressions.add(steam.id, "the steam", ANA)
    draft = workspace.drafts.start(expression.id, "rem-demo", "abc", 0, {})
    frames = [(n, bar(n).counts, None) for n in range(FRAMES)]

    saved = count_of(workspace, lambda: workspace.drafts.save_frames(draft.id, frames))
    few = count_of(workspace, lambda: workspace.drafts.accept(draft.id, ANA, 0, 2))
    many = count_of(workspace, lambda: workspace.drafts.accept(draft.id, ANA, 3, FRAMES - 1))

    assert saved <= 6
    assert many == few <= 24


def test_undo_and_redo_of_many_frames_bring_back_every_one(workspace, steam):
    workspace.edits.apply(steam.id, "import", ANA, changes(FRAMES))
    workspace.edits.apply(steam.id, "propagation", ANA, changes(FRAMES, seen=1, shift=5))

    workspace.edits.undo(steam.clip_id, ANA)

    before = workspace.masks.load_all(steam.id)
    assert [(stored.rle, stored.version, stored.origin) for stored in before] == [
        (bar(n).counts, 3, "import") for n in range(FRAMES)
    ]
    workspace.edits.redo(steam.clip_id, ANA)
    after = workspace.masks.load_all(steam.id)
    assert [(stored.rle, stored.version, stored.origin) for stored in after] == [
        (bar(n + 5).counts, 4, "propagation") for n in range(FRAMES)
    ]


def test_one_frame_of_many_that_somebody_changed_keeps_all_of_an_undo_from_happening(
    workspace, steam
):
    workspace.edits.apply(steam.id, "import", ANA, changes(FRAMES))
    workspace.edits.apply(steam.id, "stroke", BEN, [MaskChange("target", 217, bar(30), 1)])

    with pytest.raises(StaleMaskError, match="Frame 217 was changed elsewhere"):
        workspace.edits.undo(steam.clip_id, ANA)

    shown = workspace.masks.load_all(steam.id)
    assert [stored.version for stored in shown] == [1 + (n == 217) for n in range(FRAMES)]


def test_a_frame_named_twice_in_one_edit_is_refused(workspace, steam):
    with pytest.raises(StoreError, match="Frame 4 is named twice"):
        workspace.edits.apply(
            steam.id, "stroke", ANA, [MaskChange("target", 4, bar(n), 0) for n in (1, 2)]
        )


def test_run_lengths_that_are_of_no_mask_are_refused_and_change_nothing(workspace, steam):
    torn = MaskRuns(runs.encode(np.ones((3, 4), dtype=bool)), SIZE)

    with pytest.raises(ValueError, match="not of a mask of 30 rows, 47 columns"):
        workspace.edits.apply(steam.id, "stroke", ANA, [MaskChange("target", 4, torn, 0)])

    assert workspace.masks.load_all(steam.id) == []


def test_accepting_a_draft_never_holds_its_masks_as_pixels(workspace):
    size = (1080, 1920)
    steam = workspace.targets.add(add_clip(workspace, size).id)
    expression = workspace.expressions.add(steam.id, "the steam", ANA)
    draft = workspace.drafts.start(expression.id, "rem-demo", "abc", 0, {})
    frames = [(n, bar(n, size).counts, None) for n in range(FRAMES)]
    workspace.drafts.save_frames(draft.id, frames)

    tracemalloc.start()
    workspace.drafts.accept(draft.id, ANA, 0, FRAMES - 1)
    workspace.edits.undo(steam.clip_id, ANA)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert most < 5 * size[0] * size[1]  # of 300 frames


# -- asked for twice under one name ----------------------------------------------------------------


def test_an_edit_asked_for_again_under_its_name_is_done_once(workspace, steam):
    first = workspace.edits.apply(steam.id, "stroke", ANA, changes(3), name="stroke-1")

    again = workspace.edits.apply(steam.id, "stroke", ANA, changes(3), name="stroke-1")

    assert again == first == workspace.edits.done("stroke-1")
    assert [stored.version for stored in workspace.masks.load_all(steam.id)] == [1, 1, 1]
    assert workspace.edits.done("stroke-2") is None


def test_undo_asked_for_again_under_its_name_takes_back_one_edit(workspace, steam):
    workspace.edits.apply(steam.id, "stroke", ANA, changes(1))
    workspace.edits.apply(steam.id, "stroke", ANA, changes(1, seen=1, shift=5))

    undone = [workspace.edits.undo(steam.clip_id, ANA, name="undo-1") for _ in range(2)]

    assert undone[0] == undone[1]
    assert workspace.masks.load_all(steam.id)[0].rle == bar(0).counts
    redone = [workspace.edits.redo(steam.clip_id, ANA, name="redo-1") for _ in range(2)]
    assert redone[0] == redone[1]
    nothing = [workspace.edits.redo(steam.clip_id, ANA, name="redo-2") for _ in range(2)]
    assert nothing == [None, None]


def test_an_edit_that_was_refused_may_be_asked_for_again_under_its_name(workspace, steam):
    workspace.edits.apply(steam.id, "stroke", BEN, changes(1))
    with pytest.raises(StaleMaskError):
        workspace.edits.apply(steam.id, "stroke", ANA, changes(1), name="stroke-1")

    applied = workspace.edits.apply(steam.id, "stroke", ANA, changes(1, seen=1), name="stroke-1")

    assert applied.versions == {("target", 0): 2}


def test_names_of_edits_go_with_their_clip(workspace, steam):
    workspace.edits.apply(steam.id, "stroke", ANA, changes(1), name="stroke-1")

    workspace.clips.remove(steam.clip_id)

    assert workspace.edits.done("stroke-1") is None


def test_a_target_asked_for_again_under_its_name_is_made_once(workspace, steam):
    made = [workspace.targets.add(steam.clip_id, asked_as="stroke-1-target") for _ in range(2)]

    assert made[0] == made[1]
    assert len(workspace.targets.list(steam.clip_id)) == 2
