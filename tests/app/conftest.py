"""A real server on a real workspace, talked to over HTTP as the page does."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from annotation_store import runs
from annotation_store.workspace import Workspace
from app.routes import wire
from tests.conftest import REPOSITORY
from tests.media_fixtures import write_video
from video_types import Frame, Mask

HEIGHT, WIDTH, FRAMES = 120, 168, 16
SIZE = (HEIGHT, WIDTH)
START_S = 120.0


def disc(x: float, y: float, radius: float = 30) -> Mask:
    """(H, W): a filled disc."""
    canvas = np.zeros(SIZE, dtype=np.uint8)
    cv2.circle(canvas, (round(x), round(y)), round(radius), 1, -1)
    return canvas.astype(bool)


def disc_x(frame_index: int) -> float:
    """Where the disc of `picture` is."""
    return 60 + 2.0 * frame_index


def picture(frame_index: int) -> Frame:
    """(H, W, 3): an orange disc that moves to the right over a grey ground."""
    frame = np.full((*SIZE, 3), 90, dtype=np.uint8)
    frame[disc(disc_x(frame_index), 60)] = (235, 140, 40)
    return frame


_videos = itertools.count()


def disc_video(path: Path, frames: int = FRAMES) -> Path:
    """A video of the disc; no two are alike, since a workspace takes each video once."""
    marks = [int(bit) for bit in f"{next(_videos):012b}"]
    pictures = [picture(index % 40) for index in range(frames)]
    for shown in pictures:
        shown[-8:, : 8 * len(marks)] = 60 * np.repeat(marks, 8)[:, None]
    return write_video(path, pictures)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    """launch.py in a process of its own."""

    url: str
    workspace: Path
    process: subprocess.Popen[str]

    def ask(
        self,
        path: str,
        body: Any = None,
        *,
        method: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 120,
    ) -> Reply:
        """One request; `body` is bytes, or anything JSON can say."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        request = urllib.request.Request(
            self.url + path,
            data=data,
            method=method or ("GET" if body is None else "POST"),
            headers={"Content-Type": kind, **(headers or {})},
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as reply:
                return Reply(reply.status, reply.headers, reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, error.headers, error.read())

    def get(self, path: str) -> Any:
        """The JSON at `path`, which must be there."""
        reply = self.ask(path)
        assert reply.status == 200, reply.body
        return reply.json()

    def job_done(self, reply: Reply, seconds: float = 120) -> dict[str, Any]:
        """Wait for the job of a reply to end."""
        assert reply.status == 200, reply.body
        job_id = reply.json()["job"]["id"]

        def ended() -> dict[str, Any] | None:
            jobs: list[dict[str, Any]] = self.get("/api/jobs")["jobs"]
            job = next(job for job in jobs if job["id"] == job_id)
            return job if job["state"] in ("done", "failed", "cancelled") else None

        return wait_for(ended, f"job {job_id}", seconds)

    def add_clip(self, path: Path, name: str = "disc.mp4") -> dict[str, Any]:
        """Upload a video and return the clip it became."""
        job = self.job_done(self.ask(f"/api/uploads?name={quote(name)}", path.read_bytes()))
        assert job["state"] == "done", job
        clip: dict[str, Any] = self.get(f"/api/clips/{job['clip_id']}")["clip"]
        return clip

    def add_target(self, clip_id: int) -> int:
        return int(self.ask(f"/api/clips/{clip_id}/targets", {"name": ""}).json()["id"])

    def masks(self, target_id: int, query: str = "") -> dict[tuple[str, int], Held]:
        reply = self.ask(f"/api/targets/{target_id}/masks.bin{query}")
        assert reply.status == 200, reply.body
        return read_masks(reply.body)


@dataclass(frozen=True)
class Held:
    """One entry of a masks message."""

    version: int
    verified: bool
    origin: str
    clicks: tuple[tuple[float, float, bool], ...]
    mask: Mask | None


def read_masks(data: bytes) -> dict[tuple[str, int], Held]:
    """A masks message by (layer, frame index), read here anew from the documented format."""
    words: npt.NDArray[np.uint32] = np.frombuffer(data, dtype="<u4")
    magic, height, width, count = (int(word) for word in words[:4])
    assert magic == 0x314D5352
    found, at = {}, 4
    for _ in range(count):
        frame_index, layer, version, flags, n_clicks, n_runs = (int(w) for w in words[at : at + 6])
        at += 6
        clicks = []
        for _ in range(n_clicks):
            x, y = words[at : at + 2].view("<f4")
            clicks.append((float(x), float(y), bool(words[at + 2])))
            at += 3
        runs = words[at : at + n_runs]
        at += n_runs
        mask = None
        if n_runs:
            mask = np.repeat(np.arange(n_runs) % 2 == 1, runs).reshape(height, width)
        held = Held(version, bool(flags & 1), wire.ORIGINS[flags >> 8 & 255], tuple(clicks), mask)
        # Behind the mask that was kept may stand other readings of the same clicks.
        found.setdefault(("ignore" if layer else "target", frame_index), held)
    assert at == words.size
    return found


def write_masks(*masks: tuple[int, str, int, Mask | None]) -> bytes:
    """The message that saves (frame_index, layer, seen, mask)."""
    words = [0x314D5352, *SIZE, len(masks)]
    for frame_index, layer, seen, mask in masks:
        runs = [] if mask is None else row_runs(mask)
        words += [frame_index, int(layer == "ignore"), seen, 0, 0, len(runs), *runs]
    return np.array(words, dtype="<u4").tobytes()


def row_runs(mask: Mask) -> list[int]:
    """Row-major run lengths, background first."""
    pixels = mask.ravel()
    starts = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    runs = np.diff([0, *starts, pixels.size]).tolist()
    return [0, *runs] if pixels[0] else runs


def wait_for(truth: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """The first true answer of `truth`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = truth()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds:g} s for {what}")


def launch_command(*flags: str) -> list[str]:
    return [sys.executable, str(REPOSITORY / "launch.py"), "--no-browser", *flags]


def start_server(
    workspace: Path, *flags: str, environment: Mapping[str, str] | None = None
) -> Server:
    """Start launch.py on a free port and wait until it says that it is open."""
    command = launch_command("--workspace", str(workspace), "--port", "0", *flags)
    process = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "2", **(environment or {})},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    giving_up = threading.Timer(START_S, process.kill)
    giving_up.start()
    line = process.stdout.readline()
    giving_up.cancel()
    found = re.search(r"http://\S+", line)
    assert found, f"launch.py said {line!r}"
    return Server(found[0].rstrip("/"), workspace, process)


def stop_server(server: Server) -> None:
    """End the server as Ctrl-C does."""
    server.process.send_signal(signal.SIGINT)
    try:
        server.process.wait(20)
    finally:
        server.process.kill()
        server.process.wait()
        assert server.process.stdout is not None
        server.process.stdout.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of the application; each adds what it needs."""
    running = start_server(tmp_path_factory.mktemp("server") / "workspace", "--annotator", "ana")
    yield running
    stop_server(running)


@pytest.fixture
def clip(server: Server, tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    """A clip of this test alone: an orange disc that moves."""
    path = disc_video(tmp_path / "disc.mp4")
    return server.add_clip(path, f"{request.node.name[:60]}.mp4")


@pytest.fixture
def target(server: Server, clip: dict[str, Any]) -> int:
    return server.add_target(clip["id"])


ANNOTATED = range(2, 12)


@pytest.fixture
def workspace(server):
    """The server's own workspace, opened beside it as another program would."""
    with Workspace.open(server.workspace) as opened:
        yield opened


@pytest.fixture
def expression(server, target):
    text = {"text": "the orange disc"}
    return server.ask(f"/api/targets/{target}/expressions", text).json()["id"]


def soft_map(mask):
    return cv2.imencode(".png", mask.astype(np.uint8)[::2, ::2] * 255)[1].tobytes()


def add_draft(
    workspace, expression, masks, *, seed=0, threshold=0.5, segmenter="rem-demo", weights="w"
):
    """A finished draft with these masks by frame index."""
    draft = workspace.drafts.start(expression, segmenter, weights, seed, {}, threshold)
    frames = [(index, runs.encode(mask), soft_map(mask)) for index, mask in masks.items()]
    workspace.drafts.save_frames(draft.id, frames)
    workspace.drafts.finish(draft.id, "done")
    return draft.id


def drifting(drift, *, frames=range(FRAMES), radius=30):
    return {index: disc(disc_x(index) + drift, 60, radius) for index in frames}


def truth(index):
    return disc(disc_x(index), 60)


IGNORE = disc(90, 30, 12)


@pytest.fixture
def annotated(server, target):
    """Frames ANNOTATED hold the disc; frame 4 has a part that is Ignore."""
    path = f"/api/targets/{target}/masks"
    for index in ANNOTATED:
        assert server.ask(path, write_masks((index, "target", 0, truth(index)))).status == 200
    assert server.ask(path, write_masks((4, "ignore", 0, IGNORE))).status == 200
    return target


@pytest.fixture
def two_drafts(workspace, expression):
    near = drifting(3)
    far = drifting(14, frames=range(10), radius=24)
    return (
        (add_draft(workspace, expression, near), near),
        (add_draft(workspace, expression, far, seed=2, threshold=0.4), far),
    )
