"""Pointing at a target: a click, a click that is dragged to a box, and a hand that slips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page

from tests.journey import steps
from tests.journey.clips import HEIGHT, WIDTH, disc, disc_clip, disc_place
from tests.journey.conftest import RunningApp

SIZE = (HEIGHT, WIDTH)


def test_a_click_that_is_dragged_is_a_box_and_one_that_slips_is_a_click(
    app: RunningApp, open_page: Any, tmp_path: Path
) -> None:
    page: Page = open_page()
    steps.add_file(page, disc_clip(tmp_path / "pointed at.mp4", frames=8))
    clip = steps.clip_named(app, "pointed at")
    steps.open_clip(page, "pointed at")
    steps.type_expression(page, "the disc that is pointed at")
    target_id = app.get(f"/api/clips/{clip['id']}")["targets"][0]["id"]

    def held(frame_index: int) -> Any:
        return steps.held_masks(app, target_id).get(("target", frame_index))

    page.keyboard.press("1")
    x, y, radius = disc_place(0)
    corner, other = (x - radius - 4, y - radius - 4), (x + radius + 4, y + radius + 4)
    steps.drag(page, SIZE, corner, other)
    found = steps.wait_until(lambda: held(0), "the mask of the box", 90)
    shared = np.logical_and(found.mask, disc(0)).sum() / np.logical_or(found.mask, disc(0)).sum()
    assert shared > 0.8

    steps.go_to_frame(page, 1)
    x, y, _ = disc_place(1)
    across, down = steps.screen_point(page, x, y, SIZE)
    page.mouse.move(across, down)
    page.mouse.down()
    page.mouse.move(across + 3, down + 2)
    page.mouse.up()
    found = steps.wait_until(lambda: held(1), "the mask of the click", 90)
    assert found.mask[round(y), round(x)]
