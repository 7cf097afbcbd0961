"""Uploads, frames, media folders, samples and exports, over HTTP."""

from __future__ import annotations

import http.client
import io
import re
import shutil
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlsplit
from uuid import uuid4

import cv2
import pytest

from app import components
from app.routes.exports import zipped
from app.routes.media import find_medium, list_media
from tests.app.conftest import FRAMES, HEIGHT, WIDTH, Reply, disc, disc_video, picture, wait_for
from tests.app.routes.test_masks import stroke


def incoming(server):
    """What uploads left behind; marks of an opened workspace aside."""
    return [path for path in (server.workspace / "incoming").iterdir() if path.name[0] != "."]


def jpeg(index):
    frame = cv2.cvtColor(picture(index), cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", frame)[1].tobytes()


def test_a_video_becomes_a_clip_and_the_upload_is_cleared_away(server, tmp_path):
    path = disc_video(tmp_path / "a.mp4", FRAMES)

    clip = server.add_clip(path, "kettle steaming.mp4")

    assert (clip["name"], clip["frame_count"]) == ("kettle steaming", FRAMES)
    assert (clip["width"], clip["height"]) == (WIDTH, HEIGHT)
    assert incoming(server) == []


def test_trim_and_crop_are_applied(server, tmp_path):
    path = disc_video(tmp_path / "a.mp4", 24)

    job = server.job_done(
        server.ask(
            "/api/uploads?name=a.mp4&trim_start=0.25&trim_end=0.75&crop=8,16,64,48",
            path.read_bytes(),
        )
    )

    clip = server.get(f"/api/clips/{job['clip_id']}")["clip"]
    assert (clip["width"], clip["height"], clip["frame_count"]) == (64, 48, 12)


@pytest.mark.parametrize("query", ["crop=1,2,3", "crop=a,b,c,d", "crop=-1,0,10,10"])
def test_a_crop_that_is_none_is_refused_and_leaves_nothing(server, query):
    reply = server.ask(f"/api/uploads?name=a.mp4&{query}", b"some bytes")

    assert reply.status == 400
    assert "Expected a crop" in reply.json()["error"]
    assert incoming(server) == []


def test_what_is_no_video_fails_with_a_sentence_and_leaves_nothing(server):
    before = server.get("/api/clips")

    job = server.job_done(server.ask("/api/uploads?name=notes.mp4", b"this is no video" * 99))

    assert job["state"] == "failed"
    assert "notes.mp4" in job["message"]
    assert "Traceback" not in job["message"]
    assert server.get("/api/clips") == before
    wait_for(lambda: incoming(server) == [], "the upload to be cleared away")


def test_the_same_video_twice_says_that_it_is_there_already(server, clip, tmp_path):
    path = disc_video(tmp_path / "a.mp4", 4)
    server.add_clip(path, "first.mp4")

    job = server.job_done(server.ask("/api/uploads?name=second.mp4", path.read_bytes()))

    assert job["state"] == "failed"
    assert "already in the workspace as the clip “first”" in job["message"]


@pytest.mark.parametrize(
    "name", ["../../../evil.png", "..%5C..%5Cevil.png", "OUTSIDE/evil.png", "%2e%2e%2fevil.png"]
)
def test_an_upload_cannot_name_a_place(server, tmp_path, name):
    name = name.replace("OUTSIDE", str(tmp_path))

    server.ask(f"/api/uploads?name={name}&group=placed-{uuid4().hex}&of=2", jpeg(0))

    found = list(server.workspace.parent.rglob("*evil*"))
    assert [path.parent.parent for path in found] == [server.workspace / "incoming"]
    assert list(tmp_path.iterdir()) == []
    shutil.rmtree(found[0].parent)


@pytest.mark.parametrize("name", ["ü" * 300 + ".mp4", "火" * 200 + ".mp4", "x" * 900 + ".mp4"])
def test_a_name_longer_than_a_file_system_takes_is_cut(server, tmp_path, name):
    clip = server.add_clip(disc_video(tmp_path / "a.mp4", 2), name)

    assert name.startswith(clip["name"])
    assert len(clip["name"].encode()) > 150


def test_an_upload_that_breaks_off_leaves_nothing(server):
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.url).port)
    connection.putrequest("POST", "/api/uploads?name=a.mp4")
    connection.putheader("Content-Length", "1000000")
    connection.endheaders()
    connection.send(b"x" * 200_000)
    wait_for(lambda: incoming(server), "the beginning of the upload")

    connection.close()

    wait_for(lambda: incoming(server) == [], "the rest to be cleared away")


def test_a_folder_of_frames_becomes_one_clip_in_the_order_of_its_names(server):
    folder = quote("schmelzendes Eis – 溶ける氷-v2")
    for index in (2, 0, 1):
        reply = server.ask(
            f"/api/uploads?name=frame{index + 9}.jpg&group=abc1&folder={folder}&of=3", jpeg(index)
        )

    job = server.job_done(reply)

    clip = server.get(f"/api/clips/{job['clip_id']}")["clip"]
    assert (clip["name"], clip["frame_count"]) == ("schmelzendes Eis – 溶ける氷-v2", 3)
    first = server.ask(f"/api/clips/{clip['id']}/frames/0.jpg").body
    assert first == jpeg(0), "a folder of frames is taken as it is"
    assert incoming(server) == []


def test_frames_of_a_folder_may_arrive_at_the_same_time(server):
    group = f"parallel-{uuid4().hex}"
    slow = half_sent(server, f"/api/uploads?name=0.jpg&group={group}&of=3", jpeg(4))
    with ThreadPoolExecutor(2) as pool:
        others = list(
            pool.map(
                lambda index: server.ask(
                    f"/api/uploads?name={index}.jpg&group={group}&of=3", jpeg(index + 4)
                ),
                (1, 2),
            )
        )

    assert [reply.json() for reply in others] == [{"job": None}, {"job": None}]
    slow.send(jpeg(4)[100:])
    job = server.job_done(answer_of(slow))
    assert server.get(f"/api/clips/{job['clip_id']}")["clip"]["frame_count"] == 3


def test_a_file_that_breaks_off_takes_its_folder_with_it_and_says_so(server):
    group = f"broken-{uuid4().hex}"
    server.ask(f"/api/uploads?name=0.jpg&group={group}&of=3", jpeg(0))
    half_sent(server, f"/api/uploads?name=1.jpg&group={group}&of=3", jpeg(1)).close()
    wait_for(lambda: incoming(server) == [], "the folder to be cleared away")

    reply = server.ask(f"/api/uploads?name=2.jpg&group={group}&of=3", jpeg(2))

    assert reply.status == 400
    assert "broke off" in reply.json()["error"]
    assert incoming(server) == []


def test_one_name_twice_in_a_folder_is_refused_and_the_folder_goes_on(server):
    group = f"twice-{uuid4().hex}"
    server.ask(f"/api/uploads?name=0.jpg&group={group}&of=2", jpeg(7))

    again = server.ask(f"/api/uploads?name=0.jpg&group={group}&of=2", jpeg(8))
    job = server.job_done(server.ask(f"/api/uploads?name=1.jpg&group={group}&of=2", jpeg(8)))

    assert (again.status, job["state"]) == (400, "done")
    assert "sent twice" in again.json()["error"]


def half_sent(server, path, data):
    """A request that has said its length and sent its first 100 bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.url).port)
    connection.putrequest("POST", path)
    connection.putheader("Content-Length", str(len(data)))
    connection.endheaders()
    before = {path for folder in incoming(server) for path in folder.iterdir()}
    connection.send(data[:100])
    wait_for(
        lambda: {path for folder in incoming(server) for path in folder.iterdir()} - before,
        "the beginning of the file",
    )
    return connection


def answer_of(connection):
    reply = connection.getresponse()
    body = reply.read()
    connection.close()
    return Reply(reply.status, dict(reply.headers), body)


def test_the_page_and_the_server_take_the_same_files(server):
    said = server.get("/api/session")
    text = (Path(components.__file__).parent / "studio" / "uploads.js").read_text()

    for name, known in (("FRAME", "frame_suffixes"), ("VIDEO", "video_suffixes")):
        listed = re.search(rf"{name}_SUFFIXES = \[(.*?)\];", text, re.S)
        assert re.findall(r'"(\.\w+)"', listed[1]) == said[known]


def test_frames_of_different_sizes_are_refused_and_leave_nothing(server):
    small = cv2.imencode(".png", picture(0)[:40, :40])[1].tobytes()
    server.ask("/api/uploads?name=0.jpg&group=mixed-1&of=2", jpeg(0))

    job = server.job_done(server.ask("/api/uploads?name=1.png&group=mixed-1&of=2", small))

    assert job["state"] == "failed"
    wait_for(lambda: incoming(server) == [], "the frames to be cleared away")


def test_media_folders_offer_videos_and_folders_of_frames_by_number(tmp_path):
    (tmp_path / "clips" / "frames").mkdir(parents=True)
    (tmp_path / "clips" / "frames" / "0.jpg").write_bytes(jpeg(0))
    (tmp_path / "clips" / "tea.MP4").write_bytes(b"")
    (tmp_path / "clips" / "notes.txt").write_bytes(b"")
    (tmp_path / "clips" / ".hidden.mp4").write_bytes(b"")
    (tmp_path / "elsewhere.mp4").write_bytes(b"")

    found = list_media([tmp_path / "clips"])

    assert [(one.name, one.kind) for one in found] == [("frames", "frames"), ("tea.MP4", "video")]
    assert find_medium([tmp_path / "clips"], found[1].id) == found[1]
    assert find_medium([tmp_path / "clips"], str(tmp_path / "elsewhere.mp4")) is None


def test_only_what_is_offered_can_be_taken_from_the_media_folders(server):
    for medium_id in ("0", "%2fetc%2fpasswd", "..%2f..%2fx"):
        assert server.ask(f"/api/media/{medium_id}/ingest", {}).status == 404


def test_an_export_is_checked_and_comes_as_one_zip(server, clip, target):
    stroke(server, target, 3, 0, disc(60, 50))
    stroke(server, target, 3, 0, disc(90, 80, 9), layer="ignore")

    job = server.job_done(server.ask("/api/export", {"clip_ids": [clip["id"]], "mask_step": 1}))

    assert job["state"] == "done", job
    result = job["result"]
    folder = Path(result["folder"])
    assert folder.parent == server.workspace / "exports"
    assert result["checked"] is True
    zipped = server.ask(result["download"])
    assert zipped.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(zipped.body)) as archive:
        assert archive.testzip() is None
        held = {name: archive.read(name) for name in archive.namelist()}
    written = {
        path.relative_to(folder.parent).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert held == written
    assert len(written) == result["files"]


def test_a_zip_is_made_while_it_is_read_in_constant_memory(tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    with (folder / "film.mp4").open("wb") as film:
        film.truncate(256 * 2**20)
    (folder / "notes ü.txt").write_text("small")
    (folder / "elsewhere").symlink_to("/etc/hostname")

    tracemalloc.start()
    archive = zipped(folder)
    size, longest = 0, 0
    for piece in archive:
        size, longest = size + len(piece), max(longest, len(piece))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert size == len(archive) > 256 * 2**20
    assert longest <= 2 * 2**20
    assert most < 16 * 2**20


def test_an_export_of_nothing_says_so(server):
    job = server.job_done(server.ask("/api/export", {"clip_ids": []}))

    assert job["state"] == "failed"
    assert "No clip was chosen" in job["message"]
