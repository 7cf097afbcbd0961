"""The processes of a soak run: started, killed, started again, and watched."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import BrowserContext, Playwright

from tests.conftest import REPOSITORY
from tests.journey.conftest import CHROMIUM, free_port

ANSWERS_WITHIN_S = 120


class Server:
    """launch.py on one workspace and one port, whatever happens to its processes."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.workspace = folder / "workspace"
        self._log = (folder / "server.log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [
            *(sys.executable, str(REPOSITORY / "launch.py"), "--no-browser", "--annotator", "ana"),
            *("--workspace", str(self.workspace), "--port", str(self.port)),
        ]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        self._process = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdout=self._log, stderr=subprocess.STDOUT
        )
        deadline = time.monotonic() + ANSWERS_WITHIN_S
        while time.monotonic() < deadline:
            try:
                self.get("/api/session")
            except OSError:
                time.sleep(0.2)
            else:
                return
        raise RuntimeError(f"launch.py did not answer within {ANSWERS_WITHIN_S} s")

    def kill(self) -> None:
        """End the web process as a crash would; its workers notice by themselves."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def kill_a_worker(self, chance: random.Random) -> bool:
        """End one of its workers as a crash would."""
        workers = self.workers()
        if workers:
            chance.choice(workers).kill()
        return bool(workers)

    def workers(self) -> list[psutil.Process]:
        """The processes beside the web process."""
        assert self._process is not None
        try:
            children = psutil.Process(self._process.pid).children()
            return [one for one in children if "spawn_main" in " ".join(one.cmdline())]
        except psutil.NoSuchProcess:
            return []

    def memory(self) -> dict[str, float]:
        """MiB resident of the web process and of its workers together."""
        assert self._process is not None
        web = psutil.Process(self._process.pid).memory_info().rss
        return {"web": web / 2**20, "workers": _resident(self.workers())}

    def get(self, path: str) -> Any:
        """The JSON at `path`."""
        with urllib.request.urlopen(self.url + path, timeout=30) as reply:
            return json.load(reply)

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


class Chromium:
    """One browser with a profile that outlives it."""

    def __init__(self, driver: Playwright, profile: Path) -> None:
        self._driver = driver
        self._profile = profile
        self.context = self.start()

    def start(self) -> BrowserContext:
        """Start it on its profile."""
        for name in ("SingletonLock", "SingletonCookie", "SingletonSocket"):
            (self._profile / name).unlink(missing_ok=True)
        self.context = self._driver.chromium.launch_persistent_context(
            str(self._profile), viewport={"width": 1280, "height": 800}, **CHROMIUM
        )
        return self.context

    def processes(self) -> list[psutil.Process]:
        """All processes that work on its profile."""
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if any(str(self._profile) in part for part in process.info["cmdline"] or [])
        ]

    def kill(self) -> None:
        """End it as a crash would."""
        processes = self.processes()
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, timeout=10)

    def memory(self) -> float:
        """MiB resident of all its processes."""
        return _resident(self.processes())


def _resident(processes: list[psutil.Process]) -> float:
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / 2**20


class Pulse(threading.Thread):
    """Asks the server for its clips all the time: the longest it did not answer while it was up."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.longest_s = 0.0
        self.refusals: list[str] = []
        self._server = server
        self._over = threading.Event()
        self._since: float | None = None  # the last answer; None: it is down, by our doing

    def server_is(self, *, up: bool) -> None:
        """Say whether an answer can be expected."""
        self._since = time.monotonic() if up else None

    def run(self) -> None:
        self.server_is(up=True)
        while not self._over.wait(0.25):
            begun = self._since
            try:
                self._server.get("/api/clips")
            except urllib.error.HTTPError as error:
                self.refusals.append(f"{error.code} {error.read()[:200]!r}")
                continue
            except OSError:
                continue
            if begun is not None and self._since == begun:
                self.longest_s = max(self.longest_s, time.monotonic() - begun)
                self._since = time.monotonic()

    def end(self) -> None:
        self._over.set()
        self.join(35)
