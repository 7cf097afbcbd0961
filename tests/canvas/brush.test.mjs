import assert from "node:assert/strict";
import { test } from "node:test";

import {
  MAX_BRUSH,
  MIN_BRUSH,
  clipped,
  grown,
  layStroke,
  stepBrush,
  touchLine,
  touchPolygon,
  union,
} from "../../app/components/canvas/brush.js";

const SIZE = { width: 9, height: 6 };
const blank = () => new Uint8Array(SIZE.width * SIZE.height);
const picture = (pixels) =>
  Array.from({ length: SIZE.height }, (_, y) =>
    [...pixels.slice(y * SIZE.width, (y + 1) * SIZE.width)]
      .map((set) => (set ? "#" : "."))
      .join(""),
  );

test("a brush touches the pixels whose centres it covers", () => {
  const touched = blank();

  touchLine(touched, SIZE, { x: 4.5, y: 2.5 }, { x: 4.5, y: 2.5 }, 1.5);

  assert.deepEqual(picture(touched), [
    ".........",
    "...###...",
    "...###...",
    "...###...",
    ".........",
    ".........",
  ]);
});

test("the smallest brush touches the one pixel it stands on", () => {
  const touched = blank();

  const rect = touchLine(touched, SIZE, { x: 6.5, y: 1.5 }, { x: 6.5, y: 1.5 }, 0.5);

  assert.equal(
    touched.reduce((sum, one) => sum + one),
    1,
  );
  assert.equal(touched[1 * SIZE.width + 6], 1);
  assert.ok(rect.left <= 6 && rect.right >= 7 && rect.top <= 1 && rect.bottom >= 2);
});

test("a fast move leaves no gaps", () => {
  const touched = blank();

  touchLine(touched, SIZE, { x: 0.5, y: 0.5 }, { x: 8.5, y: 5.5 }, 0.7);

  for (let x = 0; x < SIZE.width; x++) {
    assert.ok(
      Array.from({ length: SIZE.height }, (_, y) => touched[y * SIZE.width + x]).some(Boolean),
    );
  }
});

test("what lies outside the frame is cut, and a stroke beside it touches nothing", () => {
  const touched = blank();

  const cut = touchLine(touched, SIZE, { x: -1, y: 2 }, { x: 0.5, y: 2 }, 1.5);
  const beside = touchLine(blank(), SIZE, { x: -40, y: 2 }, { x: -30, y: 2 }, 2);

  assert.equal(cut.left, 0);
  assert.equal(beside, null);
});

test("a lasso fills its inside, and a line encloses nothing", () => {
  const touched = blank();

  const rect = touchPolygon(touched, SIZE, [
    { x: 1, y: 1 },
    { x: 7, y: 1 },
    { x: 7, y: 5 },
    { x: 1, y: 5 },
  ]);

  assert.deepEqual(rect, { left: 1, top: 1, right: 7, bottom: 5 });
  assert.deepEqual(picture(touched), [
    ".........",
    ".######..",
    ".######..",
    ".######..",
    ".######..",
    ".........",
  ]);
  assert.equal(
    touchPolygon(blank(), SIZE, [
      { x: 1, y: 1 },
      { x: 4, y: 4 },
    ]),
    null,
  );
});

test("laying a stroke paints or erases only what it touched", () => {
  const touched = blank();
  const rect = touchLine(touched, SIZE, { x: 4.5, y: 2.5 }, { x: 4.5, y: 2.5 }, 1);
  const mask = blank().fill(1);

  layStroke(mask, touched, 0, rect, SIZE.width);

  mask.forEach((set, at) => assert.equal(set, touched[at] ? 0 : 1));
});

test("a brush grows and shrinks by at least a pixel and within its limits", () => {
  assert.equal(stepBrush(3, 1), 4);
  assert.equal(stepBrush(3, -1), 2);
  assert.equal(stepBrush(MIN_BRUSH, -1), MIN_BRUSH);
  assert.equal(stepBrush(MAX_BRUSH, 1), MAX_BRUSH);
  assert.equal(stepBrush(100, 1), 115);
});

test("rectangles join, grow and are cut to the frame", () => {
  const one = { left: 1, top: 1, right: 3, bottom: 2 };

  assert.deepEqual(union(one, null), one);
  assert.deepEqual(union(one, { left: 2, top: 0, right: 8, bottom: 2 }), {
    left: 1,
    top: 0,
    right: 8,
    bottom: 2,
  });
  assert.deepEqual(grown(one, 2, SIZE), { left: 0, top: 0, right: 5, bottom: 4 });
  assert.equal(clipped({ left: 9, top: 0, right: 12, bottom: 3 }, SIZE), null);
});
