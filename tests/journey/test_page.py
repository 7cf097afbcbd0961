"""What the page promises beside the journey: keys, reloads, second tabs, accidents, contrast."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psutil
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.conftest import REPOSITORY
from tests.journey import steps
from tests.journey.clips import FRAMES, HEIGHT, WIDTH, disc_clip, disc_place
from tests.journey.conftest import RunningApp

SIZE = (HEIGHT, WIDTH)
HOSTILE = "<img src=x onerror=document.title='owned'>"


@pytest.fixture(scope="module")
def clip(app: RunningApp, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A small clip in the running app, added as the page adds one, by its route."""
    import urllib.request

    path = disc_clip(tmp_path_factory.mktemp("clips") / "steady disc.mp4")
    request = urllib.request.Request(
        f"{app.url}/api/uploads?name=steady%20disc.mp4", data=path.read_bytes(), method="POST"
    )
    urllib.request.urlopen(request, timeout=30).close()
    return steps.clip_named(app, "steady disc")


def table_of_keys() -> list[tuple[str, str]]:
    """(name, label) of every row of the table in keys.js."""
    text = (REPOSITORY / "app" / "components" / "shared" / "keys.js").read_text()
    return re.findall(r'name: "([^"]+)",\s+key: "[^"]+",\s+label: "([^"]+)"', text)


def test_the_key_sheet_shows_the_table_of_keys_and_nothing_else(open_page: Any) -> None:
    page: Page = open_page()

    page.keyboard.press("?")

    rows = page.locator("dialog .rs-key-row")
    shown = [(row.get_attribute("data-key"), row.locator("dt").inner_text()) for row in rows.all()]
    assert sorted(shown) == sorted(table_of_keys())
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)


def test_every_key_of_the_table_has_somebody_who_listens(open_page: Any, clip: Any) -> None:
    page: Page = open_page(f"/#clip={clip['id']}")
    expect(page.locator(".rsc-counter")).to_contain_text("000 /")

    deaf = page.evaluate(
        """async () => {
          const { keys } = await import(new URL('studio/shared/keys.js', document.baseURI));
          const deaf = keys.rows.filter((row) => !row.pointer && !keys.has(row.name));
          return deaf.map((row) => row.name);
        }"""
    )

    assert deaf == []


def test_typing_an_expression_never_triggers_a_key(open_page: Any, clip: Any) -> None:
    page: Page = open_page(f"/#clip={clip['id']}")
    counter = page.locator(".rsc-counter")
    expect(counter).to_contain_text("000 /")
    pressed = page.locator(".rsc-toolbar [aria-pressed=true]").all_inner_texts()

    field = page.get_by_role("textbox", name="New expression")
    field.press_sequentially("a blue vase beside, rolling? [no] 12 zebras VZ+-.")
    field.press("ArrowLeft")
    field.press("Home")

    expect(field).to_have_value("a blue vase beside, rolling? [no] 12 zebras VZ+-.")
    assert page.locator("dialog").count() == 0
    assert counter.inner_text().startswith("000 /")
    assert page.locator(".rsc-toolbar [aria-pressed=true]").all_inner_texts() == pressed
    assert "closed" not in (page.locator("#rs-studio").get_attribute("class") or "")


def test_a_control_pressed_with_the_mouse_does_not_keep_the_keys(open_page: Any, clip: Any) -> None:
    page: Page = open_page(f"/#clip={clip['id']}")
    counter = page.locator(".rsc-counter")
    expect(counter).to_contain_text("000 /")

    steps.tab(page, "Propagate")
    page.get_by_text("Backward").click()
    page.get_by_role("slider").first.click()
    page.wait_for_timeout(50)
    page.keyboard.press("ArrowRight")

    expect(counter).to_contain_text("001 /")
    expect(page.get_by_label("Backward")).to_be_checked()


def test_a_changed_key_works_and_is_remembered(open_page: Any, clip: Any) -> None:
    page: Page = open_page(f"/#clip={clip['id']}")
    page.keyboard.press("?")
    page.locator('dialog [data-key="last-frame"] button').click()
    page.keyboard.press("k")
    page.keyboard.press("Escape")

    page.reload()
    expect(page.locator(".rsc-counter")).to_contain_text("000 /")
    page.keyboard.press("k")

    expect(page.locator(".rsc-counter")).to_contain_text(f"{FRAMES - 1:03d} /")


def test_nothing_scrolls_but_lists_at_1280_by_800(open_page: Any, clip: Any) -> None:
    page: Page = open_page(f"/#clip={clip['id']}")
    expect(page.locator(".rsc-counter")).to_contain_text("000 /")

    for name in ("Draft", "Propagate", "Review", "Export"):
        steps.tab(page, name)
        page.mouse.wheel(0, 400)
        assert page.evaluate("[document.scrollingElement.scrollTop, document.body.scrollTop]") == [
            0,
            0,
        ]
        panel = page.locator(f"#rs-tab-{name.lower()}")
        heights = panel.evaluate("(e) => [e.scrollHeight, e.clientHeight]")
        assert heights[0] <= heights[1], f"the {name} tab scrolls: {heights}"
    share = page.locator("#rs-canvas").evaluate(
        "(e) => e.getBoundingClientRect().width / innerWidth"
    )
    assert share >= 0.6


def test_a_reload_brings_back_clip_frame_and_expression(open_page: Any, clip: Any) -> None:
    page: Page = open_page(f"/#clip={clip['id']}")
    steps.type_expression(page, "the disc that is reloaded")
    steps.go_to_frame(page, 7)

    page.reload()

    expect(page.get_by_label("Clip name")).to_have_value("steady disc")
    expect(page.locator(".rsc-counter")).to_contain_text("007 /")
    expect(page.locator(".rs-expression.rs-chosen")).to_contain_text("the disc that is reloaded")


def test_a_second_tab_sees_expressions_and_strokes_of_the_first(
    app: RunningApp, open_page: Any, clip: Any
) -> None:
    first: Page = open_page(f"/#clip={clip['id']}")
    second: Page = open_page(f"/#clip={clip['id']}")
    expect(second.locator(".rsc-counter")).to_contain_text("/")

    steps.type_expression(first, "seen from both tabs")
    expect(second.locator(".rs-expression", has_text="seen from both tabs")).to_be_visible()

    second.locator(".rs-expression-choose", has_text="seen from both tabs").click()
    first.keyboard.press("b")
    steps.drag(first, SIZE, (20, 100), (60, 100))
    target_id = app.get(f"/api/clips/{clip['id']}")["targets"][0]["id"]
    frame_index = int(first.locator(".rsc-counter").inner_text().split("/")[0])
    steps.wait_until(
        lambda: steps.area(steps.held_masks(app, target_id), "target", frame_index),
        "the stroke in the store",
    )
    second.keyboard.press("Home")
    for _ in range(frame_index):
        second.keyboard.press("ArrowRight")
    # A colleague's stroke is seen before it is verified: until then there is nothing to press V on.
    seen = """async ([target, frame]) => {
      const { edits } = await import(new URL('studio/canvas/edits/the_edits.js', document.baseURI));
      return edits.frame(target, frame).target.runs.length > 0;
    }"""
    steps.wait_until(
        lambda: second.evaluate(seen, [target_id, frame_index]), "the stroke in the second tab"
    )
    second.keyboard.press("v")
    steps.wait_until(
        lambda: (
            (entry := steps.held_masks(app, target_id).get(("target", frame_index)))
            and entry.verified
            and entry.mask is not None
        ),
        "the second tab verifying the first one's stroke",
    )


def test_a_stroke_under_way_outlives_news_of_the_clip(
    app: RunningApp, open_page: Any, clip: Any
) -> None:
    page: Page = open_page(f"/#clip={clip['id']}")
    steps.type_expression(page, "the disc beneath the stroke")
    target_id = app.get(f"/api/clips/{clip['id']}")["targets"][-1]["id"]
    steps.go_to_frame(page, 7)
    page.keyboard.press("b")
    page.mouse.move(*steps.screen_point(page, 20, 20, SIZE))
    page.mouse.down()
    page.mouse.move(*steps.screen_point(page, 60, 20, SIZE), steps=6)

    app.post(f"/api/targets/{target_id}/expressions", {"text": "said by a colleague meanwhile"})
    expect(page.locator(".rs-expression-text", has_text="by a colleague")).to_be_visible()
    page.mouse.move(*steps.screen_point(page, 100, 20, SIZE), steps=6)
    page.mouse.up()

    def stroke() -> Any:
        entry = steps.held_masks(app, target_id).get(("target", 7))
        return entry and entry.mask

    drawn = steps.wait_until(lambda: (found := stroke()) is not None and [found], "the stroke")[0]
    assert drawn[20, 20:100].all()


def test_a_hostile_clip_name_is_text(app: RunningApp, open_page: Any, tmp_path: Path) -> None:
    page: Page = open_page()
    steps.add_file(page, disc_clip(tmp_path / "plain.mp4", frames=4))
    steps.clip_named(app, "plain")
    steps.open_clip(page, "plain")

    name = page.get_by_label("Clip name")
    name.fill(HOSTILE)
    name.press("Enter")
    steps.type_expression(page, HOSTILE)

    expect(page.locator(".rs-clip-title", has_text=HOSTILE)).to_be_visible()
    expect(page.locator(".rs-expression-text", has_text=HOSTILE)).to_be_visible()
    page.reload()
    expect(page.get_by_label("Clip name")).to_have_value(HOSTILE)
    assert page.title() == f"{HOSTILE} – Refscribe"
    assert page.locator("img[src='x']").count() == 0


def test_a_killed_model_process_is_said_and_the_next_click_works(
    app: RunningApp, open_page: Any, tmp_path: Path
) -> None:
    page: Page = open_page()
    steps.add_file(page, disc_clip(tmp_path / "long disc.mp4", frames=72))
    clip = steps.clip_named(app, "long disc")
    steps.open_clip(page, "long disc")
    steps.type_expression(page, "the disc that survives")
    target_id = app.get(f"/api/clips/{clip['id']}")["targets"][0]["id"]
    x, y, _radius = disc_place(0)
    page.mouse.click(*steps.screen_point(page, x, y, SIZE))
    steps.wait_until(
        lambda: steps.area(steps.held_masks(app, target_id), "target", 0), "a mask", 90
    )
    steps.saved(page)

    page.keyboard.press("p")
    expect(page.locator("#rs-jobs .rs-meter")).to_be_visible()
    steps.wait_until(lambda: len(steps.held_masks(app, target_id)) > 3, "some frames", 90)
    kill_model_process(app)

    expect(page.locator("#rs-jobs .rs-problem").first).to_be_visible(timeout=30_000)
    assert len(steps.held_masks(app, target_id)) > 3, "what was delivered is kept"
    page.keyboard.press("End")
    expect(page.locator(".rsc-counter")).to_contain_text("071 /")
    page.mouse.click(*steps.screen_point(page, 100, 60, SIZE))
    steps.wait_until(
        lambda: steps.area(steps.held_masks(app, target_id), "target", 71), "the next click", 90
    )


def kill_model_process(app: RunningApp) -> None:
    """SIGKILL the server's model process, the spawned child that holds the most memory."""
    children = psutil.Process(app.process.pid).children(recursive=True)
    spawned = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    assert spawned, [child.cmdline() for child in children]
    max(spawned, key=lambda child: child.memory_info().rss).kill()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_to_complain_about(open_page: Any, clip: Any, scheme: str) -> None:
    page: Page = open_page(f"/#clip={clip['id']}", color_scheme=scheme)
    expect(page.locator(".rsc-counter")).to_contain_text("/")
    steps.type_expression(page, f"a disc in the {scheme}")

    for name in ("Draft", "Propagate", "Review", "Export"):
        steps.tab(page, name)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


def test_the_theme_is_remembered(open_page: Any) -> None:
    page: Page = open_page(color_scheme="light")
    button = page.get_by_role("button", name=re.compile("^Theme:"))
    dark = "document.body.classList.contains('dark')"

    button.click()
    assert page.evaluate(dark) is False
    button.click()
    assert page.evaluate(dark) is True
    page.reload()
    page.wait_for_selector("#rs-header .rs-brand")

    page.wait_for_function(dark)
