"""Who may talk to the server, asked of the real one; the login, asked of the guard alone."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from app.guard import BodyLimit, Guard
from app.settings import Settings

FOREIGN = [
    {"Origin": "http://["},
    {"Origin": "http://[::1"},
    {"Origin": "http://\u00e9"},
    {"Origin": "//"},
    {"Origin": ""},
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

    await BodyLimit(receive, 100).run(app, {"type": "http"}, send)

    assert begun == [40, 40]
    assert sent[0]["status"] == 413


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.parametrize("path", ["/", "/api/clips", "/studio/shared/api.js", "/api/nothing"])
def test_every_answer_carries_the_security_headers(server, path):
    headers = server.ask(path).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("length", ["1e3", "-1", "+5", "0x10", "²", "9" * 5000, str(2**64)])
def test_a_length_that_is_none_or_beyond_everything_is_refused(server, length):
    reply = raw(
        server,
        "POST /api/samples HTTP/1.1",
        f"Host: {urlsplit(server.url).netloc}",
        f"Content-Length: {length}",
    )

    assert reply.split()[1] in (b"400", b"413")


@pytest.fixture
def on_every_address(tmp_path):
    """The guard of a server that listens on every address of a machine called box."""
    app = Starlette(routes=[Route("/api/here", here, methods=["GET", "POST"])])
    settings = Settings(tmp_path, host="0.0.0.0")
    guard = Guard(app, settings, frozenset({"box", "box.example.org"}))
    with TestClient(guard, base_url="http://box:7860") as client:
        yield client


async def here(_request):
    return JSONResponse({})


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("box", 200),
        ("BOX.example.org:7860", 200),
        ("192.168.1.7:7860", 200),
        ("[fe80::1]:7860", 200),
        ("localhost", 200),
        ("evil.example", 421),
        ("box.evil.example", 421),
        ("192.168.1.7.evil.example", 421),
        ("[", 421),
        ("box:port", 421),
    ],
)
def test_a_server_on_every_address_answers_to_the_machines_names_and_numbers(
    on_every_address, host, status
):
    assert on_every_address.get("/api/here", headers={"Host": host}).status_code == status


def test_no_request_asks_the_resolver(on_every_address, monkeypatch):
    def asked(*_name):
        raise AssertionError("the resolver was asked while a request waited")

    monkeypatch.setattr(socket, "getfqdn", asked)
    monkeypatch.setattr(socket, "getaddrinfo", asked)
    monkeypatch.setattr(socket, "gethostbyname", asked)

    for host in ("box", "evil.example"):
        on_every_address.get("/api/here", headers={"Host": host})
