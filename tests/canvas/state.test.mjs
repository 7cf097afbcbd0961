import assert from "node:assert/strict";
import { test } from "node:test";

import {
  arrived,
  clickNear,
  emptyFrame,
  isVerified,
  pendingStrokes,
  shownClicks,
  stateName,
  willBeVerified,
  willHaveMask,
} from "../../app/components/canvas/edits/state.js";

const FRAME = 57;
const HERE = { x: 10, y: 20, positive: true };
const THERE = { x: 90, y: 20, positive: false };

function mask(version, { layer = "target", clicks = [], origin = "click", verified = false } = {}) {
  return {
    frameIndex: FRAME,
    layer,
    version,
    verified,
    origin,
    clicks,
    runs: Uint32Array.from([version, 1]),
  };
}
const clicks = (...placed) => ({ kind: "clicks", clicks: placed });
const stroke = (layer = "target") => ({ kind: "stroke", layer, value: 1 });
const verify = (verified, empty = false) => ({ kind: "verify", verified, empty });
const stored = (...masks) => masks.reduce(arrived, emptyFrame(FRAME));
const waiting = (state, ...queue) => ({ ...state, queue });

test("a slow reply never overwrites a newer mask", () => {
  const newer = stored(mask(4));

  const same = arrived(newer, mask(3));

  assert.equal(same, newer);
  assert.equal(same.target.version, 4);
});

test("the layers have versions of their own", () => {
  const state = stored(mask(4), mask(1, { layer: "ignore" }));

  assert.equal(state.target.version, 4);
  assert.equal(state.ignore.version, 1);
});

test("clicks show at once, and a stroke on the target begins a new series", () => {
  const state = stored(mask(2, { clicks: [HERE] }));

  assert.deepEqual(shownClicks(state), [HERE]);
  assert.deepEqual(shownClicks(waiting(state, clicks(HERE, THERE))), [HERE, THERE]);
  assert.deepEqual(shownClicks(waiting(state, stroke())), []);
  assert.deepEqual(shownClicks(waiting(state, stroke("ignore"))), [HERE]);
  assert.deepEqual(shownClicks(waiting(state, clicks(HERE), verify(true))), [HERE]);
});

test("only strokes of the layer are laid over its mask", () => {
  const state = waiting(stored(mask(1)), stroke(), clicks(HERE), stroke("ignore"));

  assert.equal(pendingStrokes(state, "target").length, 1);
  assert.equal(pendingStrokes(state, "ignore").length, 1);
});

test("a frame with an edit on its way is not verified yet, also where verifying is that edit", () => {
  const verified = stored(mask(3, { verified: true, origin: "verify" }));

  assert.equal(isVerified(verified), true);
  assert.equal(isVerified(waiting(verified, stroke())), false);
  assert.equal(isVerified(waiting(stored(mask(1)), verify(true))), false);
});

test("what verifying would take back is what was asked for last, done or not", () => {
  const state = stored(mask(1));

  assert.equal(willBeVerified(waiting(state, verify(true))), true);
  assert.equal(willBeVerified(waiting(state, verify(true), verify(false))), false);
  assert.equal(willBeVerified(waiting(state, verify(true), stroke())), false);
});

test("a mask on its way counts as one, and one that is being cleared does not", () => {
  assert.equal(willHaveMask(emptyFrame(FRAME)), false);
  assert.equal(willHaveMask(waiting(emptyFrame(FRAME), clicks(HERE))), true);
  assert.equal(willHaveMask(waiting(emptyFrame(FRAME), stroke("ignore"))), false);
  assert.equal(willHaveMask(waiting(stored(mask(1)), { kind: "clear" })), false);
  assert.equal(willHaveMask(waiting(stored(mask(1)), { kind: "clear" }, stroke())), true);
});

test("the timeline's states follow where the mask came from", () => {
  const from = (origin, extra = {}) => stateName(stored(mask(1, { origin, ...extra })));

  assert.equal(stateName(emptyFrame(FRAME)), "none");
  assert.equal(from("draft"), "draft");
  assert.equal(from("propagation"), "propagation");
  assert.equal(from("click"), "edited");
  assert.equal(from("clear"), "none");
  assert.equal(from("verify", { verified: true }), "verified");
  assert.equal(stateName(waiting(emptyFrame(FRAME), stroke())), "edited");
});

test("the nearest click within reach is found", () => {
  assert.equal(clickNear([HERE, THERE], { x: 13, y: 20 }, 5), 0);
  assert.equal(clickNear([HERE, THERE], { x: 89, y: 21 }, 5), 1);
  assert.equal(clickNear([HERE, THERE], { x: 50, y: 20 }, 5), -1);
});
