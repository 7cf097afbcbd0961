import assert from "node:assert/strict";
import { test } from "node:test";

import { cutPanes, paneAt } from "../../app/components/canvas/panes.js";

const WIDE = { width: 1024, height: 576 };

test("panes are of one size, within the stage, and do not overlap", () => {
  for (let count = 1; count <= 4; count++) {
    const panes = cutPanes(count, { width: 767, height: 461 }, WIDE);

    assert.equal(panes.length, count);
    panes.forEach((pane, index) => {
      assert.deepEqual([pane.width, pane.height], [panes[0].width, panes[0].height]);
      assert.ok(pane.left + pane.width <= 767 && pane.top + pane.height <= 461);
      for (const other of panes.slice(0, index)) {
        const apart = other.left + other.width <= pane.left || other.top + other.height <= pane.top;
        assert.ok(apart);
      }
    });
  }
});

test("one pane is the whole stage", () => {
  const whole = { left: 0, top: 0, width: 800, height: 500 };

  assert.deepEqual(cutPanes(1, { width: 800, height: 500 }, WIDE), [whole]);
});

test("rows and columns are chosen so that the frame is seen largest", () => {
  const columns = (panes) => new Set(panes.map(({ left }) => left)).size;
  const tall = { width: 400, height: 900 };

  assert.equal(columns(cutPanes(2, { width: 1600, height: 500 }, WIDE)), 2);
  assert.equal(columns(cutPanes(2, { width: 700, height: 900 }, WIDE)), 1);
  assert.equal(columns(cutPanes(4, { width: 800, height: 500 }, WIDE)), 2);
  assert.equal(columns(cutPanes(3, { width: 900, height: 500 }, tall)), 3);
});

test("a point belongs to the pane under it, and in a gap to the nearer one", () => {
  const panes = cutPanes(4, { width: 802, height: 502 }, WIDE);

  assert.equal(paneAt(panes, { x: 10, y: 10 }), 0);
  assert.equal(paneAt(panes, { x: 500, y: 10 }), 1);
  assert.equal(paneAt(panes, { x: 10, y: 300 }), 2);
  assert.equal(paneAt(panes, { x: 801, y: 501 }), 3);
  assert.equal(paneAt(panes, { x: -20, y: 700 }), 2);
});
