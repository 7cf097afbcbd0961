import assert from "node:assert/strict";
import { test } from "node:test";

import { compose } from "../../app/components/canvas/compose.js";
import { touchLine } from "../../app/components/canvas/brush.js";
import { decodeLayer } from "../../app/components/canvas/overlay.js";

const SIZE = { width: 40, height: 30 };
const WHOLE = { left: 0, top: 0, right: 40, bottom: 30 };
const PINK = [230, 0, 126];
const YELLOW = [245, 196, 0];
const STYLE = { opacity: 0.5, grain: 1 };

function disc(x, y, radius) {
  const pixels = new Uint8Array(SIZE.width * SIZE.height);
  touchLine(pixels, SIZE, { x, y }, { x, y }, radius);
  return pixels;
}
function composed(layers, rect = WHOLE, style = STYLE) {
  const words = new Uint32Array((rect.right - rect.left) * (rect.bottom - rect.top));
  compose(words, SIZE, rect, layers, style);
  return words;
}
const rgba = (word) => [word & 255, (word >>> 8) & 255, (word >>> 16) & 255, word >>> 24];
const at = (words, x, y) => rgba(words[y * SIZE.width + x]);

test("a target is tinted inside, outlined at its edge, and clear elsewhere", () => {
  const words = composed([{ pixels: disc(20, 15, 8), colour: PINK, manner: "fill" }]);

  assert.deepEqual(at(words, 20, 15), [230, 0, 126, 128]);
  assert.ok(at(words, 12, 15)[3] > 200, "the edge is nearly opaque");
  assert.equal(at(words, 2, 2)[3], 0);
});

test("Ignore has stripes, so that it reads without colour", () => {
  const words = composed([{ pixels: disc(20, 15, 12), colour: YELLOW, manner: "hatch" }]);

  const alphas = new Set(Array.from({ length: 16 }, (_, step) => at(words, 14 + step, 15)[3]));
  assert.equal(alphas.size, 2);
});

test("a preview is a broken line without a fill", () => {
  const words = composed([{ pixels: disc(20, 15, 10), colour: PINK, manner: "dashed" }]);

  assert.equal(at(words, 20, 15)[3], 0);
  const alphas = [...words].map((word) => word >>> 24);
  assert.ok(alphas.some((alpha) => alpha > 200));
});

test("the frame's own border is no outline", () => {
  const pixels = new Uint8Array(SIZE.width * SIZE.height).fill(1);

  const words = composed([{ pixels, colour: PINK, manner: "fill" }]);

  assert.deepEqual(
    new Set(words),
    new Set([at(words, 5, 5)].map(([r, g, b, a]) => ((a << 24) | (b << 16) | (g << 8) | r) >>> 0)),
  );
});

test("a part composed alone equals that part of the whole", () => {
  const layers = [
    { pixels: disc(15, 12, 9), colour: PINK, manner: "fill" },
    { pixels: disc(24, 18, 7), colour: YELLOW, manner: "hatch" },
  ];
  const rect = { left: 11, top: 7, right: 29, bottom: 22 };
  for (const grain of [1, 2, 3]) {
    const whole = composed(layers, WHOLE, { opacity: 0.4, grain });
    const part = composed(layers, rect, { opacity: 0.4, grain });

    for (let y = rect.top; y < rect.bottom; y++) {
      for (let x = rect.left; x < rect.right; x++) {
        assert.equal(part[(y - rect.top) * 18 + x - rect.left], whole[y * SIZE.width + x]);
      }
    }
  }
});

test("only the first, only the second and both read without colour", () => {
  const pixels = disc(20, 15, 12);
  const alphas = (manner, dx, dy) => {
    const words = composed([{ pixels, colour: PINK, manner }]);
    return new Set(
      Array.from({ length: 9 }, (_, step) => at(words, 16 + dx * step, 11 + dy * step)[3]),
    );
  };

  assert.deepEqual([alphas("rows", 1, 0).size, alphas("rows", 0, 1).size], [1, 2]);
  assert.deepEqual([alphas("columns", 1, 0).size, alphas("columns", 0, 1).size], [2, 1]);
  assert.deepEqual([alphas("shared", 1, 0).size, alphas("shared", 0, 1).size], [1, 1]);
});

test("outlines of different runs are broken differently, and can be wider", () => {
  const pixels = disc(20, 15, 12);
  const drawn = (dash, wide = 1) =>
    composed([{ pixels, colour: PINK, manner: "line", dash, wide }]).filter((word) => word).length;

  const [whole, ...broken] = [0, 1, 2, 3].map((dash) => drawn(dash));
  for (const count of broken) assert.ok(count < whole && count > 0.2 * whole);
  assert.ok(drawn(0, 2) > 1.7 * whole);
});

test("what two runs share, and what only one has, is taken apart", () => {
  const size = { width: 4, height: 1 };
  const runs = (...lengths) => Uint32Array.from(lengths);
  const [first, second] = [{ runs: runs(0, 3, 1) }, { runs: runs(2, 2) }];
  const decoded = (source) => [...decodeLayer(source, size, new Uint8Array(4), new Uint8Array(4))];

  assert.deepEqual(decoded({ ...first, minus: second }), [1, 1, 0, 0]);
  assert.deepEqual(decoded({ ...second, minus: first }), [0, 0, 0, 1]);
  assert.deepEqual(decoded({ ...first, both: second }), [0, 0, 1, 0]);
  assert.deepEqual(
    decoded({ ...first, both: { pixels: Uint8Array.from([0, 1, 0, 1]) } }),
    [0, 1, 0, 0],
  );
});
