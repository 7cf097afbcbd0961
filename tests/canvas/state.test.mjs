import assert from "node:assert/strict";
import { test } from "node:test";

import {
  clickNear,
  emptyFrame,
  isVerified,
  nextToSend,
  pendingStrokes,
  reduce,
  shownClicks,
  stateName,
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
const clicksEdit = (id, clicks) => ({ id, kind: "clicks", clicks });
const stroke = (id, layer = "target") => ({
  id,
  kind: "stroke",
  layer,
  value: 1,
  touched: Uint32Array.from([3, 4]),
});
const after = (...events) => events.reduce(reduce, emptyFrame(FRAME));
const edited = (edit) => ({ type: "edited", edit });

test("a slow reply never overwrites a newer mask", () => {
  const newer = after({ type: "maskArrived", mask: mask(4) });

  const same = reduce(newer, { type: "maskArrived", mask: mask(3) });

  assert.equal(same, newer);
  assert.equal(same.target.version, 4);
});

test("the layers have versions of their own", () => {
  const state = after(
    { type: "maskArrived", mask: mask(4) },
    { type: "maskArrived", mask: mask(1, { layer: "ignore" }) },
  );

  assert.equal(state.target.version, 4);
  assert.equal(state.ignore.version, 1);
});

test("edits of a frame are sent one after the other", () => {
  let state = after(edited(stroke(1)), edited(stroke(2)));
  assert.equal(nextToSend(state).id, 1);

  state = reduce(state, { type: "sending", id: 1 });
  assert.equal(nextToSend(state), null);

  state = reduce(state, { type: "saved", id: 1, masks: [mask(1)] });
  assert.equal(nextToSend(state).id, 2);
  assert.equal(state.target.version, 1);
});

test("of several fast clicks the newest set follows the one under way", () => {
  const state = after(
    edited(clicksEdit(1, [HERE])),
    { type: "sending", id: 1 },
    edited(clicksEdit(2, [HERE, THERE])),
    edited(clicksEdit(3, [HERE, THERE, HERE])),
  );

  assert.deepEqual(
    state.queue.map((edit) => edit.id),
    [1, 3],
  );
  assert.equal(shownClicks(state).length, 3);
});

test("clicks after a waiting box do not take its place: they correct what it finds", () => {
  const box = { ...clicksEdit(2, []), box: { left: 1, top: 1, right: 9, bottom: 9 } };
  const state = after(
    edited(clicksEdit(1, [HERE])),
    { type: "sending", id: 1 },
    edited(box),
    edited(clicksEdit(3, [THERE])),
  );

  assert.deepEqual(
    state.queue.map((edit) => edit.id),
    [1, 2, 3],
  );
  assert.deepEqual(shownClicks(state), [THERE]);
});

test("a click after a waiting stroke does not swallow the stroke", () => {
  const state = after(
    edited(clicksEdit(1, [HERE])),
    edited(stroke(2)),
    edited(clicksEdit(3, [THERE])),
  );

  assert.deepEqual(
    state.queue.map((edit) => edit.id),
    [1, 2, 3],
  );
});

test("clicks show at once, and a stroke on the target begins a new series", () => {
  const stored = { type: "maskArrived", mask: mask(2, { clicks: [HERE] }) };

  assert.deepEqual(shownClicks(after(stored)), [HERE]);
  assert.deepEqual(shownClicks(after(stored, edited(clicksEdit(1, [HERE, THERE])))), [HERE, THERE]);
  assert.deepEqual(shownClicks(after(stored, edited(stroke(1)))), []);
  assert.deepEqual(shownClicks(after(stored, edited(stroke(1, "ignore")))), [HERE]);
});

test("a saved stroke is the mask from then on, and is not drawn twice", () => {
  const state = after(
    edited(stroke(1)),
    { type: "sending", id: 1 },
    { type: "saved", id: 1, masks: [mask(1, { origin: "stroke" })] },
  );

  assert.deepEqual(pendingStrokes(state, "target"), []);
  assert.equal(state.target.origin, "stroke");
});

test("an own reply that is older than what arrived meanwhile leaves the newer mask", () => {
  const state = after(
    edited(clicksEdit(1, [HERE])),
    { type: "sending", id: 1 },
    { type: "maskArrived", mask: mask(7) },
    { type: "saved", id: 1, masks: [mask(6)] },
  );

  assert.equal(state.target.version, 7);
  assert.deepEqual(state.queue, []);
});

test("what could not be saved stays in hand until it is sent again or given up", () => {
  const failed = after(
    edited(stroke(1)),
    { type: "sending", id: 1 },
    { type: "failed", reason: "unreachable", message: "no answer" },
  );
  assert.equal(nextToSend(failed), null);
  assert.equal(pendingStrokes(failed, "target").length, 1);

  const again = reduce(failed, { type: "dropped", ids: [] });
  assert.equal(nextToSend(again).id, 1);

  const given = reduce(failed, { type: "dropped", ids: [1] });
  assert.deepEqual(given.queue, []);
  assert.equal(given.failure, null);
});

test("a frame with an unsaved edit is not verified any more", () => {
  const verified = after({
    type: "maskArrived",
    mask: mask(3, { verified: true, origin: "verify" }),
  });

  assert.equal(isVerified(verified), true);
  assert.equal(isVerified(reduce(verified, edited(stroke(1)))), false);
});

test("the timeline's states follow where the mask came from", () => {
  const from = (origin, extra = {}) =>
    stateName(after({ type: "maskArrived", mask: mask(1, { origin, ...extra }) }));

  assert.equal(stateName(emptyFrame(FRAME)), "none");
  assert.equal(from("draft"), "draft");
  assert.equal(from("propagation"), "propagation");
  assert.equal(from("click"), "edited");
  assert.equal(from("clear"), "none");
  assert.equal(from("verify", { verified: true }), "verified");
  assert.equal(stateName(after(edited(stroke(1)))), "edited");
});

test("an unknown event is our own mistake and is said", () => {
  assert.throws(() => reduce(emptyFrame(FRAME), { type: "maskArived" }), /maskArived/);
});

test("the nearest click within reach is found", () => {
  assert.equal(clickNear([HERE, THERE], { x: 13, y: 20 }, 5), 0);
  assert.equal(clickNear([HERE, THERE], { x: 89, y: 21 }, 5), 1);
  assert.equal(clickNear([HERE, THERE], { x: 50, y: 20 }, 5), -1);
});
