"""What a person does on the page, and what the server then holds, in words of the journeys."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, expect

from tests.journey.conftest import RunningApp
from video_types import Mask

MARGIN = 8  # CSS pixels between the frame and the edge of the stage when the whole frame is shown


@dataclass(frozen=True)
class HeldMask:
    """One entry of the server's masks: what it says of one frame and layer."""

    frame_index: int
    layer: str
    version: int
    verified: bool
    mask: Mask | None


def held_masks(app: RunningApp, target_id: int) -> dict[tuple[str, int], HeldMask]:
    """Every mask of a target by (layer, frame index), decoded here from the documented format."""
    import urllib.request

    with urllib.request.urlopen(
        f"{app.url}/api/targets/{target_id}/masks.bin", timeout=30
    ) as reply:
        data = reply.read()
    words = np.frombuffer(data, dtype="<u4")
    magic, height, width, count = (int(word) for word in words[:4])
    assert magic == struct.unpack("<I", b"RSM1")[0]
    found, place = {}, 4
    for _ in range(count):
        frame_index, layer, version, flags, clicks, runs = (
            int(word) for word in words[place : place + 6]
        )
        place += 6 + 3 * clicks
        lengths = words[place : place + runs]
        place += runs
        mask = None
        if runs:
            values = np.arange(runs) % 2 == 1
            mask = np.repeat(values, lengths).reshape(height, width)
        name = "ignore" if layer else "target"
        found[name, frame_index] = HeldMask(frame_index, name, version, bool(flags & 1), mask)
    return found


def area(held: dict[tuple[str, int], HeldMask], layer: str, frame_index: int) -> int:
    """Pixels of a mask; 0 where there is none."""
    entry = held.get((layer, frame_index))
    return 0 if entry is None or entry.mask is None else int(entry.mask.sum())


def wait_until(truth: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """The first true answer of `truth`; fails with `what` when it takes too long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = truth()
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds:g} s for {what}")


def screen_point(page: Page, x: float, y: float, size: tuple[int, int]) -> tuple[float, float]:
    """Where pixel (x, y) of a frame of `size` (H, W) lies on the screen, whole frame shown."""
    box = page.locator(".rsc-stage").bounding_box()
    assert box is not None
    height, width = size
    scale = min((box["width"] - 2 * MARGIN) / width, (box["height"] - 2 * MARGIN) / height)
    return (
        box["x"] + box["width"] / 2 + (x - width / 2) * scale,
        box["y"] + box["height"] / 2 + (y - height / 2) * scale,
    )


def drag(page: Page, size: tuple[int, int], *points: tuple[float, float]) -> None:
    """Press at the first point of the frame, move along the others, release at the last."""
    first, *others = [screen_point(page, x, y, size) for x, y in points]
    page.mouse.move(*first)
    page.mouse.down()
    for point in others:
        page.mouse.move(*point, steps=6)
    page.mouse.up()


def add_file(page: Page, *paths: Path) -> None:
    """Add videos through the dialog."""
    page.get_by_role("button", name="Add clips", exact=True).click()
    page.locator('dialog input[type="file"][multiple]').first.set_input_files(list(paths))


def clip_named(app: RunningApp, name: str) -> dict[str, Any]:
    """Wait for the clip called `name` to be in the list, and return its facts."""

    def look() -> dict[str, Any] | None:
        clips = app.get("/api/clips")["clips"]
        return next((clip for clip in clips if clip["name"] == name), None)

    found: dict[str, Any] = wait_until(look, f"the clip {name}", 60)
    return found


def open_clip(page: Page, name: str) -> None:
    """Open a clip from the list and wait for its picture."""
    page.locator(".rs-clip-open", has_text=name).first.click()
    expect(page.get_by_label("Clip name")).to_have_value(name)
    expect(page.locator(".rsc-counter")).to_contain_text("/")


def type_expression(page: Page, words: str) -> None:
    """Type an expression and press Enter; it becomes the selected one."""
    field = page.get_by_role("textbox", name="New expression")
    field.fill(words)
    field.press("Enter")
    expect(page.locator(".rs-expression.rs-chosen")).to_contain_text(words)
    field.press("Escape")


def tab(page: Page, name: str) -> None:
    """Open a tab of the right panel."""
    page.get_by_role("tab", name=name).click()


def go_to_frame(page: Page, frame_index: int) -> None:
    """Go to a frame with the keys, as a person does."""
    page.keyboard.press("Home")
    for _ in range(frame_index // 10):
        page.keyboard.press("Shift+ArrowRight")
    for _ in range(frame_index % 10):
        page.keyboard.press("ArrowRight")
    expect(page.locator(".rsc-counter")).to_contain_text(f"{frame_index:03d} /")


def saved(page: Page) -> None:
    """Wait until the header says that everything is saved."""
    expect(page.locator(".rs-saved")).to_contain_text("saved ")


def jobs_done(app: RunningApp, kind: str, seconds: float = 120.0) -> dict[str, Any]:
    """Wait until no job of `kind` runs, and return the newest; it must not have failed."""

    def look() -> dict[str, Any] | None:
        jobs = [job for job in app.get("/api/jobs")["jobs"] if job["kind"] == kind]
        if not jobs or any(job["state"] in ("queued", "running") for job in jobs):
            return None
        return max(jobs, key=lambda job: job["id"])

    job: dict[str, Any] = wait_until(look, f"a {kind} job to end", seconds)
    assert job["state"] == "done", job
    return job
