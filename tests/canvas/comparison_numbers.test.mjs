import assert from "node:assert/strict";
import { test } from "node:test";

import { figuresAt, linesOf, strokesOf } from "../../app/components/canvas/strip_layout.js";
import { ApiError } from "../../app/components/shared/api.js";
import { readFrames, spread } from "../../app/components/studio/frame_choice.js";
import { Numbers } from "../../app/components/studio/numbers.js";
import { tableOf, written } from "../../app/components/studio/numbers_table.js";

const RUNS = [
  { key: "annotation", letter: "A", title: "Annotation", variable: "--rs-target" },
  { key: "draft:1", letter: "B", title: "REM", variable: "--rs-run-1" },
  { key: "draft:2", letter: "C", title: "VD-IT", variable: "--rs-run-2" },
];
const REPLY = {
  frame_count: 3,
  runs: [
    {
      key: "draft:1",
      j: [0.5, null, 1],
      f: [0.25, null, 1],
      mean: { j: 0.75, f: 0.625, jf: 0.6875 },
      temporal: { consistency: -0.1, consistency_absolute: 0.2 },
      iou_gap: { 1: 0.5, 5: null },
    },
    {
      key: "draft:2",
      j: [0.2, null, 0.4],
      f: [null, null, null],
      mean: { j: 0.3, f: null, jf: null },
      temporal: null,
      iou_gap: { 1: null, 5: null },
    },
  ],
  agreement: [{ a: "draft:1", b: "draft:2", j: [0.1, 0.2, null], mean: 0.15 }],
};
const UNANNOTATED = {
  ...REPLY,
  runs: REPLY.runs.map((run) => ({
    ...run,
    j: [null, null, null],
    f: [null, null, null],
    mean: null,
    temporal: null,
  })),
};

test("the strip has a line for every run with numbers, and J&F is the mean of both", () => {
  const [first, second] = linesOf(REPLY, RUNS, "j");
  assert.deepEqual(first.values, [0.5, null, 1]);
  assert.deepEqual([first.name, second.name], ["B", "C"]);
  assert.notEqual(first.dash, second.dash);

  const both = linesOf(REPLY, RUNS, "jf");
  assert.equal(both.length, 1);
  assert.deepEqual(both[0].values, [0.375, null, 1]);
  assert.deepEqual(linesOf(null, RUNS, "j"), []);
});

test("where nothing is annotated the strip shows how well the runs agree", () => {
  const [line] = linesOf(UNANNOTATED, RUNS, "j");

  assert.equal(line.name, "B–C");
  assert.deepEqual(line.values, [0.1, 0.2, null]);
});

test("a line breaks where there is no number, and one number alone is a short dash", () => {
  const strokes = strokesOf([1, 0.5, null, 0], 40, { top: 4, height: 40 });

  assert.deepEqual(strokes, [
    [
      { x: 5, y: 4 },
      { x: 15, y: 24 },
    ],
    [
      { x: 30, y: 44 },
      { x: 40, y: 44 },
    ],
  ]);
});

test("the figures of a frame are written run by run", () => {
  assert.equal(figuresAt(linesOf(REPLY, RUNS, "j"), 0), "B 0.500  C 0.200");
  assert.equal(figuresAt(linesOf(REPLY, RUNS, "j"), 1), "B –  C –");
});

test("the table has a column for every draft and a row for every number", () => {
  const { columns, rows, agreements } = tableOf(REPLY, RUNS);
  const values = Object.fromEntries(rows.map((row) => [row.name, row.values]));

  assert.deepEqual(
    columns.map(({ letter }) => letter),
    ["B", "C"],
  );
  assert.deepEqual(values.J, ["0.750", "0.300"]);
  assert.deepEqual(values["J&F"], ["0.688", "–"]);
  assert.deepEqual(values.Consistency, ["−0.100", "–"]);
  assert.deepEqual(values["J, gap 1"], ["0.500", "–"]);
  assert.deepEqual(
    agreements.map(({ name, value }) => [name, value]),
    [["B–C", "0.150"]],
  );
});

test("without an annotation there are agreements and no rows", () => {
  const { rows, annotated, agreements } = tableOf(UNANNOTATED, RUNS);

  assert.deepEqual([rows.length, annotated, agreements.length], [0, false, 1]);
  assert.equal(written(undefined), "–");
});

test("frames are spread evenly over the clip", () => {
  assert.deepEqual(spread(100, 5), [10, 30, 50, 70, 90]);
  assert.deepEqual(spread(3, 5), [0, 1, 2]);
  assert.deepEqual(spread(1, 5), [0]);
  assert.deepEqual(spread(0, 5), []);
});

test("frames are read as people write them", () => {
  assert.deepEqual(readFrames(" 20, 3-5 4;0 ", 24), { frames: [0, 3, 4, 5, 20], error: "" });
  assert.deepEqual(readFrames("  ", 24), { frames: null, error: "" });
  assert.match(readFrames("24", 24).error, /There is no frame 24: this clip's are 0 to 23/);
  assert.match(readFrames("5-3", 24).error, /no frame 5-3/);
  assert.match(readFrames("ten", 24).error, /“ten” is no frame/);
});

/** A comparison, a session and a server that answers when told to. */
function stand(runs = RUNS) {
  const asked = [];
  const api = {
    get: (path) => new Promise((resolve, reject) => asked.push({ path, resolve, reject })),
  };
  const session = Object.assign(new EventTarget(), { clip: { clip: { id: 4 } }, targetId: 7 });
  const comparison = Object.assign(new EventTarget(), {
    runs,
    numbers: { state: "none", reply: null, message: "" },
    setNumbers(numbers) {
      comparison.numbers = numbers;
    },
  });
  const numbers = new Numbers({ api, session, comparison });
  return { asked, session, comparison, numbers };
}
const settle = () => new Promise((done) => setImmediate(done));

test("numbers are asked for only while somebody looks, J first and F after it", async () => {
  const { asked, comparison, numbers } = stand();
  comparison.dispatchEvent(new Event("runs"));
  assert.equal(asked.length, 0);

  numbers.watch(true);
  assert.equal(asked[0].path, "/api/clips/4/comparison?runs=draft:1,draft:2&target=7&f=0");
  asked[0].resolve({ only: "j" });
  await settle();
  assert.deepEqual([comparison.numbers.state, comparison.numbers.reply], ["asked", { only: "j" }]);

  assert.equal(asked[1].path, "/api/clips/4/comparison?runs=draft:1,draft:2&target=7");
  asked[1].resolve(REPLY);
  await settle();
  assert.deepEqual([comparison.numbers.state, comparison.numbers.reply], ["here", REPLY]);
});

test("a late answer about other runs is not shown", async () => {
  const { asked, comparison, numbers } = stand();
  numbers.watch(true);
  comparison.runs = RUNS.slice(0, 2);
  comparison.dispatchEvent(new Event("runs"));

  asked[0].resolve(REPLY);
  await settle();
  assert.equal(comparison.numbers.reply, null);
  assert.match(asked[1].path, /runs=draft:1&target=7&f=0/);
});

test("a burst of edits of the target is one question, and the figures shown stay until then", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { asked, session, comparison, numbers } = stand();
  numbers.watch(true);
  asked[0].resolve(REPLY);
  await settle();
  asked[1].resolve(REPLY);
  await settle();
  for (let edit = 0; edit < 5; edit++) {
    session.dispatchEvent(new CustomEvent("masks", { detail: { target_id: 7, frames: [edit] } }));
  }
  session.dispatchEvent(new CustomEvent("masks", { detail: { target_id: 99, frames: [0] } }));
  assert.equal(asked.length, 2);

  t.mock.timers.tick(1000);
  assert.equal(asked.length, 3);
  assert.equal(comparison.numbers.reply, REPLY);
});

test("a refusal is kept as the server's sentence", async () => {
  const { asked, comparison, numbers } = stand();
  numbers.watch(true);
  asked[0].reject(new ApiError("This draft is gone.", { status: 404 }));
  await settle();

  assert.deepEqual(
    [comparison.numbers.state, comparison.numbers.message],
    ["failed", "This draft is gone."],
  );
});

test("J stays where F could not be counted", async () => {
  const { asked, comparison, numbers } = stand();
  numbers.watch(true);
  asked[0].resolve({ only: "j" });
  await settle();
  asked[1].reject(new ApiError("It took too long.", { status: 504 }));
  await settle();

  assert.deepEqual([comparison.numbers.state, comparison.numbers.reply], ["failed", { only: "j" }]);
});
