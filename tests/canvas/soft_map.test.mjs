import assert from "node:assert/strict";
import { test } from "node:test";

import { thresholdSoftMap } from "../../app/components/canvas/soft_map.js";

test("a map of the frame's own size is only cut", () => {
  const map = { width: 3, height: 2, values: Uint8Array.from([0, 127, 128, 255, 10, 200]) };

  const pixels = thresholdSoftMap(map, { width: 3, height: 2 }, 0.5);

  assert.deepEqual([...pixels], [0, 0, 1, 1, 0, 1]);
});

test("resizing is bilinear between pixel centres and repeats the edges", () => {
  const map = { width: 2, height: 1, values: Uint8Array.from([0, 200]) };
  // Along x: 0, 50, 150, 200, by hand.
  const cutAt = (value) => [...thresholdSoftMap(map, { width: 4, height: 1 }, value / 255)];

  assert.deepEqual(cutAt(49), [0, 1, 1, 1]);
  assert.deepEqual(cutAt(51), [0, 0, 1, 1]);
  assert.deepEqual(cutAt(149), [0, 0, 1, 1]);
  assert.deepEqual(cutAt(151), [0, 0, 0, 1]);
});

test("rows and columns are not confused", () => {
  const map = { width: 1, height: 2, values: Uint8Array.from([0, 255]) };

  const pixels = thresholdSoftMap(map, { width: 3, height: 2 }, 0.5);

  assert.deepEqual([...pixels], [0, 0, 0, 1, 1, 1]);
});

test("a higher threshold never adds a pixel", () => {
  const values = Uint8Array.from({ length: 7 * 5 }, (_, at) => (at * 67) % 256);
  const size = { width: 31, height: 18 };
  let before = thresholdSoftMap({ width: 7, height: 5, values }, size, 0);

  for (const threshold of [0.2, 0.5, 0.9]) {
    const now = thresholdSoftMap({ width: 7, height: 5, values }, size, threshold);
    assert.ok(now.every((set, at) => set <= before[at]));
    before = now;
  }
});
