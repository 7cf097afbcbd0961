"""The login, asked of the guard around a small application."""

from __future__ import annotations

import asyncio
import re
import time

import pytest
from itsdangerous import URLSafeTimedSerializer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.guard import Guard
from app.login import SESSION_S, Door, Tries
from app.settings import Login, Settings


async def who(request: Request) -> JSONResponse:
    return JSONResponse({"annotator": request.scope.get("refscribe.annotator")})


@pytest.fixture
def locked(tmp_path):
    """The guard with two logins, around an application that says who is there."""
    logins = (Login("ana", "first secret"), Login("ben", "zweites Geheimnis ü"))
    settings = Settings(tmp_path, host="localhost", logins=logins)
    app = Starlette(routes=[Route("/", who), Route("/api/who", who, methods=["GET", "POST"])])
    with TestClient(Guard(app, settings), base_url="http://localhost:7860") as client:
        client.follow_redirects = False
        yield client


def log_in(client, name, password):
    return client.post("/login", data={"name": name, "password": password})


def test_without_a_login_nothing_is_answered_but_the_way_in(locked):
    assert locked.get("/", headers={"Accept": "text/html"}).headers["location"] == "/login"
    assert locked.get("/api/who").json()["code"] == "login"
    assert locked.get("/login").status_code == 200
    assert "password" in locked.get("/login").text


@pytest.mark.parametrize(
    ("name", "password"), [("ana", "wrong"), ("ben", "first secret"), ("", ""), ("ana", "")]
)
def test_a_wrong_password_lets_nobody_in(locked, name, password):
    assert log_in(locked, name, password).status_code == 401

    assert locked.get("/api/who").status_code == 401


@pytest.mark.parametrize(
    ("name", "password"), [("ana", "first secret"), ("ben", "zweites Geheimnis ü")]
)
def test_who_logs_in_signs_what_they_do(locked, name, password):
    reply = log_in(locked, name, password)

    assert reply.status_code == 303
    assert "HttpOnly" in reply.headers["set-cookie"]
    assert locked.get("/api/who").json() == {"annotator": name}


def test_a_cookie_made_elsewhere_lets_nobody_in(locked):
    log_in(locked, "ana", "first secret")
    (cookie,) = locked.cookies.jar
    body, _, signature = cookie.value.rpartition(".")
    own = URLSafeTimedSerializer("a key of my own").dumps("ana")

    for forged in (f"{body}.{signature[:-2]}", f"AAAA{body[4:]}.{signature}", "x", ".", body, own):
        locked.cookies.clear()
        reply = locked.get("/api/who", headers={"Cookie": f"{cookie.name}={forged}"})
        assert reply.status_code == 401, forged


def test_guessing_is_slowed_down(locked):
    for _ in range(5):
        assert log_in(locked, "ana", "guess").status_code == 401

    reply = log_in(locked, "ana", "first secret")

    assert reply.status_code == 429
    assert "Wait" in reply.text


def test_tries_sent_all_at_once_are_no_more_than_one_after_the_other():
    door = Door((Login("ana", "first secret"),))
    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": "/login",
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 1),
    }

    async def try_all():
        sent = asyncio.Event()

        async def receive():
            await sent.wait()
            return {"type": "http.request", "body": b"name=ana&password=guess"}

        tries = asyncio.gather(*(door.log_in(Request(scope, receive)) for _ in range(20)))
        await asyncio.sleep(0)
        sent.set()
        return [reply.status_code for reply in await tries]

    assert asyncio.run(try_all()) == [401] * Tries.FREE + [429] * (20 - Tries.FREE)


def test_another_site_cannot_log_somebody_in(locked):
    reply = locked.post(
        "/login",
        data={"name": "ana", "password": "first secret"},
        headers={"Origin": "http://evil.example"},
    )

    assert reply.status_code == 403


@pytest.mark.parametrize(
    "foreign",
    [
        'prefs={"dark":true}',
        "a=b c",
        "=; ;;=x",
        "$Version=1; x",
        "snowman=\u2603".encode().decode("latin-1"),
        "x=" + "y" * 4000,
    ],
)
def test_cookies_of_other_programs_on_this_machine_change_nothing(locked, foreign):
    log_in(locked, "ana", "first secret")
    (cookie,) = locked.cookies.jar
    locked.cookies.clear()

    for header in (
        f"{foreign}; {cookie.name}={cookie.value}",
        f"{cookie.name}={cookie.value}; {foreign}",
    ):
        reply = locked.get("/api/who", headers={"Cookie": header.encode("latin-1")})
        assert reply.json() == {"annotator": "ana"}, header


def test_a_login_ends_after_its_time(locked, monkeypatch):
    log_in(locked, "ana", "first secret")
    (cookie,) = locked.cookies.jar
    header = {"Cookie": f"{cookie.name}={cookie.value}"}
    now = time.time()

    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now + SESSION_S - 60)
    before = locked.get("/api/who", headers=header).status_code
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now + SESSION_S + 60)
    after = locked.get("/api/who", headers=header).status_code

    assert (before, after) == (200, 401)


def test_what_is_typed_may_be_no_text_and_no_novel(locked):
    odd = locked.post(
        "/login", content=b"name=%ff%00&password=\xff", headers={"Accept": "text/html"}
    )
    long = locked.post("/login", content=b"name=" + b"x" * 5000)

    assert (odd.status_code, long.status_code) == (401, 413)
    assert re.search("not right", odd.text)


def test_five_wrong_tries_are_free_then_each_costs_a_longer_wait_up_to_five_minutes():
    now = [1000.0]
    tries = Tries(lambda: now[0])
    waits = []
    for _ in range(16):
        tries.failed("10.0.0.7")
        waits.append(tries.wait_s("10.0.0.7"))

    assert waits[:8] == [0, 0, 0, 0, 2, 4, 8, 16]
    assert waits[-1] == 300
    assert tries.wait_s("10.0.0.8") == 0
    now[0] += 299
    assert tries.wait_s("10.0.0.7") == 1
    tries.forget("10.0.0.7")
    assert tries.wait_s("10.0.0.7") == 0
