"""What a workspace keeps; an edit is one step of undo, however many frames it touched."""

from __future__ import annotations

import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest
from sqlalchemy import text

from annotation_store import runs
from annotation_store.clips import Clip
from annotation_store.drafts import mask_at
from annotation_store.edits import MaskChange
from annotation_store.errors import (
    NotFoundError,
    StaleMaskError,
    StoreError,
    WorkspaceUnusableError,
)
from annotation_store.names import BadTextError
from annotation_store.runs import MaskRuns
from annotation_store.workspace import Workspace
from tests.conftest import REPOSITORY
from video_types import Click

SIZE = (30, 47)
FRAMES = 9
ANA, BEN = "ana", "ben"


def disc(x: int, y: int, radius: int = 8) -> np.ndarray:
    canvas = np.zeros(SIZE, dtype=np.uint8)
    cv2.circle(canvas, (x, y), radius, 1, -1)
    return canvas.astype(bool)


def add_clip(workspace: Workspace, name: str = "kettle steaming", sha256: str = "0" * 64) -> Clip:
    return workspace.clips.add(
        name=name,
        width=SIZE[1],
        height=SIZE[0],
        frame_count=FRAMES,
        source_name="kettle.mp4",
        source_sha256=sha256,
        time_table=[n / 24 for n in range(FRAMES)],
        place=lambda clip_id: (workspace.folder / "clips" / str(clip_id)).mkdir(),
    )


@pytest.fixture
def workspace(tmp_path):
    with Workspace.open(tmp_path / "work") as opened:
        yield opened


@pytest.fixture
def clip(workspace):
    return add_clip(workspace)


@pytest.fixture
def steam(workspace, clip):
    return workspace.targets.add(clip.id, "steam")


def paint(workspace, target, frame_index, mask, *, seen=0, annotator=ANA, layer="target", **more):
    change = MaskChange(layer, frame_index, MaskRuns.encode(mask), seen, **more)
    return workspace.edits.apply(target.id, "stroke", annotator, [change])


def shown(workspace, target, frame_index, layer="target"):
    stored = workspace.masks.load(target.id, layer, frame_index)
    return stored.version, None if stored.rle is None else stored.decode(SIZE)


# -- run lengths -----------------------------------------------------------------------------------


@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 0.98, 1.0])
def test_any_mask_survives_its_run_lengths(density):
    mask = np.random.default_rng(5).random(SIZE) < density

    assert np.array_equal(runs.decode(runs.encode(mask), SIZE), mask)
    assert runs.run_lengths(runs.encode(mask)).sum() == mask.size


def test_run_lengths_of_another_size_are_refused():
    with pytest.raises(ValueError, match="not of a mask of 47 rows, 31 columns"):
        runs.decode(runs.encode(disc(9, 9)), (47, 31))


# -- clips, targets, expressions -------------------------------------------------------------------


def test_a_clip_and_its_files_come_together_or_not_at_all(workspace):
    def fails(clip_id):
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        workspace.clips.add(
            name="half",
            width=4,
            height=3,
            frame_count=1,
            source_name="half.mp4",
            source_sha256="1" * 64,
            time_table=[0.0],
            place=fails,
        )

    assert workspace.clips.list() == []


def test_removing_a_clip_takes_everything_of_it(workspace, clip, steam):
    paint(workspace, steam, 2, disc(20, 12))
    expression = workspace.expressions.add(steam.id, "the steam", ANA)
    draft = workspace.drafts.start(expression.id, "rem-demo", "abc", 0, {})
    workspace.drafts.save_frames(draft.id, [(0, runs.encode(disc(9, 9)), b"png")])

    workspace.clips.remove(clip.id)

    assert workspace.clips.list() == []
    assert not (workspace.folder / "clips" / str(clip.id)).exists()
    assert not workspace.drafts.map_path(draft.id, 0).exists()
    with pytest.raises(NotFoundError, match="There is no clip"):
        workspace.clips.get(clip.id)
    assert add_clip(workspace).id != clip.id  # browsers still hold frames under the old number


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "  "}, "a clip's name, but nothing was typed"),
        ({"name": "x" * 301}, "at most 300 characters, got 301"),
        ({"concept": "candle\nmelting"}, "control character U\\+000A"),
        ({"category": "cats"}, "Expected a category out of"),
        ({"state": "ready"}, "Expected a state out of"),
    ],
)
def test_a_bad_fact_is_refused_where_it_enters(workspace, clip, changes, sentence):
    with pytest.raises(StoreError, match=sentence):
        workspace.clips.update(clip.id, **changes)

    assert workspace.clips.get(clip.id) == clip


def test_the_state_of_a_clip_follows_its_drafts_and_masks(workspace, clip, steam):
    states = []

    def note():
        assert workspace.clips.get(clip.id).state == workspace.clips.summary()[0].clip.state
        states.append(workspace.clips.get(clip.id).state)

    note()
    expression = workspace.expressions.add(steam.id, "the steam", ANA)
    workspace.drafts.start(expression.id, "rem-demo", "abc", 0, {})
    note()
    paint(workspace, steam, 2, disc(20, 12))
    note()
    workspace.edits.undo(clip.id, ANA)
    note()
    workspace.edits.redo(clip.id, ANA)
    workspace.clips.update(clip.id, state="done")
    note()
    workspace.clips.update(clip.id, state="new")  # which it is not, with a mask
    note()

    assert states == ["new", "drafted", "in progress", "drafted", "done", "in progress"]


def test_any_script_is_a_name(workspace, clip):
    updated = workspace.clips.update(clip.id, name="湯気 <b>🫖</b>", concept="kettle steaming")

    assert updated.name == "湯気 <b>🫖</b>"
    assert workspace.clips.get(clip.id).concept == "kettle steaming"


def test_labels_are_a_letter_per_annotator_and_a_number(workspace, steam):
    labels = [
        workspace.expressions.add(steam.id, text, who).label
        for text, who in [("the steam", ANA), ("grey steam", BEN), ("what rises", ANA)]
    ]

    assert labels == ["A1", "B1", "A2"]


def test_an_empty_expression_is_refused(workspace, steam):
    with pytest.raises(BadTextError, match="Expected an expression, but nothing was typed"):
        workspace.expressions.add(steam.id, "   ", ANA)


def test_the_list_counts_what_each_clip_holds(workspace, clip, steam):
    other = add_clip(workspace, "empty one", "2" * 64)
    workspace.expressions.add(steam.id, "the steam", BEN)
    workspace.expressions.add(steam.id, "what rises", ANA)
    paint(workspace, steam, 2, disc(20, 12))
    paint(workspace, steam, 3, disc(20, 12), verified=True)
    paint(workspace, steam, 4, disc(20, 12), layer="ignore")

    first, second = workspace.clips.summary()

    assert (first.targets, first.expressions, first.annotators) == (1, 2, (ANA, BEN))
    assert (first.masked_frames, first.verified_frames) == (2, 1)
    assert second.clip.id == other.id
    assert (second.targets, second.masked_frames) == (0, 0)


# -- edits -----------------------------------------------------------------------------------------


def test_a_mask_comes_back_as_it_was_saved(workspace, steam):
    click = Click(3, 20.5, 12.25, positive=True)

    applied = paint(workspace, steam, 3, disc(20, 12), clicks=(click,))

    stored = workspace.masks.load(steam.id, "target", 3)
    assert applied.versions == {("target", 3): 1}
    assert np.array_equal(stored.decode(SIZE), disc(20, 12))
    assert (stored.clicks, stored.origin, stored.verified) == ((click,), "stroke", False)


def test_an_edit_of_an_outdated_mask_is_refused_and_changes_nothing(workspace, steam):
    paint(workspace, steam, 3, disc(20, 12))

    with pytest.raises(StaleMaskError, match="Frame 3 was changed elsewhere"):
        workspace.edits.apply(
            steam.id,
            "stroke",
            ANA,
            [
                MaskChange("target", 4, MaskRuns.encode(disc(9, 9)), 0),
                MaskChange("target", 3, MaskRuns.encode(disc(40, 20)), 0),
            ],
        )

    version, mask = shown(workspace, steam, 3)
    assert version == 1
    assert np.array_equal(mask, disc(20, 12))
    assert shown(workspace, steam, 4) == (0, None)


def test_a_mask_of_another_size_or_frame_is_refused(workspace, steam):
    with pytest.raises(StoreError, match="Expected a mask of 30 rows and 47 columns"):
        paint(workspace, steam, 3, disc(9, 9).T)
    with pytest.raises(StoreError, match="its frames are 0 to 8"):
        paint(workspace, steam, FRAMES, disc(9, 9))

    assert workspace.masks.load_all(steam.id) == []


def test_undo_and_redo_walk_edits_and_versions_only_grow(workspace, clip, steam):
    paint(workspace, steam, 3, disc(20, 12))
    paint(workspace, steam, 3, disc(40, 20), seen=1)
    workspace.edits.apply(
        steam.id,
        "propagation",
        ANA,
        [MaskChange("target", n, MaskRuns.encode(disc(9, 9)), 0) for n in (4, 5)],
    )

    undone = [workspace.edits.undo(clip.id, ANA) for _ in range(3)]
    after_undo = [shown(workspace, steam, n)[1] for n in (3, 4)]
    redone = [workspace.edits.redo(clip.id, ANA) for _ in range(3)]

    assert [one.kind for one in undone] == ["propagation", "stroke", "stroke"]
    assert undone[0].changed == [(steam.id, "target", 4), (steam.id, "target", 5)]
    assert after_undo == [None, None]
    assert [one.edit_id for one in redone] == [one.edit_id for one in reversed(undone)]
    version, mask = shown(workspace, steam, 3)
    assert np.array_equal(mask, disc(40, 20))
    assert version == 6
    assert workspace.edits.redo(clip.id, ANA) is None


def test_undo_survives_closing_the_workspace(tmp_path):
    with Workspace.open(tmp_path) as first:
        clip = add_clip(first)
        steam = first.targets.add(clip.id)
        paint(first, steam, 3, disc(20, 12))
        paint(first, steam, 3, disc(40, 20), seen=1)

    with Workspace.open(tmp_path) as second:
        second.edits.undo(clip.id, ANA)

        assert np.array_equal(shown(second, steam, 3)[1], disc(20, 12))


def test_a_new_edit_ends_what_could_be_redone(workspace, clip, steam):
    paint(workspace, steam, 3, disc(20, 12))
    workspace.edits.undo(clip.id, ANA)
    paint(workspace, steam, 5, disc(9, 9))

    assert workspace.edits.redo(clip.id, ANA) is None


def test_each_annotator_undoes_their_own(workspace, clip, steam):
    paint(workspace, steam, 3, disc(20, 12), annotator=ANA)
    paint(workspace, steam, 5, disc(9, 9), annotator=BEN)

    workspace.edits.undo(clip.id, ANA)

    assert shown(workspace, steam, 3)[1] is None
    assert np.array_equal(shown(workspace, steam, 5)[1], disc(9, 9))


def test_undo_never_takes_back_what_somebody_else_painted_since(workspace, clip, steam):
    paint(workspace, steam, 3, disc(20, 12), annotator=ANA)
    paint(workspace, steam, 3, disc(40, 20), seen=1, annotator=BEN)

    with pytest.raises(StaleMaskError):
        workspace.edits.undo(clip.id, ANA)

    assert np.array_equal(shown(workspace, steam, 3)[1], disc(40, 20))


def test_verifying_is_an_edit_that_keeps_where_the_mask_came_from(workspace, clip, steam):
    workspace.edits.apply(
        steam.id, "draft", ANA, [MaskChange("target", 3, MaskRuns.encode(disc(20, 12)), 0)]
    )
    workspace.edits.apply(
        steam.id,
        "verify",
        ANA,
        [MaskChange("target", 3, MaskRuns.encode(disc(20, 12)), 1, verified=True)],
    )

    verified = workspace.masks.load(steam.id, "target", 3)
    workspace.edits.undo(clip.id, ANA)
    after = workspace.masks.load(steam.id, "target", 3)

    assert (verified.origin, verified.verified) == ("draft", True)
    assert (after.origin, after.verified) == ("draft", False)


def test_a_long_edit_keeps_each_frame_as_it_comes_and_is_one_step_of_undo(workspace, clip, steam):
    edit_id = workspace.edits.start(steam.id, "propagation", ANA)
    for n in range(4):
        workspace.edits.extend(
            edit_id, [MaskChange("target", n, MaskRuns.encode(disc(9 + n, 9)), 0)]
        )

    masked = [one.frame_index for one in workspace.masks.load_all(steam.id)]
    workspace.edits.undo(clip.id, ANA)

    assert masked == [0, 1, 2, 3]
    assert all(one.rle is None for one in workspace.masks.load_all(steam.id))
    with pytest.raises(StoreError, match="undone while it was still being made"):
        workspace.edits.extend(edit_id, [MaskChange("target", 5, MaskRuns.encode(disc(9, 9)), 0)])


def test_load_all_gives_current_masks_of_the_frames_asked_for(workspace, steam):
    for n in range(5):
        paint(workspace, steam, n, disc(9 + n, 9))
    paint(workspace, steam, 2, disc(30, 9), seen=1)

    found = workspace.masks.load_all(steam.id, frames=[2, 4, 7])

    assert [(one.frame_index, one.version) for one in found] == [(2, 2), (4, 1)]


# -- drafts ----------------------------------------------------------------------------------------


def png(soft_map: np.ndarray) -> bytes:
    return cv2.imencode(".png", soft_map)[1].tobytes()


@pytest.fixture
def draft(workspace, steam):
    expression = workspace.expressions.add(steam.id, "the steam", ANA)
    started = workspace.drafts.start(expression.id, "rem-demo", "abc", 7, {"chunk": 72})
    soft_map = np.full((15, 23), 40, dtype=np.uint8)
    soft_map[3:8, 4:20] = 100
    soft_map[4:7, 9:14] = 230
    frames = [(n, runs.encode(mask_at(soft_map, SIZE, 0.5)), png(soft_map)) for n in range(4)]
    workspace.drafts.save_frames(started.id, frames)
    return workspace.drafts.finish(started.id, "done")


def test_a_draft_keeps_what_is_needed_to_repeat_it(workspace, draft):
    (listed,) = workspace.drafts.list(draft.clip_id)

    assert (listed.segmenter, listed.seed, listed.settings) == ("rem-demo", 7, {"chunk": 72})
    assert (listed.state, listed.frames_done, listed.expression_text) == ("done", 4, "the steam")
    assert [frame_index for frame_index, _ in workspace.drafts.masks(draft.id)] == [0, 1, 2, 3]


def test_an_accepted_draft_leaves_edited_and_verified_frames_alone(workspace, steam, draft):
    paint(workspace, steam, 1, disc(30, 20))
    paint(workspace, steam, 2, np.zeros(SIZE, dtype=bool), verified=True)

    applied = workspace.drafts.accept(draft.id, ANA, 0, 2)

    assert set(applied.versions) == {("target", 0)}
    assert np.array_equal(shown(workspace, steam, 1)[1], disc(30, 20))
    assert shown(workspace, steam, 3) == (0, None)
    overwritten = workspace.drafts.accept(draft.id, ANA, 0, 2, overwrite_edited=True)
    assert len(overwritten.versions) == 3


def test_a_moved_threshold_is_what_is_accepted(workspace, steam, draft):
    workspace.drafts.accept(draft.id, ANA, 0, 0, threshold=0.3)
    workspace.drafts.accept(draft.id, ANA, 1, 1)

    wide, narrow = shown(workspace, steam, 0)[1], shown(workspace, steam, 1)[1]
    assert wide.sum() > narrow.sum() > 0
    assert not (narrow & ~wide).any()


def test_accepting_nothing_says_why(workspace, steam, draft):
    paint(workspace, steam, 0, disc(30, 20))

    with pytest.raises(StoreError, match="no frames from 6 to 8"):
        workspace.drafts.accept(draft.id, ANA, 6, 8)
    with pytest.raises(StoreError, match="edited or verified by hand"):
        workspace.drafts.accept(draft.id, ANA, 0, 0)


def test_a_draft_whose_program_ended_is_failed_and_keeps_its_frames(tmp_path):
    program = """
import sys, os
from annotation_store import runs
from tests.annotation_store.test_store import add_clip, disc
from annotation_store.workspace import Workspace
workspace = Workspace.open(sys.argv[1])
target = workspace.targets.add(add_clip(workspace).id)
expression = workspace.expressions.add(target.id, "the steam", "ana")
draft = workspace.drafts.start(expression.id, "rem-demo", "abc", 0, {})
workspace.drafts.save_frames(draft.id, [(0, runs.encode(disc(9, 9)), b"png")])
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=REPOSITORY, check=False)

    with Workspace.open(tmp_path) as workspace:
        (draft,) = workspace.drafts.list(workspace.clips.list()[0].id)

    assert (draft.state, draft.frames_done) == ("failed", 1)
    assert "ended while this was running" in draft.note


# -- many at once, and what can go wrong -----------------------------------------------------------


def test_two_programs_may_make_and_open_the_same_workspace_at_once(tmp_path):
    program = """
import sys
from annotation_store.workspace import Workspace
from tests.annotation_store.test_store import add_clip
with Workspace.open(sys.argv[1]) as workspace:
    for n in range(5):
        add_clip(workspace, f"{sys.argv[2]} {n}")
"""
    both = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path), name],
            cwd=REPOSITORY,
            stderr=subprocess.PIPE,
        )
        for name in ("left", "right")
    ]
    errors = [process.communicate()[1] for process in both]

    assert [process.returncode for process in both] == [0, 0], errors
    with Workspace.open(tmp_path) as workspace:
        assert len(workspace.clips.list()) == 10


def test_of_many_threads_saving_the_same_frame_exactly_one_wins(workspace, steam):
    outcomes: list[str] = []

    def save(radius: int) -> None:
        try:
            paint(workspace, steam, 3, disc(20, 12, radius))
            outcomes.append("saved")
        except StaleMaskError:
            outcomes.append("refused")

    threads = [threading.Thread(target=save, args=(radius,)) for radius in range(3, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["refused"] * 5 + ["saved"]
    assert shown(workspace, steam, 3)[0] == 1


def test_a_full_disk_is_a_sentence_and_the_last_good_state_stays(workspace, steam):
    paint(workspace, steam, 3, disc(20, 12))
    noise = np.random.default_rng(1).random(SIZE) < 0.5
    with workspace._database.read() as connection:
        pages = connection.scalar(text("PRAGMA page_count"))
        connection.execute(text(f"PRAGMA max_page_count={pages}"))

    def fill():
        for n in range(200):
            paint(workspace, steam, 4, noise, seen=n)

    with pytest.raises(StoreError, match="disk that holds the workspace is full"):
        fill()

    assert np.array_equal(shown(workspace, steam, 3)[1], disc(20, 12))


def test_the_maker_of_a_mask_is_known_until_undo_brings_back_another(workspace, clip, steam):
    paint(workspace, steam, 3, disc(20, 12))
    change = MaskChange("target", 4, MaskRuns.encode(disc(22, 12)), 0)
    made = workspace.edits.apply(steam.id, "propagation", "ana", [change], note="mobile-sam")

    assert workspace.masks.makers(steam.id)[4] == (made.edit_id, "mobile-sam")
    assert workspace.masks.makers(steam.id)[3][0] < made.edit_id
    workspace.edits.undo(clip.id, "ana")
    assert 4 not in workspace.masks.makers(steam.id)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(WorkspaceUnusableError, match="Choose another folder with --workspace"):
        Workspace.open(tmp_path / "taken")
