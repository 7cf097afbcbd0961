"""Requests that wait for a worker hold up nobody, and are given up with whoever asked."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi import FastAPI

from annotation_store.workspace import Workspace
from app.live import Live
from app.routes.attention import attention_routes
from app.services import Services
from app.settings import Settings
from app.work.jobs import Jobs
from app.workers.downloads import Downloads
from app.workers.worker import Worker
from tests.app.conftest import FRAMES, wait_for
from tests.app.routes.test_clicks import ON_DISC
from tests.app.routes.workers import connections, stopped
from tests.app.workers import worker_tasks

MANY = 45
"""More than the threads that serve everybody."""
PROMPT_S = 20
"""No measure of speed: less than a stopped worker is waited for."""


def test_clips_and_frames_are_served_while_many_clicks_wait_for_a_stopped_worker(server, clip):
    targets = [server.add_target(clip["id"]) for _ in range(MANY)]
    before = connections(server)

    with ThreadPoolExecutor(MANY) as people:
        with stopped(server):
            waiting = [
                people.submit(
                    server.ask,
                    f"/api/targets/{one}/frames/0/clicks",
                    {"clicks": [ON_DISC], "seen": 0},
                    timeout_s=300,
                )
                for one in targets
            ]
            wait_for(lambda: connections(server) >= before + MANY, "the clicks")
            clips = server.ask("/api/clips", timeout_s=PROMPT_S)
            frames = [
                server.ask(f"/api/clips/{clip['id']}/frames/{index}.jpg", timeout_s=PROMPT_S)
                for index in range(FRAMES)
            ]
            answered = [one.done() for one in waiting]
        replies = [one.result() for one in waiting]

    assert clips.status == 200
    assert [one.status for one in frames] == [200] * FRAMES
    assert not any(answered)
    assert [one.status for one in replies] == [200] * MANY


def test_a_preview_whose_tab_asks_anew_is_answered_with_nothing(server, target):
    path = f"/api/targets/{target}/frames/0/clicks"
    body = {"clicks": [ON_DISC], "seen": 0, "preview": True}
    header = {"X-Tab": "hovering"}
    with ThreadPoolExecutor(2) as tab:
        with stopped(server):
            both = [tab.submit(server.ask, path, body, headers=header) for _ in range(2)]
            wait_for(lambda: any(one.done() for one in both), "the one that came first")
            answered = [one.done() for one in both]
        replies = [one.result() for one in both]

    assert sorted(answered) == [False, True]
    older, newer = sorted(replies, key=lambda reply: reply.status, reverse=True)
    assert (older.status, older.body) == (204, b"")
    assert newer.status == 200


@pytest.fixture
def app(tmp_path):
    """The list of frames to look at, over a worker that never comes to an end with it."""
    with Workspace.open(tmp_path / "workspace") as workspace:
        for number in (1, 2):
            added = workspace.clips.add(
                name=f"clip {number}",
                width=6,
                height=4,
                frame_count=1,
                source_name="clip.mp4",
                source_sha256=str(number) * 64,
                time_table=(0.0,),
                place=lambda _: None,
            )
            workspace.targets.add(added.id)
        files = Worker("store", worker_tasks.make_tasks, tmp_path)
        live = Live()
        services = Services(
            Settings(tmp_path),
            workspace,
            live,
            Jobs(live),
            models=files,
            files=files,
            downloads=Downloads(),
        )
        application = FastAPI()
        application.include_router(attention_routes(services))
        files.start()
        yield application
        files.stop()


def ask(app, path, tab, receive):
    """One request of `tab` straight to the application; returns the statuses it was answered."""
    statuses = []

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"x-tab", tab.encode())],
    }
    return app(scope, receive, send), statuses


def test_what_only_a_closed_page_waited_for_is_left_off(app, tmp_path):
    closing = asyncio.Event()

    async def receive():
        await closing.wait()
        return {"type": "http.disconnect"}

    async def open_and_close():
        asking, _ = ask(app, "/api/targets/1/attention", "one", receive)
        waiting = asyncio.ensure_future(asking)
        await asyncio.to_thread(wait_for, (tmp_path / "looking-1").exists, "the task")
        closing.set()
        await waiting

    asyncio.run(open_and_close())

    wait_for(lambda: (tmp_path / "left-1").exists(), "the end of the task")


def test_a_list_asked_for_anew_takes_the_place_of_the_one_before(app, tmp_path):
    async def receive():
        await asyncio.Event().wait()

    async def ask_twice():
        first, statuses = ask(app, "/api/targets/1/attention", "one", receive)
        waiting = asyncio.ensure_future(first)
        await asyncio.to_thread(wait_for, (tmp_path / "looking-1").exists, "the task")
        second, _ = ask(app, "/api/targets/2/attention", "one", receive)
        newer = asyncio.ensure_future(second)
        await waiting
        newer.cancel()
        return statuses

    assert asyncio.run(ask_twice()) == [204]
