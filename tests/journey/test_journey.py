"""From an empty page to a checked export, with pointer and keys, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.conftest import REPOSITORY
from tests.journey import steps
from tests.journey.clips import FRAMES, HEIGHT, WIDTH, disc, disc_clip, disc_place
from tests.journey.conftest import RunningApp

SIZE = (HEIGHT, WIDTH)
DEMO_WEIGHTS = REPOSITORY / "model" / "demo" / "rem" / "weights.safetensors"
VOID = 255  # the palette index of Ignore in the exported masks


def overlap(first: Any, second: Any) -> float:
    """Region similarity J of two masks of one size."""
    return float(np.logical_and(first, second).sum() / max(1, np.logical_or(first, second).sum()))


def test_from_an_empty_page_to_an_export_that_holds_what_was_drawn(
    app: RunningApp, open_page: Any, tmp_path: Path
) -> None:
    page: Page = open_page()
    expect(page.get_by_role("button", name="Add the sample clips")).to_be_visible()

    steps.add_file(page, disc_clip(tmp_path / "growing disc.mp4"))
    clip = steps.clip_named(app, "growing disc")
    assert (clip["height"], clip["width"], clip["frame_count"]) == (*SIZE, FRAMES)
    steps.open_clip(page, "growing disc")

    steps.type_expression(page, "the orange disc that grows")
    target_id = app.get(f"/api/clips/{clip['id']}")["targets"][0]["id"]

    _scrub_and_play(page)
    if DEMO_WEIGHTS.exists():
        _segment_and_accept(page, app, target_id)

    _correct_with_clicks(page, app, target_id)
    _propagate_a_short_range(page, app, target_id)
    _paint_ignore_and_take_it_back(page, app, target_id)
    _export_and_read_back(page, app, target_id)


def _scrub_and_play(page: Page) -> None:
    page.keyboard.press("End")
    expect(page.locator(".rsc-counter")).to_contain_text(f"{FRAMES - 1:03d} /")
    page.keyboard.press("Home")
    track = page.locator(".rsc-track").bounding_box()
    assert track is not None
    page.mouse.move(track["x"] + 4, track["y"] + 10)
    page.mouse.down()
    page.mouse.move(track["x"] + track["width"] / 2, track["y"] + 10, steps=8)
    page.mouse.up()
    expect(page.locator(".rsc-counter")).to_contain_text("01")
    before = page.locator(".rsc-counter").inner_text()
    page.keyboard.press("Space")
    page.wait_for_function(
        "before => document.querySelector('.rsc-counter').innerText !== before", arg=before
    )
    page.keyboard.press("Space")


def _segment_and_accept(page: Page, app: RunningApp, target_id: int) -> None:
    page.keyboard.press("r")
    expect(page.locator(".rs-draft.rs-chosen")).to_be_visible()
    steps.jobs_done(app, "segment", 240)
    expect(page.locator(".rs-draft.rs-chosen .rs-draft-frames")).to_contain_text("seed")
    page.get_by_role("button", name="Accept all").click()
    held = steps.wait_until(
        lambda: len(found := steps.held_masks(app, target_id)) >= FRAMES and found,
        "the accepted draft in the store",
    )
    assert {frame_index for layer, frame_index in held if layer == "target"} == set(range(FRAMES))


def _correct_with_clicks(page: Page, app: RunningApp, target_id: int) -> None:
    steps.go_to_frame(page, 12)
    before = steps.held_masks(app, target_id).get(("target", 12))
    seen = before.version if before else 0
    page.keyboard.press("1")
    x, y, _radius = disc_place(12)
    page.mouse.click(*steps.screen_point(page, x, y, SIZE))
    held = steps.wait_until(
        lambda: (
            (found := steps.held_masks(app, target_id).get(("target", 12)))
            and found.version > seen
            and found
        ),
        "the click's mask in the store",
        90,
    )
    steps.saved(page)
    assert held.mask is not None
    assert overlap(held.mask, disc(12)) > 0.8


def _propagate_a_short_range(page: Page, app: RunningApp, target_id: int) -> None:
    before = steps.held_masks(app, target_id)
    steps.tab(page, "Propagate")
    page.get_by_label("First frame").fill("10")
    page.get_by_label("First frame").press("Tab")
    page.get_by_label("Last frame").fill("15")
    page.get_by_label("Last frame").press("Enter")
    page.get_by_label("Last frame").blur()
    page.keyboard.press("p")
    steps.wait_until(
        lambda: any(job["kind"] == "propagate" for job in app.get("/api/jobs")["jobs"]),
        "the propagation to begin",
    )
    steps.jobs_done(app, "propagate", 240)
    after = steps.held_masks(app, target_id)
    for frame_index in (10, 11, 13, 14, 15):
        entry = after["target", frame_index]
        assert entry.mask is not None
        assert overlap(entry.mask, disc(frame_index)) > 0.7, frame_index
    assert after["target", 12].version == before["target", 12].version, "the anchor was touched"
    for frame_index in (9, 16):
        assert steps.area(after, "target", frame_index) == steps.area(before, "target", frame_index)


def _paint_ignore_and_take_it_back(page: Page, app: RunningApp, target_id: int) -> None:
    steps.go_to_frame(page, 12)
    page.keyboard.press("b")
    page.locator(".rsc-layer-ignore").click()
    steps.drag(page, SIZE, (20, 20), (60, 22))
    painted = steps.wait_until(
        lambda: steps.area(steps.held_masks(app, target_id), "ignore", 12),
        "the stroke in the store",
    )
    page.keyboard.press("z")
    steps.wait_until(
        lambda: steps.area(steps.held_masks(app, target_id), "ignore", 12) == 0, "undo"
    )
    page.keyboard.press("Shift+Z")
    steps.wait_until(
        lambda: steps.area(steps.held_masks(app, target_id), "ignore", 12) == painted, "redo"
    )
    page.keyboard.press("v")
    steps.wait_until(
        lambda: steps.held_masks(app, target_id)["target", 12].verified, "the verified flag"
    )


def _export_and_read_back(page: Page, app: RunningApp, target_id: int) -> None:
    steps.tab(page, "Export")
    page.locator("#rs-export").click()
    job = steps.jobs_done(app, "export")
    expect(page.locator(".rs-export")).to_contain_text("read back and compared")
    expect(page.locator(".rs-export .rs-path")).to_have_text(job["result"]["folder"])
    held = steps.held_masks(app, target_id)
    compared = 0
    for path in sorted(Path(job["result"]["folder"]).rglob("Annotations/**/*.png")):
        with Image.open(path) as picture:
            assert picture.mode == "P"
            values = np.array(picture)
        frame_index = int(path.stem)
        ignore, target = held.get(("ignore", frame_index)), held.get(("target", frame_index))
        expected = np.zeros(SIZE, dtype=np.uint8)
        if target is not None and target.mask is not None:
            expected[target.mask] = 1
        if ignore is not None and ignore.mask is not None:
            expected[ignore.mask] = VOID
        assert np.array_equal(values, expected), path.name
        compared += 1
    assert compared >= 6


def test_a_real_clip_is_added_drafted_and_corrected(
    app: RunningApp, open_page: Any, shared: Path
) -> None:
    source = shared / "clips" / "04_coffee.mp4"
    if not source.exists():
        pytest.skip("04_coffee.mp4 is not in the folder of real clips")
    page: Page = open_page(viewport={"width": 1600, "height": 1000})

    page.get_by_role("button", name="Add clips", exact=True).click()
    page.get_by_text("Trim and crop").click()
    page.get_by_label("from second").fill("0")
    page.get_by_label("to second").fill("1")
    page.locator('dialog input[type="file"][multiple]').first.set_input_files(source)
    clip = steps.clip_named(app, "04_coffee")
    steps.open_clip(page, "04_coffee")
    assert clip["frame_count"] == 24
    steps.type_expression(page, "the coffee cup")
    target_id = app.get(f"/api/clips/{clip['id']}")["targets"][0]["id"]

    size = (clip["height"], clip["width"])
    page.mouse.click(*steps.screen_point(page, clip["width"] / 2, clip["height"] / 2, size))
    held = steps.wait_until(
        lambda: (
            (found := steps.held_masks(app, target_id).get(("target", 0)))
            and found.mask is not None
            and found
        ),
        "the click's mask in the store",
        90,
    )
    assert held.mask[clip["height"] // 2, clip["width"] // 2]

    page.reload()
    expect(page.get_by_label("Clip name")).to_have_value("04_coffee")
    expect(page.locator(".rs-expression.rs-chosen")).to_contain_text("the coffee cup")
