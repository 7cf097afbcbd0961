"""A real browser on a real server: what the journeys stand on.

The server is `launch.py` in a process of its own, with a workspace of its own.  A page that logs an
error, throws, or asks any other host for anything fails its test.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Page,
    Playwright,
    Request,
    sync_playwright,
)

from tests.conftest import REPOSITORY

START_S = 90
FAILED = pytest.StashKey[bool]()
SYSTEM_CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM: dict[str, Any] = {
    "executable_path": str(SYSTEM_CHROMIUM) if SYSTEM_CHROMIUM.exists() else None,
    "args": ["--no-sandbox", "--disable-gpu"],
}


@dataclass
class RunningApp:
    """One running Refscribe: where it answers and what it keeps."""

    url: str
    workspace: Path
    process: subprocess.Popen[bytes]
    log: Path

    def get(self, path: str) -> Any:
        """The JSON at `path` of the running server."""
        with urllib.request.urlopen(self.url + path, timeout=30) as reply:
            return json.load(reply)

    def post(self, path: str, body: Any) -> Any:
        """What the running server answers to JSON sent to `path`."""
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)

    def said(self) -> str:
        """What the server wrote to its log."""
        return self.log.read_text(errors="replace")


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_app(
    folder: Path,
    *flags: str,
    port: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> RunningApp:
    """Start launch.py on a workspace in `folder` and wait until it answers."""
    port = port or free_port()
    log = folder / "server.log"
    workspace = folder / "workspace"
    command = [
        sys.executable,
        str(REPOSITORY / "launch.py"),
        "--workspace",
        str(workspace),
        "--port",
        str(port),
        "--annotator",
        "ana",
        "--no-browser",
        *flags,
    ]
    variables = {"OMP_NUM_THREADS": "2", "HF_HUB_OFFLINE": "1", **(environment or {})}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env={**os.environ, **variables},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    app = RunningApp(f"http://127.0.0.1:{port}", workspace, process, log)
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"launch.py ended with {process.returncode}:\n{app.said()}")
        try:
            app.get("/api/session")
            return app
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    stop_app(app)
    raise RuntimeError(f"launch.py did not answer within {START_S} s:\n{app.said()}")


def stop_app(app: RunningApp) -> None:
    """End the server as Ctrl-C does; it has ten seconds to go by itself."""
    if app.process.poll() is None:
        app.process.send_signal(signal.SIGINT)
        try:
            app.process.wait(10)
        except subprocess.TimeoutExpired:
            app.process.kill()
            app.process.wait()


@pytest.fixture(scope="session")
def driver() -> Iterator[Playwright]:
    """What drives browsers; there can be one only."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(driver: Playwright) -> Iterator[Browser]:
    """Chromium: the system's where there is one, else Playwright's own."""
    chromium = driver.chromium.launch(**CHROMIUM)
    yield chromium
    chromium.close()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """One server for the tests of a module; each test adds clips of its own."""
    running = start_app(tmp_path_factory.mktemp("journey"))
    yield running
    stop_app(running)


@dataclass
class Watched:
    """A page whose every complaint is kept."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()

    def watch(self, host: str) -> None:
        """Keep errors on the console, exceptions, what it changed, and who else it asked."""

        def console(message: ConsoleMessage) -> None:
            if message.type == "error":
                self.complaints.append(f"console: {message.text} {message.location}")

        def requested(request: Request) -> None:
            if not request.url.startswith((host, "data:", "blob:")):
                self.complaints.append(f"asked another host: {request.url}")
            if request.method != "GET":
                self.changes.append(f"{request.method} {request.url.removeprefix(host)}")

        self.page.on("console", console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"exception: {error}"))
        self.page.on("request", requested)

    def unexpected(self) -> list[str]:
        """The complaints that hold none of the words in `expected`."""
        return [line for line in self.complaints if not any(word in line for word in self.expected)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Let fixtures know at their end that the test failed."""
    report = yield
    if report.when == "call" and report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture
def open_page(
    browser: Browser, app: RunningApp, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Any]:
    """Open a page of the running app; a complaint of any opened page fails the test at its end."""
    opened: list[Watched] = []
    contexts = []

    def open_one(path: str = "/", *, expect: tuple[str, ...] = (), **options: Any) -> Page:
        context = browser.new_context(
            viewport=options.pop("viewport", {"width": 1280, "height": 800}), **options
        )
        contexts.append(context)
        watched = Watched(context.new_page(), expected=expect)
        watched.watch(app.url)
        opened.append(watched)
        page = watched.page
        page.set_default_timeout(20_000)
        page.goto(app.url + path)
        page.wait_for_selector("#rs-header .rs-brand", timeout=60_000)
        page.wait_for_function(
            "document.querySelector('#rs-jobs').innerText.includes('Starting') === false"
        )
        return page

    yield open_one
    complaints = [line for watched in opened for line in watched.unexpected()]
    if request.node.stash.get(FAILED, False):
        for number, watched in enumerate(opened):
            picture = tmp_path / f"page-{number}.png"
            watched.page.screenshot(path=picture)
            said = [f"{picture} shows the page; it asked for", *watched.changes[-12:]]
            sys.stderr.write("\n  ".join(said) + "\n")
    for context in contexts:
        context.close()
    assert complaints == []
