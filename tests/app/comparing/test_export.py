"""What a comparison exports: whole or not at all, and read back here with other readers."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
import zlib

import av
import numpy as np
import pytest
from PIL import Image

from model import metrics
from tests.app.conftest import (
    ANNOTATED,
    FRAMES,
    HEIGHT,
    IGNORE,
    SIZE,
    WIDTH,
    add_draft,
    disc_video,
    drifting,
    truth,
    wait_for,
)
from tests.app.routes.test_comparison import compare

EVERYTHING = ["png", "pdf", "csv", "json", "masks", "side-by-side", "wipe"]


def export(server, clip, keys, **wanted):
    wanted = {"runs": keys, "target_id": None, "frames": None, "formats": EVERYTHING, **wanted}
    return server.ask(f"/api/clips/{clip['id']}/comparison/export", wanted)


@pytest.fixture
def exported(server, clip, annotated, two_drafts):
    """The archive of everything, and the job that made it."""
    keys = [f"draft:{draft_id}" for draft_id, _ in two_drafts]
    job = server.job_done(export(server, clip, keys, target_id=annotated, frames=[0, 4, 9]))
    assert job["state"] == "done", job
    reply = server.ask(job["result"]["download"])
    assert reply.status == 200
    return job, zipfile.ZipFile(io.BytesIO(reply.body))


def test_two_comparisons_asked_for_at_once_both_become_folders(server, clip, two_drafts):
    keys = [f"draft:{draft_id}" for draft_id, _ in two_drafts]
    replies = [export(server, clip, keys, formats=["csv"]) for _ in range(2)]

    jobs = [server.job_done(reply) for reply in replies]

    assert [job["state"] for job in jobs] == ["done", "done"], jobs
    first, second = (job["result"]["name"] for job in jobs)
    assert second == f"{first}_2"


def member(archive, ending):
    (name,) = [one for one in archive.namelist() if one.endswith(ending)]
    return archive.read(name)


def pdf_text(data):
    """Every text that a PDF shows, one string per text object, from its unpacked streams."""
    shown = []
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.S):
        try:
            content = zlib.decompress(stream)
        except zlib.error:
            continue
        for text in re.findall(rb"\bBT\b(.*?)\bET\b", content, re.S):
            pieces = re.findall(rb"\(((?:[^()\\]|\\.)*)\)", text, re.S)
            joined = re.sub(rb"\\(.)", rb"\1", b"".join(pieces))
            shown.append(joined.replace(b"\0", b"").decode("latin-1"))
    return shown


def exported_masks(archive, run_folder):
    masks = {}
    for name in archive.namelist():
        found = re.search(rf"/masks/{run_folder}/Annotations/[^/]+/0/(\d{{5}})\.png$", name)
        if found:
            picture = Image.open(io.BytesIO(archive.read(name)))
            assert (picture.mode, picture.size) == ("L", (WIDTH, HEIGHT))
            values = np.array(picture)
            assert set(np.unique(values)) <= {0, 255}
            masks[int(found[1])] = values > 0
    return masks


def test_masks_lie_as_the_benchmarks_take_them(exported, two_drafts):
    _, archive = exported
    for folder, (_, drafted) in zip(("REM-demo-A1", "REM-demo-A1-seed-2"), two_drafts, strict=True):
        masks = exported_masks(archive, folder)

        assert masks.keys() == drafted.keys()
        assert all(np.array_equal(masks[index], drafted[index]) for index in masks)


def test_exported_numbers_are_those_of_metrics_on_the_exported_masks(exported):
    job, archive = exported
    numbers = json.loads(member(archive, "/numbers.json"))
    rows = list(csv.DictReader(io.StringIO(member(archive, "/frames.csv").decode())))
    for run, folder in zip(numbers["runs"], ("REM-demo-A1", "REM-demo-A1-seed-2"), strict=True):
        masks = exported_masks(archive, folder)
        of_run = [row for row in rows if row["key"] == run["key"]]
        assert [row["frame_index"] for row in of_run] == [str(index) for index in range(FRAMES)]
        for index, row in enumerate(of_run):
            if index not in masks or index not in ANNOTATED:
                assert (row["j"], row["f"], run["j"][index]) == ("", "", None)
                continue
            ignore = IGNORE if index == 4 else None
            j = metrics.region_similarity(masks[index], truth(index), ignore)
            f = metrics.boundary_similarity(masks[index], truth(index), ignore)
            assert (float(row["j"]), float(row["f"])) == pytest.approx((j, f), abs=1e-12)
            assert (run["j"][index], run["f"][index]) == pytest.approx((j, f), abs=1e-12)
    assert job["result"]["checked"]


def test_tables_say_what_made_the_masks(server, clip, exported, two_drafts):
    _, archive = exported
    numbers = json.loads(member(archive, "/numbers.json"))
    rows = list(csv.DictReader(io.StringIO(member(archive, "/clip.csv").decode())))
    shown = compare(server, clip, ",".join(f"draft:{one}" for one, _ in two_drafts))

    assert numbers["runs"] == shown["runs"]
    assert numbers["agreement"] == shown["agreement"]
    assert {"refscribe", "torch", "diffusers", "transformers"} <= numbers["versions"].keys()
    assert [row["seed"] for row in rows] == ["0", "2"]
    assert [row["threshold"] for row in rows] == ["0.5", "0.4"]
    assert {row["weights_hash"] for row in rows} == {"w"}
    assert {row["expression"] for row in rows} == {"the orange disc"}
    assert float(rows[0]["jf"]) == shown["runs"][0]["mean"]["jf"]
    assert float(rows[0]["iou_gap_5"]) == shown["runs"][0]["iou_gap"]["5"]
    assert rows[0]["torch"] == numbers["versions"]["torch"] != ""


def test_the_figure_is_a_picture_and_a_pdf_whose_text_is_text(exported):
    _, archive = exported
    pdf = member(archive, "/figure.pdf")
    text = pdf_text(pdf)
    picture = Image.open(io.BytesIO(member(archive, "/figure.png")))

    assert b"/FontFile2" in pdf, "TrueType characters, whole"
    assert "frame 4  (0.17 s)" in text
    assert "REM demo A1" in text
    assert "REM demo A1, seed 2" in text
    assert "Annotation" in text
    assert sum("orange disc" in line for line in text) == 2
    assert any(line.startswith("J 0.") for line in text)
    assert round(picture.info["dpi"][0]) == 200
    assert picture.width > 1000


def test_films_have_every_frame_at_24_a_second(exported):
    _, archive = exported
    for name in ("side-by-side.mp4", "wipe.mp4"):
        with av.open(io.BytesIO(member(archive, f"/{name}"))) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.average_rate) == ("h264", 24)
            pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert len(pictures) == FRAMES
        wide = pictures[0].shape[1]
        assert wide == (2 * WIDTH + 4 if name.startswith("side") else WIDTH)


def test_the_wipe_shows_one_run_left_of_the_edge_and_the_other_right_of_it(
    server, clip, workspace, expression
):
    full = {index: np.ones(SIZE, dtype=bool) for index in range(FRAMES)}
    empty = {index: np.zeros(SIZE, dtype=bool) for index in range(FRAMES)}
    keys = [f"draft:{add_draft(workspace, expression, masks)}" for masks in (full, empty)]
    job = server.job_done(export(server, clip, keys, formats=["wipe"]))
    archive = zipfile.ZipFile(io.BytesIO(server.ask(job["result"]["download"]).body))

    with av.open(io.BytesIO(member(archive, "/wipe.mp4"))) as container:
        first = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    plain, painted = first[-20, WIDTH - 20], first[-20, 20]

    assert abs(plain - 90).max() < 16, "the grey ground as it is"
    assert painted[0] - painted[1] > 15, "under the first run's colour"


def test_nothing_is_left_of_an_export_that_was_cancelled(server, tmp_path, workspace):
    clip = server.add_clip(disc_video(tmp_path / "long.mp4", 200), "long.mp4")
    target = server.add_target(clip["id"])
    text = {"text": "the orange disc"}
    expression_id = server.ask(f"/api/targets/{target}/expressions", text).json()["id"]
    draft_id = add_draft(workspace, expression_id, drifting(0, frames=range(200)))
    before = set((server.workspace / "exports").iterdir())
    reply = export(server, clip, [f"draft:{draft_id}"], formats=["masks", "side-by-side"])
    job_id = reply.json()["job"]["id"]

    def job():
        return next(job for job in server.get("/api/jobs")["jobs"] if job["id"] == job_id)

    wait_for(lambda: job()["done"] > 3, "the export to begin")
    server.ask(f"/api/jobs/{job_id}/cancel", {})
    wait_for(lambda: job()["state"] == "cancelled", "the export to end")

    assert set((server.workspace / "exports").iterdir()) == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"formats": ["wipe"]}, "Expected two runs to wipe between"),
        ({"formats": ["png"], "frames": [0, FRAMES]}, f"Frame {FRAMES} is not in"),
        ({"formats": ["png"], "frames": []}, "one to 12 frames"),
        ({"formats": ["gif"]}, "formats"),
        ({"formats": []}, "formats"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_it_begins(
    server, clip, two_drafts, changes, said
):
    reply = export(server, clip, [f"draft:{two_drafts[0][0]}"], **changes)

    assert reply.status in (400, 422)
    assert said in reply.json()["error"]


def test_expressions_with_signs_of_formulas_are_drawn_as_they_are(server, clip, target, workspace):
    text = {"text": "a $5_{bill} \\frac, 100% – “torn” 左"}
    expression_id = server.ask(f"/api/targets/{target}/expressions", text).json()["id"]
    draft_id = add_draft(workspace, expression_id, drifting(0))

    job = server.job_done(export(server, clip, [f"draft:{draft_id}"], formats=["pdf", "csv"]))

    assert job["state"] == "done", job
    archive = zipfile.ZipFile(io.BytesIO(server.ask(job["result"]["download"]).body))
    rows = list(csv.DictReader(io.StringIO(member(archive, "/clip.csv").decode())))
    assert rows[0]["expression"] == text["text"]
    assert any("$5_{bill}" in line for line in pdf_text(member(archive, "/figure.pdf")))
