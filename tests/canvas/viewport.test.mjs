import assert from "node:assert/strict";
import { test } from "node:test";

import {
  MAX_SCALE,
  MIN_SCALE,
  fit,
  grainOf,
  isInside,
  panBy,
  pointerToStage,
  resized,
  toImage,
  toStage,
  zoomAt,
} from "../../app/components/canvas/viewport.js";

const IMAGE = { width: 1280, height: 720 };
const STAGE = { width: 768, height: 600 };
const near = (actual, expected) =>
  assert.ok(Math.abs(actual - expected) < 1e-9, `${actual} != ${expected}`);

test("fitting shows the whole frame in the middle", () => {
  const viewport = fit(IMAGE, STAGE, 8);

  near(viewport.scale, 752 / 1280);
  near(viewport.left, 8);
  near(viewport.top, (600 - 720 * (752 / 1280)) / 2);
});

test("a point goes to the stage and back unchanged", () => {
  const viewport = { scale: 3.7, left: -912.25, top: 41.5 };

  const back = toImage(viewport, toStage(viewport, { x: 613.25, y: 77.5 }));

  near(back.x, 613.25);
  near(back.y, 77.5);
});

test("zooming holds still what is under the cursor, up to the limits", () => {
  const cursor = { x: 200, y: 333 };
  let viewport = fit(IMAGE, STAGE);
  const held = toImage(viewport, cursor);

  for (const factor of [1.3, 4, 100, 0.001, 7]) {
    viewport = zoomAt(viewport, cursor, factor);
    near(toImage(viewport, cursor).x, held.x);
    near(toImage(viewport, cursor).y, held.y);
    assert.ok(viewport.scale <= MAX_SCALE && viewport.scale >= MIN_SCALE);
  }
});

test("the frame cannot be lost by panning", () => {
  const viewport = panBy(fit(IMAGE, STAGE), -1e6, 1e6, IMAGE, STAGE);

  const corner = toStage(viewport, { x: IMAGE.width, y: 0 });
  assert.ok(corner.x > 0);
  assert.ok(corner.y < STAGE.height);
});

test("a stage that grows keeps its middle", () => {
  const before = { scale: 2, left: -300, top: -200 };
  const larger = { width: 1000, height: 700 };

  const after = resized(before, STAGE, larger);

  assert.deepEqual(
    toImage(after, { x: 500, y: 350 }),
    toImage(before, { x: STAGE.width / 2, y: STAGE.height / 2 }),
  );
});

test("a pointer is placed by the rectangle of the moment, scaled pages included", () => {
  const rect = { left: 120, top: -340, width: 384, height: 300 }; // half size, page scrolled down

  assert.deepEqual(pointerToStage({ clientX: 312, clientY: -190 }, rect, STAGE), {
    x: 384,
    y: 300,
  });
});

test("the right and bottom edges are outside the frame", () => {
  assert.equal(isInside({ x: 0, y: 0 }, IMAGE), true);
  assert.equal(isInside({ x: 1279.9, y: 719.9 }, IMAGE), true);
  assert.equal(isInside({ x: 1280, y: 10 }, IMAGE), false);
  assert.equal(isInside({ x: 10, y: -0.1 }, IMAGE), false);
});

test("outlines grow thicker as the frame is shown smaller", () => {
  assert.deepEqual([8, 1, 0.6, 0.3, 0.05].map(grainOf), [1, 1, 2, 3, 4]);
});
