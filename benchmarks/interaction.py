"""What a person feels: click to overlay, playing, saving, loading.  Prints figures of this machine.

python -m benchmarks.interaction            # rendered clips of 500 frames, 720p and 1024x576
python -m benchmarks.interaction --frames 240

Runs the real program and a real Chromium; nothing is timed inside a test.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from playwright.sync_api import Page, sync_playwright

from annotation_store.clips import Clip
from annotation_store.edits import MaskChange
from annotation_store.ingest import ingest_steps
from annotation_store.runs import MaskRuns
from annotation_store.workspace import Workspace
from app.routes import wire
from benchmarks.ingest import draw_video
from tests.journey.conftest import SYSTEM_CHROMIUM, RunningApp, start_app, stop_app
from video_types import Mask, Size

PLAYED_S = 5.0
SETTLED_MS = 3000
SPEEDS = (("1", 24, 118 / 120), ("2.5", 60, 116 / 120))
"""Speed on the page, frames per second, and the share of frames that should be seen."""
CLICKS = 8

CANVAS = "document.querySelector('[data-refscribe-canvas]').refscribeCanvas"

# From the press of the pointer until the overlay that the answer made is painted: asked in the
# first task after each animation frame, whether the canvas has drawn the answer.
WATCH_CLICKS = f"""() => {{
  const canvas = {CANVAS};
  const painted = new MessageChannel();
  let pressed = 0;
  let waits = false;
  window.clickTimes = [];
  painted.port1.onmessage = () => {{
    if (!waits || canvas.stats.clickMs === null) return;
    waits = false;
    window.clickTimes.push(performance.now() - pressed);
  }};
  const look = () => {{
    requestAnimationFrame(look);
    painted.port2.postMessage(0);
  }};
  addEventListener('pointerdown', () => {{ pressed = performance.now(); }}, true);
  addEventListener('pointerup', () => {{ waits = true; }}, true);
  look();
}}"""


def blob(size: Size, number: int) -> Mask:
    """A ragged blob of about a twentieth of the frame that drifts with `number`."""
    height, width = size
    canvas = np.zeros(size, dtype=np.uint8)
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    radius = (
        0.13 * height * (1 + 0.2 * np.sin(5 * angles + number / 9) + 0.08 * np.sin(17 * angles))
    )
    x = width * (0.3 + 0.4 * number / 500) + radius * np.cos(angles)
    y = height / 2 + radius * np.sin(angles)
    cv2.fillPoly(canvas, [np.stack([x, y], axis=1).astype(np.int32)], 1)
    return canvas.astype(np.bool_)


def milliseconds(work: Callable[[], Any]) -> float:
    before = time.perf_counter()
    work()
    return (time.perf_counter() - before) * 1000


def say(what: str, figure: str, bar: str) -> None:
    print(f"{what:58} {figure:>26}   {bar}", flush=True)


HD, FIELD = (720, 1280), (576, 1024)
"""Sizes (H, W): what the ingest bar names, and the common one of the field's datasets."""


def prepare(folder: Path, frames: int) -> list[Clip]:
    """A workspace with a clip of each size and a mask on every frame; prints what that took."""
    with Workspace.open(folder / "workspace") as workspace:
        return [
            _prepare(workspace, folder / f"{size[1]}.mp4", size, frames) for size in (FIELD, HD)
        ]


def _prepare(workspace: Workspace, video: Path, size: Size, frames: int) -> Clip:
    draw_video(video, frames, size)
    steps = ingest_steps(workspace, video, name=video.stem)
    before = time.perf_counter()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            clip: Clip = end.value
            break
    rate = clip.frame_count / (time.perf_counter() - before)
    of = f"{size[1]}x{size[0]}"
    say(f"{of}: ingested frames per second", f"{rate:.0f}", "bar 100")
    target = workspace.targets.add(clip.id, "blob")
    workspace.expressions.add(target.id, "the blob", "ana")
    times = []
    for number in range(clip.frame_count):
        change = MaskChange("target", number, MaskRuns.encode(blob(clip.size, number)), 0)
        save = partial(workspace.edits.apply, target.id, "draft", "ana", [change])
        times.append(milliseconds(save))
    say(f"{of}: save of one mask, ms (median, 95th)", _two(times), "bar 5")

    def load() -> None:
        wire.encode_masks(clip.size, workspace.masks.load_all(target.id))

    loads = [milliseconds(load) for _ in range(5)]
    say(
        f"{of}: load of all {frames} masks as bytes, ms (first, median)",
        f"{loads[0]:.0f}, {statistics.median(loads):.0f}",
        "bar 60 for 500",
    )
    return clip


def _two(times: Sequence[float]) -> str:
    return f"{statistics.median(times):.1f}, {np.quantile(times, 0.95):.1f}"


def play(page: Page, speed: str, what: str, bar: float) -> None:
    page.select_option(".rsc-speed", speed)
    page.locator(".rsc-stage").press("Space")
    page.wait_for_timeout(PLAYED_S * 1000)
    stats = page.evaluate(f"{CANVAS}.stats")
    page.locator(".rsc-stage").press("Space")
    page.wait_for_timeout(300)
    share = stats["shown"] / max(stats["due"], 1)
    say(what, f"{stats['shown']} of {stats['due']} ({share:.1%})", f"bar {bar:.1%}")


def browse(app: RunningApp, clips: Sequence[Clip], with_model: bool) -> None:
    with sync_playwright() as playwright:
        path = str(SYSTEM_CHROMIUM) if SYSTEM_CHROMIUM.exists() else None
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        for clip in clips:
            of = f"{clip.width}x{clip.height}"
            for speed, rate, bar in SPEEDS:
                context = browser.new_context(viewport={"width": 1280, "height": 800})
                page = context.new_page()
                page.goto(f"{app.url}/#clip={clip.id}")
                page.wait_for_selector(".rsc-stage", timeout=60_000)
                page.wait_for_timeout(SETTLED_MS)
                play(page, speed, f"{of}: frames shown of due at {rate} per second, cold", bar)
                play(page, speed, "the same, warm", bar)
                if with_model and clip is clips[0] and speed == SPEEDS[-1][0]:
                    click(page)
                context.close()
        browser.close()


def click(page: Page) -> None:
    """Clicks answered by MobileSAM, and clicks taken back, which no model answers."""
    page.evaluate(WATCH_CLICKS)
    page.locator(".rsc-stage").press("Home")
    page.wait_for_function(f"{CANVAS}.stats.frameIndex === 0")
    page.keyboard.press("1")
    box = page.locator(".rsc-stage").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] * 0.32, box["y"] + box["height"] / 2
    asked: list[float] = []
    plain: list[float] = []
    buttons: tuple[tuple[Literal["left", "right"], list[float]], ...]
    buttons = (("left", asked), ("right", plain))
    for number in range(CLICKS):
        for button, times in buttons:
            before = page.evaluate("clickTimes.length")
            page.mouse.click(x, y, button=button)
            page.wait_for_function(f"clickTimes.length > {before}", timeout=60_000)
            if number:  # the first loads the network
                times.append(page.evaluate("clickTimes.at(-1)"))
            page.wait_for_timeout(200)
    say("click to overlay painted, MobileSAM, ms (median, 95th)", _two(asked), "")
    say("the same without the model (a click taken back), ms", _two(plain), "bar 40")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.interaction", description=__doc__)
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--no-model", action="store_true", help="leave the clicks out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = prepare(folder, options.frames)
        app = start_app(folder)
        try:
            browse(app, clips, not options.no_model)
        finally:
            stop_app(app)


if __name__ == "__main__":
    main()
