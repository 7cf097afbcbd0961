"""How quickly each way to compare runs is redrawn, and whether it keeps up with 24 frames a second.

python -m benchmarks.views                  # four runs on a rendered clip of 240 frames, 1024x576
python -m benchmarks.views --frames 480

Runs the real program and a real Chromium, without a graphics card; nothing is timed inside a test.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from playwright.sync_api import Page, sync_playwright

from annotation_store import runs
from annotation_store.clips import Clip
from annotation_store.edits import MaskChange
from annotation_store.ingest import ingest_steps
from annotation_store.runs import MaskRuns
from annotation_store.workspace import Workspace
from benchmarks.ingest import draw_video
from benchmarks.interaction import CANVAS, FIELD, PLAYED_S, SETTLED_MS, blob, say
from tests.journey.conftest import SYSTEM_CHROMIUM, RunningApp, start_app, stop_app
from video_types import SoftMap

WAYS = (
    "Both",
    "Side by side",
    "Wipe",
    "Flicker",
    "Difference",
    "Contours",
    "Heat map",
)
DRAFTS = 3
MAP_SIZE = (72, 128)
"""(h, w) of a soft map: an eighth of the frame, as latent diffusion works."""
SHIFT = 9
"""Frames a draft's blob runs ahead of the annotation's, times its number."""
REDRAWS = 40

# Every step to another frame and back is drawn anew; the frame's overlay may be at hand or not.
REDRAW = f"""async ([redraws, first]) => {{
  const canvas = {CANVAS};
  const stage = document.querySelector('.rsc-stage');
  const times = [];
  const press = (key) => stage.dispatchEvent(new KeyboardEvent('keydown', {{key, bubbles: true}}));
  for (let step = 0; step < redraws; step++) {{
    const shown = canvas.stats.frameIndex;
    const before = performance.now();
    press('ArrowRight');
    while (canvas.stats.frameIndex === shown) await new Promise(requestAnimationFrame);
    times.push(canvas.stats.lastMs);
    await new Promise((done) => setTimeout(done, 60));
  }}
  return times;
}}"""


def soft_map(number: int) -> SoftMap:
    """(h, w): the blob of a frame with a soft edge, as a network would give it."""
    sharp = blob(FIELD, number).astype(np.float32)
    small = cv2.resize(sharp, MAP_SIZE[::-1], interpolation=cv2.INTER_AREA)
    soft: npt.NDArray[np.float32] = np.asarray(cv2.GaussianBlur(small, (0, 0), 3), np.float32)
    return np.round(255 * soft).astype(np.uint8)


def prepare(folder: Path, frames: int) -> Clip:
    """A clip with an annotation and drafts that differ from it on every frame."""
    video = folder / "views.mp4"
    draw_video(video, frames, FIELD)
    with Workspace.open(folder / "workspace") as workspace:
        steps = ingest_steps(workspace, video, name="views")
        while True:
            try:
                next(steps)
            except StopIteration as end:
                clip: Clip = end.value
                break
        target = workspace.targets.add(clip.id, "blob")
        expression = workspace.expressions.add(target.id, "the blob that drifts", "ana")
        changes = [
            MaskChange("target", number, MaskRuns.encode(blob(clip.size, number)), 0)
            for number in range(clip.frame_count)
        ]
        workspace.edits.apply(target.id, "import", "ana", changes)
        for seed in range(DRAFTS):
            draft = workspace.drafts.start(expression.id, "rem-demo", "drawn", seed, {}, 0.5)
            ahead = SHIFT * (seed + 1)
            workspace.drafts.save_frames(
                draft.id,
                [
                    (
                        number,
                        runs.encode(blob(clip.size, number + ahead)),
                        _png(soft_map(number + ahead)),
                    )
                    for number in range(clip.frame_count)
                ],
            )
            workspace.drafts.finish(draft.id, "done")
    return clip


def _png(picture: SoftMap) -> bytes:
    return cv2.imencode(".png", picture)[1].tobytes()


def choose_all(page: Page) -> None:
    """Compare the annotation with every draft."""
    page.get_by_role("tab", name="Compare").click()
    pickers = page.locator(".rs-run-pick")
    for place in range(2, DRAFTS + 1):
        taken = {pickers.nth(each).input_value() for each in range(pickers.count())}
        free = [
            value
            for value in pickers.last.locator("option").evaluate_all(
                "options => options.map((option) => option.value)"
            )
            if value and value not in taken
        ]
        pickers.nth(place).select_option(free[0])


def measure(page: Page, way: str) -> None:
    page.locator(".rsc-compare").get_by_role("button", name=way, exact=True).click()
    page.wait_for_timeout(SETTLED_MS / 2)
    page.locator(".rsc-stage").focus()
    page.keyboard.press("Home")
    page.wait_for_timeout(500)
    times = page.evaluate(REDRAW, [REDRAWS, 0])
    page.keyboard.press("Home")
    page.wait_for_timeout(500)
    page.locator(".rsc-stage").press("Space")
    page.wait_for_timeout(PLAYED_S * 1000)
    stats = page.evaluate(f"{CANVAS}.stats")
    page.locator(".rsc-stage").press("Space")
    page.wait_for_timeout(300)
    median, slow = np.quantile(times, [0.5, 0.95])
    say(f"{way}: redrawn in ms (median, 95th)", f"{median:.1f}, {slow:.1f}", "")
    share = stats["shown"] / max(stats["due"], 1)
    say(
        f"{way}: frames shown of due, per second",
        f"{stats['shown']} of {stats['due']} ({share:.0%}), {stats['rate']:.1f}",
        "bar 24",
    )


def browse(app: RunningApp, clip: Clip) -> None:
    with sync_playwright() as playwright:
        path = str(SYSTEM_CHROMIUM) if SYSTEM_CHROMIUM.exists() else None
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"{app.url}/#clip={clip.id}")
        page.wait_for_selector(".rsc-stage", timeout=60_000)
        page.wait_for_timeout(SETTLED_MS)
        choose_all(page)
        for way in WAYS:
            measure(page, way)
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.views", description=__doc__)
    parser.add_argument("--frames", type=int, default=240)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = prepare(folder, options.frames)
        app = start_app(folder)
        try:
            browse(app, clip)
        finally:
            stop_app(app)


if __name__ == "__main__":
    main()
