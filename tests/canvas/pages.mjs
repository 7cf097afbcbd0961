/** What tests of edits stand on: a server in memory, pages, and the browser they live in. */

import { afterEach } from "node:test";

import "fake-indexeddb/auto";

import { Edits } from "../../app/components/canvas/edits/edits.js";
import { Journal } from "../../app/components/canvas/edits/journal.js";
import {
  decodeInto,
  encode,
  readMasks,
  writeMasks,
} from "../../app/components/canvas/edits/runs.js";

export const SIZE = { width: 5, height: 3 };
export const PIXELS = SIZE.width * SIZE.height;
export const CLIP = 3;
export const OTHER_CLIP = 8;
export const TARGET = 7;
export const OTHER_TARGET = 9;
export const FRAME = 4;
export const CLICK = { x: 1, y: 1, positive: true };

export class Refusal extends Error {
  constructor(message, { status = 0, code = "failed" } = {}) {
    super(message);
    Object.assign(this, { status, code });
  }
}

/** A server in memory that keeps versions as the real one does, and can be made to fail. */
export class Server {
  versions = new Map(); // "target/frame/layer" -> version
  masks = new Map(); // "target/frame/layer" -> runs
  verified = new Set(); // "target/frame"
  requests = [];
  done = new Map(); // edit id -> its answer
  targets = 0;
  offline = false;
  losesAnswers = false;
  refusal = null; // what every write is answered with
  isUnread = false; // reading fails
  readings = []; // runs that the answer to a click holds behind its mask
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
      if (this.offline || this.isUnread)
        throw new Refusal("The server does not answer.", { code: "offline" });
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
    const kept = { frameIndex, layer: "target", version, runs: encode(pixels), clicks };
    const others = this.readings.map((runs) => ({ ...kept, version: 0, runs }));
    return writeMasks(SIZE, [kept, ...others]);
  }

  #check(seen, key) {
    if (seen !== this.version(key))
      throw new Refusal("Changed elsewhere.", { status: 409, code: "stale" });
  }
}

export class Page extends EventTarget {
  notices = [];
  refiner = "any";
  workspaceId = "a workspace";
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

export async function opened(server, targetIds = [TARGET], storage = undefined) {
  const page = new Page();
  const edits = new Edits(server, page, storage);
  alive.push(edits);
  await edits.open(CLIP, targetIds, targetIds[0]);
  return { edits, page };
}
export const here = { clipId: CLIP, targetId: TARGET, first: FRAME, last: FRAME };

export function stroke(...places) {
  const touched = new Uint8Array(PIXELS);
  for (const place of places) touched[place] = 1;
  return { kind: "stroke", layer: "target", value: 1, touched: encode(touched), size: SIZE };
}
export const clicks = (count = 1) => ({ kind: "clicks", clicks: Array(count).fill(CLICK) });
export const places = (runs) =>
  [...decodeInto(new Uint8Array(PIXELS), runs)].flatMap((set, at) => (set ? [at] : []));
/** Wait until nothing is left to save. */
export const saved = async (edits) => {
  while (edits.hasUnsaved()) await quiet();
};
export const quiet = () => new Promise((resolve) => setTimeout(resolve, 5));
export const only = (...set) =>
  encode(Uint8Array.from({ length: PIXELS }, (_, at) => Number(set.includes(at))));

export function gated(server) {
  let open;
  server.gate = new Promise((resolve) => {
    open = resolve;
  });
  return open;
}

// -- beyond the page -----------------------------------------------------------------------------

/** Web locks as browsers have them, and a tab's own storage. */
export function browser() {
  const held = new Map();
  const stored = new Map();
  return {
    indexedDB,
    held,
    storage: {
      getItem: (name) => stored.get(name) ?? null,
      setItem: (...pair) => stored.set(...pair),
      removeItem: (name) => stored.delete(name),
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

/** Another tab of the same browser. */
export const besides = (tab) => ({ ...tab, storage: browser().storage });

/** The tab's process dies: its locks go with it, its storage stays or not. */
export const crash = (tab) => tab.held.clear();

let workspaces = 0;
export const newWorkspace = () => `workspace ${++workspaces}`;

/** A page of a workspace, with the browser's journal behind its edits. */
export async function keptPage(server, workspace, tab = browser()) {
  const { edits, page } = await opened(server, [TARGET], tab.storage);
  const journal = await Journal.open(workspace, tab);
  await edits.recovery.keepIn(journal);
  return { edits, page, tab, journal };
}

/** A page that was gone before its edits got to the server: its workspace, and its tab. */
export async function deadPage(server, ...orders) {
  const workspace = newWorkspace();
  const { edits, tab } = await keptPage(server, workspace);
  server.offline = true;
  for (const order of orders) edits.add({ ...here, ...order });
  await kept(workspace, orders.length);
  edits.close();
  server.offline = false;
  return { workspace, tab };
}

/** Wait until the browser keeps `count` edits of a workspace whose pages are gone. */
export async function kept(workspace, count) {
  const journal = await Journal.open(workspace, browser());
  for (;;) {
    const { others } = await journal.recall();
    if (others.length === count) return;
    await quiet();
  }
}
