import assert from "node:assert/strict";
import { test } from "node:test";

import {
  frameAtX,
  rangeEndAt,
  spans,
  thumbnailPlaces,
  xOfFrame,
} from "../../app/components/canvas/timeline_layout.js";

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
