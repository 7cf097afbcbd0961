"""Nothing is lost when a person moves fast, the connection breaks, or a process dies.

Every test ends with what the store holds, read from the server in the documented format.
"""

from __future__ import annotations

import functools
import itertools
import signal
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Page, expect

from annotation_store.edits import MaskChange
from annotation_store.runs import MaskRuns
from annotation_store.workspace import Workspace
from tests.journey import steps
from tests.journey.clips import HEIGHT, WIDTH, disc, disc_clip, disc_place
from tests.journey.conftest import CHROMIUM, RunningApp, start_app, stop_app

SIZE = (HEIGHT, WIDTH)
UNREACHABLE = ("Failed to load resource", "WebSocket connection")
STROKE = ((20, 20), (60, 24))
ON_STROKE = (22, 40)  # row, column
SHADES = itertools.count()


@pytest.fixture
def two_clips(app: RunningApp, tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """Two clips of this test's own, each with one target: [(clip, target id), ...]."""
    found = []
    for which in ("one", "two"):
        name = f"{request.node.name[5:35]} {which}"
        path = disc_clip(tmp_path / f"{name}.mp4", frames=12, shade=next(SHADES))
        found.append(add_clip(app, path, name))
    return found


def add_clip(app: RunningApp, path: Path, name: str) -> tuple[Any, int]:
    """Import a clip without the page, and give it a target."""
    address = f"{app.url}/api/uploads?name={urllib.parse.quote(path.name)}"
    upload = urllib.request.Request(address, data=path.read_bytes(), method="POST")
    urllib.request.urlopen(upload, timeout=30).close()
    clip = steps.clip_named(app, name)
    return clip, app.post(f"/api/clips/{clip['id']}/targets", {"name": ""})["id"]


def is_drawn(app: RunningApp, target_id: int, frame_index: int = 0) -> bool:
    """Whether the store holds the stroke on a frame."""
    entry = steps.held_masks(app, target_id).get(("target", frame_index))
    return entry is not None and entry.mask is not None and bool(entry.mask[ON_STROKE])


def draw(page: Page) -> None:
    page.keyboard.press("b")
    steps.drag(page, SIZE, *STROKE)


def on_clip(page: Page, clip: Any) -> None:
    expect(page.get_by_label("Clip name")).to_have_value(clip["name"])
    expect(page.locator(".rsc-counter")).to_contain_text("000 /")


def test_a_click_verified_and_the_next_clip_before_the_answer_are_all_kept(
    app: RunningApp, open_page: Any, two_clips: Any
) -> None:
    (first, target), (second, other) = two_clips
    page: Page = open_page(f"/#clip={first['id']}")
    on_clip(page, first)
    x, y, _ = disc_place(0)

    page.keyboard.press("1")
    page.mouse.click(*steps.screen_point(page, x, y, SIZE))
    page.keyboard.press("v")
    page.locator(".rs-clip-open", has_text=second["name"]).click()
    on_clip(page, second)
    draw(page)

    steps.wait_until(lambda: is_drawn(app, other), "the stroke on the second clip", 90)
    held = steps.wait_until(
        lambda: (
            (found := steps.held_masks(app, target).get(("target", 0))) and found.verified and found
        ),
        "the click and its mark on the first",
        90,
    )
    overlap = (held.mask & disc(0)).sum() / (held.mask | disc(0)).sum()
    assert overlap > 0.8
    steps.saved(page)


def test_propagating_asked_for_right_after_a_click_begins_from_its_mask(
    app: RunningApp, open_page: Any, two_clips: Any
) -> None:
    (clip, target), _ = two_clips
    page: Page = open_page(f"/#clip={clip['id']}")
    on_clip(page, clip)
    x, y, _ = disc_place(0)

    page.keyboard.press("1")
    page.mouse.click(*steps.screen_point(page, x, y, SIZE))
    page.keyboard.press("p")

    steps.wait_until(lambda: steps.area(steps.held_masks(app, target), "target", 1), "it", 120)
    expect(page.locator("#rs-notices")).not_to_contain_text("no mask to carry on")


def test_the_first_click_of_a_clip_stays_with_it_when_the_person_goes_on(
    app: RunningApp, open_page: Any, two_clips: Any, tmp_path: Path
) -> None:
    second, other = two_clips[1]
    path = disc_clip(tmp_path / "without a target.mp4", frames=12, shade=next(SHADES))
    clip, target = add_clip(app, path, "without a target")
    delete(app, f"/api/targets/{target}")
    page: Page = open_page(f"/#clip={clip['id']}")
    on_clip(page, clip)

    draw(page)
    page.locator(".rs-clip-open", has_text=second["name"]).click()
    on_clip(page, second)
    draw(page)

    steps.wait_until(lambda: is_drawn(app, other), "the stroke on the second clip")
    made = steps.wait_until(lambda: app.get(f"/api/clips/{clip['id']}")["targets"], "a target")
    steps.wait_until(lambda: is_drawn(app, made[0]["id"]), "the stroke on the first clip")
    assert len(made) == 1


def delete(app: RunningApp, path: str) -> None:
    request = urllib.request.Request(app.url + path, method="DELETE")
    urllib.request.urlopen(request, timeout=30).close()


def test_what_is_drawn_without_a_connection_is_said_and_saved_when_it_is_back(
    app: RunningApp, open_page: Any, two_clips: Any
) -> None:
    (first, target), _ = two_clips
    page: Page = open_page(f"/#clip={first['id']}", expect=UNREACHABLE)
    on_clip(page, first)
    page.context.set_offline(True)

    draw(page)
    expect(page.locator(".rs-saved")).to_have_text("not saved: 1 edit")
    page.keyboard.press("ArrowRight")
    draw(page)
    expect(page.locator(".rs-saved")).to_have_text("not saved: 2 edits")
    expect(page.locator(".rsc-unsaved")).to_contain_text("2 edits are kept here")
    assert not is_drawn(app, target)

    page.context.set_offline(False)
    steps.wait_until(lambda: is_drawn(app, target, 1), "the strokes")
    assert is_drawn(app, target)
    steps.saved(page)
    expect(page.locator(".rsc-unsaved")).to_be_hidden()


def test_an_edit_of_a_target_a_colleague_removed_is_kept_and_said(
    app: RunningApp, open_page: Any, two_clips: Any
) -> None:
    (clip, target), _ = two_clips
    page: Page = open_page(f"/#clip={clip['id']}", expect=("status of 404", *UNREACHABLE))
    on_clip(page, clip)
    page.context.set_offline(True)
    draw(page)
    expect(page.locator(".rs-saved")).to_have_text("not saved: 1 edit")
    delete(app, f"/api/targets/{target}")
    page.context.set_offline(False)

    notice = page.locator(".rsc-unsaved")
    expect(notice).to_contain_text("Frame 0 is not saved: ")
    expect(page.locator(".rs-saved")).to_have_text("not saved: 1 edit")
    notice.get_by_role("button", name="Discard").click()
    expect(notice).to_be_hidden()


def test_edits_on_their_way_survive_a_reload(
    app: RunningApp, open_page: Any, two_clips: Any
) -> None:
    (clip, target), _ = two_clips
    page: Page = open_page(f"/#clip={clip['id']}", expect=UNREACHABLE)
    on_clip(page, clip)
    page.on("dialog", lambda dialog: dialog.accept())
    page.route("**/api/targets/*/masks?kind=*", lambda route: route.abort())
    draw(page)
    expect(page.locator(".rs-saved")).to_have_text("not saved: 1 edit")
    page.unroute_all()

    page.reload()

    on_clip(page, clip)
    steps.wait_until(lambda: is_drawn(app, target), "the stroke")
    steps.saved(page)


LEAVES = """() => {
  window.isBefore = true;
  // Neither the question whether to leave nor its answer may lend the page a moment.
  addEventListener('beforeunload', (event) => event.stopImmediatePropagation(), true);
  addEventListener('pointerup', () => location.reload());
}"""


def test_what_is_drawn_in_the_very_moment_of_a_reload_is_kept(
    app: RunningApp, open_page: Any, two_clips: Any
) -> None:
    (clip, target), _ = two_clips
    page: Page = open_page(f"/#clip={clip['id']}", expect=UNREACHABLE)
    on_clip(page, clip)
    page.route("**/api/targets/*/masks?kind=*", lambda route: route.abort())
    frames = range(6)

    for frame_index in frames:
        steps.go_to_frame(page, frame_index)
        page.evaluate(LEAVES)
        draw(page)
        page.wait_for_function("!window.isBefore")
        expect(page.get_by_label("Clip name")).to_have_value(clip["name"])

    page.unroute_all()
    page.reload()
    are_drawn(app, target, frames)


def test_what_is_drawn_before_the_journal_is_open_survives_a_reload(
    app: RunningApp, open_page: Any, two_clips: Any
) -> None:
    (clip, target), _ = two_clips
    page: Page = open_page(f"/#clip={clip['id']}", expect=UNREACHABLE)
    page.add_init_script(
        "if (!sessionStorage.getItem('answers')) IDBFactory.prototype.open = () => ({})"
    )
    page.reload()
    on_clip(page, clip)
    page.route("**/api/targets/*/masks?kind=*", lambda route: route.abort())
    page.evaluate(LEAVES)
    page.evaluate("sessionStorage.setItem('answers', 'yes')")

    draw(page)
    page.wait_for_function("!window.isBefore")
    page.unroute_all()

    are_drawn(app, target, range(1))


def test_edits_are_kept_and_taken_up_by_a_page_whose_canvas_comes_late(
    app: RunningApp, open_page: Any, two_clips: Any
) -> None:
    """The panels around it ask who is here, and may have the answer before the canvas is loaded."""
    (clip, target), _ = two_clips
    page: Page = open_page(f"/#clip={clip['id']}", expect=UNREACHABLE)
    on_clip(page, clip)
    page.on("dialog", lambda dialog: dialog.accept())
    page.route("**/api/targets/*/masks?kind=*", lambda route: route.abort())
    draw(page)
    expect(page.locator(".rs-saved")).to_have_text("not saved: 1 edit")

    late: list[Any] = []
    page.route("**/edits/the_edits.js", lambda route: late.append(route))
    with page.expect_request("**/edits/the_edits.js"):
        page.reload(wait_until="commit")
    page.wait_for_function(
        "async () => (await import(new URL('studio/shared/session.js', document.baseURI)))"
        ".session.ready"
    )
    page.unroute("**/api/targets/*/masks?kind=*")
    late.pop().continue_()

    are_drawn(app, target, range(1))


def are_drawn(app: RunningApp, target_id: int, frames: range) -> None:
    """Wait until the store holds the stroke on every frame."""
    for number in frames:
        steps.wait_until(
            functools.partial(is_drawn, app, target_id, number), f"the stroke on frame {number}"
        )


# -- processes that die ----------------------------------------------------------------------------


@pytest.fixture
def own_app(tmp_path: Path) -> Iterator[RunningApp]:
    running = start_app(tmp_path)
    yield running
    stop_app(running)


def test_strokes_made_while_the_server_is_dead_reach_the_next_one(
    own_app: RunningApp, open_browser: Any, tmp_path: Path
) -> None:
    clip, target = add_clip(own_app, disc_clip(tmp_path / "killed.mp4", frames=12), "killed")
    page = open_browser(tmp_path / "profile").new_page()
    page.goto(f"{own_app.url}/#clip={clip['id']}")
    on_clip(page, clip)
    draw(page)
    steps.saved(page)

    own_app.process.send_signal(signal.SIGKILL)
    own_app.process.wait()
    page.keyboard.press("ArrowRight")
    draw(page)
    expect(page.locator(".rs-saved")).to_have_text("not saved: 1 edit")
    port = int(own_app.url.rsplit(":", 1)[1])
    again = start_app(tmp_path, port=port)
    try:
        steps.wait_until(lambda: is_drawn(again, target, 1), "the second stroke")
        assert is_drawn(again, target, 0)
        steps.saved(page)
    finally:
        stop_app(again)


def test_after_a_lost_connection_every_target_is_read_again(
    own_app: RunningApp, open_browser: Any, tmp_path: Path
) -> None:
    """Not the selected one alone: others were drawn on by somebody else meanwhile."""
    clip, _ = add_clip(own_app, disc_clip(tmp_path / "lost.mp4", frames=12), "lost")
    other = own_app.post(f"/api/clips/{clip['id']}/targets", {"name": "not selected"})["id"]
    page = open_browser(tmp_path / "profile").new_page()
    page.goto(f"{own_app.url}/#clip={clip['id']}")
    on_clip(page, clip)

    own_app.process.send_signal(signal.SIGKILL)
    own_app.process.wait()
    with Workspace.open(own_app.workspace) as workspace:
        drawn = MaskChange("target", 0, MaskRuns.encode(disc(0)), 0)
        workspace.edits.apply(other, "stroke", "ben", [drawn])
    again = start_app(tmp_path, port=int(own_app.url.rsplit(":", 1)[1]))
    try:
        shown = """async ([target]) => {
          const { edits } = await import(
            new URL('studio/canvas/edits/the_edits.js', document.baseURI));
          return edits.frame(target, 0).target.version;
        }"""
        steps.wait_until(lambda: page.evaluate(shown, [other]) == 1, "what somebody else drew")
    finally:
        stop_app(again)


def test_what_a_dead_browser_had_not_saved_is_offered_by_the_next(
    own_app: RunningApp, open_browser: Any, tmp_path: Path
) -> None:
    clip, target = add_clip(own_app, disc_clip(tmp_path / "crashed.mp4", frames=12), "crashed")
    profile = tmp_path / "profile"
    context = open_browser(profile)
    page = context.new_page()
    page.goto(f"{own_app.url}/#clip={clip['id']}")
    on_clip(page, clip)
    page.route("**/api/targets/*/masks?kind=*", lambda route: route.abort())
    draw(page)
    expect(page.locator(".rs-saved")).to_have_text("not saved: 1 edit")
    open_browser.kill(profile)

    page = open_browser(profile).new_page()
    page.goto(f"{own_app.url}/#clip={clip['id']}")
    on_clip(page, clip)

    notice = page.locator(".rsc-unsaved")
    expect(notice).to_contain_text("1 edit of 1 clip")
    assert not is_drawn(own_app, target)
    notice.get_by_role("button", name="Save", exact=True).click()
    steps.wait_until(lambda: is_drawn(own_app, target), "the stroke")
    expect(notice).to_be_hidden()
    steps.saved(page)


class Browsers:
    """Browsers with profiles of their own, which may be killed as a crash would."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._contexts: list[Any] = []

    def __call__(self, profile: Path) -> Any:
        context = self._driver.chromium.launch_persistent_context(
            str(profile), viewport={"width": 1280, "height": 800}, **CHROMIUM
        )
        self._contexts.append(context)
        return context

    def kill(self, profile: Path) -> None:
        """End every process of the browser that has this profile, at once."""
        ours = [
            process
            for process in psutil.process_iter(["cmdline"])
            if any(str(profile) in part for part in process.info["cmdline"] or [])
        ]
        assert ours
        for process in ours:
            process.kill()
        psutil.wait_procs(ours, timeout=10)
        for name in ("SingletonLock", "SingletonCookie", "SingletonSocket"):
            (profile / name).unlink(missing_ok=True)

    def close(self) -> None:
        for context in self._contexts:
            try:
                context.close()
            except Exception:  # noqa: BLE001  # it was killed
                continue


@pytest.fixture
def open_browser(driver: Any) -> Iterator[Browsers]:
    """A way to start browsers by profile."""
    browsers = Browsers(driver)
    yield browsers
    browsers.close()
