"""Who may talk to the server, asked of the real one; the login, asked of the guard alone."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from app.guard import Guard, Limited, TooLargeError
from app.settings import Login, Settings

FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("path", ["/api/samples", "/gradio_api/upload", "/gradio_api/queue/join"])
def test_a_write_from_another_sites_page_is_refused(server, path, headers):
    before = len(server.get("/api/jobs")["jobs"])

    reply = server.ask(path, {}, headers=headers)

    assert reply.status == 403
    assert reply.json()["code"] == "foreign"
    assert len(server.get("/api/jobs")["jobs"]) == before


def test_a_write_of_our_own_page_passes(server):
    reply = server.ask(
        "/api/jobs/999/cancel", {}, headers={"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
    )

    assert reply.status == 404


@pytest.mark.parametrize("path", ["/", "/api/clips", "/studio/shared/api.js"])
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "a@127.0.0.1", ""])
def test_a_name_that_is_not_ours_is_refused(server, path, host):
    reply = server.ask(path, headers={"Host": host})

    assert reply.status in (400, 421)
    assert b"clips" not in reply.body


def test_a_websocket_of_another_sites_page_is_refused(server):
    url = server.url.replace("http", "ws") + "/api/live"

    with pytest.raises(InvalidStatus) as refused:
        connect(url, additional_headers={"Origin": "http://evil.example"})

    assert refused.value.response.status_code == 403
    with connect(url, additional_headers={"Origin": server.url}):
        pass


@pytest.mark.parametrize(
    "path",
    [
        "/studio/../settings.py",
        "/studio/%2e%2e/settings.py",
        "/studio/..%2fsettings.py",
        "/studio/canvas.py",
        "/studio//etc/passwd",
        "/api/exports/..%2frefscribe.sqlite.zip",
        "/api/exports/...zip",
        "/api/clips/1/frames/..%2f..%2f..%2frefscribe.sqlite.jpg",
        "/api/clips/-1/frames/0.jpg",
        "/api/clips/1/frames/-1.jpg",
        "/api/drafts/1/maps/-1.png",
        "/gradio_api/file=/etc/passwd",
    ],
)
def test_no_address_leads_to_a_file_that_is_not_offered(server, path):
    reply = raw(server, f"GET {path} HTTP/1.1", f"Host: {urlsplit(server.url).netloc}")

    status = int(reply.split()[1])
    assert status in (403, 404, 405, 422)
    assert b"root:" not in reply
    assert b"SQLite" not in reply


def raw(server, *lines):
    """What a server answers to these lines, sent as they are."""
    with socket.create_connection(("127.0.0.1", urlsplit(server.url).port), 30) as connection:
        text = "\r\n".join([*lines, "Connection: close", "", ""])
        connection.sendall(text.encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_what_announces_itself_as_too_large_is_refused_at_once(server):
    host = f"Host: {urlsplit(server.url).netloc}"

    small = raw(server, "POST /api/samples HTTP/1.1", host, f"Content-Length: {2**30}")
    upload = raw(server, "POST /api/uploads?name=a.mp4 HTTP/1.1", host, f"Content-Length: {2**40}")

    for reply in (small, upload):
        assert reply.split()[1] == b"413"
        assert b'"code":"large"' in reply


@pytest.mark.anyio
async def test_what_does_not_announce_itself_is_counted():
    sent, begun = [], []

    async def receive():
        return {"type": "http.request", "body": b"x" * 40, "more_body": True}

    async def send(message):
        sent.append(message)

    async def app(scope, receive, send):
        while True:
            begun.append(len((await receive())["body"]))

    await Limited(receive, 100).run(app, {"type": "http"}, send)

    assert begun == [40, 40]
    assert sent[0]["status"] == TooLargeError(100).notice.status


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.parametrize("path", ["/", "/api/clips", "/studio/shared/api.js", "/api/nothing"])
def test_every_answer_carries_the_security_headers(server, path):
    headers = server.ask(path).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "same-origin"


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
    body, _, signature = cookie.value.partition(".")

    for forged in (f"{body}.{signature[:-1]}0", f"{body[:-4]}AAAA.{signature}", "x", ".", body):
        locked.cookies.clear()
        reply = locked.get("/api/who", headers={"Cookie": f"{cookie.name}={forged}"})
        assert reply.status_code == 401, forged


def test_guessing_is_slowed_down(locked):
    for _ in range(5):
        assert log_in(locked, "ana", "guess").status_code == 401

    reply = log_in(locked, "ana", "first secret")

    assert reply.status_code == 429
    assert "Wait" in reply.text


def test_another_site_cannot_log_somebody_in(locked):
    reply = locked.post(
        "/login",
        data={"name": "ana", "password": "first secret"},
        headers={"Origin": "http://evil.example"},
    )

    assert reply.status_code == 403
