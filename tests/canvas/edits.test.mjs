import assert from "node:assert/strict";
import { test } from "node:test";

import { shownClicks } from "../../app/components/canvas/edits/state.js";
import {
  CLIP,
  FRAME,
  OTHER_CLIP,
  OTHER_TARGET,
  Refusal,
  SIZE,
  Server,
  TARGET,
  clicks,
  gated,
  here,
  only,
  opened,
  places,
  quiet,
  saved,
  stroke,
} from "./pages.mjs";

test("strokes made faster than they are saved all arrive, each on the one before", async () => {
  const server = new Server();
  const { edits } = await opened(server);

  edits.add({ ...here, ...stroke(1) });
  edits.add({ ...here, ...stroke(2) });
  edits.add({ ...here, ...stroke(8) });
  await edits.settled(here);

  assert.deepEqual(server.places(), [1, 2, 8]);
  assert.equal(edits.frame(TARGET, FRAME).target.version, 3);
});

test("of fast clicks the first and the newest are sent, and all who asked are answered", async () => {
  const server = new Server();
  const { edits } = await opened(server);

  const asked = [1, 2, 3].map((count) => edits.add({ ...here, ...clicks(count) }));
  const answers = await Promise.all(asked);

  assert.equal(server.writes.length, 2);
  assert.deepEqual(answers, [true, true, true]);
  assert.equal(edits.frame(TARGET, FRAME).target.clicks.length, 3);
});

test("a stroke drawn while a click is under way lies on the click's mask", async () => {
  const server = new Server();
  const { edits } = await opened(server);

  edits.add({ ...here, ...clicks() }); // sets pixel 6
  edits.add({ ...here, ...stroke(0) });
  await edits.settled(here);

  assert.deepEqual(server.places(), [0, 6]);
});

test("edits of different frames do not wait for each other", async () => {
  const server = new Server();
  const { edits } = await opened(server);
  const open = gated(server);

  edits.add({ ...here, ...stroke(1) });
  edits.add({ ...here, ...stroke(2), first: 5, last: 5 });
  await quiet();

  assert.equal(server.writes.length, 2);
  open();
  await edits.settled(null);
});

// -- leaving a clip ------------------------------------------------------------------------------

test("edits that wait when another clip is opened are saved all the same", async () => {
  const server = new Server();
  const { edits, page } = await opened(server);
  const open = gated(server);
  edits.add({ ...here, ...stroke(1) });
  edits.add({ ...here, ...stroke(2) });

  await edits.open(OTHER_CLIP, [OTHER_TARGET], OTHER_TARGET);
  assert.equal(page.saved, false, "not saved is said of edits of any clip");
  open();
  await edits.settled(null);

  assert.deepEqual(server.places(), [1, 2]);
  assert.equal(page.saved, true);
});

test("a click, verified, and the next clip before the answer: all three are kept", async () => {
  const server = new Server();
  const { edits } = await opened(server);
  const open = gated(server);
  edits.add({ ...here, ...clicks() });
  edits.add({ ...here, kind: "verify", verified: true });

  await edits.open(OTHER_CLIP, [OTHER_TARGET], OTHER_TARGET);
  const next = { ...here, clipId: OTHER_CLIP, targetId: OTHER_TARGET };
  edits.add({ ...next, ...stroke(3) });
  open();
  await edits.settled(null);

  assert.deepEqual(server.places(), [6]);
  assert.ok(server.verified.has(`${TARGET}/${FRAME}`));
  assert.deepEqual(server.places(FRAME, OTHER_TARGET), [3], "and later edits are sent as ever");
});

test("an edit that failed on a clip is still said and kept when another is open", async () => {
  const server = new Server();
  const { edits } = await opened(server);
  server.put(`${TARGET}/${FRAME}/target`, only(14));
  edits.add({ ...here, ...stroke(1) });
  await quiet();

  await edits.open(OTHER_CLIP, [OTHER_TARGET], OTHER_TARGET);
  assert.equal(edits.problem.reason, "stale");
  assert.equal(edits.problem.edit.clipId, CLIP);

  edits.retry();
  await edits.settled(null);
  assert.deepEqual(server.places(), [1, 14]);
});

test("on coming back to a clip what is not saved is drawn again", async () => {
  const server = new Server();
  const { edits } = await opened(server);
  server.offline = true;
  edits.add({ ...here, ...stroke(1) });
  await quiet();
  server.offline = false;
  const open = gated(server);

  await edits.open(OTHER_CLIP, [OTHER_TARGET], OTHER_TARGET);
  await edits.open(CLIP, [TARGET], TARGET);

  assert.equal(edits.frame(TARGET, FRAME).queue.length, 1);
  open();
  edits.resume();
  await saved(edits);
  assert.deepEqual(server.places(), [1]);
});

// -- what does not get there ---------------------------------------------------------------------

test("a stroke refused as stale is kept on the newer mask until the person decides", async () => {
  const server = new Server();
  const { edits } = await opened(server);
  server.put(`${TARGET}/${FRAME}/target`, only(14));

  edits.add({ ...here, ...stroke(1) });
  await quiet();

  assert.equal(edits.problem.reason, "stale");
  assert.equal(edits.frame(TARGET, FRAME).target.version, 1, "the newer mask was read");
  assert.deepEqual(server.places(), [14], "and nothing was written over it");

  edits.retry();
  await edits.settled(here);
  assert.deepEqual(server.places(), [1, 14]);
});

test("a stale click is kept and shown until the person decides", async () => {
  const server = new Server();
  const { edits } = await opened(server);
  server.put(`${TARGET}/${FRAME}/target`, only());

  edits.add({ ...here, ...clicks() });
  await quiet();

  assert.equal(shownClicks(edits.frame(TARGET, FRAME)).length, 1);
  assert.equal(edits.problem.reason, "stale");
  await edits.discard(edits.problem.edit);
  assert.deepEqual(shownClicks(edits.frame(TARGET, FRAME)), []);
  assert.equal(edits.frame(TARGET, FRAME).target.version, 1);
});

test("what an unreachable server did not take is sent when it is back", async () => {
  const server = new Server();
  const { edits, page } = await opened(server);
  server.offline = true;

  edits.add({ ...here, ...stroke(1) });
  await quiet();
  edits.add({ ...here, ...stroke(2) });
  assert.equal(edits.problem.reason, "unreachable");
  assert.equal(edits.problem.edits, 2);
  assert.equal(edits.hasUnsaved(), true);

  server.offline = false;
  page.dispatchEvent(new CustomEvent("connection", { detail: { up: true } }));
  await saved(edits);
  assert.deepEqual(server.places(), [1, 2]);
  assert.equal(edits.hasUnsaved(), false);
});

test("an edit whose answer was lost is done once, also when it is undo", async () => {
  const server = new Server();
  const { edits } = await opened(server);
  server.losesAnswers = true;
  edits.add({ ...here, ...stroke(1) });
  await quiet();
  server.losesAnswers = false;
  edits.resume();
  await saved(edits);
  assert.equal(server.version(`${TARGET}/${FRAME}/target`), 1);
  assert.equal(edits.problem, null);

  server.losesAnswers = true;
  const undone = edits.step(CLIP, "undo");
  await quiet();
  server.losesAnswers = false;
  edits.resume();
  await undone;
  assert.equal(server.version(`${TARGET}/${FRAME}/target`), 2);
});

test("clicks placed after one that was sent go behind it: the server may have the first", async () => {
  const server = new Server();
  const { edits } = await opened(server);
  server.losesAnswers = true;
  edits.add({ ...here, ...clicks(1) });
  await quiet();
  edits.add({ ...here, ...clicks(2) });
  server.losesAnswers = false;

  edits.resume();
  await saved(edits);

  assert.equal(edits.frame(TARGET, FRAME).target.clicks.length, 2);
  assert.equal(server.version(`${TARGET}/${FRAME}/target`), 2);
});

test("a stroke the server refuses stays visible and is not sent again by itself", async () => {
  const server = new Server();
  const { edits } = await opened(server);
  server.refusal = new Refusal("The disk is full.", { status: 507 });

  edits.add({ ...here, ...stroke(1) });
  await quiet();
  const sent = server.requests.length;
  edits.resume();
  await quiet();

  assert.equal(edits.problem.message, "The disk is full.");
  assert.equal(server.requests.length, sent);
  assert.equal(edits.frame(TARGET, FRAME).queue.length, 1);

  await edits.discard(edits.problem.edit);
  assert.equal(edits.problem, null);
  assert.equal(edits.hasUnsaved(), false);
});

test("edits of a target that a colleague removed are kept and said", async () => {
  const server = new Server();
  const { edits } = await opened(server);
  server.refusal = new Refusal("There is no target 7.", { status: 404, code: "missing" });

  edits.add({ ...here, ...stroke(1) });
  await quiet();
  await edits.open(CLIP, [], null);

  assert.equal(edits.problem.reason, "gone");
  assert.equal(edits.hasUnsaved(), true);
});

// -- one after the other -------------------------------------------------------------------------

test("undo waits for what is on its way, and reads what it changed", async () => {
  const server = new Server();
  const { edits } = await opened(server);

  edits.add({ ...here, ...stroke(1) });
  const changed = await edits.step(CLIP, "undo");

  assert.match(server.writes[0], /masks\?kind=stroke/);
  assert.match(server.writes[1], /clips\/3\/undo/);
  assert.equal(changed[0].frame_index, FRAME);
  assert.equal(edits.frame(TARGET, FRAME).target.version, 2);
  assert.deepEqual(places(edits.frame(TARGET, FRAME).target.runs), []);
});

test("undo, redo and verify are asked for one after the other", async () => {
  const server = new Server();
  const { edits } = await opened(server);
  const open = gated(server);

  const done = [
    edits.step(CLIP, "undo"),
    edits.step(CLIP, "redo"),
    edits.add({ ...here, kind: "verify", verified: true }),
  ];
  await quiet();
  assert.deepEqual(server.writes, ["POST /api/clips/3/undo"], "the others wait for its masks");

  open();
  await Promise.all(done);
  assert.deepEqual(server.writes, [
    "POST /api/clips/3/undo",
    "POST /api/clips/3/redo",
    `POST /api/targets/${TARGET}/verify`,
  ]);
});

test("a stroke drawn while an undo is on its way is made on what the undo leaves", async () => {
  const server = new Server();
  const { edits } = await opened(server);

  edits.step(CLIP, "undo");
  edits.add({ ...here, ...stroke(3) });
  await edits.settled(here);

  assert.equal(edits.problem, null);
  assert.equal(server.version(`${TARGET}/${FRAME}/target`), 2);
});

test("undo with an edit that was refused says so instead of waiting for ever", async () => {
  const server = new Server();
  const { edits, page } = await opened(server);
  server.refusal = new Refusal("The disk is full.", { status: 507 });
  edits.add({ ...here, ...stroke(1) });
  await quiet();

  assert.equal(await edits.step(CLIP, "undo"), null);

  assert.match(page.notices[0], /Frame 4 is not saved/);
});

test("waiting for a place ends at once when an edit there is refused", async () => {
  const server = new Server();
  const { edits } = await opened(server);
  server.refusal = new Refusal("The disk is full.", { status: 507 });

  edits.add({ ...here, ...stroke(1) });

  assert.equal(await edits.settled(here), false);
  assert.equal(await edits.settled({ ...here, first: 9, last: 9 }), true);
});

test("an order the server refuses is told and forgotten, and holds nothing up", async () => {
  const server = new Server();
  const { edits, page } = await opened(server);
  server.refusal = new Refusal("There is no mask to clear.", { status: 422 });
  const answer = edits.add({ ...here, kind: "clear", first: 0, last: 9 });
  edits.add({ ...here, ...stroke(1) });
  assert.equal(await answer, null);
  server.refusal = null;
  edits.retry();
  await saved(edits);

  assert.ok(page.notices.includes("There is no mask to clear."));
  assert.deepEqual(server.places(), [1]);
});

test("giving up an edit leaves what was drawn on other frames to be saved", async () => {
  const server = new Server();
  const { edits } = await opened(server);
  server.refusal = new Refusal("The disk is full.", { status: 507 });
  edits.add({ ...here, ...stroke(1) });
  await quiet();
  edits.step(CLIP, "undo");
  server.refusal = null;
  edits.add({ ...here, ...stroke(2), first: 9, last: 9 });

  await edits.discard(edits.problem.edit);
  await saved(edits);

  assert.deepEqual(server.places(9), [2]);
});

test("waiting for a place behind a failure elsewhere ends, too", async () => {
  const server = new Server();
  const { edits } = await opened(server);
  server.refusal = new Refusal("The disk is full.", { status: 507 });
  edits.add({ ...here, kind: "verify", verified: true, first: 0, last: 6 });
  await quiet();
  edits.add({ ...here, ...stroke(1), first: 6, last: 6 });

  assert.equal(await edits.settled({ ...here, first: 6, last: 6 }), false);
});

test("nothing is made on masks that could not be read", async () => {
  const server = new Server();
  server.put(`${TARGET}/${FRAME}/target`, only(14));
  server.offline = true;
  const { edits } = await opened(server);
  server.offline = false;

  edits.add({ ...here, ...stroke(1) });
  await saved(edits);

  assert.deepEqual(server.places(), [1, 14]);
});

test("a click placed while an undo is on its way is made on what the undo leaves", async () => {
  const server = new Server();
  const { edits } = await opened(server);
  await edits.add({ ...here, ...clicks() });
  const undone = edits.step(CLIP, "undo");

  await edits.ready(CLIP, TARGET);

  assert.deepEqual(shownClicks(edits.frame(TARGET, FRAME)), []);
  await undone;
});

test("what an order changed is not called saved before its masks could be read", async () => {
  const server = new Server();
  const { edits, page } = await opened(server);
  await edits.add({ ...here, ...stroke(1) });
  server.isUnread = true;
  const undone = edits.step(CLIP, "undo");
  await quiet();
  assert.equal(page.saved, false);
  assert.equal(edits.frame(TARGET, FRAME).target.version, 1);

  server.isUnread = false;
  edits.resume();
  await undone;

  assert.equal(edits.frame(TARGET, FRAME).target.version, 2);
  assert.equal(server.version(`${TARGET}/${FRAME}/target`), 2, "it was undone once");
  assert.equal(page.saved, true);
});

// -- other readings ------------------------------------------------------------------------------

test("readings asked for while the click is on its way are chosen from its answer", async () => {
  const server = new Server();
  server.readings = [only(7), only(8)];
  const { edits } = await opened(server);
  const open = gated(server);
  edits.add({ ...here, ...clicks() });
  const asked = [edits.nextReading(here, SIZE), edits.nextReading(here, SIZE)];
  open();

  assert.deepEqual(await Promise.all(asked), [
    { place: 2, count: 3 },
    { place: 3, count: 3 },
  ]);
  assert.deepEqual(server.places(), [8]);
});

test("of a click that is not saved there is no other reading yet, and that is said", async () => {
  const server = new Server();
  server.readings = [only(7)];
  const { edits, page } = await opened(server);
  server.offline = true;
  edits.add({ ...here, ...clicks() });
  await quiet();

  assert.equal(await edits.nextReading(here, SIZE), null);

  assert.match(page.notices.at(-1), /Frame 4 is not saved/);
  assert.equal(edits.waiting.length, 1);
});

test("a reading does not take the place of what somebody else drew meanwhile", async () => {
  const server = new Server();
  server.readings = [only(7)];
  const { edits, page } = await opened(server);
  await edits.add({ ...here, ...clicks() });
  server.put(`${TARGET}/${FRAME}/target`, only(14));

  assert.equal(await edits.nextReading(here, SIZE), null);

  assert.deepEqual(server.places(), [14]);
  assert.deepEqual(page.notices, ["Changed elsewhere."]);
});
