import assert from "node:assert/strict";
import { test } from "node:test";

import { MaskSync } from "../../app/components/canvas/edits/mask_sync.js";
import {
  decodeInto,
  encode,
  readMasks,
  writeMasks,
} from "../../app/components/canvas/edits/runs.js";
import { shownClicks } from "../../app/components/canvas/edits/state.js";

const SIZE = { width: 5, height: 3 };
const PIXELS = SIZE.width * SIZE.height;
const TARGET = 7;
const CLICK = { x: 1, y: 1, positive: true };

class Refusal extends Error {
  constructor(message, { status = 0, code = "failed" } = {}) {
    super(message);
    Object.assign(this, { status, code });
  }
}

/** A server in memory that keeps versions as the real one does, and can be made to fail. */
class Server {
  versions = new Map(); // "frame/layer" -> version
  masks = new Map(); // "frame/layer" -> runs
  requests = [];
  offline = false;
  refusal = null; // what every write is answered with
  gate = null; // a promise replies wait for

  version(key) {
    return this.versions.get(key) ?? 0;
  }

  put(frameIndex, layer, runs) {
    const key = `${frameIndex}/${layer}`;
    this.versions.set(key, this.version(key) + 1);
    this.masks.set(key, runs);
    return this.version(key);
  }

  async binary(path, { method = "GET", body } = {}) {
    this.requests.push(`${method} ${path}`);
    await this.gate;
    if (this.offline) throw new Refusal("The server does not answer.", { code: "offline" });
    if (method === "GET") return this.#read(path);
    if (this.refusal) throw this.refusal;
    return path.includes("/clicks") ? this.#click(path, body.json) : this.#stroke(body);
  }

  async post(path) {
    this.requests.push(`POST ${path}`);
    if (path.endsWith("/undo")) {
      const frameIndex = 4;
      this.put(frameIndex, "target", encode(new Uint8Array(PIXELS)));
      return {
        edit: { id: 1 },
        changed: [{ target_id: TARGET, layer: "target", frame_index: frameIndex }],
      };
    }
    return path.endsWith("/redo") ? { edit: null, changed: [] } : { versions: [] };
  }

  #read(path) {
    const asked = new URLSearchParams(path.split("?")[1]).get("frames")?.split(",").map(Number);
    return this.#message(
      [...this.masks.keys()].filter((key) => !asked || asked.includes(parseInt(key, 10))),
    );
  }

  #message(keys) {
    const entries = keys.map((key) => {
      const [frameIndex, layer] = key.split("/");
      return {
        frameIndex: Number(frameIndex),
        layer,
        version: this.version(key),
        runs: this.masks.get(key),
      };
    });
    return writeMasks(SIZE, entries);
  }

  #stroke(body) {
    const [mask] = readMasks(body).masks;
    const key = `${mask.frameIndex}/${mask.layer}`;
    this.#check(mask.version, key);
    const version = this.put(mask.frameIndex, mask.layer, mask.runs);
    const reply = { versions: [{ layer: mask.layer, frame_index: mask.frameIndex, version }] };
    return new TextEncoder().encode(JSON.stringify(reply)).buffer;
  }

  #click(path, { clicks, seen }) {
    const frameIndex = Number(path.match(/frames\/(\d+)/)[1]);
    const key = `${frameIndex}/target`;
    this.#check(seen, key);
    const pixels = new Uint8Array(PIXELS);
    for (const { x, y } of clicks) pixels[y * SIZE.width + x] = 1;
    const version = this.put(frameIndex, "target", encode(pixels));
    return writeMasks(SIZE, [
      { frameIndex, layer: "target", version, runs: encode(pixels), clicks },
    ]);
  }

  #check(seen, key) {
    if (seen !== this.version(key))
      throw new Refusal("Changed elsewhere.", { status: 409, code: "stale" });
  }
}

const session = () => ({
  notices: [],
  refiner: "any",
  saving() {},
  saved() {},
  changedHere() {},
  notice(text) {
    this.notices.push(text);
  },
  change: (work) => work(),
});

async function opened(server) {
  const told = session();
  const sync = new MaskSync(server, told, () => {});
  await sync.open(3, SIZE, [TARGET], TARGET);
  return { sync, told };
}
function stroke(...places) {
  const touched = new Uint8Array(PIXELS);
  for (const place of places) touched[place] = 1;
  return { kind: "stroke", layer: "target", value: 1, touched: encode(touched) };
}
const places = (runs) =>
  [...decodeInto(new Uint8Array(PIXELS), runs)].flatMap((set, at) => (set ? [at] : []));
const quiet = () => new Promise((resolve) => setTimeout(resolve, 5));

test("strokes made faster than they are saved all arrive, each on the one before", async () => {
  const server = new Server();
  const { sync } = await opened(server);

  sync.edit(TARGET, 4, stroke(1));
  sync.edit(TARGET, 4, stroke(2));
  sync.edit(TARGET, 4, stroke(8));
  await sync.settled(TARGET, 4);

  assert.equal(server.version("4/target"), 3);
  assert.deepEqual(places(server.masks.get("4/target")), [1, 2, 8]);
  assert.equal(sync.frame(TARGET, 4).target.version, 3);
});

test("of fast clicks the first and the newest are sent", async () => {
  const server = new Server();
  const { sync } = await opened(server);

  for (const clicks of [[CLICK], [CLICK, CLICK], [CLICK, CLICK, CLICK]]) {
    sync.edit(TARGET, 4, { kind: "clicks", clicks });
  }
  await sync.settled(TARGET, 4);

  assert.equal(server.requests.filter((request) => request.includes("/clicks")).length, 2);
  assert.equal(sync.frame(TARGET, 4).target.clicks.length, 3);
});

test("a stroke drawn while a click is under way lies on the click's mask", async () => {
  const server = new Server();
  const { sync } = await opened(server);

  sync.edit(TARGET, 4, { kind: "clicks", clicks: [CLICK] }); // sets pixel 6
  sync.edit(TARGET, 4, stroke(0));
  await sync.settled(TARGET, 4);

  assert.deepEqual(places(server.masks.get("4/target")), [0, 6]);
});

test("a stroke refused as stale is kept on the newer mask until the person decides", async () => {
  const server = new Server();
  const { sync } = await opened(server);
  server.put(
    4,
    "target",
    encode(Uint8Array.from({ length: PIXELS }, (_, at) => Number(at === 14))),
  );

  sync.edit(TARGET, 4, stroke(1));
  await quiet();

  assert.equal(sync.firstFailure().reason, "stale");
  assert.equal(sync.frame(TARGET, 4).target.version, 1, "the newer mask was read");
  assert.deepEqual(places(server.masks.get("4/target")), [14], "and nothing was written over it");

  sync.retry(TARGET, 4);
  await sync.settled(TARGET, 4);
  assert.deepEqual(places(server.masks.get("4/target")), [1, 14]);
});

test("a stale click is dropped, the frame read anew, and the person told", async () => {
  const server = new Server();
  const { sync, told } = await opened(server);
  server.put(4, "target", encode(new Uint8Array(PIXELS)));

  sync.edit(TARGET, 4, { kind: "clicks", clicks: [CLICK] });
  await sync.settled(TARGET, 4);

  assert.deepEqual(shownClicks(sync.frame(TARGET, 4)), []);
  assert.equal(sync.frame(TARGET, 4).target.version, 1);
  assert.deepEqual(told.notices, ["Changed elsewhere."]);
});

test("a refused click does not take a later stroke with it", async () => {
  const server = new Server();
  const { sync } = await opened(server);
  server.put(4, "target", encode(new Uint8Array(PIXELS)));

  sync.edit(TARGET, 4, { kind: "clicks", clicks: [CLICK] });
  sync.edit(TARGET, 4, stroke(3));
  await sync.settled(TARGET, 4);

  assert.deepEqual(places(server.masks.get("4/target")), [3]);
});

test("what an unreachable server did not take is sent when it is back", async () => {
  const server = new Server();
  const { sync } = await opened(server);
  server.offline = true;

  sync.edit(TARGET, 4, stroke(1));
  await quiet();
  sync.edit(TARGET, 4, stroke(2));
  assert.equal(sync.firstFailure().reason, "unreachable");
  assert.equal(sync.hasUnsaved(), true);

  server.offline = false;
  sync.retryAll();
  await sync.settled(TARGET, 4);
  assert.deepEqual(places(server.masks.get("4/target")), [1, 2]);
  assert.equal(sync.hasUnsaved(), false);
  sync.close();
});

test("a stroke the server refuses stays visible and is not sent again by itself", async () => {
  const server = new Server();
  const { sync } = await opened(server);
  server.refusal = new Refusal("The disk is full.", { status: 507 });

  sync.edit(TARGET, 4, stroke(1));
  await quiet();
  const sent = server.requests.length;
  sync.retryAll();
  await quiet();

  assert.equal(sync.firstFailure().message, "The disk is full.");
  assert.equal(server.requests.length, sent);

  sync.discard(TARGET, 4);
  assert.equal(sync.firstFailure(), null);
  assert.equal(sync.hasUnsaved(), false);
});

test("undo waits for what is on its way, and reads what it changed", async () => {
  const server = new Server();
  const { sync } = await opened(server);

  sync.edit(TARGET, 4, stroke(1));
  const changed = await sync.step("undo");

  const order = server.requests.filter((request) => request.startsWith("POST"));
  assert.match(order[0], /masks\?kind=stroke/);
  assert.match(order[1], /clips\/3\/undo/);
  assert.equal(changed[0].frame_index, 4);
  assert.equal(sync.frame(TARGET, 4).target.version, 2);
  assert.deepEqual(places(sync.frame(TARGET, 4).target.runs), []);
});

test("undo, redo and verify are asked for one after the other", async () => {
  const server = new Server();
  const { sync } = await opened(server);
  let open;
  server.gate = new Promise((resolve) => {
    open = resolve;
  });

  const done = [sync.step("undo"), sync.step("redo"), sync.verify(TARGET, 4, true)];
  await quiet();
  const writes = () => server.requests.filter((request) => request.startsWith("POST"));
  assert.deepEqual(writes(), ["POST /api/clips/3/undo"], "the others wait for the first's masks");

  open();
  await Promise.all(done);
  assert.deepEqual(writes(), [
    "POST /api/clips/3/undo",
    "POST /api/clips/3/redo",
    `POST /api/targets/${TARGET}/verify`,
  ]);
});

test("a stroke drawn while an undo is on its way is made on what the undo leaves", async () => {
  const server = new Server();
  const { sync } = await opened(server);

  const undone = sync.step("undo");
  sync.edit(TARGET, 4, stroke(3));
  await undone;
  await sync.settled(TARGET, 4);

  assert.equal(sync.firstFailure(), null);
  assert.equal(server.version("4/target"), 2);
});

test("undo with an edit that cannot be saved says so instead of waiting for ever", async () => {
  const server = new Server();
  const { sync, told } = await opened(server);
  server.offline = true;
  sync.edit(TARGET, 4, stroke(1));
  await quiet();

  assert.equal(await sync.step("undo"), null);

  assert.match(told.notices[0], /Frame 4 is not saved/);
  sync.close();
});
