"""Of Gradio's addresses only what the page uses is open, and odd requests of it find no way in."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import psutil
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from app.page_access import USED, script_hashes

CLOSED = [
    "/config",
    "/info",
    "/openapi.json",
    "/login_check",
    "/app_id",
    "/token",
    "/user",
    "/monitoring",
    "/runs",
    "/logout",
    "/robots.txt",
    "/vibe-code",
    "/dev/reload",
    "/profiling/summary",
    "/svelte/../../config",
    "/assets/../../__init__.py",
    "/assets/..%2f..%2f..%2f__init__.py",
    "/static/%00",
    "/static/" + "a" * 300,
    "/custom_component/1/server/component/index.js",
    "/proxy=http://example.org",
    "/file=/etc/passwd",
    "/file/etc/passwd",
    "/gradio_api/info",
    "/gradio_api/heartbeat/x",
    "/gradio_api/queue/data?session_hash=x",
    "/gradio_api/queue/status",
    "/gradio_api/file=/etc/passwd",
    "/gradio_api/upload_progress?upload_id=x",
    "/gradio_api/startup-events",
    "/gradio_api/stream/x/y/z/playlist.m3u8",
    "/anything",
]
WRITES = [
    "/",
    "/login",
    "/gradio_api/upload",
    "/gradio_api/component_server",
    "/gradio_api/queue/join",
    "/gradio_api/run/predict",
    "/gradio_api/api/predict",
    "/gradio_api/call/predict",
    "/gradio_api/cancel",
    "/gradio_api/reset",
    "/gradio_api/process_recording",
    "/run-history/connect",
    "/assets/index.js",
]


@pytest.mark.parametrize("path", CLOSED)
def test_what_the_page_does_not_read_is_closed(server, path):
    reply = server.ask(path)

    assert (reply.status, reply.json()["code"]) == (404, "missing")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", WRITES)
def test_nothing_of_gradios_can_be_written_to(server, path, method):
    reply = server.ask(path, b"x" * 100, method=method)

    assert (reply.status, reply.json()["code"]) == (404, "missing")


# Building Blocks leaves event loops and sockets behind: in a process of its own they end with it.
ROUTES_OF_GRADIO = """
import gradio
from gradio.routes import App
blocks = gradio.Blocks(analytics_enabled=False)
print("\\n".join(getattr(route, "path", "") for route in App.create_app(blocks).routes))
"""


def test_no_route_of_gradios_is_open_but_the_pages_own():
    done = subprocess.run(
        [sys.executable, "-c", ROUTES_OF_GRADIO], capture_output=True, text=True, check=True
    )
    paths = set(done.stdout.splitlines())

    assert len(paths) > 15
    used = {"/", "/theme.css", "/manifest.json", "/assets/{path:path}", "/static/{path:path}"}
    assert {path for path in paths if USED.fullmatch(re.sub(r"{.*?}", "x", path))} <= used


@pytest.mark.parametrize(
    "path",
    [
        "/?view=api",
        "/?deep_link=../../etc/passwd",
        "/?__theme=dark&x=%ff%00",
        "/?" + "a=b&" * 2000,
        "/theme.css?v=%ff",
        "/manifest.json",
        "/assets/none.js",
        "/assets/",
        "/assets/.",
        "/assets//etc/passwd",
        "/static/img",
        "/static/none.js",
    ],
)
def test_odd_requests_of_the_page_are_no_failure_of_ours(server, path):
    reply = server.ask(path)

    assert reply.status in (200, 400, 403, 404)
    assert b"root:" not in reply.body


@pytest.mark.parametrize(
    "header",
    [
        "Cookie: \xff=\xff; =;",
        "X-Forwarded-Host: [",
        "X-Forwarded-Host: a, b",
        "X-Forwarded-Proto: \xff",
        "X-Gradio-Target: x",
        "Accept-Language: \xff",
        "Range: bytes=9-1,-",
        "If-None-Match: \xff",
        "If-Modified-Since: never",
        "Authorization: Basic \xff",
    ],
)
@pytest.mark.parametrize("path", ["/", "/theme.css", "/api/session", "/studio/studio/page.js"])
def test_odd_headers_are_no_failure_of_ours(server, path, header):
    place = urlsplit(server.url)
    lines = (f"GET {path} HTTP/1.1", f"Host: {place.netloc}", header, "Connection: close", "", "")
    with socket.create_connection((place.hostname, place.port), 30) as connection:
        connection.sendall("\r\n".join(lines).encode("latin-1"))
        reply = b"".join(iter(lambda: connection.recv(65536), b""))

    assert int(reply.split()[1]) < 500, reply[:300]


def test_no_socket_of_gradios_is_open(server):
    with pytest.raises(InvalidStatus) as refused:
        connect(server.url.replace("http", "ws") + "/gradio_api/queue/join")

    assert refused.value.response.status_code == 403


def test_the_page_runs_no_inline_script_but_its_own(server):
    reply = server.ask("/")
    policy = dict(
        part.split(" ", 1) for part in reply.headers["Content-Security-Policy"].split("; ")
    )

    allowed = policy["script-src"].split()
    assert allowed[:2] == ["'self'", "'unsafe-eval'"]
    assert allowed[2:] == script_hashes(reply.body.decode())
    assert len(allowed) > 3
    assert policy["default-src"] == "'none'"
    assert policy["img-src"] == "'self' data: blob:"
    assert policy["connect-src"] == "'self'"
    assert "style-src" in policy
    for name in ("script-src", "connect-src", "img-src", "form-action", "base-uri"):
        assert not {"*", "http:", "https:", "'unsafe-inline'"} & set(policy[name].split())


def test_an_idle_server_does_not_poll(server):
    process = psutil.Process(server.process.pid)
    before = process.num_ctx_switches().voluntary
    psutil.wait_procs([process], timeout=3)

    # A thousand looks a second would be three thousand of them.
    assert process.num_ctx_switches().voluntary - before < 600
