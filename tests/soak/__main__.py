"""python -m tests.soak: work at random on a real page while processes die, and look for losses.

Two tabs of a real browser annotate small clips as fast as the machine allows; now and then the web
process, a worker or the browser is killed.  A ledger outside keeps what was made and what the pages
called saved; at the end it is held against the database, edit by edit and pixel by pixel.  Exits
with 1 if anything was lost.
"""

from __future__ import annotations

import argparse
import logging
import random
import tempfile
import time
import urllib.parse
import urllib.request
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Playwright, sync_playwright

from annotation_store import runs
from annotation_store.workspace import Workspace
from tests.journey.clips import FRAMES, HEIGHT, WIDTH, disc, disc_clip
from tests.soak.annotator import Annotator, patiently
from tests.soak.ledger import Ledger, Verdict, compare
from tests.soak.processes import Chromium, Pulse, Server

log = logging.getLogger("tests.soak")

CLIPS = 3
DRAFTED = 2  # the others get their first target from an edit
TABS = 2
SETTLING_S = 300
LEAST_EDITS = 20
IN_HAND_S = 1.0
"""What was drawn this shortly before the browser's death may not have reached its disk."""


class Soak:
    """One run: a server, a browser with two tabs, and the ledger of what they said."""

    def __init__(self, driver: Playwright, folder: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.ledger = Ledger()
        self.kills: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.errors: list[str] = []
        self.acts = 0
        self.server = Server(folder)
        self.server.start()
        self._add_clips(folder)
        self._add_draft()
        self.pulse = Pulse(self.server)
        self.chromium = Chromium(driver, folder / "profile")
        self.tabs: list[Annotator] = []
        self._open_tabs()

    def _add_clips(self, folder: Path) -> None:
        for number in range(CLIPS):
            path = disc_clip(folder / f"clip {number}.mp4", frames=FRAMES, shade=number)
            name = urllib.parse.quote(path.name)
            address = f"{self.server.url}/api/uploads?name={name}"
            request = urllib.request.Request(address, data=path.read_bytes(), method="POST")
            urllib.request.urlopen(request, timeout=30).close()
        deadline = time.monotonic() + 60
        while len(self.server.get("/api/clips")["clips"]) < CLIPS:
            assert time.monotonic() < deadline, "the clips were not imported"
            time.sleep(0.2)

    def _add_draft(self) -> None:
        """Give one clip a draft, as a segmenter that finds the disc exactly would leave it."""
        with Workspace.open(self.server.workspace) as workspace:
            target = workspace.targets.add(DRAFTED)
            expression = workspace.expressions.add(target.id, "the disc", "ana")
            draft = workspace.drafts.start(expression.id, "rem-demo", "", 0, {})
            frames = []
            for number in range(FRAMES):
                _, png = cv2.imencode(".png", np.uint8(255) * disc(number))
                frames.append((number, runs.encode(disc(number)), png.tobytes()))
            workspace.drafts.save_frames(draft.id, frames)
            workspace.drafts.finish(draft.id, "done")

    def _open_tabs(self) -> None:
        for tab in self.tabs:
            self.errors += tab.errors
            self.acts += tab.acts
        self.tabs = []
        for number in range(TABS):
            page = self.chromium.context.new_page()
            tab = Annotator(page, self.ledger, self.chance, f"tab {number}")
            self.tabs.append(tab)
            tab.arrive(f"{self.server.url}/#clip={number + 1}")

    def work(self, until: float, kill_every_s: float) -> None:
        """Annotate until a time of the monotonic clock, killing something now and then."""
        next_kill = time.monotonic() + self.chance.uniform(0.5, 1.5) * kill_every_s
        while time.monotonic() < until:
            tab = self.chance.choice(self.tabs)
            reason = patiently(tab.act)
            if reason is not None:
                self.refused[reason[:60]] += 1
            if time.monotonic() > next_kill:
                self._kill()
                next_kill = time.monotonic() + self.chance.uniform(0.5, 1.5) * kill_every_s

    def _kill(self) -> None:
        victim = self.chance.choices(["server", "worker", "browser"], [4, 4, 2])[0]
        self.kills[victim] += 1
        log.info("killing the %s", victim)
        self.ledger.tell(f"the {victim} is killed")
        if victim == "worker":
            self.server.kill_a_worker(self.chance)
        elif victim == "server":
            self.pulse.server_is(up=False)
            self.server.kill()
            for _ in range(self.chance.randint(0, 6)):  # who annotates does not stop for that
                patiently(self.chance.choice(self.tabs).act)
            self.server.start()
            self.pulse.server_is(up=True)
        else:
            self.ledger.browser_died(IN_HAND_S)  # before: killing takes its time
            self.chromium.kill()
            self.chromium.start()
            self._open_tabs()

    def settle(self) -> bool:
        """Stop working and wait until every page has saved everything; False when one does not."""
        deadline = time.monotonic() + SETTLING_S
        while time.monotonic() < deadline:
            if self._is_idle() and all(self._is_settled(number) for number in range(TABS)):
                for tab in self.tabs:
                    for clip in range(1, CLIPS + 1):
                        tab.note_the_end(clip)
                    self.errors += tab.errors
                    self.acts += tab.acts
                return True
            time.sleep(0.5)
        return False

    def _is_idle(self) -> bool:
        """Whether no job writes masks any more: what a page shows then is to be the newest."""
        jobs = self.server.get("/api/jobs")["jobs"]
        return not any(job["state"] in ("queued", "running", "paused") for job in jobs)

    def _is_settled(self, number: int) -> bool:
        """Whether a tab has saved everything; one that could not be reloaded is opened again."""
        tab = self.tabs[number]
        tab.page.bring_to_front()
        patiently(lambda: tab.page.evaluate("() => window.soak.edits.recovery.look()"))
        if patiently(tab.see_to_problems) is not None:
            patiently(lambda: tab.arrive(f"{self.server.url}/#clip={number + 1}"))
            return False
        return tab.is_saved


def report(soak: Soak, verdict: Verdict, settled: bool, begun: dict[str, float]) -> None:
    """Print the run's figures."""
    ledger = soak.ledger
    ended = soak.server.memory() | {"browser": soak.chromium.memory()}
    print(f"acts on the page          {soak.acts}")
    print(f"edits made                {len(ledger.made)}  {dict(Counter(ledger.made.values()))}")
    print(f"acknowledged              {len(ledger.acknowledged)}")
    print(f"given up by the person    {len(ledger.given_up)}")
    print(f"in hand at a browser's death  {len(ledger.in_hand)}")
    print(f"undo and redo gone with a browser  {len(ledger.orders)}")
    print(f"kills                     {soak.kills.total()}  {dict(soak.kills)}")
    print(f"masks called saved        {len(ledger.claims)}")
    print(f"lost                      {len(verdict.lost)}  {verdict.lost[:5]}")
    print(f"shown as saved, not stored  {len(verdict.claimed_not_stored)}")
    for claim in verdict.claimed_not_stored[:5]:
        print(f"    {claim.target_id} {claim.layer} {claim.frame_index} v{claim.version}")
    print(f"strokes held pixel by pixel  {verdict.strokes_held}, wrong {len(verdict.overdrawn)}")
    print(f"shown at the end, not the newest  {len(verdict.outdated)}")
    for claim in verdict.outdated[:5]:
        print(f"    {claim.target_id} {claim.layer} {claim.frame_index} v{claim.version}")
    kinds = dict(Counter(ledger.made[name] for name in verdict.unsettled))
    print(f"neither saved nor given up  {len(verdict.unsettled)}  {kinds}")
    for name in verdict.unsettled[:12]:
        print(f"    {ledger.story_of(name)}")
    print(f"everything saved at the end  {'yes' if settled else 'NO'}")
    print(f"acts the page could not do  {soak.refused.total()}  {soak.refused.most_common(4)}")
    print(f"page errors               {len(soak.errors)}  {soak.errors[:3]}")
    print(f"refused by the server     {len(soak.pulse.refusals)}  {soak.pulse.refusals[:3]}")
    print(f"longest without an answer  {soak.pulse.longest_s:.1f} s")
    for name, before in begun.items():
        print(f"memory of {name:<8}        {before:.0f} -> {ended[name]:.0f} MiB")


def main() -> int:
    """Run, report, and say by the exit status whether anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long to work")
    parser.add_argument("--seed", type=int, default=1, help="of what is done, and when")
    parser.add_argument("--kill-every", type=float, default=15.0, help="seconds between kills")
    wanted = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        with sync_playwright() as driver:
            soak = Soak(driver, Path(folder), wanted.seed)
            soak.pulse.start()
            begun = soak.server.memory() | {"browser": soak.chromium.memory()}
            soak.work(time.monotonic() + 60 * wanted.minutes, wanted.kill_every)
            settled = soak.settle()
            soak.pulse.end()
            database = soak.server.workspace / "refscribe.sqlite"
            verdict = compare(soak.ledger, database, (HEIGHT, WIDTH))
            report(soak, verdict, settled, begun)
            soak.chromium.context.close()
        soak.server.stop()
    seen = min(len(soak.ledger.acknowledged), len(soak.ledger.claims), verdict.strokes_held)
    if seen < LEAST_EDITS or not soak.ledger.last:
        print("Too little was done to say anything.")
        return 1
    return 0 if verdict.is_good and settled and not soak.errors else 1


if __name__ == "__main__":
    raise SystemExit(main())
