"""Clicks, propagation and drafts with the real networks, over HTTP."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import psutil
import pytest

from tests.app.conftest import (
    FRAMES,
    Server,
    disc,
    disc_video,
    disc_x,
    read_masks,
    wait_for,
    write_masks,
)
from tests.app.routes.test_masks import stroke, verify

ON_DISC = {"x": 60.0, "y": 60.0, "positive": True}
OFF_DISC = {"x": 150.0, "y": 100.0, "positive": False}


def click(server: Server, target, frame_index, seen, *clicks, **more):
    return server.ask(
        f"/api/targets/{target}/frames/{frame_index}/clicks",
        {"clicks": list(clicks), "seen": seen, **more},
    )


def overlap(first, second):
    return np.logical_and(first, second).sum() / np.logical_or(first, second).sum()


def test_a_click_finds_what_lies_under_it_and_is_kept_with_its_mask(server, target):
    reply = click(server, target, 0, 0, ON_DISC)

    (held,) = read_masks(reply.body).values()
    assert (held.version, held.origin, held.clicks) == (1, "click", ((60, 60, True),))
    assert overlap(held.mask, disc(disc_x(0), 60)) > 0.8
    assert np.array_equal(server.masks(target)["target", 0].mask, held.mask)


def test_clicks_correct_the_mask_that_was_there_and_taking_them_back_restores_it(server, target):
    drawn = disc(disc_x(0), 60) | disc(150, 20, 12)
    stroke(server, target, 0, 0, drawn)

    corrected = read_masks(
        click(server, target, 0, 1, {"x": 150, "y": 20, "positive": False}).body
    )["target", 0]
    again = read_masks(
        click(server, target, 0, 2, {"x": 150, "y": 20, "positive": False}, ON_DISC).body
    )["target", 0]

    assert not corrected.mask[20, 150]
    assert overlap(corrected.mask, disc(disc_x(0), 60)) > 0.9, "the rest was left as it was"
    assert len(again.clicks) == 2
    restored = read_masks(click(server, target, 0, 3).body)["target", 0]
    assert np.array_equal(restored.mask, drawn)
    assert (restored.version, restored.clicks, restored.origin) == (4, (), "stroke")


def test_taking_back_the_only_click_of_an_empty_frame_leaves_no_mask(server, target):
    click(server, target, 0, 0, ON_DISC)

    (held,) = read_masks(click(server, target, 0, 1).body).values()

    assert held.mask is None
    assert held.clicks == ()


def test_a_click_on_an_outdated_mask_is_refused(server, target):
    stroke(server, target, 0, 0, disc(60, 60))

    reply = click(server, target, 0, 0, ON_DISC)

    assert reply.status == 409
    assert reply.json()["code"] == "stale"


@pytest.mark.parametrize(
    ("frame_index", "clicks"),
    [
        (0, [{"x": 168, "y": 5, "positive": True}]),
        (0, [{"x": -0.1, "y": 5, "positive": True}]),
        (0, [{"x": "left", "y": 5, "positive": True}]),
        (0, [{"x": None, "y": 5, "positive": True}]),
        (FRAMES, [ON_DISC]),
        (-1, [ON_DISC]),
    ],
)
def test_a_click_outside_the_clip_is_refused(server, target, frame_index, clicks):
    reply = click(server, target, frame_index, 0, *clicks)

    assert reply.status in (400, 404, 422)
    assert server.masks(target) == {}


def test_a_preview_shows_a_mask_and_keeps_nothing(server, target):
    reply = click(server, target, 0, 0, ON_DISC, preview=True)

    (held,) = read_masks(reply.body).values()
    assert held.version == 0
    assert overlap(held.mask, disc(disc_x(0), 60)) > 0.8
    assert server.masks(target) == {}


def test_a_box_finds_what_it_holds(server, target):
    x = disc_x(0)
    reply = click(server, target, 0, 0, box=[x - 34, 26, x + 34, 94])

    (held,) = read_masks(reply.body).values()
    assert overlap(held.mask, disc(x, 60)) > 0.8


def test_a_rough_stroke_becomes_what_it_was_painted_over(server, target):
    rough = disc(disc_x(0), 60, 8)
    stroke(server, target, 0, 0, rough)

    reply = server.ask(f"/api/targets/{target}/frames/0/redraw", {"seen": 1})

    (held,) = read_masks(reply.body).values()
    assert (held.version, held.origin) == (2, "click")
    assert overlap(held.mask, disc(disc_x(0), 60)) > 0.8
    assert server.ask(f"/api/targets/{target}/frames/0/redraw", {"seen": 1}).status == 409
    empty = server.ask(f"/api/targets/{target}/frames/3/redraw", {"seen": 0})
    assert "has no mask" in empty.json()["error"]


def test_a_first_click_is_read_as_what_the_target_is_on_the_frames_beside_it(server, target):
    alone, *others = readings(click(server, target, 1, 0, ON_DISC).body)
    assert click(server, target, 1, 1).status == 200, "the click is taken back"
    other = min(others, key=lambda mask: overlap(mask, alone))
    stroke(server, target, 2, 0, other)

    again, *_ = readings(click(server, target, 1, 2, ON_DISC).body)

    assert overlap(again, other) > overlap(again, alone)


def test_leaving_out_the_last_click_brings_the_mask_before_it_back(server, target):
    stroke(server, target, 5, 0, disc(disc_x(5), 60, 9))
    first = read_masks(click(server, target, 4, 0, ON_DISC).body)["target", 4].mask
    beside = {"x": 20, "y": 20, "positive": False}
    click(server, target, 4, 1, ON_DISC, beside)

    again = read_masks(click(server, target, 4, 2, ON_DISC).body)["target", 4].mask

    assert np.array_equal(again, first)


def readings(body):
    """The mask that is kept and the other readings behind it, each (H, W)."""
    words, at, found = np.frombuffer(body, dtype="<u4"), 4, []
    height, width = int(words[1]), int(words[2])
    for _ in range(int(words[3])):
        n_clicks, n_runs = int(words[at + 4]), int(words[at + 5])
        at += 6 + 3 * n_clicks
        lengths, at = words[at : at + n_runs], at + n_runs
        found.append(np.repeat(np.arange(n_runs) % 2 == 1, lengths).reshape(height, width))
    return found


def test_other_readings_of_a_click_come_with_its_answer_and_are_not_kept(server, target):
    reply = click(server, target, 0, 0, ON_DISC)

    kept = read_masks(reply.body)["target", 0]
    words, at = np.frombuffer(reply.body, dtype="<u4"), 4
    versions, masks = [], set()
    for _ in range(int(words[3])):
        n_clicks, n_runs = int(words[at + 4]), int(words[at + 5])
        versions.append(int(words[at + 2]))
        at += 6 + 3 * n_clicks
        masks.add(words[at : at + n_runs].tobytes())
        at += n_runs
    assert versions[0] == kept.version == 1
    assert versions[1:], "a first click may mean the disc, or what it lies on"
    assert set(versions[1:]) == {0}
    assert len(masks) == len(versions), "each reading is another mask"
    assert np.array_equal(server.masks(target)["target", 0].mask, kept.mask)


def test_a_range_is_cleared_and_brought_back_in_one_step(server, clip, target):
    for index in (1, 2, 5):
        stroke(server, target, index, 0, disc(disc_x(index), 60))
    stroke(server, target, 2, 0, disc(30, 30, 9), layer="ignore")

    cleared = server.ask(f"/api/targets/{target}/clear", {"first": 2, "last": 900})

    assert cleared.status == 200
    held = server.masks(target)
    assert {key for key, one in held.items() if one.mask is not None} == {("target", 1)}
    assert (
        "no mask"
        in server.ask(f"/api/targets/{target}/clear", {"first": 2, "last": 9}).json()["error"]
    )
    server.ask(f"/api/clips/{clip['id']}/undo", {})
    assert np.array_equal(server.masks(target)["ignore", 2].mask, disc(30, 30, 9))


def test_frames_that_stand_out_are_listed_with_the_reason(server, target):
    for index in range(10):
        stroke(server, target, index, 0, disc(disc_x(index), 60))
    job = server.job_done(
        server.ask(f"/api/targets/{target}/propagate", {"frame_index": 0, "overwrite": True})
    )
    held = server.masks(target)
    size = held["target", 5].mask.shape
    assert job["state"] == "done"
    assert server.ask(f"/api/targets/{target}/attention").json()["frames"] == []

    small = np.zeros(size, dtype=bool)
    small[2:12, 2:12] = True
    stroke(server, target, 5, held["target", 5].version, small)
    stroke(server, target, 7, held["target", 7].version, small)
    verify(server, target, 7, verified=True)
    listed = server.get(f"/api/targets/{target}/attention")["frames"]

    assert 7 not in [one["frame_index"] for one in listed], "what was verified is settled"
    assert 5 not in [one["frame_index"] for one in listed], "and so is what was drawn by hand"
    assert {one["reason"] for one in listed} <= {"jump", "motion"}
    assert {one["frame_index"] for one in listed} & {6, 8}


def test_propagation_fills_the_range_and_leaves_what_was_done_by_hand(server, clip, target):
    stroke(server, target, 4, 0, disc(disc_x(4), 60))
    stroke(server, target, 7, 0, disc(20, 20, 8))
    verify(server, target, 2, verified=True, empty=True)

    job = server.job_done(
        server.ask(
            f"/api/targets/{target}/propagate",
            {"frame_index": 4, "direction": "both", "first": 1, "last": 8},
        )
    )

    assert job["state"] == "done", job
    held = server.masks(target)
    assert {index for _, index in held} == set(range(1, 9))
    assert {i for (_, i), one in held.items() if one.origin == "propagation"} == {1, 3, 5, 6, 8}
    assert overlap(held["target", 5].mask, disc(disc_x(5), 60)) > 0.8
    assert np.array_equal(held["target", 7].mask, disc(20, 20, 8))
    assert held["target", 2].verified

    undone = server.ask(f"/api/clips/{clip['id']}/undo", {}).json()
    assert len(undone["changed"]) == 5, "a propagation is one step of undo"
    again = server.ask(f"/api/targets/{target}/propagate", {"frame_index": 4, "last": 5})
    assert server.job_done(again)["result"]["frames"] >= 1, "what was undone can be filled again"


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"frame_index": 9}, "Frame 9 has no mask to carry on"),
        ({"frame_index": 4, "first": 4, "last": 4}, "no frame to fill"),
        ({"frame_index": 4, "refiner": "nothing"}, "There is no refiner"),
    ],
)
def test_a_propagation_that_cannot_be_is_refused_with_the_reason(server, target, wanted, sentence):
    stroke(server, target, 4, 0, disc(disc_x(4), 60))

    reply = server.ask(f"/api/targets/{target}/propagate", wanted)

    assert sentence in reply.json()["error"]


@pytest.fixture
def long_target(server, tmp_path):
    """A target of a clip that takes a while to propagate, with a mask on frame 0."""
    path = disc_video(tmp_path / "long.mp4", frames=160)
    target = server.add_target(server.add_clip(path, "long.mp4")["id"])
    stroke(server, target, 0, 0, disc(disc_x(0), 60))
    return target


def filled(server, target):
    return {i for (_, i), one in server.masks(target).items() if one.origin == "propagation"}


def test_a_click_is_answered_while_a_propagation_runs_and_is_not_overwritten(server, long_target):
    started = server.ask(f"/api/targets/{long_target}/propagate", {"frame_index": 0})
    job_id = started.json()["job"]["id"]
    wait_for(lambda: filled(server, long_target), "the first frames")

    answered = click(server, long_target, 159, 0, ON_DISC)

    assert answered.status == 200
    assert server.get("/api/jobs")["jobs"][-1]["state"] == "running"
    server.ask(f"/api/jobs/{job_id}/cancel", {})
    job = server.job_done(started)
    assert job["state"] == "cancelled"
    kept = filled(server, long_target)
    assert kept, "what was done is kept"
    assert len(kept) < 158
    assert server.masks(long_target)["target", 159].origin == "click"


def model_process(server):
    """The child that has loaded the networks: the largest of those spawned."""
    children = psutil.Process(server.process.pid).children(recursive=True)
    spawned = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    return max(spawned, key=lambda child: child.memory_info().rss)


def test_a_killed_model_process_costs_its_job_and_nothing_else(server, long_target):
    started = server.ask(f"/api/targets/{long_target}/propagate", {"frame_index": 0})
    wait_for(lambda: len(filled(server, long_target)) > 2, "the first frames")

    os.kill(model_process(server).pid, signal.SIGKILL)

    job = server.job_done(started)
    assert job["state"] == "failed"
    assert "SIGKILL" in job["message"]
    assert len(filled(server, long_target)) > 2
    assert click(server, long_target, 159, 0, ON_DISC).status == 200


def test_an_interrupted_propagation_goes_on_where_it_ended(server, long_target):
    ask = {"frame_index": 0, "last": 30}
    started = server.ask(f"/api/targets/{long_target}/propagate", ask)
    wait_for(lambda: len(filled(server, long_target)) > 4, "the first frames")
    os.kill(model_process(server).pid, signal.SIGKILL)
    server.job_done(started)
    kept = {
        index: server.masks(long_target)["target", index] for index in filled(server, long_target)
    }

    again = server.job_done(server.ask(f"/api/targets/{long_target}/propagate", ask))

    assert again["state"] == "done"
    assert again["result"]["frames"] == 30 - len(kept), "what was done is not done again"
    held = server.masks(long_target)
    assert all(held["target", index].version == one.version for index, one in kept.items())
    assert overlap(held["target", 30].mask, disc(disc_x(30), 60)) > 0.7


def test_only_what_a_correction_changes_is_computed_again(server, target):
    stroke(server, target, 0, 0, disc(disc_x(0), 60))
    stroke(server, target, 8, 0, disc(disc_x(8), 60))
    ask = {"frame_index": 0, "last": 12}
    server.job_done(server.ask(f"/api/targets/{target}/propagate", ask))
    before = server.masks(target)

    unchanged = server.ask(f"/api/targets/{target}/propagate", ask)
    stroke(server, target, 10, before["target", 10].version, disc(disc_x(10), 60))
    job = server.job_done(server.ask(f"/api/targets/{target}/propagate", ask))
    anew = server.job_done(server.ask(f"/api/targets/{target}/propagate", {**ask, "anew": True}))

    assert unchanged.status == 422
    assert "up to date" in unchanged.json()["error"]
    assert job["result"]["frames"] == 3, "frames 9, 11 and 12, behind the anchor on frame 8"
    assert anew["result"]["frames"] == 10, "all but the three anchors"


def test_a_paused_propagation_rests_while_clicks_are_answered_and_goes_on(server, long_target):
    started = server.ask(f"/api/targets/{long_target}/propagate", {"frame_index": 0, "last": 20})
    job_id = started.json()["job"]["id"]
    wait_for(lambda: len(filled(server, long_target)) > 2, "the first frames")

    assert server.ask(f"/api/jobs/{job_id}/pause", {}).json()["job"]["paused"]
    answered = click(server, long_target, 159, 0, ON_DISC)  # comes after the step under way
    resting = filled(server, long_target)
    click(server, long_target, 158, 0, ON_DISC)
    assert answered.status == 200
    assert filled(server, long_target) == resting

    assert not server.ask(f"/api/jobs/{job_id}/resume", {}).json()["job"]["paused"]
    job = server.job_done(started)
    assert (job["state"], job["paused"]) == ("done", False)
    assert filled(server, long_target) == set(range(1, 21))


def test_a_paused_propagation_can_be_cancelled(server, long_target):
    started = server.ask(f"/api/targets/{long_target}/propagate", {"frame_index": 0})
    job_id = started.json()["job"]["id"]
    server.ask(f"/api/jobs/{job_id}/pause", {})

    server.ask(f"/api/jobs/{job_id}/cancel", {})

    assert server.job_done(started)["state"] == "cancelled"


def test_a_frame_changed_while_it_is_propagated_is_left_alone(server, long_target):
    started = server.ask(f"/api/targets/{long_target}/propagate", {"frame_index": 0, "last": 6})
    painted = stroke(server, long_target, 6, 0, disc(30, 30, 9))

    job = server.job_done(started)

    assert painted.status == 200
    assert job["state"] == "done"
    assert job["result"] == {"frames": 5, "left_alone": 1}
    assert "1 frame was changed meanwhile" in job["message"]
    assert np.array_equal(server.masks(long_target)["target", 6].mask, disc(30, 30, 9))


def test_clicks_from_many_tabs_at_once_are_all_answered(server, target):
    replies = []

    def ask(frame_index):
        replies.append(click(server, target, frame_index, 0, ON_DISC).status)

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert replies == [200] * 4


def test_an_expression_becomes_a_draft_that_can_be_accepted(server, clip, target):
    demo = next(s for s in server.get("/api/session")["segmenters"] if s["name"] == "rem-demo")
    if not demo["ready"]:
        pytest.skip(f"the demo segmenter: {demo['sentence']}")
    text = {"text": "the orange disc"}
    expression = server.ask(f"/api/targets/{target}/expressions", text).json()["id"]
    stroke(server, target, 3, 0, disc(20, 20, 8))

    reply = server.ask(f"/api/expressions/{expression}/segment", {"segmenter": "rem-demo"})
    job = server.job_done(reply, 300)

    assert job["state"] == "done", job
    draft_id = reply.json()["draft_id"]
    (draft,) = server.get(f"/api/clips/{clip['id']}")["drafts"]
    assert (draft["id"], draft["state"], draft["frames_done"]) == (draft_id, "done", FRAMES)
    masks = read_masks(server.ask(f"/api/drafts/{draft_id}/masks.bin").body)
    assert {index for _, index in masks} == set(range(FRAMES))
    assert server.ask(f"/api/drafts/{draft_id}/maps/5.png").body[:4] == b"\x89PNG"

    accepted = server.ask(f"/api/drafts/{draft_id}/accept", {"first": 0, "last": FRAMES - 1})

    assert len(accepted.json()["versions"]) == FRAMES - 1
    assert server.masks(target)["target", 3].origin == "stroke"
    assert server.ask(f"/api/drafts/{draft_id}", method="DELETE").status == 200
    assert server.masks(target)["target", 4].origin == "draft", "what was accepted stays"


def test_a_segmenter_that_cannot_run_here_says_why(server, target):
    text = {"text": "the orange disc"}
    expression = server.ask(f"/api/targets/{target}/expressions", text).json()["id"]

    reply = server.ask(f"/api/expressions/{expression}/segment", {"segmenter": "unheard-of"})

    assert reply.status == 404
    assert "There is no segmenter" in reply.json()["error"]


def test_looking_ahead_can_be_left_off_at_any_time(server, clip, target):
    asked = {"clip_id": clip["id"], "frame_index": 0}
    tab = {"X-Tab": "one"}

    assert server.ask("/api/prefetch", asked, headers=tab).status == 202
    assert server.ask("/api/prefetch", method="DELETE", headers=tab).status == 204
    assert server.ask("/api/prefetch", method="DELETE", headers=tab).status == 204
    assert click(server, target, 0, 0, ON_DISC).status == 200


def test_the_features_of_a_clicked_frame_are_kept_until_its_clip_is_removed(server, clip, target):
    features = server.workspace / "cache" / "features" / str(clip["id"])

    assert click(server, target, 2, 0, ON_DISC).status == 200
    assert [path.name for path in features.rglob("*.npz")] == ["00002.npz"]

    assert server.ask(f"/api/clips/{clip['id']}", method="DELETE").status == 200
    assert not features.exists()


def test_another_reading_is_kept_as_the_answer_to_a_click(server, target):
    click(server, target, 0, 0, ON_DISC)
    chosen = write_masks((0, "target", 1, disc(50, 50, 12)))

    reply = server.ask(f"/api/targets/{target}/masks?kind=click", chosen)

    assert reply.status == 200
    held = server.masks(target)["target", 0]
    assert (held.version, held.origin, held.clicks) == (2, "click", ())
    assert np.array_equal(held.mask, disc(50, 50, 12))
