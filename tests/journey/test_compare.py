"""Two models on a sample clip, looked at in every way, in numbers, and taken out."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from model import metrics
from tests.journey import steps
from tests.journey.conftest import RunningApp
from video_types import Mask

SAMPLE = "star drifting like smoke"
EDITED = 12
VIEWS = ("Side by side", "Wipe", "Difference", "Contours", "Heat map")

DRAWN = """() => {
  const canvas = document.querySelector('.rsc-overlay');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3]) sum = (sum * 31 + at + data[at] + 7 * data[at + 1] + data[at + 3]) % 1e9;
  }
  return sum;
}"""


def drawn(page: Page) -> int:
    """A number of what lies over the picture now: another one when anything of it changed."""
    return int(page.evaluate(DRAWN))


def another_picture(page: Page, before: int, what: str) -> int:
    found: int = steps.wait_until(
        lambda: (now := drawn(page)) != before and (now or 1), what, seconds=10
    )
    return found


def test_two_models_are_run_compared_and_taken_out(
    app: RunningApp, open_page: Callable[..., Page]
) -> None:
    demos = [one for one in app.get("/api/session")["segmenters"] if one["is_demo"]]
    ready = [one["name"] for one in demos if one["ready"]]
    if not ready:
        pytest.skip("no demo segmenter has its weights here")
    page = open_page()
    page.get_by_role("button", name="Add the sample clips").click()
    steps.jobs_done(app, "samples", 300)
    clip = steps.clip_named(app, SAMPLE)
    steps.open_clip(page, SAMPLE)

    drafts = _run(page, app, clip["id"], ready)
    _annotate_from(page, app, clip, drafts[0])
    _look_in_every_way(page)
    _numbers_follow_edits(page, app, clip, drafts)
    _take_out(page, app, clip, drafts)


def _run(page: Page, app: RunningApp, clip_id: int, ready: list[str]) -> list[int]:
    """Two runs: of two models where there are two, else of one with two seeds."""
    steps.tab(page, "Compare")
    expect(page.locator(".rs-compare-panel")).to_contain_text("No runs yet")
    runs = page.locator(".rs-compare-panel details").first
    if len(ready) > 1:
        runs.get_by_role("button", name="Run 2 runs").click()
    else:
        runs.get_by_role("button", name="Run 1 run").click()
        steps.wait_until(lambda: len(_drafts(app, clip_id)) == 1, "the first run")
        runs.get_by_label("Seed of the runs").fill("1")
        runs.get_by_role("button", name="Run 1 run").click()
    steps.wait_until(lambda: len(_drafts(app, clip_id)) == 2, "the second run")
    expect(page.get_by_label("Run A", exact=True)).not_to_have_value("")
    steps.jobs_done(app, "segment", 600)
    found = sorted(draft["id"] for draft in _drafts(app, clip_id))
    page.get_by_label("Run A", exact=True).select_option(f"draft:{found[0]}")
    page.get_by_label("Run B", exact=True).select_option(f"draft:{found[1]}")
    expect(page.get_by_label("Run A", exact=True)).to_have_value(f"draft:{found[0]}")
    expect(page.locator(".rs-agreements")).to_contain_text("A–B")
    return found


def _drafts(app: RunningApp, clip_id: int) -> list[dict[str, Any]]:
    drafts: list[dict[str, Any]] = app.get(f"/api/clips/{clip_id}")["drafts"]
    return drafts


def _annotate_from(page: Page, app: RunningApp, clip: dict[str, Any], draft_id: int) -> None:
    """Accept a run as the annotation, change one frame by hand, and paint some of it Ignore."""
    target_id = app.get(f"/api/clips/{clip['id']}")["targets"][0]["id"]
    steps.tab(page, "Draft")
    row = page.locator(f'[data-draft="{draft_id}"]')
    if "rs-chosen" not in (row.get_attribute("class") or ""):
        row.locator(".rs-draft-show").click()
    row.get_by_role("button", name="Accept all").click()
    steps.wait_until(
        lambda: len(steps.held_masks(app, target_id)) >= clip["frame_count"], "the annotation"
    )
    steps.go_to_frame(page, EDITED)
    size = (clip["height"], clip["width"])
    page.keyboard.press("b")
    steps.drag(page, size, (60, 60), (240, 90))
    steps.wait_until(
        lambda: steps.held_masks(app, target_id)["target", EDITED].version > 1, "the stroke"
    )
    page.locator(".rsc-layer-ignore").click()
    steps.drag(page, size, (100, 60), (140, 80))
    steps.wait_until(
        lambda: steps.area(steps.held_masks(app, target_id), "ignore", EDITED), "the Ignore stroke"
    )
    page.locator(".rsc-layer-target").click()


def _look_in_every_way(page: Page) -> None:
    steps.tab(page, "Compare")
    bar = page.locator(".rsc-compare")
    before = drawn(page)
    for way in VIEWS:
        bar.get_by_role("button", name=way, exact=True).click()
        before = another_picture(page, before, f"the view {way}")
    expect(page.locator(".rsc-caption")).to_have_count(2)

    # The threshold moves the line of the heat map, and the masks of every other view.
    slider = page.get_by_label("Threshold of the runs compared")
    for way in ("Heat map", "Wipe"):
        bar.get_by_role("button", name=way, exact=True).click()
        another_picture(page, before, f"the view {way}") if way != "Heat map" else None
        before = drawn(page)
        slider.focus()
        for _ in range(20):
            slider.press("ArrowRight")
        before = another_picture(page, before, f"another threshold in the view {way}")
    page.get_by_role("button", name="Own", exact=True).click()
    another_picture(page, before, "each run's own threshold")

    # The edge of the wipe is dragged, and moved by key.
    line = page.get_by_label("Edge of the wipe")
    box = line.bounding_box()
    assert box is not None
    before = drawn(page)
    page.mouse.move(box["x"] + 1, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] - 120, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    before = another_picture(page, before, "another place of the edge")
    place = int(line.get_attribute("aria-valuenow") or 0)
    assert place < 50
    line.focus()
    line.press("ArrowRight")
    expect(line).to_have_attribute("aria-valuenow", str(place + 2))

    page.locator(".rsc-stage").focus()
    page.keyboard.press("f")
    caption = page.locator(".rsc-caption")
    expect(caption).to_contain_text("A ")
    expect(caption).to_contain_text("B ")
    page.keyboard.press("f")
    expect(caption).to_have_count(0)


def _numbers_follow_edits(
    page: Page, app: RunningApp, clip: dict[str, Any], drafts: list[int]
) -> None:
    """An edit changes the table's J by itself; a press on the strip goes to its frame."""
    table = page.locator(".rs-figures tbody tr").first
    expect(table).to_contain_text("J")
    before = table.inner_text()
    size = (clip["height"], clip["width"])
    page.locator(".rsc-stage").focus()
    steps.drag(page, size, (60, 200), (600, 330))
    expect(table).not_to_have_text(before, timeout=20_000)
    track = page.locator(".rsc-strip-track").bounding_box()
    assert track is not None
    page.mouse.click(track["x"] + track["width"] * 0.755, track["y"] + 10)
    frame = int(clip["frame_count"] * 0.755)
    expect(page.locator(".rsc-counter")).to_contain_text(f"{frame:03d} /")
    told = page.locator(".rsc-strip-figures").inner_text()
    runs = ",".join(f"draft:{one}" for one in drafts)
    said = app.get(f"/api/clips/{clip['id']}/comparison?runs={runs}&f=0")["runs"]
    assert told.split() == [
        part
        for letter, run in zip("AB", said, strict=True)
        for part in (letter, f"{run['j'][frame]:.3f}")
    ]


def _take_out(page: Page, app: RunningApp, clip: dict[str, Any], drafts: list[int]) -> None:
    form = page.locator(".rs-compare-panel details").last
    form.locator("summary").click()
    form.get_by_label("Frames of the figure").fill("0, 99999")
    expect(form.get_by_role("button", name="Export comparison")).to_be_disabled()
    expect(form.locator(".rs-field-error")).to_contain_text("There is no frame 99999")
    form.get_by_label("Frames of the figure").fill("0, 12-14")
    form.get_by_label("Masks of every run").check()
    form.get_by_role("button", name="Export comparison").click()
    job = steps.jobs_done(app, "export", 240)
    expect(form.get_by_role("link", name="Download as zip")).to_be_visible()
    folder = Path(job["result"]["folder"])
    expect(form.locator(".rs-path")).to_have_text(str(folder))
    assert (folder / "figure.png").stat().st_size > 10_000
    assert (folder / "figure.pdf").read_bytes().startswith(b"%PDF")
    _numbers_are_those_of_the_masks(app, clip, folder, drafts)


def _numbers_are_those_of_the_masks(
    app: RunningApp, clip: dict[str, Any], folder: Path, drafts: list[int]
) -> None:
    """J and F of every frame, worked out again from the exported masks and the annotation."""
    target_id = app.get(f"/api/clips/{clip['id']}")["targets"][0]["id"]
    held = steps.held_masks(app, target_id)
    numbers = json.loads((folder / "numbers.json").read_text())
    rows = list(csv.DictReader((folder / "frames.csv").read_text().splitlines()))
    folders = sorted((folder / "masks").iterdir())
    assert [run["key"] for run in numbers["runs"]] == [f"draft:{one}" for one in drafts]
    assert len(folders) == 2
    by_run = {_first_j(exported, held): exported for exported in folders}
    for run in numbers["runs"]:
        masks = _masks(by_run[round(run["j"][EDITED], 9)])
        overlaps = []
        for frame_index, mask in masks.items():
            truth = held["target", frame_index].mask
            ignore = held.get(("ignore", frame_index))
            void = None if ignore is None else ignore.mask
            assert truth is not None
            j = metrics.region_similarity(mask, truth, void)
            f = metrics.boundary_similarity(mask, truth, void)
            assert (run["j"][frame_index], run["f"][frame_index]) == pytest.approx((j, f))
            (row,) = [
                row
                for row in rows
                if (row["key"], row["frame_index"]) == (run["key"], str(frame_index))
            ]
            assert (float(row["j"]), float(row["f"])) == pytest.approx((j, f))
            overlaps.append(j)
        assert len(overlaps) == clip["frame_count"]
        assert run["mean"]["j"] == pytest.approx(np.mean(overlaps))
        steady = metrics.temporal_consistency(overlaps)
        assert run["temporal"]["consistency_absolute"] == pytest.approx(steady.absolute_over_frames)


def _masks(folder: Path) -> dict[int, Mask]:
    """The masks of one run by frame index."""
    paths = sorted(folder.glob("Annotations/*/*/*.png"))
    masks = {}
    for path in paths:
        with Image.open(path) as picture:
            masks[int(path.stem)] = np.array(picture) > 0
    return masks


def _first_j(folder: Path, held: dict[tuple[str, int], steps.HeldMask]) -> float:
    """J of a run's mask on the frame edited by hand, which tells the runs apart."""
    truth, ignore = held["target", EDITED].mask, held["ignore", EDITED].mask
    assert truth is not None
    return round(metrics.region_similarity(_masks(folder)[EDITED], truth, ignore), 9)
