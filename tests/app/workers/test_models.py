"""The model worker with the catalog's own engines: loading, failing to load, loading ahead."""

from __future__ import annotations

import os

import cv2
import pytest

from annotation_store import runs
from annotation_store.frames import FrameStore
from app.notices import RefusedError
from app.settings import Settings
from app.workers.tasks import model_tasks
from app.workers.worker import Priority, Worker
from tests.app.conftest import SIZE, disc, disc_x, picture
from video_types import Click

ENOUGH_S = 120
CLIP, FRAMES = 1, 12


@pytest.fixture
def workspace_folder(tmp_path):
    """The frames of one clip, which is all the model worker reads."""
    store = FrameStore(tmp_path)
    store.path(CLIP, 0).parent.mkdir(parents=True)
    for index in range(FRAMES):
        image = cv2.cvtColor(picture(index), cv2.COLOR_RGB2BGR)
        assert cv2.imwrite(str(store.path(CLIP, index)), image)
    return tmp_path


@pytest.fixture
def worker(workspace_folder, monkeypatch):
    """A model worker for which SAM 2.1 tiny is what a failed download left."""
    page = workspace_folder / "sam2.1_hiera_tiny.pt"
    page.write_text("<!doctype html><title>404 Not Found</title>")
    monkeypatch.setitem(os.environ, "REFSCRIBE_SAM2_TINY", str(page))
    one = Worker("model", model_tasks, Settings(workspace_folder), told=lambda *_: None)
    one.start()
    yield one
    one.stop()


def refine(worker, refiner, frame_index=0):
    return worker.submit(
        "refine",
        Priority.CLICK,
        clip_id=CLIP,
        frame_index=frame_index,
        size=SIZE,
        refiner=refiner,
        clicks=[Click(frame_index, disc_x(frame_index), 60, True)],
        prior=None,
        box=None,
    ).result(ENOUGH_S)


def test_a_refiner_that_cannot_be_loaded_leaves_the_one_before_usable(worker):
    before = refine(worker, "mobile-sam")

    with pytest.raises(RefusedError) as refused:
        refine(worker, "sam2.1-tiny")
    again = refine(worker, "mobile-sam")

    assert refused.value.notice.code == "model"
    assert "sam2.1_hiera_tiny.pt" in str(refused.value)
    assert again.rle == before.rle
    found = runs.decode(again.rle, SIZE)
    assert (found & disc(disc_x(0), 60)).sum() > 0.8 * (found | disc(disc_x(0), 60)).sum()


def test_a_refiner_that_cannot_be_loaded_says_so_every_time(worker):
    for _ in range(2):
        with pytest.raises(RefusedError, match=r"sam2\.1_hiera_tiny\.pt"):
            refine(worker, "sam2.1-tiny")


def test_a_segmenter_that_cannot_be_loaded_is_not_taken_for_loaded(worker, monkeypatch):
    wish = {
        "clip_id": CLIP,
        "frame_count": FRAMES,
        "size": SIZE,
        "expression": "the orange disc",
        "seed": 0,
        "threshold": 0.5,
    }
    for _ in range(2):
        call = worker.submit("segment", Priority.CLIP, segmenter="no-such-thing", **wish)
        with pytest.raises(RefusedError, match="no engine called 'no-such-thing'"):
            call.result(ENOUGH_S)
