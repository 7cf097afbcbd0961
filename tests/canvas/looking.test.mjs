import assert from "node:assert/strict";
import { test } from "node:test";

import { Readings } from "../../app/components/canvas/edits/readings.js";
import { neighbour } from "../../app/components/shared/look_list.js";

const LISTED = [7, 2, 31].map((frame) => ({ frame_index: frame }));
const mask = (version, runs, layer = "target") => ({
  layer,
  frameIndex: 4,
  version,
  runs: Uint32Array.from(runs),
});

test("the list is walked through in time, both ways, coming round", () => {
  assert.deepEqual(
    [2, 5, 31].map((from) => neighbour(LISTED, from, 1)),
    [7, 7, 2],
  );
  assert.deepEqual(
    [2, 5, 31].map((from) => neighbour(LISTED, from, -1)),
    [31, 2, 7],
  );
  assert.equal(neighbour([{ frame_index: 3 }], 3, 1), null);
  assert.equal(neighbour([], 3, -1), null);
});

test("readings follow each other round and round, each saved as a version of its own", () => {
  const readings = new Readings();
  readings.note(1, [mask(5, [0, 9]), mask(0, [3, 6]), mask(0, [6, 3])]);

  assert.deepEqual([...readings.next(1, 4, 5).runs], [3, 6]);
  readings.chosen(1, 4, 5, 6);
  assert.deepEqual([...readings.next(1, 4, 6).runs], [6, 3]);
  readings.chosen(1, 4, 6, 7);
  const first = readings.next(1, 4, 7);
  assert.deepEqual([[...first.runs], first.place, first.count], [[0, 9], 1, 3]);
});

test("a mask changed since the answer, and a sure answer, leave nothing to choose", () => {
  const readings = new Readings();
  readings.note(1, [mask(5, [0, 9]), mask(0, [3, 6])]);
  assert.equal(readings.next(1, 4, 6), null);
  assert.equal(readings.next(2, 4, 5), null);

  readings.note(1, [mask(6, [0, 9])]);
  assert.equal(readings.next(1, 4, 6), null);
});
