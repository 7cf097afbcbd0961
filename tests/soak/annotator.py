"""Somebody who annotates fast and at random, through a real page."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from playwright.sync_api import Error, Page

from tests.journey import steps
from tests.journey.clips import FRAMES, HEIGHT, WIDTH
from tests.soak.ledger import Ledger

SIZE = (HEIGHT, WIDTH)

# Run in every page of the tab: the browser loads a page anew by itself when a server is back.
WATCH_QUEUE = """(async () => {
  // Not before the page has loaded its modules in its own time.
  while (!document.querySelector('.rsc-counter')) await new Promise((r) => setTimeout(r, 20));
  const { edits } = await import(new URL('studio/canvas/edits/the_edits.js', document.baseURI));
  const { session } = await import(new URL('studio/shared/session.js', document.baseURI));
  let before = new Map();
  const facts = ({ id, kind, layer, value, touched, first }) =>
    kind === 'stroke'
      ? { id, kind, layer, value, frame: first, touched: [...touched] }
      : { id, kind };
  const look = () => {
    const now = new Map(edits.waiting.map((edit) => [edit.id, edit]));
    const made = [...now.values()].filter(({ id }) => !before.has(id));
    const gone = [...before.values()].filter(({ id }) => !now.has(id));
    before = now;
    if (made.length) window.tellSoak('made', made.map(facts));
    if (gone.length) window.tellSoak('gone', gone.map(facts));
  };
  edits.addEventListener('queue', look);
  edits.addEventListener('given-up', ({ detail }) =>
    window.tellSoak('given-up', detail.edits.map(facts)));
  look();
  window.soak = { edits, session };
})()"""

SHOWN = """() => {
  const { edits, session } = window.soak;
  const said = document.querySelector('.rs-saved')?.dataset.state ?? '';
  const opened = session.clip?.targets.every(({ id }) => edits.isLoaded(id));
  if (!['saved', ''].includes(said) || edits.waiting.length || !opened) return [];
  return session.clip.targets.flatMap(({ id }) =>
    [...edits.frames(id)].flatMap(([frame, state]) =>
      [state.target, state.ignore]
        .filter(({ version }) => version > 0)
        .map(({ layer, version, verified, runs }) => ({
          target_id: id, layer, frame_index: frame, version, verified, runs: [...runs],
        }))));
}"""


class Annotator:
    """One tab and the hand that works in it."""

    def __init__(self, page: Page, ledger: Ledger, chance: random.Random, name: str) -> None:
        self.page = page
        self.name = name
        self.errors: list[str] = []
        self.acts = 0
        self._ledger = ledger
        self._chance = chance
        page.set_default_timeout(5_000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())
        page.expose_function("tellSoak", ledger.hear)
        page.add_init_script(WATCH_QUEUE)

    def arrive(self, address: str) -> None:
        """Open the page, as it is opened in the morning."""
        self.page.goto(address, timeout=60_000)
        self._settle_in()

    def _settle_in(self) -> None:
        self.page.wait_for_function("() => Boolean(window.soak)", timeout=60_000)

    @property
    def is_saved(self) -> bool:
        """Whether the page says that everything is saved, or has had nothing to save."""
        return bool(
            self.page.evaluate(
                "() => window.soak.edits.waiting.length === 0"
                " && window.soak.edits.recovery.offered.length === 0"
            )
        )

    def act(self) -> None:
        """Do one thing; what the page cannot do just now is left."""
        acts: list[tuple[int, Callable[[], None]]] = [
            (30, self._stroke),
            (8, self._click),
            (14, self._step),
            (8, self._verify),
            (7, lambda: self.page.keyboard.press("z")),
            (4, lambda: self.page.keyboard.press("Shift+Z")),
            (8, self._other_clip),
            (5, self._layer),
            (2, self._reload),
            (2, self._offline),
            (2, self._absent),
            (5, lambda: self.page.keyboard.press("m")),
            (3, lambda: self.page.keyboard.press("g")),
            (2, self._clear),
            (3, self._accept),
            (3, self._other_target),
            (1, self._propagate),
            (1, self._other_engine),
            (10, self.see_to_problems),
            (8, self.note_what_is_saved),
        ]
        weights = [weight for weight, _ in acts]
        ((_, act),) = self._chance.choices(acts, weights)
        self.acts += 1
        self.page.bring_to_front()  # a browser hardly paints a tab nobody looks at
        act()

    def _point(self) -> tuple[float, float]:
        return self._chance.uniform(5, WIDTH - 5), self._chance.uniform(5, HEIGHT - 5)

    def _stroke(self) -> None:
        self.page.keyboard.press(self._chance.choice("bbbel"))
        points = [self._point() for _ in range(self._chance.randint(2, 4))]
        steps.drag(self.page, SIZE, *points)

    def _click(self) -> None:
        self.page.keyboard.press(self._chance.choice("112"))
        for _ in range(self._chance.randint(1, 2)):
            self.page.mouse.click(*steps.screen_point(self.page, *self._point(), SIZE))

    def _step(self) -> None:
        for _ in range(self._chance.randint(1, 3)):
            self.page.keyboard.press(self._chance.choice(["ArrowRight", "ArrowLeft"]))
        if self._chance.random() < 0.1:
            self.page.keyboard.press(self._chance.choice(["Home", "End"]))

    def _verify(self) -> None:
        self.page.keyboard.press("Shift+V" if self._chance.random() < 0.2 else "v")

    def _other_clip(self) -> None:
        self.page.keyboard.press(self._chance.choice(["PageDown", "PageUp"]))

    def _layer(self) -> None:
        self.page.keyboard.press("b")
        self.page.keyboard.press("Tab")

    def _absent(self) -> None:
        self._few_frames()
        steps.tab(self.page, "Review")
        self.page.locator(".rs-review button", has_text="Absent").click()

    def _clear(self) -> None:
        self._few_frames()
        steps.tab(self.page, "Review")
        buttons = self.page.locator(".rs-repair .rs-row").last.get_by_role("button")
        self._chance.choice([buttons.first, buttons.last]).click()

    def _accept(self) -> None:
        """Accept the draft of the one clip that has one."""
        steps.tab(self.page, "Draft")
        draft = self.page.locator(".rs-draft")
        if not draft.count():
            return
        if not draft.get_by_role("button", name="Accept all").is_visible():
            draft.locator(".rs-draft-show").click()
        self._few_frames()
        draft.locator(".rs-overwrite").set_checked(self._chance.random() < 0.5)
        which = self._chance.choice([".rs-primary", ".rs-accept-range", ".rs-accept-range"])
        draft.locator(which).click()

    def _few_frames(self) -> None:
        self.page.keyboard.press("[")
        for _ in range(self._chance.randint(1, 3)):
            self.page.keyboard.press("ArrowRight")
        self.page.keyboard.press("]")

    def _other_target(self) -> None:
        """Work on the clip's other target, which is made where it has but one."""
        targets = self.page.evaluate(
            "() => window.soak.session.clip?.targets.map(({ id }) => id) ?? []"
        )
        if len(targets) > 1:
            chosen = self._chance.choice(targets)
            self.page.evaluate("(id) => window.soak.session.selectTarget(id)", chosen)
        elif targets:
            self.page.get_by_label("It refers to target").select_option("new")
            words = self.page.get_by_role("textbox", name="New expression")
            words.fill("the disc once more")
            try:
                words.press("Enter")
            finally:
                words.press("Escape")  # what is pressed next is meant for the picture

    def _propagate(self) -> None:
        self.page.keyboard.press("p")

    def _other_engine(self) -> None:
        self.page.evaluate(
            "() => { const { session } = window.soak;"
            " const ready = session.refiners.filter((each) => each.ready);"
            " session.setRefiner(ready[Math.floor(Math.random() * ready.length)].name); }"
        )

    def _reload(self) -> None:
        self._ledger.tell(f"{self.name} is reloaded")
        self.page.reload(timeout=60_000)
        self._settle_in()

    def _offline(self) -> None:
        self.page.context.set_offline(True)
        for _ in range(self._chance.randint(1, 4)):
            self._stroke()
            self._step()
        time.sleep(self._chance.uniform(0, 1.5))
        self.page.context.set_offline(False)

    def see_to_problems(self) -> None:
        """Read what the page says of edits that are not saved, and decide."""
        if not self.page.evaluate(
            "() => Boolean(window.soak.edits.problem || window.soak.edits.recovery.offered.length)"
        ):
            return
        notice = self.page.locator(".rsc-unsaved")
        save = notice.get_by_role("button", name="Save", exact=True)
        if save.is_visible():
            self._ledger.tell(f"{self.name}: Save")
            save.click()
            return
        retry = notice.get_by_role("button", name="Retry")
        if retry.is_visible() and self._chance.random() < 0.7:
            self._ledger.tell(f"{self.name}: Retry")
            retry.click()
            return
        discard = notice.get_by_role("button", name="Discard")
        if discard.is_visible():
            self._ledger.tell(f"{self.name}: Discard")
            discard.click()

    def note_what_is_saved(self) -> None:
        """Where the page says "saved", remember every mask that it shows."""
        self._ledger.claim(self.page.evaluate(SHOWN))

    def note_the_end(self, clip: int) -> None:
        """Open a clip once more; what it shows then must be the newest there is."""
        self.page.evaluate("(id) => window.soak.session.openClip(id)", clip)
        self.page.wait_for_function(
            "(id) => { const { session, edits } = window.soak;"
            " return session.clip?.clip.id === id"
            " && session.clip.targets.every((target) => edits.isLoaded(target.id)); }",
            arg=clip,
        )
        self._ledger.claim_last(self.page.evaluate(SHOWN))


def patiently(act: Callable[[], None]) -> str | None:
    """Do something on a page whose server or browser may just have died; the reason it failed."""
    try:
        act()
    except (Error, AssertionError) as error:
        return str(error).splitlines()[0]
    return None


assert FRAMES >= 12, "the clips are long enough to walk about in"
