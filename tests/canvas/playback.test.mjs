import assert from "node:assert/strict";
import { test } from "node:test";

import { Playback, frameLabel, nextSpeed, strideAt } from "../../app/components/canvas/playback.js";
import { Lru, wantedFrames } from "../../app/components/canvas/prefetch.js";

const CLIP = { first: 0, last: 130 };

test("frame n is due after n/24 of a second", () => {
  const playback = new Playback(0, CLIP, 1000);

  for (const n of [0, 1, 23, 24, 57, 130])
    assert.equal(playback.frameAt(1000 + (n * 1000) / 24), n);
});

test("playing begins where the playhead is and goes round the range", () => {
  const range = { first: 10, last: 13 };
  const at = (start, n) => new Playback(start, range, 0).frameAt((n * 1000) / 24 + 5);

  assert.deepEqual(
    [0, 1, 2, 3, 4].map((n) => at(12, n)),
    [12, 13, 10, 11, 12],
  );
  assert.equal(at(90, 0), 10, "a playhead outside the range begins at its first frame");
});

test("a change of speed makes no jump and loses no count", () => {
  const playback = new Playback(0, CLIP, 0);
  assert.equal(playback.frameAt(1000), 24);

  playback.setSpeed(0.5, 1000);

  assert.equal(playback.frameAt(1000), 24);
  assert.equal(playback.frameAt(2000), 36);
  assert.equal(playback.due, 37);
});

test("a speed beyond the display skips frames evenly and counts what can be seen", () => {
  const playback = new Playback(0, CLIP, 0, { speed: 4 });

  assert.equal(strideAt(4), 2);
  const seen = Array.from({ length: 96 }, (_, n) => playback.frameAt((n * 1000) / 96));
  assert.ok(seen.every((frame) => frame % 2 === 0));
  assert.equal(playback.due, 48);
});

test("frames are counted once each, and never more than were due", () => {
  const playback = new Playback(0, CLIP, 0);

  for (let now = 0; now < 480; now += 16) playback.countShown(playback.frameAt(now));

  assert.equal(playback.shown, 12);
  assert.equal(playback.due, 12);
});

test("60 frames a second keep step with 60 refreshes, however they jitter", () => {
  for (const pressed of [0, 4, 8, 12, 16]) {
    const playback = new Playback(0, { first: 0, last: 999 }, pressed, { speed: 2.5 });
    for (let n = 0; n < 300; n++) {
      const jitter = [0, 1.5, -1.5][n % 3];
      playback.countShown(playback.refresh(17 + (n * 1000) / 60 + jitter));
    }
    assert.equal(playback.shown, 300);
  }
});

test("a late picture is missed in the count", () => {
  const playback = new Playback(0, CLIP, 0);
  playback.countShown(playback.frameAt(0));

  playback.countShown(playback.frameAt(250));

  assert.equal(playback.shown, 2);
  assert.equal(playback.due, 7);
});

test("speeds go up and down by steps and stay within them", () => {
  assert.equal(nextSpeed(1, 1), 2);
  assert.equal(nextSpeed(0.25, -1), 0.25);
  assert.equal(nextSpeed(4, 1), 4);
});

test("frames are counted from 0 in as many digits as the clip needs", () => {
  assert.equal(frameLabel(57, 131), "057 / 131");
  assert.equal(frameLabel(7, 20), "007 / 020");
  assert.equal(frameLabel(12, 20000), "00012 / 20000");
});

test("the frame wanted comes first, then those ahead with a few behind", () => {
  const range = { first: 0, last: 130, wraps: false };

  assert.deepEqual(wantedFrames(50, 1, range, 3, 1), [50, 51, 49, 52, 53]);
  assert.deepEqual(wantedFrames(50, -1, range, 2, 1), [50, 49, 51, 48]);
  assert.deepEqual(wantedFrames(130, 1, range, 3, 1), [130, 129]);
  assert.deepEqual(wantedFrames(4, 1, range, 2, 0, 2), [4, 6, 8]);
});

test("while playing, the range's beginning follows its end", () => {
  const range = { first: 10, last: 13, wraps: true };

  assert.deepEqual(wantedFrames(12, 1, range, 3, 0), [12, 13, 10, 11]);
});

test("a cache closes what was used longest ago, and what is replaced", () => {
  const closed = [];
  const cache = new Lru(2, (value) => closed.push(value));
  cache.set(1, "one");
  cache.set(2, "two");
  cache.get(1);

  cache.set(3, "three");
  cache.set(3, "three again");
  cache.clear();

  assert.deepEqual(closed, ["two", "three", "one", "three again"]);
  assert.equal(cache.size, 0);
});
