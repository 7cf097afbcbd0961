import assert from "node:assert/strict";
import { test } from "node:test";

import {
  collide,
  drawnWith,
  queued,
  resting,
  sendable,
  touches,
} from "../../app/components/canvas/edits/queue.js";

let made = 0;
const edit = (order = {}) => ({
  id: `edit ${made++}`,
  at: made,
  tried: false,
  sending: false,
  failure: null,
  clipId: 1,
  targetId: 7,
  kind: "stroke",
  first: 4,
  last: 4,
  ...order,
});
const clicks = (count, order = {}) => edit({ kind: "clicks", clicks: Array(count), ...order });
const all = (...edits) => edits.reduce((queue, each) => queued(queue, each).queue, []);

test("edits of one frame are sent one after the other, those of others beside them", () => {
  const [first, second, other] = [edit(), edit(), edit({ first: 5, last: 5 })];

  assert.deepEqual(sendable([first, second, other]), [first, other]);
  assert.deepEqual(sendable([{ ...first, sending: true }, second]), []);
});

test("an edit of a range waits for the frames in it, and they wait for it", () => {
  const range = edit({ kind: "clear", first: 3, last: 9 });
  const [inside, outside] = [edit({ first: 9, last: 9 }), edit({ first: 10, last: 10 })];

  assert.deepEqual(sendable([edit({ first: 3, last: 3, sending: true }), range]), []);
  assert.deepEqual(sendable([range, inside, outside]), [range, outside]);
});

test("undo touches the whole clip and no other", () => {
  const undo = edit({ kind: "undo", targetId: null });

  assert.ok(collide(edit({ targetId: 99, first: 70, last: 70 }), undo));
  assert.ok(!collide(edit({ clipId: 2 }), undo));
  assert.ok(!touches(undo, null, 0));
});

test("of several fast clicks the newest set takes the place of one that was never sent", () => {
  const [first, second, third] = [clicks(1, { tried: true, sending: true }), clicks(2), clicks(3)];

  const queue = all(first, second, third);

  assert.deepEqual(
    queue.map((each) => [each.id, each.clicks.length]),
    [
      [first.id, 1],
      [second.id, 3],
    ],
  );
});

test("a click behind a stroke, or behind clicks that failed, swallows neither", () => {
  const failed = clicks(1, { tried: true, failure: { reason: "stale", message: "" } });

  assert.equal(all(clicks(1), edit(), clicks(2)).length, 3);
  assert.equal(all(failed, clicks(2)).length, 2);
});

test("clicks after a waiting box do not take its place: they correct what it finds", () => {
  const box = clicks(0, { box: { left: 1, top: 1, right: 9, bottom: 9 } });

  assert.equal(all(box, clicks(1)).length, 2);
  assert.equal(all(box, clicks(0, { box: box.box })).length, 1);
});

test("what waits behind a failed edit is what was made on it, and on that", () => {
  const failed = edit({ failure: { reason: "refused", message: "" } });
  const [on, range, apart] = [edit(), edit({ first: 4, last: 6 }), edit({ first: 9, last: 9 })];
  const later = edit({ first: 6, last: 6 });
  const queue = [failed, on, range, apart, later];

  assert.deepEqual(resting(queue), [failed, on, range, later]);
  assert.deepEqual(drawnWith(queue, failed), [failed, on]);
  assert.deepEqual(sendable(queue), [apart]);
});
