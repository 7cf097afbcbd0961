"""What a person feels: click to overlay, playing, saving, loading.  Prints figures of this machine.

python -m benchmarks.interaction            # a rendered 720p clip of 500 frames
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
from annotation_store.workspace import Workspace
from app import wire
from benchmarks.ingest import draw_video
from tests.journey.conftest import SYSTEM_CHROMIUM, RunningApp, start_app, stop_app
from video_types import Mask

PLAYED_S = 5.0
CLICKS = 8

# From the press of the pointer to the second repaint after the answer of the server is in the page.
WATCH_CLICKS = """() => {
  window.clickTimes = [];
  let pressed = 0;
  addEventListener('pointerdown', () => { pressed = performance.now(); }, true);
  const plain = window.fetch;
  window.fetch = async (...asked) => {
    const reply = await plain(...asked);
    if (String(asked[0]).endsWith('/clicks')) {
      requestAnimationFrame(() => requestAnimationFrame(() => {
        window.clickTimes.push(performance.now() - pressed);
      }));
    }
    return reply;
  };
}"""


def blob(size: tuple[int, int], number: int) -> Mask:
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


def prepare(folder: Path, frames: int) -> Clip:
    """A workspace with one ingested clip and a mask on each frame; prints what that took."""
    video = folder / "video.mp4"
    draw_video(video, frames)
    with Workspace.open(folder / "workspace") as workspace:
        steps = ingest_steps(workspace, video, name="benchmark")
        before = time.perf_counter()
        while True:
            try:
                next(steps)
            except StopIteration as end:
                clip: Clip = end.value
                break
        rate = clip.frame_count / (time.perf_counter() - before)
        say("ingested 720p frames per second", f"{rate:.0f}", "bar 100")
        target = workspace.targets.add(clip.id, "blob")
        workspace.expressions.add(target.id, "the blob", "ana")
        times = []
        for number in range(clip.frame_count):
            change = MaskChange("target", number, blob(clip.size, number), 0)
            save = partial(workspace.edits.apply, target.id, "draft", "ana", [change])
            times.append(milliseconds(save))
        say("save of one mask, ms (median, 95th)", _two(times), "bar 5")

        def load() -> None:
            wire.encode_masks(clip.size, workspace.masks.load_all(target.id))

        loads = [milliseconds(load) for _ in range(5)]
        say(
            f"load of all {frames} masks as bytes, ms (first, median)",
            f"{loads[0]:.0f}, {statistics.median(loads):.0f}",
            "bar 60 for 500",
        )
    return clip


def _two(times: Sequence[float]) -> str:
    return f"{statistics.median(times):.1f}, {np.quantile(times, 0.95):.1f}"


def play(page: Page, speed: str, what: str, due_in_all: int) -> None:
    page.select_option(".rsc-speed", speed)
    page.locator(".rsc-stage").press("Space")
    page.wait_for_timeout(PLAYED_S * 1000)
    canvas = "document.querySelector('[data-refscribe-canvas]').refscribeCanvas"
    stats = page.evaluate(f"{canvas}.stats")
    page.locator(".rsc-stage").press("Space")
    page.wait_for_timeout(300)
    share = stats["shown"] / max(stats["due"], 1)
    say(what, f"{stats['shown']} of {stats['due']} ({share:.1%})", f"bar {due_in_all}")


def browse(app: RunningApp, clip: Clip, with_model: bool) -> None:
    with sync_playwright() as playwright:
        path = str(SYSTEM_CHROMIUM) if SYSTEM_CHROMIUM.exists() else None
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"{app.url}/#clip={clip.id}")
        page.wait_for_selector(".rsc-stage", timeout=60_000)
        page.wait_for_timeout(3000)
        play(page, "1", "frames shown of due at 24 per second, cold", 118)
        play(page, "1", "the same, warm", 118)
        page.reload()
        page.wait_for_selector(".rsc-stage", timeout=60_000)
        page.wait_for_timeout(3000)
        play(page, "2.5", "frames shown of due at 60 per second, cold", 290)
        play(page, "2.5", "the same, warm", 290)
        if with_model:
            click(page)
        browser.close()


def click(page: Page) -> None:
    """Clicks answered by MobileSAM, and clicks taken back, which no model answers."""
    page.evaluate(WATCH_CLICKS)
    page.locator(".rsc-stage").press("Home")
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
        clip = prepare(folder, options.frames)
        app = start_app(folder)
        try:
            browse(app, clip, not options.no_model)
        finally:
            stop_app(app)


if __name__ == "__main__":
    main()
