import assert from "node:assert/strict";
import { test } from "node:test";

import { nextFrame, scores } from "../../app/components/canvas/attention.js";
import {
  frameAtX,
  rangeEndAt,
  spans,
  thumbnailPlaces,
  xOfFrame,
} from "../../app/components/canvas/timeline_layout.js";

const runs = (...lengths) => Uint32Array.from(lengths);
const frame = (mask, extra = {}) => ({ runs: mask, settled: false, ...extra });

test("every frame is under the middle of its own place", () => {
  for (const frameCount of [1, 7, 131, 2000]) {
    for (let index = 0; index < frameCount; index++) {
      assert.equal(frameAtX(xOfFrame(index, 744, frameCount), 744, frameCount), index);
    }
  }
  assert.equal(frameAtX(-20, 744, 131), 0);
  assert.equal(frameAtX(9000, 744, 131), 130);
});

test("neighbouring frames of one state are one span", () => {
  assert.deepEqual(spans(["none", "draft", "draft", "verified", "draft"]), [
    { state: "none", first: 0, last: 0 },
    { state: "draft", first: 1, last: 2 },
    { state: "verified", first: 3, last: 3 },
    { state: "draft", first: 4, last: 4 },
  ]);
  assert.deepEqual(spans([]), []);
});

test("thumbnails fill the track with the tile nearest to each place", () => {
  const strip = { frames: [0, 50, 100], tileWidth: 128, tileHeight: 72 };

  const places = thumbnailPlaces(256, 36, strip, 101);

  assert.deepEqual(
    places.map(({ tile }) => tile),
    [0, 1, 1, 2],
  );
  assert.deepEqual(
    places.map(({ left, width }) => [left, width]),
    [
      [0, 64],
      [64, 64],
      [128, 64],
      [192, 64],
    ],
  );
  assert.deepEqual(thumbnailPlaces(256, 36, { frames: [], tileWidth: 0, tileHeight: 0 }, 101), []);
});

test("the ends of the range can be taken hold of", () => {
  const range = { first: 10, last: 19 };

  assert.equal(rangeEndAt(101, range, 1000, 100), "first");
  assert.equal(rangeEndAt(198, range, 1000, 100), "last");
  assert.equal(rangeEndAt(150, range, 1000, 100), null);
});

test("a sudden change and a hole are worth a look; settled frames are not", () => {
  const steady = runs(2, 8, 10);
  const wild = runs(11, 8, 1);
  const values = scores([
    frame(steady),
    frame(steady),
    frame(wild),
    frame(steady),
    frame(runs()),
    frame(steady),
    frame(wild, { settled: true }),
    frame(steady),
  ]);

  assert.equal(values[1], 0);
  assert.ok(values[2] > 0.9);
  assert.equal(values[4], 1);
  assert.equal(values[6], 0);
});

test("a mask that disagrees with the draft is worth a look", () => {
  const steady = runs(2, 8, 10);
  const values = scores([frame(steady), frame(steady, { draft: runs(12, 8) }), frame(steady)]);

  assert.ok(values[1] > 0.9);
});

test("the next frame to look at comes after this one, and round the end", () => {
  const values = [0, 0.9, 0, 0.85, 0.1, 0.95];

  assert.equal(nextFrame(values, 1), 5);
  assert.equal(nextFrame(values, 5), 1);
  assert.equal(nextFrame([0, 0, 0.01], 0), null);
});
