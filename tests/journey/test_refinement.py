"""Refining on the page: rough strokes, clicks taken back, propagation that outlives the tab."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, expect

from tests.journey import steps
from tests.journey.clips import HEIGHT, WIDTH, disc, disc_clip, disc_place
from tests.journey.conftest import RunningApp

SIZE = (HEIGHT, WIDTH)
FRAMES = 24


def overlap(first: Any, second: Any) -> float:
    return float(np.logical_and(first, second).sum() / np.logical_or(first, second).sum())


def test_strokes_become_a_mask_that_is_propagated_across_a_reload_and_a_second_tab(
    app: RunningApp, open_page: Any, tmp_path: Path
) -> None:
    page: Page = open_page(expect=("status of 422",))  # asking for what is up to date is refused
    steps.add_file(page, disc_clip(tmp_path / "refined disc.mp4", frames=FRAMES))
    clip = steps.clip_named(app, "refined disc")
    steps.open_clip(page, "refined disc")
    steps.type_expression(page, "the disc that is painted over")
    target_id = app.get(f"/api/clips/{clip['id']}")["targets"][0]["id"]

    def mask(frame_index: int) -> Any:
        entry = steps.held_masks(app, target_id).get(("target", frame_index))
        return None if entry is None else entry.mask

    _paint_roughly_and_redraw(page, mask)
    _click_and_take_all_clicks_back(page, mask)

    page.keyboard.press("p")
    steps.wait_until(lambda: mask(3) is not None, "the first frames", 90)
    page.keyboard.press("Shift+P")
    expect(page.locator("#rs-jobs")).to_contain_text("paused")
    page.reload()
    second: Page = open_page(f"/#clip={clip['id']}")
    for tab in (page, second):
        expect(tab.locator("#rs-jobs")).to_contain_text("paused")
    assert mask(FRAMES - 1) is None, "a paused job rests"

    second.get_by_role("button", name="Go on: ").click()
    steps.jobs_done(app, "propagate", 240)
    assert overlap(mask(FRAMES - 1), disc(FRAMES - 1)) > 0.7
    for tab in (page, second):
        expect(tab.locator("#rs-jobs")).not_to_contain_text("Propagating", timeout=20_000)
    _ask_again_for_what_is_up_to_date(page)
    _jump_to_what_stands_out(page, app, target_id)


def _paint_roughly_and_redraw(page: Page, mask: Any) -> None:
    x, y, _ = disc_place(0)
    page.keyboard.press("b")
    steps.drag(page, SIZE, (x - 10, y - 5), (x + 10, y + 5))
    steps.wait_until(lambda: mask(0) is not None, "the strokes")
    steps.saved(page)
    assert overlap(mask(0), disc(0)) < 0.7
    page.keyboard.press("g")
    steps.wait_until(lambda: overlap(mask(0), disc(0)) > 0.85, "the disc they lie on", 90)


def _click_and_take_all_clicks_back(page: Page, mask: Any) -> None:
    drawn = mask(0)
    page.keyboard.press("1")
    page.mouse.click(*steps.screen_point(page, 140, 20, SIZE))
    steps.wait_until(lambda: mask(0)[20, 140], "the click", 60)
    steps.saved(page)
    page.keyboard.press("Backspace")
    steps.wait_until(lambda: np.array_equal(mask(0), drawn), "the mask from before the click")


def _ask_again_for_what_is_up_to_date(page: Page) -> None:
    expect(page.locator(".rsc-counter")).to_contain_text("000 /")
    page.keyboard.press("p")
    expect(page.locator("#rs-notices")).to_contain_text("up to date")


def _jump_to_what_stands_out(page: Page, app: RunningApp, target_id: int) -> None:
    """A stroke far from the target on one frame makes its neighbours suspicious."""
    steps.go_to_frame(page, 12)
    page.keyboard.press("e")
    x, y, _ = disc_place(12)
    for offset in range(-30, 31, 10):
        steps.drag(page, SIZE, (x - 40, y + offset), (x + 40, y + offset))
    steps.saved(page)
    listed = steps.wait_until(
        lambda: app.get(f"/api/targets/{target_id}/attention")["frames"], "the list"
    )
    steps.tab(page, "Review")
    expect(page.locator(".rs-look-item").first).to_be_visible(timeout=20_000)
    first = page.locator(".rs-look-item").first
    expect(first).to_contain_text(str(listed[0]["frame_index"]))
    order = sorted(one["frame_index"] for one in listed)
    assert any(abs(frame_index - 12) <= 1 for frame_index in order), order
    page.keyboard.press("Home")
    page.keyboard.press("n")
    _expect_frame(page, next(frame_index for frame_index in order if frame_index > 0))
    page.keyboard.press("Home")
    page.keyboard.press("Shift+N")
    _expect_frame(page, order[-1])


def _expect_frame(page: Page, frame_index: int) -> None:
    expect(page.locator(".rsc-counter")).to_contain_text(f"{frame_index:03d} /")
