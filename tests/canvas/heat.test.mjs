import assert from "node:assert/strict";
import { test } from "node:test";

import { heatColour, heatWords, paintHeat } from "../../app/components/canvas/heat.js";
import { thresholdSoftMap } from "../../app/components/canvas/soft_map.js";

/** CIE lightness, 0..100, worked out apart from the code under test. */
function lightness([red, green, blue]) {
  const linear = (channel) => {
    const share = channel / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  };
  const y = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  return y > 0.008856 ? 116 * Math.cbrt(y) - 16 : 903.3 * y;
}

test("the colours grow lighter evenly from dark to bright", () => {
  const levels = Array.from({ length: 11 }, (_, step) => lightness(heatColour(step / 10)));

  assert.ok(levels[0] < 15 && levels[10] > 85);
  const steps = levels.slice(1).map((level, at) => level - levels[at]);
  const mean = (levels[10] - levels[0]) / 10;
  for (const step of steps) assert.ok(Math.abs(step - mean) < 0.45 * mean, `${steps}`);
});

test("the words hold the colours with their opacity", () => {
  const words = heatWords(0.5);
  const [red, green, blue] = heatColour(200 / 255);

  assert.equal(words.length, 256);
  assert.deepEqual(
    [words[200] & 255, (words[200] >> 8) & 255, (words[200] >> 16) & 255, words[200] >>> 24],
    [red, green, blue, 128],
  );
});

test("the line runs where the mask of the threshold ends: white inside, black outside", () => {
  const map = {
    width: 4,
    height: 3,
    values: Uint8Array.from([0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0, 0]),
  };
  const size = { width: 16, height: 9 };
  const words = new Uint32Array(16 * 9);
  const palette = heatWords(1);

  paintHeat(words, map, size, 0.4, palette);

  const mask = thresholdSoftMap(map, size, 0.4);
  let white = 0;
  for (let y = 0; y < 9; y++) {
    for (let x = 0; x < 16; x++) {
      const at = y * 16 + x;
      const beside = [x > 0 && at - 1, x < 15 && at + 1, y > 0 && at - 16, y < 8 && at + 16];
      const edge = beside.some((other) => other !== false && mask[other] !== mask[at]);
      if (edge) assert.equal(words[at], mask[at] ? 0xffffffff : 0xff000000);
      else assert.ok(palette.includes(words[at]));
      white += edge && mask[at];
    }
  }
  assert.ok(white > 4);
});

test("a map without an edge has no line", () => {
  const words = new Uint32Array(12);
  const palette = heatWords(0.7);

  paintHeat(
    words,
    { width: 2, height: 1, values: Uint8Array.from([90, 90]) },
    { width: 4, height: 3 },
    0.5,
    palette,
  );

  assert.ok(words.every((word) => word === palette[90]));
});
