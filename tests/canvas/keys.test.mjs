import assert from "node:assert/strict";
import { test } from "node:test";

import { chord, isTyping, Keys, rowFor, spell, TABLE } from "../../app/components/shared/keys.js";

/** A storage that lasts as long as the test. */
function storage() {
  const kept = new Map();
  return {
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, value) => kept.set(name, value),
  };
}

test("every name and every default key stands in the table once", () => {
  assert.equal(new Set(TABLE.map((row) => row.name)).size, TABLE.length);
  assert.equal(new Set(TABLE.map((row) => row.key)).size, TABLE.length);
});

test("a chord spells Shift for letters and named keys, not for signs that need it anyway", () => {
  assert.equal(chord({ key: "z", shiftKey: true }), "Shift+Z");
  assert.equal(chord({ key: "ArrowLeft", shiftKey: true }), "Shift+ArrowLeft");
  assert.equal(chord({ key: "?", shiftKey: true }), "?");
  assert.equal(chord({ key: " " }), "Space");
});

test("the held preview key does not change what another key means", () => {
  assert.equal(chord({ key: "b", altKey: true }), "B");
});

test("chords are spelled for people, the plus key included", () => {
  assert.equal(spell("Shift+ArrowLeft"), "Shift + Left");
  assert.equal(spell("+"), "+");
});

test("Ctrl+Z is undo beside the key of the table", () => {
  assert.equal(rowFor(TABLE, "Ctrl+Z").name, "undo");
  assert.equal(rowFor(TABLE, "Z").name, "undo");
});

test("a changed key is kept, and whoever had it gets the old one", () => {
  const kept = storage();
  const keys = new Keys(kept);

  keys.change("brush", "E");

  const again = new Keys(kept);
  assert.equal(again.keyOf("brush"), "E");
  assert.equal(again.keyOf("eraser"), "B");
  again.reset();
  assert.equal(new Keys(kept).keyOf("brush"), "B");
});

test("what the mouse does cannot be given a key, and undo keeps Ctrl+Z", () => {
  const keys = new Keys(storage());

  assert.throws(() => keys.change("pan", "K"), /mouse/);
  assert.throws(() => keys.change("brush", "Ctrl+Z"), /undo/);
});

test("a held key's handler hears press and release when a button runs it", () => {
  const keys = new Keys(storage());
  const heard = [];
  keys.on("hide", ({ down }) => heard.push(down));

  assert.equal(keys.run("hide"), true);
  assert.equal(keys.run("undo"), false);

  assert.deepEqual(heard, [true, false]);
});

test("a handler for a key that is not in the table is refused", () => {
  assert.throws(() => new Keys(storage()).on("brsh", () => {}), /no key is called "brsh"/);
});

test("letters typed into a field are text", () => {
  const field = (tagName, type) => {
    const element = { tagName, type, isContentEditable: false };
    element.closest = () => element;
    return element;
  };
  assert.equal(isTyping(field("INPUT", "text")), true);
  assert.equal(isTyping(field("TEXTAREA")), true);
  assert.equal(isTyping(field("INPUT", "range")), false);
  assert.equal(isTyping({ isContentEditable: true, closest: () => null }), true);
});
