"""Numbers of several runs, reuse of runs, and what a comparison exports, over HTTP."""

from __future__ import annotations

import asyncio
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from app.comparing.numbers import AT_ONCE, MeasureCache, Pair
from app.routes.newest import AskedAnewError
from model import metrics
from model.catalog import DEMO
from model.weight_files import file_hash, weight_file
from tests.app.conftest import (
    ANNOTATED,
    FRAMES,
    IGNORE,
    add_draft,
    disc,
    disc_video,
    drifting,
    start_server,
    stop_server,
    truth,
    wait_for,
)
from tests.app.routes.test_masks import stroke
from tests.app.routes.workers import connections, stopped
from tests.model import toy_sam3
from tests.model.refiners import toy_edgetam
from tests.model.segmenters import toy_grounding_dino


def compare(server, clip, query):
    return server.get(f"/api/clips/{clip['id']}/comparison?runs={query}")


def test_j_and_f_are_those_of_metrics_with_ignore_removed(server, clip, annotated, two_drafts):
    (near_id, near), (far_id, far) = two_drafts

    found = compare(server, clip, f"draft:{near_id},draft:{far_id}")

    assert (found["frame_count"], found["target_id"]) == (FRAMES, annotated)
    assert [run["key"] for run in found["runs"]] == [f"draft:{near_id}", f"draft:{far_id}"]
    for run, masks in zip(found["runs"], (near, far), strict=True):
        for index in range(FRAMES):
            if index not in ANNOTATED or index not in masks:
                assert (run["j"][index], run["f"][index]) == (None, None)
                continue
            pair = masks[index], truth(index), IGNORE if index == 4 else None
            assert run["j"][index] == pytest.approx(metrics.region_similarity(*pair), abs=1e-12)
            assert run["f"][index] == pytest.approx(metrics.boundary_similarity(*pair), abs=1e-12)


def test_means_and_steadiness_are_those_of_the_frames_compared(server, clip, annotated, two_drafts):
    (near_id, _), (far_id, _) = two_drafts
    found = compare(server, clip, f"draft:{near_id},draft:{far_id}")

    overlaps = [value for value in found["runs"][0]["j"] if value is not None]
    edges = [value for value in found["runs"][0]["f"] if value is not None]
    mean, steady = found["runs"][0]["mean"], metrics.temporal_consistency(overlaps)
    assert len(overlaps) == len(ANNOTATED)
    assert mean["j"] == pytest.approx(np.mean(overlaps))
    assert mean["jf"] == pytest.approx((np.mean(overlaps) + np.mean(edges)) / 2)
    assert found["runs"][0]["temporal"] == {
        "consistency": pytest.approx(steady.signed_over_frames),
        "consistency_absolute": pytest.approx(steady.absolute_over_frames),
    }
    gap = np.abs(metrics.overlap_differences(overlaps, gap=5)).mean()
    assert found["runs"][0]["iou_gap"]["5"] == pytest.approx(gap)
    assert found["runs"][0]["title"] == "REM demo A1"
    assert found["runs"][1]["title"] == "REM demo A1, seed 2"
    assert "REM demo A1 at 0.5; REM demo A1, seed 2 at 0.4" in found["threshold_note"]


def test_two_drafts_are_compared_with_each_other_where_there_is_no_annotation(
    server, clip, two_drafts
):
    (near_id, near), (far_id, far) = two_drafts

    found = compare(server, clip, f"draft:{near_id},draft:{far_id}")

    assert [run["mean"] for run in found["runs"]] == [None, None]
    (agreement,) = found["agreement"]
    expected = [metrics.region_similarity(near[index], far[index]) for index in range(10)]
    assert agreement["j"] == pytest.approx(expected + [None] * (FRAMES - 10))
    assert agreement["mean"] == pytest.approx(np.mean(expected))


def test_numbers_follow_every_edit(server, clip, annotated, two_drafts):
    (near_id, near), _ = two_drafts
    before = compare(server, clip, f"draft:{near_id}")["runs"][0]

    stroke(server, annotated, 5, 1, near[5])
    after = compare(server, clip, f"draft:{near_id}")["runs"][0]
    server.ask(f"/api/clips/{clip['id']}/undo", {})
    undone = compare(server, clip, f"draft:{near_id}")["runs"][0]

    assert before["j"][5] < after["j"][5] == after["f"][5] == 1
    assert before["j"][6] == after["j"][6]
    assert undone == before


def test_f_is_left_out_when_it_is_not_wanted(server, clip, annotated, two_drafts):
    (near_id, _), _ = two_drafts

    (run,) = compare(server, clip, f"draft:{near_id}&f=0")["runs"]

    assert run["f"] == [None] * FRAMES
    assert run["mean"]["f"] is None
    assert run["mean"]["j"] > 0.5


def test_an_annotation_can_be_one_of_the_runs(server, clip, annotated, two_drafts):
    (near_id, near), _ = two_drafts

    found = compare(server, clip, f"annotation,draft:{near_id},target:{annotated}")

    assert found["runs"][0]["title"].startswith("Annotation, target 1")
    assert found["runs"][0]["mean"] is None
    assert found["agreement"][0]["j"][7] == metrics.region_similarity(near[7], truth(7))


def test_the_annotation_of_another_target_is_taken_when_it_is_named(
    server, clip, annotated, two_drafts
):
    other = server.add_target(clip["id"])
    stroke(server, other, 0, 0, disc(20, 20))
    (near_id, near), _ = two_drafts

    found = compare(server, clip, f"draft:{near_id}&target={other}")

    assert found["target_id"] == other
    assert found["runs"][0]["j"][0] == metrics.region_similarity(near[0], disc(20, 20))
    assert found["runs"][0]["j"][5] is None


@pytest.mark.parametrize(
    ("query", "status"),
    [("draft:999999", 404), ("nothing", 400), ("", 400), ("draft:1;drop", 400)],
)
def test_runs_that_are_none_are_refused_with_a_sentence(server, clip, query, status):
    reply = server.ask(f"/api/clips/{clip['id']}/comparison?runs={query}")

    assert reply.status == status
    assert reply.json()["error"].endswith(".")


def test_a_draft_of_another_clip_is_refused(server, clip, two_drafts, tmp_path):
    other = server.add_clip(disc_video(tmp_path / "other.mp4"), "other.mp4")

    reply = server.ask(f"/api/clips/{other['id']}/comparison?runs=draft:{two_drafts[0][0]}")

    assert reply.status == 404


def test_numbers_known_already_are_not_measured_again(server, clip, annotated, two_drafts):
    """The worker that measures F is stopped: what it measured before is still answered."""
    (near_id, _), (far_id, _) = two_drafts
    before = compare(server, clip, f"draft:{near_id},draft:{far_id}")

    with stopped(server):
        again = compare(server, clip, f"draft:{far_id},draft:{near_id}")

    assert again["runs"] == before["runs"][::-1]


def test_a_question_asked_anew_ends_the_one_before(server, clip, annotated, two_drafts):
    (near, _), (far, _) = two_drafts
    path = f"/api/clips/{clip['id']}/comparison?runs=draft:{near},draft:{far}"
    with ThreadPoolExecutor(2) as tab:
        with stopped(server):
            both = [tab.submit(server.ask, path, headers={"X-Tab": "figures"}) for _ in range(2)]
            wait_for(lambda: connections(server) >= 2, "the questions")
        replies = [one.result() for one in both]

    statuses = sorted(one.status for one in replies)
    assert statuses == [200, 204]
    assert {one.body == b"" for one in replies if one.status == 204} == {True}


def test_a_program_without_a_tab_is_always_answered(server, clip, annotated, two_drafts):
    (near, _), _ = two_drafts
    path = f"/api/clips/{clip['id']}/comparison?runs=draft:{near}"

    with ThreadPoolExecutor(3) as programs:
        replies = list(programs.map(server.ask, [path] * 3))

    assert [one.status for one in replies] == [200] * 3


def test_values_are_kept_as_they_come():
    """What was measured before a question was given up is not measured again."""
    measured = []

    async def measure(pairs, size):
        measured.extend(pairs)
        return [0.5] * len(pairs)

    def give_up():
        if len(measured) > AT_ONCE:
            raise AskedAnewError

    pairs = [Pair(bytes([index % 250, index // 250]), b"other", None) for index in range(200)]
    kept = MeasureCache(measure)
    with pytest.raises(AskedAnewError):
        asyncio.run(kept(pairs, (10, 20), give_up))
    assert len(measured) < 200
    assert asyncio.run(kept(pairs, (10, 20))) == dict.fromkeys(pairs, 0.5)

    assert len(measured) == 200


@pytest.fixture
def demo():
    if not (DEMO / "rem" / "weights.safetensors").is_file():
        pytest.skip("the demo weights are not there")
    return file_hash(weight_file("rem-demo"))


def run(server, clip, **wanted):
    wanted = {"segmenters": ["rem-demo"], **wanted}
    return server.ask(f"/api/clips/{clip['id']}/runs", wanted)


def cancel_all(server, reply):
    for one in reply["queued"]:
        server.ask(f"/api/jobs/{one['job']['id']}/cancel", {})


def test_a_draft_of_the_same_weights_is_used_again(server, clip, workspace, expression, demo):
    draft_id = add_draft(workspace, expression, drifting(0), weights=demo)

    reply = run(server, clip, expression_ids=[expression]).json()

    assert reply == {
        "queued": [],
        "reused": [
            {"draft_id": draft_id, "expression_id": expression, "segmenter": "rem-demo"},
        ],
    }


def test_other_weights_seeds_texts_and_unfinished_drafts_are_run_anew(
    server, clip, target, workspace, expression, demo
):
    add_draft(workspace, expression, drifting(0), weights="of other weights")
    add_draft(workspace, expression, drifting(0, frames=range(5)), weights=demo)
    add_draft(workspace, expression, drifting(0), weights=demo, seed=7)
    text = {"text": "the disc that moves"}
    other = server.ask(f"/api/targets/{target}/expressions", text).json()["id"]

    reply = run(server, clip, expression_ids=[expression, other]).json()
    again = run(server, clip, expression_ids=[other]).json()
    cancel_all(server, reply)

    assert reply["reused"] == []
    assert [one["expression_id"] for one in reply["queued"]] == [expression, other]
    ids = {one["draft_id"] for one in reply["queued"]}
    drafts = server.get(f"/api/clips/{clip['id']}")["drafts"]
    assert len(ids) == 2
    assert again["queued"][0]["draft_id"] in ids, "it is on its way already"
    assert len(drafts) <= 5


def test_a_run_that_is_done_is_used_again(server, clip, expression, demo):
    reply = run(server, clip, expression_ids=[expression]).json()
    (queued,) = reply["queued"]

    def state():
        jobs = server.get("/api/jobs")["jobs"]
        job = next(job for job in jobs if job["id"] == queued["job"]["id"])
        return job["state"] if job["state"] in ("done", "failed", "cancelled") else None

    assert wait_for(state, "the run", 300) == "done"
    again = run(server, clip, expression_ids=[expression]).json()
    assert again["queued"] == []
    assert again["reused"][0]["draft_id"] == queued["draft_id"]


def test_two_checkpoints_of_one_segmenter_are_two_runs(tmp_path, demo):
    """The second has weights of its own, as after a training; on this clip they agree or not."""
    copy = shutil.copytree(DEMO / "rem", tmp_path / "finetuned")
    weights = load_file(copy / "weights.safetensors")
    save_file({name: value * 0.99 for name, value in weights.items()}, copy / "weights.safetensors")
    server = start_server(tmp_path / "w", "--weights", f"rem-demo={copy}")
    try:
        offered = {one["name"]: one["title"] for one in server.get("/api/session")["segmenters"]}
        assert offered["rem-demo:finetuned"] == "REM demo · finetuned"
        clip = server.add_clip(disc_video(tmp_path / "disc.mp4"))
        text = {"text": "the orange circle"}
        target = server.add_target(clip["id"])
        expression = server.ask(f"/api/targets/{target}/expressions", text).json()["id"]

        both = ["rem-demo", "rem-demo:finetuned"]
        reply = run(server, clip, expression_ids=[expression], segmenters=both).json()
        ids = [one["draft_id"] for one in reply["queued"]]

        def done():
            drafts = server.get(f"/api/clips/{clip['id']}")["drafts"]
            return [one["segmenter"] for one in drafts if one["state"] == "done"]

        wait_for(lambda: len(done()) == 2, "both runs", 300)
        query = ",".join(f"draft:{one}" for one in ids)
        first, second = compare(server, clip, query)["runs"]
        assert first["weights_hash"] == demo != second["weights_hash"]
        assert second["title"].startswith("REM demo · finetuned")
    finally:
        stop_server(server)


def test_grounding_dino_and_sam_3_are_held_against_rem(tmp_path, demo, monkeypatch):
    """Toy weights of a person's own, offered as further checkpoints."""
    monkeypatch.setenv("REFSCRIBE_EDGETAM", str(toy_edgetam.write_toy(tmp_path / "edgetam")))
    monkeypatch.setenv("REFSCRIBE_GROUNDING_DINO_REFINER", "edgetam")
    dino = toy_grounding_dino.write_toy(tmp_path / "toy-dino")
    sam = toy_sam3.write_toy(tmp_path / "toy-sam")
    given = ("--weights", f"grounding-dino={dino}", "--weights", f"sam3={sam}")
    server = start_server(tmp_path / "w", *given)
    try:
        offered = {one["name"]: one for one in server.get("/api/session")["segmenters"]}
        assert offered["grounding-dino:toy-dino"]["ready"]
        assert offered["sam3:toy-sam"]["ready"]
        assert offered["grounding-dino"]["licence"] == "Apache-2.0"
        assert "689 MB to fetch" in offered["grounding-dino"]["sentence"]
        assert offered["sam3"]["sentence"].startswith("gated: ask Meta first")
        assert "Ignores places and relations" in offered["sam3"]["note"]
        engines = ["rem-demo", "grounding-dino:toy-dino", "sam3:toy-sam"]
        clip, runs = all_run(server, tmp_path, engines)
        rem, boxes, things = runs
        assert rem["title"].startswith("REM demo")
        assert boxes["title"].startswith("Grounding DINO · toy-dino")
        assert things["title"].startswith("SAM 3 · toy-sam")
        assert (rem["limits"], things["query"]) == ("", 0)
        assert "words for motion do not help" in boxes["limits"]
        assert "Ignores places and relations" in things["limits"]
        again = run_of(server, clip, engines)
        assert again["queued"] == [], "the same weights and refiner are a run made before"
        assert boxes["weights_hash"].endswith("+edgetam")
    finally:
        stop_server(server)


def all_run(server, tmp_path, segmenters):
    """A clip on which each of `segmenters` has been run, and what a comparison says of the runs."""
    clip = server.add_clip(disc_video(tmp_path / "disc.mp4"))
    target = server.add_target(clip["id"])
    text = {"text": "the orange disc"}
    server.ask(f"/api/targets/{target}/expressions", text)
    queued = run_of(server, clip, segmenters)["queued"]

    def states():
        return [one["state"] for one in server.get(f"/api/clips/{clip['id']}")["drafts"]]

    wait_for(lambda: set(states()) <= {"done", "failed"}, "every run", 300)
    assert set(states()) == {"done"}, server.get("/api/jobs")["jobs"]
    found = compare(server, clip, ",".join(f"draft:{one['draft_id']}" for one in queued))
    assert len(found["agreement"]) == len(segmenters) * (len(segmenters) - 1) // 2
    assert None not in found["agreement"][0]["j"]
    return clip, found["runs"]


def run_of(server, clip, segmenters):
    (expression,) = server.get(f"/api/clips/{clip['id']}")["expressions"]
    return run(server, clip, expression_ids=[expression["id"]], segmenters=segmenters).json()


def test_runs_of_what_is_not_there_are_refused_and_start_nothing(server, clip, expression):
    unknown = run(server, clip, expression_ids=[expression], segmenters=["rem-demo", "magic"])
    strange = run(server, clip, expression_ids=[expression, 999_999])

    assert (unknown.status, strange.status) == (404, 404)
    assert server.get(f"/api/clips/{clip['id']}")["drafts"] == []
