"""All answers of a segmenter that gives several, from the network to the page's routes."""

from __future__ import annotations

import numpy as np
import pytest

from annotation_store import runs
from annotation_store.workspace import Workspace
from app.live import Live
from app.work.jobs import Job
from app.work.keepers import DraftKeeper
from app.workers.model_tasks import packed_step
from tests.app.conftest import FRAMES, disc, read_masks, soft_map
from tests.model.segmenters.test_vdit_segmenter import clip as noise
from tests.model.segmenters.test_vdit_segmenter import segmenter


def test_what_the_network_answers_is_kept_with_the_draft(tmp_path):
    frames = noise(3)
    size = frames[0].shape[:2]
    steps = [packed_step(step, size, 0.5) for step in segmenter().segment(frames, "the red kite")]
    with Workspace.open(tmp_path) as opened:
        added = opened.clips.add(
            name="noise",
            width=size[1],
            height=size[0],
            frame_count=3,
            source_name="noise.mp4",
            source_sha256="0" * 64,
            time_table=(0.0, 1 / 24, 2 / 24),
            place=lambda _: None,
        )
        target = opened.targets.add(added.id)
        of = opened.expressions.add(target.id, "the red kite", "ana")
        draft = opened.drafts.start(of.id, "vdit-toy", "toy", 0, {}, 0.5)
        job = Job(1, "segment", "Segmenting", draft_id=draft.id)
        keeper = DraftKeeper(opened, Live(), added, draft.id)
        keeper.take(job, steps)
        keeper.end(job, "done", None)

        kept = opened.drafts.get(draft.id)
        queries = opened.drafts.queries.list(draft.id)
        assert len(queries) == 5
        assert kept.query == max(queries, key=lambda one: one.score).index
        assert [one.index for one in queries if one.chosen] == [kept.query]
        answered = [
            frame for step in segmenter().segment(frames, "the red kite") for frame in step.frames
        ]
        for other in range(5):
            opened.drafts.queries.choose(draft.id, other)
            for (_, rle), frame in zip(opened.drafts.masks(draft.id), answered, strict=True):
                assert np.array_equal(runs.decode(rle, size), frame.queries[other].mask)
            read = opened.drafts.read_map(draft.id, 2)
            assert np.array_equal(read, answered[2].queries[other].soft_map)


@pytest.fixture
def several(workspace, expression):
    """A finished draft of two answers: a disc at the left, and one at the right."""
    draft = workspace.drafts.start(expression, "vdit-demo", "w", 0, {}, 0.5)
    masks = [disc(40, 60), disc(120, 60)]
    workspace.drafts.queries.note(draft.id, [0.9, 0.3], 0)
    workspace.drafts.queries.save(
        draft.id,
        [
            (index, [(runs.encode(mask), soft_map(mask)) for mask in masks])
            for index in range(FRAMES)
        ],
    )
    workspace.drafts.save_frames(
        draft.id, [(index, runs.encode(masks[0]), None) for index in range(FRAMES)]
    )
    workspace.drafts.finish(draft.id, "done")
    return draft.id, masks


def test_another_answer_is_chosen_over_http(server, clip, several):
    draft_id, (left, right) = several
    before = server.ask(f"/api/drafts/{draft_id}/maps/3.png")

    reply = server.ask(f"/api/drafts/{draft_id}/query", {"index": 1})

    assert [one["chosen"] for one in reply.json()] == [False, True]
    assert server.get(f"/api/drafts/{draft_id}/queries") == reply.json()
    assert reply.json()[0] == {"index": 0, "score": 0.9, "chosen": False}
    masks = read_masks(server.ask(f"/api/drafts/{draft_id}/masks.bin").body)
    assert len(masks) == FRAMES
    assert all(np.array_equal(held.mask, right) for held in masks.values())
    after = server.ask(f"/api/drafts/{draft_id}/maps/3.png")
    assert (before.body, after.body) == (soft_map(left), soft_map(right))
    assert after.headers["Cache-Control"] == "no-store"
    packed = server.ask(f"/api/drafts/{draft_id}/maps.pack?frames=3")
    assert packed.headers["Cache-Control"] == "no-store"
    (draft,) = server.get(f"/api/clips/{clip['id']}")["drafts"]
    assert draft["query"] == 1


def test_a_comparison_says_which_answer_it_is_of(server, clip, several):
    draft_id, _ = several
    server.ask(f"/api/drafts/{draft_id}/query", {"index": 1})

    (run,) = server.get(f"/api/clips/{clip['id']}/comparison?runs=draft:{draft_id}")["runs"]

    assert run["query"] == 1


def test_drafts_of_one_answer_have_none_to_choose_from(server, clip, workspace, expression):
    draft = workspace.drafts.start(expression, "rem-demo", "w", 0, {}, 0.5)
    workspace.drafts.save_frames(draft.id, [(0, runs.encode(disc(40, 60)), soft_map(disc(40, 60)))])
    workspace.drafts.finish(draft.id, "done")

    assert server.get(f"/api/drafts/{draft.id}/queries") == []
    reply = server.ask(f"/api/drafts/{draft.id}/query", {"index": 0})
    assert reply.status == 404
    assert "no answer 0" in reply.json()["error"]
    kept = server.ask(f"/api/drafts/{draft.id}/maps/0.png").headers["Cache-Control"]
    assert "immutable" in kept
