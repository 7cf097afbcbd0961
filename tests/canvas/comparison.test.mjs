import assert from "node:assert/strict";
import { test } from "node:test";

import { captionsOf } from "../../app/components/canvas/captions.js";
import {
  Comparison,
  choicesOf,
  dressed,
  kept,
  usual,
} from "../../app/components/shared/comparison.js";

const SEGMENTERS = [
  { name: "rem-demo", title: "REM demo" },
  { name: "vdit-demo", title: "VD-IT demo" },
];
const draft = (id, more = {}) => ({
  id,
  expression_id: 1,
  expression_text: "the smoke",
  segmenter: "rem-demo",
  seed: 0,
  state: "done",
  ...more,
});
const detail = (drafts, id = 5) => ({
  clip: { id },
  expressions: [
    { id: 1, target_id: 7, label: "A1", text: "the smoke" },
    { id: 2, target_id: 7, label: "B1", text: "grey smoke" },
    { id: 3, target_id: 8, label: "A1", text: "the candle" },
  ],
  drafts,
});
const titles = (choices) => choices.map(({ title }) => title);

test("what can be compared are the annotation and the target's drafts, newest first", () => {
  const clip = detail([
    draft(4),
    draft(6, { expression_id: 3 }),
    draft(9, { segmenter: "vdit-demo", expression_id: 2 }),
  ]);

  const choices = choicesOf(clip, 7, SEGMENTERS);

  assert.deepEqual(
    choices.map(({ key }) => key),
    ["annotation", "draft:9", "draft:4"],
  );
  assert.deepEqual(titles(choices), ["Annotation", "VD-IT demo · B1", "REM demo · A1"]);
  assert.match(choices[1].full, /seed 0, draft 9: “the smoke”/);
  assert.deepEqual(choicesOf(clip, null, SEGMENTERS), []);
  assert.deepEqual(choicesOf(null, 7, SEGMENTERS), []);
});

test("runs that would be called alike are told apart by seed, or else by number", () => {
  const bySeed = choicesOf(detail([draft(1), draft(2, { seed: 5 })]), 7, SEGMENTERS);
  const byNumber = choicesOf(detail([draft(1), draft(2)]), 7, SEGMENTERS);

  assert.deepEqual(titles(bySeed).slice(1), ["REM demo · A1 · seed 5", "REM demo · A1 · seed 0"]);
  assert.deepEqual(titles(byNumber).slice(1), [
    "REM demo · A1 · draft 2",
    "REM demo · A1 · draft 1",
  ]);
});

test("picked runs that are gone fall away, and no run is compared with itself", () => {
  const choices = [{ key: "annotation" }, { key: "draft:1" }, { key: "draft:2" }];

  assert.deepEqual(kept(["draft:2", "draft:9", "draft:2", "annotation"], choices), [
    "draft:2",
    "annotation",
  ]);
});

test("until runs are picked the annotation is compared with the draft shown", () => {
  const choices = [{ key: "annotation" }, { key: "draft:3" }, { key: "draft:1" }];

  assert.deepEqual(usual(choices, 1, true), ["annotation", "draft:1"]);
  assert.deepEqual(usual(choices, null, true), []);
  assert.deepEqual(usual(choices, 1, false), ["draft:1", "draft:3"]);
  assert.deepEqual(usual(choices.slice(0, 2), 3, false), ["annotation", "draft:3"]);
});

test("the annotation keeps its colour, and drafts have theirs in order", () => {
  const choices = [
    { key: "annotation", title: "Annotation" },
    { key: "draft:3", title: "x" },
  ];

  const runs = dressed(["draft:3", "annotation"], choices);

  assert.deepEqual(
    runs.map(({ letter, variable }) => [letter, variable]),
    [
      ["A", "--rs-run-1"],
      ["B", "--rs-target"],
    ],
  );
});

function open(drafts = [draft(1), draft(2, { seed: 1 }), draft(3, { seed: 2 })]) {
  const session = Object.assign(new EventTarget(), {
    clip: detail(drafts),
    targetId: 7,
    draftId: 3,
    segmenters: SEGMENTERS,
  });
  const comparison = new Comparison(session);
  const told = [];
  comparison.addEventListener("runs", () => told.push(comparison.runs.map(({ key }) => key)));
  const say = (type, more = {}) => session.dispatchEvent(new CustomEvent(type, { detail: more }));
  return { session, comparison, told, say };
}

test("a run put where another stood changes places with it", () => {
  const { comparison } = open();
  const keys = () => comparison.runs.map(({ key }) => key);
  comparison.put(1, "draft:1");
  assert.deepEqual(keys(), ["annotation", "draft:1"]);

  comparison.put(0, "draft:1");
  assert.deepEqual(keys(), ["draft:1", "annotation"]);

  comparison.put(2, "draft:2");
  comparison.put(3, "draft:3");
  assert.deepEqual(keys(), ["draft:1", "annotation", "draft:2", "draft:3"]);

  comparison.put(2, "");
  assert.deepEqual(keys(), ["draft:1", "annotation", "draft:3"]);
});

test("another clip begins a new comparison, a reload of the same keeps what was picked", () => {
  const { session, comparison, say } = open();
  comparison.pick(["draft:1", "draft:2"]);
  comparison.setThreshold(0.3);

  say("clip", { reopened: false });
  assert.deepEqual(
    comparison.runs.map(({ key }) => key),
    ["draft:1", "draft:2"],
  );

  session.clip = detail([draft(1), draft(3)]);
  say("clip", { reopened: false });
  assert.deepEqual(
    comparison.runs.map(({ key }) => key),
    ["annotation", "draft:3"],
  );

  session.clip = detail([draft(3)], 6);
  say("clip", { reopened: true });
  assert.equal(comparison.isPicked, false);
  assert.equal(comparison.threshold, null);
});

test("runs are told of once, when they change", () => {
  const { comparison, told, say } = open();
  say("draft");
  const before = told.length;

  say("draft");
  say("target");
  assert.equal(told.length, before);

  comparison.put(1, "draft:1");
  assert.deepEqual(told.at(-1), ["annotation", "draft:1"]);
});

const RUNS = dressed(
  ["annotation", "draft:1", "draft:2"],
  [
    { key: "annotation", title: "Annotation" },
    { key: "draft:1", title: "REM demo · A1" },
    { key: "draft:2", title: "VD-IT demo · A1" },
  ],
);
const words = (captions) => captions.map(({ entries }) => entries.map(({ text }) => text));

test("every pane and side says what it stands for", () => {
  assert.deepEqual(words(captionsOf("both", RUNS, 0)), []);
  assert.deepEqual(words(captionsOf("side", RUNS, 0)), [
    ["A Annotation"],
    ["B REM demo · A1"],
    ["C VD-IT demo · A1"],
  ]);
  assert.deepEqual(
    captionsOf("heat", RUNS, 0).map(({ pane }) => pane),
    [0, 1],
  );
  assert.deepEqual(
    captionsOf("wipe", RUNS, 0).map(({ side }) => side),
    ["left", "right"],
  );
  assert.deepEqual(words(captionsOf("flicker", RUNS, 4)), [["B REM demo · A1"]]);
});

test("differences and outlines are told apart by how they are drawn, not by colour alone", () => {
  for (const view of ["difference", "contours"]) {
    const [{ entries }] = captionsOf(view, RUNS, 0);

    assert.equal(new Set(entries.map(({ mark }) => mark)).size, 3);
  }
});
