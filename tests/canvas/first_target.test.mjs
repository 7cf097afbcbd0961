import assert from "node:assert/strict";
import { test } from "node:test";

import {
  FRAME,
  OTHER_CLIP,
  OTHER_TARGET,
  Server,
  TARGET,
  gated,
  here,
  opened,
  quiet,
  saved,
  stroke,
} from "./pages.mjs";

test("the first edits of a clip make its target once, and belong to it", async () => {
  const server = new Server();
  const { edits, page } = await opened(server, []);
  page.targetId = null;
  const open = gated(server);
  const first = { ...here, targetId: null };

  edits.add({ ...first, ...stroke(1) });
  edits.add({ ...first, ...stroke(2), first: 5, last: 5 });
  assert.equal(edits.frame(null, FRAME).queue.length, 1, "drawn before there is a target");
  open();
  await edits.settled(null);

  assert.equal(server.writes.filter((path) => path.endsWith("/targets")).length, 1);
  assert.deepEqual([server.places(FRAME), server.places(5)], [[1], [2]]);
  await quiet();
  assert.equal(page.targetId, TARGET);
});

test("a target made for a clip that was left is not chosen on the next", async () => {
  const server = new Server();
  const { edits, page } = await opened(server, []);
  page.targetId = null;
  const open = gated(server);
  edits.add({ ...here, targetId: null, ...stroke(1) });

  await edits.open(OTHER_CLIP, [OTHER_TARGET], OTHER_TARGET);
  Object.assign(page, { clip: { clip: { id: OTHER_CLIP } }, targetId: OTHER_TARGET });
  open();
  await edits.settled(null);

  assert.equal(page.targetId, OTHER_TARGET);
  assert.deepEqual(server.places(), [1]);
});

test("the target of a first edit whose answer was lost is made once", async () => {
  const server = new Server();
  const { edits, page } = await opened(server, []);
  page.targetId = null;
  server.losesAnswers = true;
  edits.add({ ...here, targetId: null, ...stroke(1) });
  await quiet();
  server.losesAnswers = false;
  edits.resume();
  await saved(edits);

  assert.equal(server.targets, 1);
  assert.deepEqual(server.places(), [1]);
});
