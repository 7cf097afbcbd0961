"""Takes the README's pictures of the page: `python -m tests.journey.screenshots [folder]`.

Starts the real app on an empty workspace, adds the sample clips, types an expression, runs the demo
segmenters whose weights are there, and saves the page in light and dark, and the comparison.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.conftest import REPOSITORY
from tests.journey import steps
from tests.journey.conftest import SYSTEM_CHROMIUM, RunningApp, start_app, stop_app

SHOWN = "star drifting like smoke"  # the sample whose edge is painted Ignore
COLOURS = 255  # a palette keeps a picture well below 300 KB


def main() -> None:
    """Read the command line and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=REPOSITORY / "docs")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=800)
    wanted = parser.parse_args()
    wanted.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        app = start_app(Path(folder))
        path = str(SYSTEM_CHROMIUM) if SYSTEM_CHROMIUM.exists() else None
        chromium = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            size = {"width": wanted.width, "height": wanted.height}
            page = chromium.new_page(viewport=size, color_scheme="light")
            prepare(app, page)
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                page.wait_for_timeout(500)
                save(page, wanted.folder / f"page-{scheme}.png")
            page.emulate_media(color_scheme="light")
            if compare(app, page):
                save(page, wanted.folder / "compare.png")
        finally:
            chromium.close()
            stop_app(app)


def prepare(app: RunningApp, page: Page) -> None:
    """Bring the page to where there is something to see."""
    page.goto(app.url)
    page.get_by_role("button", name="Add the sample clips").click()
    steps.jobs_done(app, "samples", 300)
    page.locator(".rsc-counter").filter(has_text="000 /").wait_for(timeout=30_000)
    steps.open_clip(page, SHOWN)
    if page.locator("#rs-run").is_enabled():
        page.keyboard.press("r")
        steps.wait_until(lambda: has_job(app, "segment"), "the segmenter to begin")
        steps.jobs_done(app, "segment", 600)
    for _ in range(2):
        page.keyboard.press("Shift+ArrowRight")
    page.mouse.move(640, 20)  # nothing lights up under the pointer there
    page.wait_for_timeout(7000)  # until "done" has left the bar below


def compare(app: RunningApp, page: Page) -> bool:
    """Show what tells the demo segmenters apart; False where none has its weights."""
    demos = [one for one in app.get("/api/session")["segmenters"] if one["is_demo"]]
    ready = [one for one in demos if one["ready"]]
    if not ready:
        return False
    steps.tab(page, "Compare")
    runs = page.locator(".rs-compare-panel details").first
    if len(ready) < 2:
        runs.get_by_label("Seed of the runs").fill("1")
    runs.get_by_role("button", name="Run ", exact=False).click()
    page.wait_for_timeout(1000)
    steps.jobs_done(app, "segment", 600)
    page.locator(".rsc-compare").get_by_role("button", name="Side by side", exact=True).click()
    page.mouse.move(640, 20)
    page.wait_for_timeout(9000)
    return True


def has_job(app: RunningApp, kind: str) -> bool:
    """Whether a job of `kind` was ever started."""
    return any(job["kind"] == kind for job in app.get("/api/jobs")["jobs"])


def save(page: Page, path: Path) -> None:
    """Save what the page shows as a small PNG."""
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        # Octrees keep small patches of a strong colour, which medians of many pixels wash out.
        small = picture.convert("RGB").quantize(COLOURS, method=Image.Quantize.FASTOCTREE)
    small.save(path, optimize=True)


if __name__ == "__main__":
    main()
