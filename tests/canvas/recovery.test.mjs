import assert from "node:assert/strict";
import { test } from "node:test";

import {
  CLIP,
  FRAME,
  Refusal,
  SIZE,
  Server,
  TARGET,
  besides,
  browser,
  clicks,
  crash,
  deadPage,
  here,
  kept,
  keptPage,
  newWorkspace,
  only,
  opened,
  quiet,
  saved,
  stroke,
} from "./pages.mjs";

test("edits not acknowledged survive a reload and are sent again by themselves", async () => {
  const server = new Server();
  const { workspace, tab } = await deadPage(server, stroke(1), clicks());
  crash(tab);

  const { edits } = await keptPage(server, workspace, tab);
  await edits.settled(null);

  assert.deepEqual(server.places(), [6], "the click's mask, made on the stroke's");
  assert.equal(server.version(`${TARGET}/${FRAME}/target`), 2);
});

test("what the journal had no time for survives a reload, with what it had, each once", async () => {
  const server = new Server();
  const { workspace, tab } = await deadPage(server, stroke(1));
  crash(tab);
  server.offline = true;
  const reloaded = await opened(server, [TARGET], tab.storage); // its journal is still being opened
  reloaded.edits.add({ ...here, ...stroke(2) });
  reloaded.edits.recovery.leave();
  reloaded.edits.close();
  const again = await opened(server, [TARGET], tab.storage); // and again
  again.edits.recovery.leave();
  again.edits.close();

  server.offline = false;
  const { edits } = await keptPage(server, workspace, tab);
  await edits.settled(null);
  assert.deepEqual(server.places(), [1, 2]);
  const version = server.version(`${TARGET}/${FRAME}/target`);
  edits.recovery.leave();
  crash(tab);
  const last = await keptPage(server, workspace, tab);
  await last.edits.settled(null);
  assert.equal(server.version(`${TARGET}/${FRAME}/target`), version);
});

test("a reading chosen while the server was away survives a reload", async () => {
  const server = new Server();
  server.readings = [only(7)];
  const workspace = newWorkspace();
  const before = await keptPage(server, workspace);
  await before.edits.add({ ...here, ...clicks() });
  server.offline = true;
  before.edits.nextReading(here, SIZE);
  await kept(workspace, 1);
  before.edits.close();
  crash(before.tab);
  server.offline = false;

  const after = await keptPage(server, workspace, before.tab);
  await after.edits.settled(null);

  assert.deepEqual(server.places(), [7]);
});

test("an undo survives a reload after which the page cannot get its name again", async () => {
  const server = new Server();
  const workspace = newWorkspace();
  const before = await keptPage(server, workspace);
  server.offline = true;
  before.edits.step(CLIP, "undo");
  before.edits.recovery.leave();
  before.edits.close(); // and its browser holds its name still

  server.offline = false;
  const after = await keptPage(server, workspace, before.tab);
  await after.edits.settled(null);

  assert.equal(server.version(`${TARGET}/${FRAME}/target`), 1, "it was undone");
  crash(before.tab);
  const last = await keptPage(server, workspace);
  assert.deepEqual(last.edits.recovery.offered, []);
});

test("an edit given up is not kept when the page goes", async () => {
  const server = new Server();
  const tab = browser();
  const { edits } = await opened(server, [TARGET], tab.storage);
  server.refusal = new Refusal("The disk is full.", { status: 507 });
  edits.add({ ...here, ...stroke(1) });
  await quiet();
  await edits.discard(edits.problem.edit);
  server.refusal = null;
  edits.recovery.leave();

  const after = await keptPage(server, newWorkspace(), tab);

  assert.equal(after.edits.hasUnsaved(), false);
});

test("the journal asks for its commit at once: an open transaction goes with its page", async () => {
  const { journal } = await keptPage(new Server(), newWorkspace());
  const { commit } = IDBTransaction.prototype;
  let asked = 0;
  IDBTransaction.prototype.commit = function () {
    asked += 1;
    return commit.call(this);
  };
  try {
    journal.put({ id: "a stroke", at: 1 });
    assert.equal(asked, 1);
  } finally {
    IDBTransaction.prototype.commit = commit;
  }
});

test("edits of a browser that died are offered, and saved when the person says so", async () => {
  const server = new Server();
  const { workspace } = await deadPage(server, stroke(1));

  const { edits } = await keptPage(server, workspace);
  assert.equal(edits.recovery.offered.length, 1);
  assert.deepEqual(server.places(), [], "nothing is done before the person decides");

  await edits.recovery.take();
  await edits.settled(null);
  assert.deepEqual(server.places(), [1]);
  assert.equal(edits.recovery.offered.length, 0);
});

test("edits of a page that dies beside an open one are offered there, too", async () => {
  const server = new Server();
  const workspace = newWorkspace();
  const shared = browser();
  const beside = await keptPage(new Server(), workspace, shared);
  const dying = await keptPage(server, workspace, besides(shared));
  server.offline = true;
  dying.edits.add({ ...here, ...stroke(1) });
  await quiet();
  await beside.edits.recovery.look();
  assert.equal(beside.edits.recovery.offered.length, 0, "it lives yet");

  dying.edits.close();
  dying.journal.close();
  await quiet();
  await beside.edits.recovery.look();

  assert.equal(beside.edits.recovery.offered.length, 1);
});

test("an undo of a page that is gone is neither offered nor kept", async () => {
  const server = new Server();
  const workspace = newWorkspace();
  const dying = await keptPage(server, workspace);
  server.offline = true;
  dying.edits.step(CLIP, "undo");
  await kept(workspace, 1);
  dying.edits.close();
  crash(dying.tab);

  const { edits, journal } = await keptPage(server, workspace);

  assert.deepEqual(edits.recovery.offered, []);
  await quiet();
  assert.deepEqual((await journal.recall()).others, []);
});

test("what another page left is said to be given up when the person discards it", async () => {
  const server = new Server();
  const { workspace } = await deadPage(server, stroke(1));
  const { edits } = await keptPage(server, workspace);
  const given = [];
  edits.addEventListener("given-up", ({ detail }) => given.push(...detail.edits));

  await edits.recovery.drop();

  assert.deepEqual(
    given.map(({ kind }) => kind),
    ["stroke"],
  );
});

test("what one page saved or gave up of a dead one's edits, another does not do again", async () => {
  const server = new Server();
  const { workspace } = await deadPage(server, stroke(1));
  const tab = browser();
  const one = await keptPage(server, workspace, tab);
  const other = await keptPage(server, workspace, besides(tab));

  await one.edits.recovery.drop();
  await kept(workspace, 0);
  await other.edits.recovery.take();
  await saved(other.edits);

  assert.deepEqual(server.places(), []);
});

test("edits of a page that is still open, or of another workspace, are nobody else's", async () => {
  const server = new Server();
  const { workspace, tab } = await deadPage(server, stroke(1)); // its tab holds its name still

  const beside = await keptPage(new Server(), workspace, besides(tab));
  const elsewhere = await keptPage(new Server(), "another workspace");

  assert.equal(beside.edits.recovery.offered.length, 0);
  assert.equal(elsewhere.edits.recovery.offered.length, 0);
});

test("what was saved or given up is not offered again", async () => {
  const server = new Server();
  const workspace = newWorkspace();
  const { edits } = await keptPage(server, workspace);
  edits.add({ ...here, ...stroke(1) });
  await edits.settled(null);
  server.refusal = new Refusal("The disk is full.", { status: 507 });
  edits.add({ ...here, ...stroke(2) });
  await quiet();
  await kept(workspace, 1);
  await edits.discard(edits.problem.edit);
  await kept(workspace, 0);

  const after = await keptPage(server, workspace);

  assert.deepEqual(after.edits.recovery.offered, []);
});

test("in a browser without a journal edits are saved all the same", async () => {
  const server = new Server();
  const closed = { indexedDB: { open: () => assert.fail("not allowed") } };

  const { edits } = await keptPage(server, "any", closed);
  edits.add({ ...here, ...stroke(1) });
  await edits.settled(here);

  assert.deepEqual(server.places(), [1]);
});
