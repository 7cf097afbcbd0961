import assert from "node:assert/strict";
import { test } from "node:test";

import { Places } from "../../app/components/shared/places.js";

class Shelf {
  written = [];
  kept = new Map();
  getItem(key) {
    return this.kept.get(key) ?? null;
  }
  setItem(key, value) {
    this.written.push(key);
    this.kept.set(key, value);
  }
}

test("a place is known at once and written once for many changes", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const shelf = new Shelf();
  const places = new Places(shelf, new EventTarget());
  for (let frame = 0; frame < 100; frame++) places.remember(7, { frame });
  assert.deepEqual(places.recall(7), { frame: 99 });
  assert.equal(shelf.written.length, 0);
  t.mock.timers.tick(1000);
  assert.equal(shelf.written.length, 1);
  assert.deepEqual(new Places(shelf, new EventTarget()).recall(7), { frame: 99 });
});

test("leaving the page, or for another clip, loses nothing", () => {
  const shelf = new Shelf();
  const page = new EventTarget();
  const places = new Places(shelf, page);
  places.remember(1, { frame: 5 });
  places.remember(2, { frame: 6 });
  page.dispatchEvent(new Event("pagehide"));
  const later = new Places(shelf, new EventTarget());
  assert.deepEqual([later.recall(1), later.recall(2)], [{ frame: 5 }, { frame: 6 }]);
});

test("what cannot be read or written is no place, and no error", () => {
  const broken = {
    getItem: () => "not json",
    setItem() {
      throw new Error("full");
    },
  };
  const page = new EventTarget();
  const places = new Places(broken, page);
  places.remember(1, { frame: 5 });
  page.dispatchEvent(new Event("pagehide"));
  assert.deepEqual(places.recall(1), {});
});
