"""Better tools through the routes: a hub on this machine serves toy files, and misbehaves."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from model.hub import EDGETAM_REPOSITORY, SAM3_REPOSITORY, repository_folder
from tests.app.conftest import start_server, stop_server, wait_for
from tests.toy_hub import PIECE, REVISION, toy_hub

SIZE = 32 * PIECE
"""The hub's library writes 10 MB at a time."""
TOY = os.urandom(SIZE)
FETCH = "/api/tools/edgetam/fetch"
NOT_HERE = "weights not here"


@pytest.fixture(scope="module")
def hub():
    files = {
        EDGETAM_REPOSITORY: {
            "model.safetensors": TOY,
            "pytorch_model.bin": b"may hold code",
            "README.md": b"words",
        },
        SAM3_REPOSITORY: {"model.safetensors": TOY, "sam3.pt": TOY},
    }
    with toy_hub(files) as running:
        yield running


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def server(hub, cache, tmp_path_factory):
    running = start_server(
        tmp_path_factory.mktemp("tools") / "workspace",
        "--device",
        "cpu",
        environment=hub.environment(cache),
    )
    yield running
    stop_server(running)


@pytest.fixture(autouse=True)
def fresh(hub, server, cache, monkeypatch):
    """Every test begins with a well-behaved hub and an empty cache."""
    hub.refusal = hub.held_at = None
    hub.cuts = False
    hub.go_on.clear()
    hub.stated.clear()
    hub.spoiled.clear()
    hub.asked.clear()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    yield
    hub.go_on.set()
    for job in server.get("/api/jobs")["jobs"]:
        server.ask(f"/api/jobs/{job['id']}/cancel", {})
    wait_for(lambda: not running_fetches(server), "the downloads to end")
    for path in sorted(cache.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()


def running_fetches(server):
    jobs = server.get("/api/jobs")["jobs"]
    return [job for job in jobs if job["kind"] == "fetch" and job["state"] in ("queued", "running")]


def engine(server, name="edgetam"):
    found = server.get("/api/engines")
    return next(one for one in found["refiners"] + found["segmenters"] if one["name"] == name)


def parts(cache):
    """What a download leaves while it is not whole."""
    return list(cache.glob("models--*/blobs/*.incomplete"))


def held(hub, server):
    """Begin to fetch, and wait for some of the file to be here, of which the hub sends 24 MB."""
    hub.held_at = 24 * PIECE
    job_id = server.ask(FETCH, {}).json()["job"]["id"]

    def partly():
        jobs = server.get("/api/jobs")["jobs"]
        job = next(one for one in jobs if one["id"] == job_id)
        return job if job["done"] >= 15 * PIECE else None

    return wait_for(partly, "a part of the file")


def test_looking_at_what_there_is_asks_nobody(server, hub):
    offered = server.get("/api/tools")
    server.get("/api/session")

    assert [tool["name"] for tool in offered["tools"]] == [
        "edgetam",
        "grounding-dino",
        "sam2.1-tiny",
    ]
    assert offered["gpu_bytes"] == 0
    assert offered["tools"][0]["licence_page"].startswith("https://")
    assert offered["tools"][0]["page"] == f"{hub.url}/{EDGETAM_REPOSITORY}"
    assert hub.asked == []


def test_a_fetched_engine_is_ready_and_only_its_file_was_asked_for(server, hub, cache):
    assert NOT_HERE in engine(server)["sentence"]

    job = server.job_done(server.ask(FETCH, {}))

    assert (job["state"], job["done"], job["total"]) == ("done", SIZE, SIZE)
    assert job["engine"] == "edgetam"
    assert engine(server)["ready"]
    assert server.get("/api/tools")["tools"][0]["is_here"]
    file = f"/{EDGETAM_REPOSITORY}/resolve/{REVISION}/model.safetensors"
    assert set(hub.asked) == {
        f"GET /api/models/{EDGETAM_REPOSITORY}",
        f"HEAD {file}",
        f"GET {file}",
    }
    there = repository_folder(EDGETAM_REPOSITORY) / "snapshots" / REVISION / "model.safetensors"
    assert there.read_bytes() == TOY
    assert server.ask(FETCH, {}).status == 409


def test_progress_is_told_in_bytes_and_a_second_press_joins_the_first(server, hub):
    job = held(hub, server)

    again = server.ask(FETCH, {}).json()["job"]

    assert (job["state"], job["total"]) == ("running", SIZE)
    assert 0 < job["done"] < SIZE
    assert again["id"] == job["id"]
    assert len(running_fetches(server)) == 1
    assert len([one for one in hub.asked if one.startswith("GET") and "resolve" in one]) == 1
    hub.go_on.set()
    assert wait_for(lambda: engine(server)["ready"], "the engine")


def test_a_cancelled_download_leaves_nothing_and_can_be_begun_again(server, hub, cache):
    job = held(hub, server)
    assert parts(cache)

    server.ask(f"/api/jobs/{job['id']}/cancel", {})

    wait_for(lambda: not running_fetches(server), "the end")
    ended = next(one for one in server.get("/api/jobs")["jobs"] if one["id"] == job["id"])
    assert ended["state"] == "cancelled"
    assert parts(cache) == []
    assert NOT_HERE in engine(server)["sentence"]
    hub.held_at = None
    assert server.job_done(server.ask(FETCH, {}))["state"] == "done"


def test_one_that_waits_for_its_turn_is_cancelled_at_once(server, hub):
    held(hub, server)
    waiting = server.ask("/api/tools/sam2.1-tiny/fetch", {}).json()["job"]

    server.ask(f"/api/jobs/{waiting['id']}/cancel", {})

    job = wait_for(
        lambda: next(
            (
                one
                for one in server.get("/api/jobs")["jobs"]
                if one["id"] == waiting["id"] and one["state"] == "cancelled"
            ),
            None,
        ),
        "the cancelled one",
    )
    assert job["engine"] == "sam2.1-tiny"
    assert not [one for one in hub.asked if "sam2.1" in one]
    assert [one["engine"] for one in running_fetches(server)] == ["edgetam"]


def test_a_download_killed_in_the_middle_leaves_nothing_and_says_so(server, hub, cache):
    job = held(hub, server)

    children = psutil.Process(server.process.pid).children(recursive=True)
    [child] = [one for one in children if holds(one, cache)]
    child.kill()

    wait_for(lambda: not running_fetches(server), "the end")
    ended = next(one for one in server.get("/api/jobs")["jobs"] if one["id"] == job["id"])
    assert ended["state"] == "failed"
    assert "stopped from outside" in ended["message"]
    assert parts(cache) == []
    assert NOT_HERE in engine(server)["sentence"]


def holds(process, folder):
    return any(str(folder) in one.path and "incomplete" in one.path for one in process.open_files())


def test_a_connection_cut_for_good_fails_and_leaves_nothing(server, hub, cache):
    hub.held_at, hub.cuts = SIZE // 2, True

    job = server.job_done(server.ask(FETCH, {}))

    assert job["state"] == "failed"
    assert "cannot be reached: check the network" in job["message"]
    assert "python -m model.weights fetch edgetam" in job["message"]
    assert "REFSCRIBE_EDGETAM" in job["message"]
    assert parts(cache) == []
    assert NOT_HERE in engine(server)["sentence"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_file_is_refused_with_whom_to_ask(server, hub, status):
    hub.refusal = status

    job = server.job_done(server.ask("/api/tools/sam3-tracker/fetch", {}))

    assert job["state"] == "failed"
    assert "is gated: ask Meta first" in job["message"]
    assert "REFSCRIBE_SAM3" in job["message"]


def test_a_refusal_says_what_to_do_instead(server, hub):
    hub.refusal = 403

    job = server.job_done(server.ask(FETCH, {}))

    assert job["state"] == "failed"
    assert "was refused" in job["message"]
    assert "REFSCRIBE_EDGETAM" in job["message"]


def test_a_damaged_file_is_removed_and_the_state_before_stands(server, hub, cache):
    hub.spoiled.add("model.safetensors")

    job = server.job_done(server.ask(FETCH, {}))

    assert job["state"] == "failed"
    assert "arrived damaged" in job["message"]
    assert not [path for path in cache.rglob("*") if path.is_file() and path.stat().st_size == SIZE]
    assert NOT_HERE in engine(server)["sentence"]


def test_a_file_the_disk_has_no_room_for_is_not_begun(server, hub):
    hub.stated["model.safetensors"] = 10**16

    job = server.job_done(server.ask(FETCH, {}))

    assert job["state"] == "failed"
    assert "The disk is too full: 10,000,000,000 MB are needed" in job["message"]
    assert not [one for one in hub.asked if "resolve" in one]


def test_a_file_larger_than_announced_is_not_begun(server, hub):
    hub.stated["model.safetensors"] = 90_000_000

    job = server.job_done(server.ask(FETCH, {}))

    assert job["state"] == "failed"
    assert "90 MB for EdgeTAM, not the 56 MB that were announced" in job["message"]
    assert not [one for one in hub.asked if "resolve" in one]


def test_an_engine_chosen_in_the_picker_is_offered_too(server):
    offered = server.get("/api/tools?also=sam2.1-small&also=mobile-sam")["tools"]

    assert [tool["name"] for tool in offered][3:] == ["sam2.1-small"]
    assert not offered[-1]["is_chosen"]


@pytest.mark.parametrize("name", ["rem-demo", "sam9", "mobile-sam"])
def test_what_cannot_be_fetched_is_refused(server, name):
    assert server.ask(f"/api/tools/{name}/fetch", {}).status == 404


def test_a_server_that_is_killed_takes_its_download_with_it_and_clears_up_at_the_next_start(
    hub, cache, tmp_path
):
    environment = hub.environment(cache)
    first = start_server(tmp_path / "workspace", "--device", "cpu", environment=environment)
    held(hub, first)
    processes = psutil.Process(first.process.pid).children(recursive=True)

    first.process.kill()
    first.process.wait()
    first.process.stdout.close()
    _, alive = psutil.wait_procs(processes, timeout=30)
    left = parts(cache)
    second = start_server(tmp_path / "workspace", "--device", "cpu", environment=environment)

    try:
        assert alive == []
        assert left
        wait_for(lambda: not parts(cache), "what was left to be cleared away")
    finally:
        stop_server(second)
