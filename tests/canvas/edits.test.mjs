import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import "fake-indexeddb/auto";

import { Edits } from "../../app/components/canvas/edits/edits.js";
import { Journal } from "../../app/components/canvas/edits/journal.js";
import {
  decodeInto,
  encode,
  readMasks,
  writeMasks,
} from "../../app/components/canvas/edits/runs.js";
import { shownClicks } from "../../app/components/canvas/edits/state.js";

const SIZE = { width: 5, height: 3 };
const PIXELS = SIZE.width * SIZE.height;
const CLIP = 3;
const OTHER_CLIP = 8;
const TARGET = 7;
const OTHER_TARGET = 9;
const FRAME = 4;
const CLICK = { x: 1, y: 1, positive: true };

class Refusal extends Error {
  constructor(message, { status = 0, code = "failed" } = {}) {
    super(message);
    Object.assign(this, { status, code });
  }
}

/** A server in memory that keeps versions as the real one does, and can be made to fail. */
class Server {
  versions = new Map(); // "target/frame/layer" -> version
  masks = new Map(); // "target/frame/layer" -> runs
  verified = new Set(); // "target/frame"
  requests = [];
  done = new Map(); // edit id -> its answer
  targets = 0;
  offline = false;
  losesAnswers = false;
  refusal = null; // what every write is answered with
  gate = null; // a promise that writes wait for

  version(key) {
    return this.versions.get(key) ?? 0;
  }

  put(key, runs) {
    this.versions.set(key, this.version(key) + 1);
    this.masks.set(key, runs);
    return this.version(key);
  }

  places(frameIndex = FRAME, targetId = TARGET) {
    return places(this.masks.get(`${targetId}/${frameIndex}/target`) ?? []);
  }

  get writes() {
    return this.requests.filter((request) => request.startsWith("POST"));
  }

  async binary(path, { method = "GET", body, edit } = {}) {
    if (method === "GET") {
      this.requests.push(`GET ${path}`);
      if (this.offline) throw new Refusal("The server does not answer.", { code: "offline" });
      return this.#read(path);
    }
    return this.#write(path, edit, () =>
      path.includes("/clicks") ? this.#click(path, body.json) : this.#stroke(path, body),
    );
  }

  async post(path, body, edit) {
    return this.#write(path, edit, () => this.#post(path, body));
  }

  async #write(path, edit, work) {
    this.requests.push(`POST ${path}`);
    await this.gate;
    if (this.offline) throw new Refusal("The server does not answer.", { code: "offline" });
    if (this.refusal) throw this.refusal;
    if (!this.done.has(edit)) this.done.set(edit ?? Symbol(path), work());
    const answer = this.done.get(edit) ?? [...this.done.values()].at(-1);
    if (this.losesAnswers) throw new Refusal("The server does not answer.", { code: "offline" });
    return answer;
  }

  #post(path, body) {
    if (path.endsWith("/undo")) {
      this.put(`${TARGET}/${FRAME}/target`, encode(new Uint8Array(PIXELS)));
      return {
        edit: { id: 1 },
        changed: [{ target_id: TARGET, layer: "target", frame_index: FRAME }],
      };
    }
    if (path.endsWith("/redo")) return { edit: null, changed: [] };
    if (path.endsWith("/targets")) return { id: TARGET + this.targets++ };
    const targetId = path.match(/targets\/(\d+)/)[1];
    for (const frame of body.frames ?? []) {
      const place = `${targetId}/${frame}`;
      if (body.verified) this.verified.add(place);
      else this.verified.delete(place);
      this.put(
        `${place}/target`,
        this.masks.get(`${place}/target`) ?? encode(new Uint8Array(PIXELS)),
      );
    }
    return { versions: [] };
  }

  #read(path) {
    const [, targetId] = path.match(/targets\/(\d+)/);
    const asked = new URLSearchParams(path.split("?")[1]).get("frames")?.split(",").map(Number);
    const keys = [...this.masks.keys()].filter((key) => {
      const [target, frame] = key.split("/");
      return target === targetId && (!asked || asked.includes(Number(frame)));
    });
    const entries = keys.map((key) => {
      const [, frameIndex, layer] = key.split("/");
      const version = this.version(key);
      return { frameIndex: Number(frameIndex), layer, version, runs: this.masks.get(key) };
    });
    return writeMasks(SIZE, entries);
  }

  #stroke(path, body) {
    const [, targetId] = path.match(/targets\/(\d+)/);
    const [mask] = readMasks(body).masks;
    const key = `${targetId}/${mask.frameIndex}/${mask.layer}`;
    this.#check(mask.version, key);
    const version = this.put(key, mask.runs);
    const reply = { versions: [{ layer: mask.layer, frame_index: mask.frameIndex, version }] };
    return new TextEncoder().encode(JSON.stringify(reply)).buffer;
  }

  #click(path, { clicks, seen }) {
    const [, targetId, frame] = path.match(/targets\/(\d+)\/frames\/(\d+)/);
    const key = `${targetId}/${frame}/target`;
    this.#check(seen, key);
    const pixels = new Uint8Array(PIXELS);
    for (const { x, y } of clicks) pixels[y * SIZE.width + x] = 1;
    const version = this.put(key, encode(pixels));
    const frameIndex = Number(frame);
    return writeMasks(SIZE, [
      { frameIndex, layer: "target", version, runs: encode(pixels), clicks },
    ]);
  }

  #check(seen, key) {
    if (seen !== this.version(key))
      throw new Refusal("Changed elsewhere.", { status: 409, code: "stale" });
  }
}

class Page extends EventTarget {
  notices = [];
  refiner = "any";
  clip = { clip: { id: CLIP }, targets: [{ id: TARGET }] };
  targetId = TARGET;
  saved = null;

  setEdits({ waiting, kept }) {
    this.saved = waiting + kept === 0;
  }
  noteSaved() {}
  changedHere() {}
  notice(text) {
    this.notices.push(text);
  }
  async reloadClip() {}
  selectTarget(id) {
    this.targetId = id;
  }
}

const alive = [];
afterEach(() => alive.splice(0).forEach((edits) => edits.close()));

async function opened(server, targetIds = [TARGET]) {
  const page = new Page();
  const edits = new Edits(server, page);
  alive.push(edits);
  await edits.open(CLIP, targetIds, targetIds[0]);
  return { edits, page };
}
const here = { clipId: CLIP, targetId: TARGET, first: FRAME, last: FRAME };

function stroke(...places) {
  const touched = new Uint8Array(PIXELS);
  for (const place of places) touched[place] = 1;
  return { kind: "stroke", layer: "target", value: 1, touched: encode(touched), size: SIZE };
}
const clicks = (count = 1) => ({ kind: "clicks", clicks: Array(count).fill(CLICK) });
const places = (runs) =>
  [...decodeInto(new Uint8Array(PIXELS), runs)].flatMap((set, at) => (set ? [at] : []));
/** Wait until nothing is left to save. */
const saved = async (edits) => {
  while (edits.hasUnsaved()) await quiet();
};
const quiet = () => new Promise((resolve) => setTimeout(resolve, 5));
const only = (...set) =>
  encode(Uint8Array.from({ length: PIXELS }, (_, at) => Number(set.includes(at))));

function gated(server) {
  let open;
  server.gate = new Promise((resolve) => {
    open = resolve;
  });
  return open;
}

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

// -- beyond the page -----------------------------------------------------------------------------

/** Web locks as browsers have them, and a tab's own storage. */
function browser() {
  const held = new Map();
  const stored = new Map();
  return {
    indexedDB,
    held,
    storage: {
      getItem: (name) => stored.get(name) ?? null,
      setItem: (...pair) => stored.set(...pair),
    },
    locks: {
      async request(name, _options, work) {
        if (held.has(name)) return work(null);
        held.set(name, true);
        await work({ name });
        held.delete(name);
        return undefined;
      },
      query: async () => ({ held: [...held.keys()].map((name) => ({ name })) }),
    },
  };
}

/** The tab's process dies: its locks go with it, its storage stays or not. */
const crash = (tab) => tab.held.clear();

let workspaces = 0;

/** Wait until the browser keeps `count` edits of a workspace whose pages are gone. */
async function kept(workspace, count) {
  const journal = await Journal.open(workspace, browser());
  for (;;) {
    const { others } = await journal.recall();
    if (others.length === count) return;
    await quiet();
  }
}

test("edits not acknowledged survive a reload and are sent again by themselves", async () => {
  const server = new Server();
  const tab = browser();
  const workspace = `workspace ${++workspaces}`;
  const before = await opened(server);
  await before.edits.keepIn(await Journal.open(workspace, tab));
  server.offline = true;
  before.edits.add({ ...here, ...stroke(1) });
  before.edits.add({ ...here, ...clicks() });
  await kept(workspace, 2);
  crash(tab);
  before.edits.close();

  server.offline = false;
  const after = await opened(server);
  await after.edits.keepIn(await Journal.open(workspace, tab));
  await after.edits.settled(null);

  assert.deepEqual(server.places(), [6], "the click's mask, made on the stroke's");
  assert.equal(server.version(`${TARGET}/${FRAME}/target`), 2);
});

test("edits of a browser that died are offered, and saved when the person says so", async () => {
  const server = new Server();
  const dead = browser();
  const workspace = `workspace ${++workspaces}`;
  const before = await opened(server);
  await before.edits.keepIn(await Journal.open(workspace, dead));
  server.offline = true;
  before.edits.add({ ...here, ...stroke(1) });
  await kept(workspace, 1);
  before.edits.close();

  server.offline = false;
  const after = await opened(server);
  await after.edits.keepIn(await Journal.open(workspace, browser()));
  assert.equal(after.edits.recovered.length, 1);
  assert.deepEqual(server.places(), [], "nothing is done before the person decides");

  await after.edits.takeRecovered();
  await after.edits.settled(null);
  assert.deepEqual(server.places(), [1]);
  assert.equal(after.edits.recovered.length, 0);
});

test("edits of a page that dies beside an open one are offered there, too", async () => {
  const server = new Server();
  const workspace = `workspace ${++workspaces}`;
  const shared = browser();
  const beside = await opened(new Server());
  await beside.edits.keepIn(await Journal.open(workspace, shared));
  const dying = await opened(server);
  const journal = await Journal.open(workspace, { ...shared, storage: browser().storage });
  await dying.edits.keepIn(journal);
  server.offline = true;
  dying.edits.add({ ...here, ...stroke(1) });
  await quiet();
  await beside.edits.lookForRecovered();
  assert.equal(beside.edits.recovered.length, 0, "it lives yet");

  dying.edits.close();
  journal.close();
  await quiet();
  await beside.edits.lookForRecovered();

  assert.equal(beside.edits.recovered.length, 1);
});

test("what one page saved or gave up of a dead one's edits, another does not do again", async () => {
  const server = new Server();
  const dead = browser();
  const workspace = `workspace ${++workspaces}`;
  const before = await opened(server);
  await before.edits.keepIn(await Journal.open(workspace, dead));
  server.offline = true;
  before.edits.add({ ...here, ...stroke(1) });
  await kept(workspace, 1);
  before.edits.close();
  server.offline = false;
  const tab = browser();
  const [one, other] = [await opened(server), await opened(server)];
  await one.edits.keepIn(await Journal.open(workspace, tab));
  await other.edits.keepIn(await Journal.open(workspace, { ...tab, storage: browser().storage }));

  await one.edits.dropRecovered();
  await kept(workspace, 0);
  await other.edits.takeRecovered();
  await saved(other.edits);

  assert.deepEqual(server.places(), []);
});

test("edits of a page that is still open, or of another workspace, are nobody else's", async () => {
  const server = new Server();
  const shared = browser();
  const workspace = `workspace ${++workspaces}`;
  const before = await opened(server);
  await before.edits.keepIn(await Journal.open(workspace, shared));
  server.offline = true;
  before.edits.add({ ...here, ...stroke(1) });
  await kept(workspace, 1);

  const other = { ...shared, storage: browser().storage };
  const beside = await opened(new Server());
  await beside.edits.keepIn(await Journal.open(workspace, other));
  const elsewhere = await opened(new Server());
  await elsewhere.edits.keepIn(await Journal.open("another workspace", browser()));

  assert.equal(beside.edits.recovered.length, 0);
  assert.equal(elsewhere.edits.recovered.length, 0);
});

test("what was saved or given up is not offered again", async () => {
  const server = new Server();
  const tab = browser();
  const workspace = `workspace ${++workspaces}`;
  const before = await opened(server);
  await before.edits.keepIn(await Journal.open(workspace, tab));
  before.edits.add({ ...here, ...stroke(1) });
  await before.edits.settled(null);
  server.refusal = new Refusal("The disk is full.", { status: 507 });
  before.edits.add({ ...here, ...stroke(2) });
  await quiet();
  await kept(workspace, 1);
  await before.edits.discard(before.edits.problem.edit);
  await kept(workspace, 0);

  const after = await opened(server);
  await after.edits.keepIn(await Journal.open(workspace, browser()));

  assert.deepEqual(after.edits.recovered, []);
});

test("in a browser without a journal edits are saved all the same", async () => {
  const server = new Server();
  const { edits } = await opened(server);
  const closed = { indexedDB: { open: () => assert.fail("not allowed") } };

  await edits.keepIn(await Journal.open("any", closed));
  edits.add({ ...here, ...stroke(1) });
  await edits.settled(here);

  assert.deepEqual(server.places(), [1]);
});
