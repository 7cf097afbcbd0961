"""The live channel, listened to as a page does."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import uvicorn
from fastapi import FastAPI
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from app.live import WAITING_AT_MOST, Live, live_route
from tests.app.conftest import wait_for


@pytest.fixture
def live():
    return Live()


@dataclass
class Channel:
    """A running program whose only route is the channel."""

    url: str
    loop: asyncio.AbstractEventLoop

    def page(self):
        return connect(self.url)

    def call(self, work):
        """Run `work()` in one breath on the event loop."""

        async def now():
            work()

        asyncio.run_coroutine_threadsafe(now(), self.loop).result(30)


@pytest.fixture
def channel(live):
    loops = []

    @asynccontextmanager
    async def lifespan(_app):
        live.open()
        loops.append(asyncio.get_running_loop())
        yield
        live.close()

    app = FastAPI(lifespan=lifespan)
    app.include_router(live_route(live))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as bound:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        wait_for(lambda: server.started, "the channel to open")
        yield Channel(f"ws://127.0.0.1:{bound.getsockname()[1]}/api/live", loops[0])
        server.should_exit = True
        thread.join()


def test_every_page_hears_what_happens_in_the_order_it_happened(server):
    url = server.url.replace("http", "ws") + "/api/live"
    with connect(url) as first, connect(url) as second:
        clip = server.ask("/api/clips/999999", method="DELETE")
        job = server.ask("/api/samples", {}).json()["job"]
        for page in (first, second):
            heard = [json.loads(page.recv(30))]
            while heard[-1]["type"] != "job":
                heard.append(json.loads(page.recv(30)))
            assert heard[-1]["job"]["id"] == job["id"]
    assert clip.status == 404
    server.ask(f"/api/jobs/{job['id']}/cancel", {})


def test_who_comes_later_hears_what_still_holds_and_nothing_else(live, channel):
    live.say({"type": "clips"})
    live.say({"type": "worker", "state": "up"}, standing="worker")
    live.say({"type": "worker", "state": "down"}, standing="worker")

    with channel.page() as page:
        assert heard(page) == {"type": "worker", "state": "down"}
        live.say({"type": "end"})
        assert heard(page) == {"type": "end"}


def heard(page):
    return json.loads(page.recv(30))


def test_a_page_that_falls_far_behind_is_dropped_to_ask_anew(live, channel):
    with channel.page() as page:
        listening(live, page)

        def flood():  # nobody can read meanwhile
            for number in range(WAITING_AT_MOST + 1):
                live._hand_out({"type": "masks", "number": number}, None)

        channel.call(flood)

        with pytest.raises(ConnectionClosed) as dropped:
            list(iter(lambda: page.recv(30), None))
        assert dropped.value.rcvd.code == 1001


def listening(live, page):
    """Wait until the page is told what is said."""
    live.say({"type": "standing"}, standing="standing")
    assert heard(page) == {"type": "standing"}


def test_what_a_page_says_is_read_and_forgotten(live, channel):
    with channel.page() as page:
        listening(live, page)
        page.send("{")
        page.send(b"\xff" * 100)
        live.say({"type": "clips"})

        assert heard(page) == {"type": "clips"}


def test_nothing_is_said_before_the_beginning_or_after_the_end(live):
    live.say({"type": "clips"})
    live.close()
    live.say({"type": "clips"}, standing="clips")


def test_the_end_closes_every_channel(live, channel):
    with channel.page() as first, channel.page() as second:
        listening(live, first)
        assert heard(second) == {"type": "standing"}

        channel.call(live.close)

        for page in (first, second):
            with pytest.raises(ConnectionClosed) as ended:
                page.recv(30)
            assert ended.value.rcvd.code == 1001
