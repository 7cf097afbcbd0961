"""The model worker with the catalog's own engines: loading, failing to load, loading ahead."""

from __future__ import annotations

import os
import signal
from importlib.util import find_spec

import cv2
import pytest

from annotation_store import runs
from annotation_store.frames import FrameStore
from app.notices import RefusedError
from app.settings import Settings
from app.workers.messages import FrameFilled
from app.workers.model_tasks import model_tasks
from app.workers.models import Loaded
from app.workers.worker import Priority, Worker
from model import catalog
from model.segmenter import ModelError
from tests.app.conftest import (
    SIZE,
    disc,
    disc_x,
    picture,
    start_server,
    stop_server,
    wait_for,
)
from tests.app.workers import worker_tasks
from tests.model.refiners import toy_edgetam
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
    one = Worker("model", model_tasks, Settings(workspace_folder))
    one.start()
    yield one
    one.stop()


def click(worker, refiner, frame_index=0):
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
    )


def refine(worker, refiner, frame_index=0):
    return click(worker, refiner, frame_index).result(ENOUGH_S)


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


def test_a_name_that_no_engine_has_lets_go_of_none():
    loaded = Loaded(lambda name: [name], catalog.entry)
    before = loaded.get("mobile-sam")

    with pytest.raises(ModelError, match="no engine called 'no-such-thing'"):
        loaded.get("no-such-thing")

    assert loaded.get("mobile-sam") is before


def propagate(worker, refiner, anchors, targets):
    """What arrived on each of `targets`."""
    call = worker.submit(
        "propagate",
        Priority.PROPAGATION,
        clip_id=CLIP,
        frame_count=FRAMES,
        size=SIZE,
        refiner=refiner,
        anchors={index: runs.encode(mask) for index, mask in anchors.items()},
        targets=targets,
    )
    call.result(ENOUGH_S)
    told = iter(lambda: call.take(0), None)
    filled = [one.what for one in told if isinstance(one.what, FrameFilled)]
    return {one.frame_index: runs.decode(one.rle, SIZE) for one in filled}


def test_edgetam_answers_clicks_and_carries_masks(workspace_folder, monkeypatch):
    """With toy weights, through the code that loads a person's own."""
    folder = toy_edgetam.write_toy(workspace_folder / "edgetam")
    monkeypatch.setitem(os.environ, "REFSCRIBE_EDGETAM", str(folder))
    one = Worker("model", model_tasks, Settings(workspace_folder))
    one.start()
    try:
        clicked = runs.decode(refine(one, "edgetam").rle, SIZE)
        carried = propagate(one, "edgetam", {4: disc(disc_x(4), 60)}, [5, 6, 3])
    finally:
        one.stop()

    assert clicked[60, int(disc_x(0))]
    assert list(carried) == [5, 6, 3]
    assert {mask.shape for mask in carried.values()} == {SIZE}


@pytest.fixture
def toy(workspace_folder):
    """A model worker whose refiner counts the pictures it encodes."""
    one = Worker("model", worker_tasks.toy_models, workspace_folder)
    one.start()
    yield one
    one.stop()


def ahead(worker, frame_index):
    return worker.submit(
        "prepare",
        Priority.AHEAD,
        clip_id=CLIP,
        frame_count=FRAMES,
        frame_index=frame_index,
        refiner="toy",
    )


def encoded(worker):
    return worker.submit("encoded", Priority.CLICK).result(ENOUGH_S)


def test_a_click_where_the_refiner_has_looked_ahead_encodes_nothing(toy):
    ahead(toy, 5).result(ENOUGH_S)
    seen = encoded(toy)

    for frame_index in range(3, 10):
        refine(toy, "toy", frame_index)

    assert encoded(toy) == seen == 7, "the frame, four ahead and two behind"


@pytest.mark.parametrize(("frame_index", "near"), [(0, 5), (FRAMES - 1, 3), (FRAMES + 40, 0)])
def test_looking_ahead_stays_inside_the_clip(toy, frame_index, near):
    ahead(toy, frame_index).result(ENOUGH_S)

    assert encoded(toy) == near


def test_looking_ahead_gives_way_to_a_click_after_a_frame(toy):
    encoded(toy)  # it is up
    os.kill(toy.pid, signal.SIGSTOP)
    looking = ahead(toy, 2)
    clicked = click(toy, "toy", 11)
    os.kill(toy.pid, signal.SIGCONT)

    clicked.result(ENOUGH_S)

    assert encoded(toy) < 8, "some of the seven frames were left for after the click"
    looking.result(ENOUGH_S)
    assert encoded(toy) == 8


def test_what_was_seen_is_not_looked_at_again(toy):
    ahead(toy, 5).result(ENOUGH_S)

    ahead(toy, 6).result(ENOUGH_S)

    assert encoded(toy) == 8


def test_looking_ahead_can_be_left_off(toy):
    looking = ahead(toy, 5)

    looking.cancel()

    assert encoded(toy) <= 1
    with pytest.raises(RefusedError, match="cancelled"):
        looking.result(ENOUGH_S)


def test_the_refiner_is_loaded_before_anybody_asks_for_anything(tmp_path, monkeypatch):
    assert find_spec("openvino"), "part of requirements-dev.txt"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    server = start_server(tmp_path / "workspace")
    try:
        graphs = tmp_path / "cache" / "refscribe" / "graphs"
        wait_for(lambda: list(graphs.glob("mobile-sam-*.graph")), "MobileSAM's graph", ENOUGH_S)
    finally:
        stop_server(server)
