import assert from "node:assert/strict";
import { test } from "node:test";

import { refusal } from "../../app/components/shared/api.js";
import { waitBefore } from "../../app/components/shared/live.js";
import { pick, Session } from "../../app/components/shared/session.js";

function heard(session, type) {
  const details = [];
  session.addEventListener(type, ({ detail }) => details.push(detail));
  return details;
}

function sessionWithClip() {
  const session = new Session();
  session.clip = {
    clip: { id: 3, frame_count: 10 },
    targets: [{ id: 1, number: 1 }],
    expressions: [{ id: 5, target_id: 1, label: "A1" }],
    drafts: [{ id: 9, expression_id: 5, threshold: 0.4, frames_done: 0 }],
    revision: 1,
  };
  return session;
}

const job = (state, more = {}) => ({ id: 7, kind: "segment", clip_id: null, state, ...more });

test("a frame outside the clip is brought back inside, and said once", () => {
  const session = sessionWithClip();
  const frames = heard(session, "frame");

  session.setFrame(99);
  session.setFrame(9);

  assert.deepEqual(frames, [{ frameIndex: 9, from: "" }]);
});

test("a range set the wrong way round is turned", () => {
  const session = sessionWithClip();

  session.setRange(8, 2);

  assert.deepEqual(session.range, [2, 8]);
  session.setRange(null, null);
  assert.deepEqual(session.range, [0, 9]);
});

test("showing a draft takes over its threshold", () => {
  const session = sessionWithClip();

  session.showDraft(9);

  assert.equal(session.threshold, 0.4);
});

test("a late word about a job does not bring it back to life", () => {
  const session = new Session();

  session.hear({ type: "job", job: job("done") });
  session.hear({ type: "job", job: job("running") });

  assert.equal(session.jobs.get(7).state, "done");
  assert.deepEqual(session.runningJobs, []);
});

test("masks of another clip are not this tab's affair", () => {
  const session = sessionWithClip();
  const masks = heard(session, "masks");

  session.hear({ type: "masks", clip_id: 4, target_id: 2, frames: [1], revision: 8, tab: "other" });
  session.hear({ type: "masks", clip_id: 3, target_id: 1, frames: [1], revision: 2, tab: "other" });

  assert.equal(masks.length, 1);
  assert.equal(session.clip.revision, 2);
});

test("saved is said only when every edit and every other change is acknowledged", async () => {
  const session = new Session();
  const states = heard(session, "saved");
  let answer;

  session.setEdits({ waiting: 2, kept: 0 });
  session.noteSaved();
  session.setEdits({ waiting: 0, kept: 1 });
  session.setEdits({ waiting: 0, kept: 0 });
  const change = session.change(() => new Promise((resolve) => (answer = resolve)));
  answer();
  await change;

  assert.deepEqual(
    states.map(({ state, unsaved }) => [state, unsaved]),
    [
      ["saving", 2],
      ["saving", 2],
      ["failed", 1],
      ["saved", 0],
      ["saving", 0],
      ["saved", 0],
    ],
  );
});

test("a change that ends in an error of our own does not leave the header at saving", async () => {
  const session = new Session();
  const states = heard(session, "saved");

  await assert.rejects(session.change(() => Promise.reject(new TypeError("ours"))));

  assert.notEqual(states.at(-1).state, "saving");
});

test("what was selected stays selected while it exists", () => {
  assert.equal(pick([{ id: 1 }, { id: 2 }], 2), 2);
  assert.equal(pick([{ id: 1 }, { id: 2 }], 3), 1);
  assert.equal(pick([], 3), null);
});

test("a refusal carries the server's own sentence, and a stranger's page a general one", () => {
  const ours = refusal(409, '{"error": "Frame 3 was changed elsewhere.", "code": "stale"}');
  assert.deepEqual(
    [ours.message, ours.code, ours.status],
    ["Frame 3 was changed elsewhere.", "stale", 409],
  );

  assert.equal(refusal(502, "<html>").message, "The server answered 502.");
});

test("tries to reconnect come less and less often, but never rarer than every eight seconds", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 9].map(waitBefore), [500, 1000, 2000, 4000, 8000, 8000]);
});

test("an engine that was fetched is known to be ready without a reload", async (t) => {
  const session = new Session();
  session.refiners = [{ name: "edgetam", ready: false }];
  const asked = [];
  t.mock.method(globalThis, "fetch", async (url) => {
    asked.push(new URL(url).pathname);
    const found = { segmenters: [], refiners: [{ name: "edgetam", ready: true }] };
    return new Response(JSON.stringify(found));
  });

  session.hear({ type: "engines" });
  await new Promise((resolve) => session.addEventListener("engine", resolve, { once: true }));

  assert.equal(session.engineNamed("edgetam").ready, true);
  assert.equal(asked.length, 1);
  assert.match(asked[0], /\/api\/engines$/);
});
