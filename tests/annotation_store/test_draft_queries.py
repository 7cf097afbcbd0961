"""A draft with several answers: another one taken at once, on all frames, and back again."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from sqlalchemy import inspect

from annotation_store import runs
from annotation_store.draft_queries import Query
from annotation_store.drafts import mask_at
from annotation_store.errors import NotFoundError, StoreError
from annotation_store.workspace import Workspace

SIZE = (24, 32)


@pytest.fixture
def workspace(tmp_path):
    with Workspace.open(tmp_path / "workspace") as opened:
        yield opened


def soft_map(number, frame_index):
    values = np.full((12, 16), 40 * number, dtype=np.uint8)
    values[:, : frame_index + 2] = 250
    return values


def answers(frame_index):
    """Three answers of one frame as counts and PNGs."""
    found = []
    for number in range(3):
        values = soft_map(number, frame_index)
        png = cv2.imencode(".png", values)[1].tobytes()
        found.append((runs.encode(mask_at(values, SIZE, 0.25)), png))
    return found


@pytest.fixture
def draft(workspace):
    """Two frames, three answers, the second of them chosen; not finished yet."""
    clip = workspace.clips.add(
        name="clip",
        width=SIZE[1],
        height=SIZE[0],
        frame_count=2,
        source_name="a.mp4",
        source_sha256="0" * 64,
        time_table=(0.0, 1 / 24),
        place=lambda _: None,
    )
    target = workspace.targets.add(clip.id)
    expression = workspace.expressions.add(target.id, "a kite", "ana")
    draft = workspace.drafts.start(expression.id, "vdit-demo", "h", 0, {}, 0.25)
    workspace.drafts.queries.note(draft.id, [0.1, 0.7, 0.2], 1)
    workspace.drafts.queries.save(draft.id, [(index, answers(index)) for index in range(2)])
    workspace.drafts.save_frames(
        draft.id, [(index, answers(index)[1][0], None) for index in range(2)]
    )
    return draft


def test_all_answers_are_listed_with_their_scores(workspace, draft):
    assert workspace.drafts.queries.list(draft.id) == [
        Query(0, 0.1, False),
        Query(1, 0.7, True),
        Query(2, 0.2, False),
    ]
    assert workspace.drafts.get(draft.id).query == 1


def test_another_answer_becomes_the_drafts_masks_and_soft_maps(workspace, draft):
    drafts = workspace.drafts
    drafts.finish(draft.id, "done")

    drafts.queries.choose(draft.id, 2)

    assert drafts.masks(draft.id) == [(index, answers(index)[2][0]) for index in range(2)]
    assert np.array_equal(drafts.read_map(draft.id, 1), soft_map(2, 1))
    assert drafts.get(draft.id).query == 2
    drafts.queries.choose(draft.id, 1)
    assert drafts.masks(draft.id) == [(index, answers(index)[1][0]) for index in range(2)]
    assert np.array_equal(drafts.read_map(draft.id, 1), soft_map(1, 1))


def test_what_is_accepted_is_of_the_chosen_answer_at_any_threshold(workspace, draft):
    workspace.drafts.finish(draft.id, "done")
    workspace.drafts.queries.choose(draft.id, 2)

    workspace.drafts.accept(draft.id, "ana", 0, 1, threshold=0.5)

    target_id = workspace.targets.list(draft.clip_id)[0].id
    shown = workspace.masks.load(target_id, "target", 1).decode(SIZE)
    assert np.array_equal(shown, mask_at(soft_map(2, 1), SIZE, 0.5))


def test_a_draft_that_is_being_made_and_answers_that_are_none_are_refused(workspace, draft):
    queries = workspace.drafts.queries
    with pytest.raises(StoreError, match="still being made"):
        queries.choose(draft.id, 2)
    workspace.drafts.finish(draft.id, "done")
    with pytest.raises(NotFoundError, match="no answer 3"):
        queries.choose(draft.id, 3)
    with pytest.raises(NotFoundError, match="no draft"):
        queries.list(draft.id + 1)

    assert queries.chosen(draft.id) == 1


def test_nothing_of_the_answers_is_left_when_the_draft_is_discarded(workspace, draft):
    path = workspace.drafts.queries.map_path(draft.id, 2, 1)
    assert path.exists()

    workspace.drafts.remove(draft.id)

    assert not path.exists()
    with workspace._database.read() as connection:
        names = inspect(connection).get_table_names()
        left = connection.exec_driver_sql("SELECT count(*) FROM draft_query_frame").scalar()
    assert "draft_query" in names
    assert left == 0
