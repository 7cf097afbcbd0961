"""Engines with weights of a person's own: EdgeTAM clicked and propagated, Grounding DINO run.

Both are toys of the real networks, which draw nonsense; what is looked at is that it arrives.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.journey import steps
from tests.journey.clips import HEIGHT, WIDTH, disc_clip, disc_place
from tests.journey.conftest import RunningApp, start_app, stop_app
from tests.model.refiners import toy_edgetam
from tests.model.segmenters import toy_grounding_dino

SIZE = (HEIGHT, WIDTH)
FRAMES = 8


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """A server that was told where these engines' weights are."""
    folder = tmp_path_factory.mktemp("engines")
    dino = toy_grounding_dino.write_toy(folder / "dino")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REFSCRIBE_EDGETAM", str(toy_edgetam.write_toy(folder / "edgetam")))
        patch.setenv("REFSCRIBE_GROUNDING_DINO_REFINER", "edgetam")
        running = start_app(
            folder,
            *("--refiner", "edgetam", "--device", "cpu"),
            *("--segmenter", "grounding-dino", "--weights", str(dino)),
        )
    yield running
    stop_app(running)


@pytest.fixture
def clip(app: RunningApp, open_page: Any, tmp_path: Path, request: Any) -> tuple[Page, Any]:
    """A page with a clip of this test alone, and the clip."""
    name = request.node.name.replace("_", " ")[:30]
    page: Page = open_page()
    shade = len(app.get("/api/clips")["clips"])
    steps.add_file(page, disc_clip(tmp_path / f"{name}.mp4", frames=FRAMES, shade=shade))
    found = steps.clip_named(app, name)
    steps.open_clip(page, name)
    return page, found


def test_a_click_of_edgetam_is_carried_through_the_clip(
    app: RunningApp, clip: tuple[Page, Any]
) -> None:
    page, facts = clip
    steps.type_expression(page, "the disc")
    target_id = app.get(f"/api/clips/{facts['id']}")["targets"][0]["id"]
    x, y, _ = disc_place(0)

    page.keyboard.press("1")
    page.mouse.click(*steps.screen_point(page, x, y, SIZE))
    steps.wait_until(lambda: steps.held_masks(app, target_id), "the click", 120)
    steps.saved(page)
    assert steps.held_masks(app, target_id)["target", 0].mask[int(y), int(x)]
    steps.tab(page, "Propagate")
    expect(page.locator("#rs-tab-propagate .rs-engine-line")).to_contain_text("Licence: Apache-2.0")
    page.keyboard.press("p")

    steps.jobs_done(app, "propagate", 240)
    held = steps.held_masks(app, target_id)
    assert sorted(index for _, index in held) == list(range(FRAMES))


def test_grounding_dino_drafts_every_frame(app: RunningApp, clip: tuple[Page, Any]) -> None:
    page, facts = clip
    steps.tab(page, "Draft")
    line = page.locator("#rs-tab-draft .rs-engine-line")
    expect(line).to_contain_text("words for motion do not help it. Licence: Apache-2.0.")
    steps.type_expression(page, "The orange disc. It moves.")

    page.keyboard.press("r")

    steps.wait_until(lambda: _drafts(app, facts["id"]), "the draft to begin", 60)
    steps.jobs_done(app, "segment", 240)
    (draft,) = _drafts(app, facts["id"])
    assert (draft["state"], draft["frames_done"]) == ("done", FRAMES)
    assert draft["segmenter"] == "grounding-dino"
    expect(page.locator("#rs-tab-draft")).to_contain_text("Grounding DINO")


def _drafts(app: RunningApp, clip_id: int) -> list[dict[str, Any]]:
    drafts: list[dict[str, Any]] = app.get(f"/api/clips/{clip_id}")["drafts"]
    return drafts
