"""Better tools, as a person gets them: look, choose, fetch, and go on in the picker."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from model.hub import EDGETAM_REPOSITORY
from tests.journey import steps
from tests.journey.conftest import RunningApp, start_app, stop_app
from tests.toy_hub import PIECE, ToyHub, toy_hub

SIZE = 32 * PIECE
SENT = 24 * PIECE  # of a file that the hub holds back


@pytest.fixture(scope="module")
def hub() -> Iterator[ToyHub]:
    with toy_hub({EDGETAM_REPOSITORY: {"model.safetensors": os.urandom(SIZE)}}) as running:
        yield running


@pytest.fixture(scope="module")
def app(hub: ToyHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    folder = tmp_path_factory.mktemp("tools")
    environment = hub.environment(folder / "cache")
    running = start_app(folder, "--device", "cpu", environment=environment)
    yield running
    stop_app(running)


def open_tools(page: Page) -> Locator:
    """Open the dialog from where the refiner is picked."""
    steps.tab(page, "Propagate")
    page.locator("#rs-tab-propagate").get_by_role("button", name="Get better tools").click()
    dialog = page.get_by_role("dialog", name="Get better tools")
    expect(dialog.locator(".rs-tool")).to_have_count(3)
    return dialog


def choose_only(dialog: Locator, name: str) -> None:
    """Tick one tool of those offered, once they are there."""
    expect(dialog.locator(f'[data-tool="{name}"]')).to_be_visible()
    for row in dialog.locator(".rs-tool").all():
        row.get_by_role("checkbox").set_checked(row.get_attribute("data-tool") == name)


def test_a_better_tool_is_fetched_from_the_page_and_ready_without_a_reload(
    app: RunningApp, hub: ToyHub, open_page: Any
) -> None:
    page: Page = open_page()
    said = page.locator("#rs-tab-propagate .rs-engine-line")
    page.evaluate(
        """async () => {
          const { session } = await import(new URL('studio/shared/session.js', document.baseURI));
          session.setRefiner("edgetam");
        }"""
    )
    dialog = open_tools(page)
    expect(said).to_contain_text("Weights not here: 56 MB to fetch")
    expect(dialog).to_contain_text("This machine has no GPU that networks can use")
    expect(dialog.locator(".rs-dialog-foot")).to_contain_text("745 MB of")
    assert hub.asked == []

    choose_only(dialog, "edgetam")
    expect(dialog.locator(".rs-dialog-foot")).to_contain_text("55.9 MB of")
    hub.held_at = SENT
    fetch = dialog.get_by_role("button", name="Fetch", exact=True)
    fetch.click()
    edgetam = dialog.locator('[data-tool="edgetam"]')
    expect(edgetam).to_contain_text(re.compile(r"(1|2)\d\.\d MB of 33\.6 MB"))
    expect(fetch).to_be_disabled()

    page.reload()
    expect(page.locator(".rs-job")).to_contain_text("Fetching EdgeTAM")
    dialog = open_tools(page)
    edgetam = dialog.locator('[data-tool="edgetam"]')
    expect(edgetam.get_by_role("progressbar")).to_be_visible()
    expect(edgetam.get_by_role("button", name="Cancel: EdgeTAM")).to_be_visible()
    hub.go_on.set()

    expect(edgetam).to_contain_text("Ready: choose it in the picker.")
    page.keyboard.press("Escape")
    page.get_by_label("Refiner, for clicks too").click()
    page.get_by_role("option", name="EdgeTAM").click()
    expect(said).to_contain_text("Light, for a CPU too")
    expect(said).not_to_contain_text("Weights not here")
    assert len([one for one in hub.asked if one.startswith("GET") and "resolve" in one]) == 1


def test_a_download_that_is_refused_says_so_in_its_row_and_can_be_tried_again(
    app: RunningApp, hub: ToyHub, open_page: Any
) -> None:
    page: Page = open_page()
    steps.tab(page, "Draft")
    page.locator("#rs-tab-draft").get_by_role("button", name="Get better tools").click()
    dialog = page.get_by_role("dialog", name="Get better tools")
    choose_only(dialog, "sam2.1-tiny")
    hub.refusal = 403

    dialog.get_by_role("button", name="Fetch", exact=True).click()

    row = dialog.locator('[data-tool="sam2.1-tiny"]')
    expect(row).to_contain_text("was refused by the hub (403 Forbidden)")
    expect(row).to_contain_text("REFSCRIBE_SAM2_TINY")
    expect(row.get_by_role("button", name="Try again")).to_be_enabled()
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa"]})
    assert found.violations_count == 0, found.generate_report()
