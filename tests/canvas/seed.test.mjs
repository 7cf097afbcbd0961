import assert from "node:assert/strict";
import { test } from "node:test";

import { HIGHEST_SEED, readSeed } from "../../app/components/studio/seed.js";

test("a seed is a whole number that every model takes", () => {
  assert.deepEqual(readSeed(7), { seed: 7, problem: "" });
  assert.deepEqual(readSeed(" 7 "), { seed: 7, problem: "" });
  assert.deepEqual(readSeed(null), { seed: 0, problem: "" });
  assert.equal(readSeed(HIGHEST_SEED).seed, HIGHEST_SEED);
});

test("what is no seed is said with what was expected", () => {
  for (const typed of [HIGHEST_SEED + 1, 2 ** 64, -1, 1.5, "seven", NaN, Infinity]) {
    const { seed, problem } = readSeed(typed);
    assert.equal(seed, null);
    assert.match(problem, /Expected a whole number from 0 to 2147483647, got /);
  }
});
