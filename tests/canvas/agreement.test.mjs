import assert from "node:assert/strict";
import { test } from "node:test";

import { Agreement, mean, similarity } from "../../app/components/canvas/agreement.js";
import { encode } from "../../app/components/canvas/edits/runs.js";

const runs = (pixels) => encode(Uint8Array.from(pixels));

test("J is the share that two masks have in common", () => {
  const first = runs([1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1]);
  const second = runs([0, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 1]);

  assert.equal(similarity(first, second), 4 / 8);
  assert.equal(similarity(first, first), 1);
  assert.equal(similarity(first, runs([0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0])), 0);
});

test("two empty masks agree", () => {
  assert.equal(similarity(runs([0, 0, 0]), runs([0, 0, 0])), 1);
});

test("Ignore counts neither as shared nor as missed", () => {
  const first = runs([1, 1, 1, 0, 0, 0]);
  const second = runs([0, 1, 1, 1, 0, 0]);

  assert.equal(similarity(first, second, runs([1, 0, 0, 0, 0, 0])), 2 / 3);
  assert.equal(similarity(first, second, runs([1, 0, 0, 1, 1, 1])), 1);
  assert.equal(similarity(first, second, runs([1, 1, 1, 1, 1, 1])), 1);
});

test("J equals a count of pixels on masks of every kind", () => {
  for (let seed = 1; seed < 60; seed++) {
    const bits = (factor) => Array.from({ length: 48 }, (_, at) => ((at * seed * factor) >> 4) & 1);
    const [first, second, ignore] = [bits(7919), bits(104729), bits(1299709)];
    const counted = first
      .map((one, at) => [one & second[at], one | second[at]])
      .filter((_, at) => !ignore[at]);
    const shared = counted.reduce((sum, [both]) => sum + both, 0);
    const union = counted.reduce((sum, [, either]) => sum + either, 0);

    const expected = union ? shared / union : 1;
    assert.equal(similarity(runs(first), runs(second), runs(ignore)), expected);
  }
});

test("a frame without one mask and one draft has no figure", () => {
  const agreement = new Agreement();
  const mask = runs([0, 1]);

  assert.equal(agreement.frame(3, mask, undefined, undefined), null);
  assert.equal(agreement.frame(3, undefined, mask, undefined), null);
  assert.equal(agreement.frame(3, mask, mask, undefined), 1);
  assert.equal(
    agreement.frame(3, mask, runs([1, 0]), undefined),
    0,
    "a new draft is compared anew",
  );
});

test("the mean leaves out frames without a figure", () => {
  assert.equal(mean([0.5, null, 1]), 0.75);
  assert.equal(mean([null]), null);
});
