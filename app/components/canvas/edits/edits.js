/**
 * The one door to masks: reads them from the store, and carries every edit of the person there.
 *
 * Whatever changes masks by this page's hand goes through `add`. An edit is in the queue until the
 * store has acknowledged it, whichever clip is open meanwhile; what failed stays and is said until
 * the person decides. The browser's journal keeps the queue beyond the page.
 *
 * Events (CustomEvent, `detail` in brackets): frames {targetId, frames: null for all} when what is
 * shown of them changed; queue when it grew, shrank or failed; given-up {edits} when they will
 * not be saved.
 *
 * @typedef {import("./queue.js").Edit} Edit
 * @typedef {import("./queue.js").Place & import("./queue.js").Order} Wanted
 * @typedef {import("./state.js").FrameState} FrameState
 */

import {
  changed,
  collide,
  drawnWith,
  isOfWholeClip,
  isWork,
  queued,
  resting,
  sendable,
  touches,
  without,
} from "./queue.js";
import { Readings } from "./readings.js";
import { preview, read, send } from "./requests.js";
import { arrived, emptyFrame } from "./state.js";

const RETRY_MS = 3000;
const LOOK_EVERY_MS = 30_000;
const AT_ONCE = 4; // requests; a browser opens six connections, and frames want some
/** Answers that would meet any edit now: nothing is sent until one of them gets through again. */
const UNREACHABLE_STATUS = new Set([0, 401, 429, 502]);
const UNREACHABLE_CODE = new Set(["busy", "workspace-lost", "workspace"]);

export class Edits extends EventTarget {
  #api;
  #session;
  #journal = null;
  #readings = new Readings();
  #clipId = null;
  #targets = new Map(); // of the open clip: target id -> Map(frame index -> FrameState)
  #loading = new Map(); // target id -> when all its masks are here; false where they are not
  #read = new Set(); // ids of the targets whose masks are all here
  /** @type {Edit[]} */
  #queue = [];
  #askers = new Map(); // edit id -> resolves what `add` promised
  #making = new Map(); // clip id -> the target that is being made for it
  /** @type {Edit[]} */
  #recovered = [];
  #sending = 0;
  #unreachable = ""; // why nothing can be sent now
  #retryTimer = 0;
  /** @type {any} */
  #looking = null; // for what pages leave that die beside this one
  #made = new Map(); // clip id -> the target made last for it
  #madeAt = 0; // when the last edit was made
  #telling = false;
  #given = new Set(); // ids of edits that were given up

  /**
   * @param {object} api
   * @param {object} session what the page looks at
   */
  constructor(api, session) {
    super();
    this.#api = api;
    this.#session = session;
    session.addEventListener("masks", ({ detail }) => {
      if (this.#telling) return; // our own news
      if (detail.target_id === null) this.refreshAll();
      else this.refresh(detail.target_id, detail.frames ?? null);
    });
    session.addEventListener("connection", ({ detail }) => detail.up && this.resume());
  }

  // -- masks -----------------------------------------------------------------------------------

  /** Read the masks of every target of a clip; of another clip only edits on their way are kept. */
  async open(clipId, targetIds, firstTarget) {
    if (clipId !== this.#clipId) {
      this.#targets.clear();
      this.#loading.clear();
      this.#read.clear();
      this.#clipId = clipId;
    }
    for (const id of [...this.#targets.keys()]) {
      if (id === null || targetIds.includes(id)) continue;
      this.#targets.delete(id);
      this.#loading.delete(id);
      this.#showFrames(id, null);
    }
    const missing = targetIds.filter((id) => !this.#loading.has(id));
    missing.sort((a, b) => Number(b === firstTarget) - Number(a === firstTarget));
    for (const id of [...missing, null]) {
      if (!this.#targets.has(id)) this.#targets.set(id, new Map());
      this.#showQueue(this.#queue.filter((edit) => edit.targetId === id));
    }
    let before = Promise.resolve(true);
    for (const id of missing) {
      before = before.then(() => this.refresh(id, null));
      this.#loading.set(id, before);
    }
    await before;
  }

  /** The state of one frame; a frame nobody touched is an empty one. */
  frame(targetId, frameIndex) {
    return this.#targets.get(targetId)?.get(frameIndex) ?? emptyFrame(frameIndex);
  }

  /** @returns {Map<number, FrameState>} the touched frames of a target */
  frames(targetId) {
    return this.#targets.get(targetId) ?? new Map();
  }

  /** Whether what is shown of a target of the open clip was read from the store. */
  isLoaded(targetId) {
    return this.#read.has(targetId);
  }

  /**
   * Resolves once what is shown of a target is what an edit can be made on: its masks are here, and
   * no undo or redo of the clip is on its way.
   */
  async ready(clipId, targetId) {
    await this.#loading.get(targetId);
    const turning = () =>
      this.#queue.some((edit) => edit.clipId === clipId && isOfWholeClip(edit)) &&
      !this.#unreachable;
    while (turning()) {
      await new Promise((resolve) => this.addEventListener("queue", resolve, { once: true }));
    }
  }

  /**
   * Read frames (null: all) of a target again; older replies lose against newer masks.
   *
   * @returns {Promise<boolean>} whether they were read
   */
  async refresh(targetId, frames) {
    if (!this.#targets.has(targetId) || targetId === null) return false;
    try {
      this.#arrive(targetId, await read(this.#api, targetId, frames));
    } catch (error) {
      if (this.#targets.has(targetId)) this.#session.notice(error.message, "error");
      return false;
    }
    if (frames === null) {
      this.#loading.set(targetId, Promise.resolve(true));
      this.#read.add(targetId);
    }
    return true;
  }

  /** Everything may have changed. */
  async refreshAll() {
    await Promise.all([...this.#targets.keys()].map((id) => this.refresh(id, null)));
  }

  #arrive(targetId, masks) {
    const known = this.#targets.get(targetId);
    if (!known) return;
    const news = new Set();
    for (const mask of masks) {
      const before = known.get(mask.frameIndex) ?? this.#withQueue(targetId, mask.frameIndex);
      const after = arrived(before, mask);
      if (after === before) continue;
      known.set(mask.frameIndex, after);
      news.add(mask.frameIndex);
    }
    if (news.size) this.#showFrames(targetId, [...news]);
  }

  #withQueue(targetId, frameIndex) {
    const queue = this.#queue.filter((edit) => touches(edit, targetId, frameIndex));
    return { ...emptyFrame(frameIndex), queue };
  }

  /** Put the queue as it is now into the states of the frames that `edits` touch. */
  #showQueue(edits) {
    for (const { clipId, targetId, first, last, kind } of edits) {
      const known = this.#targets.get(targetId);
      if (clipId !== this.#clipId || !known || kind === "undo" || kind === "redo") continue;
      const frames = [];
      for (let frameIndex = first; frameIndex <= last; frameIndex++) {
        const queue = this.#queue.filter((edit) => touches(edit, targetId, frameIndex));
        const before = known.get(frameIndex) ?? emptyFrame(frameIndex);
        known.set(frameIndex, { ...before, queue });
        frames.push(frameIndex);
      }
      this.#showFrames(targetId, frames);
    }
  }

  #showFrames(targetId, frames) {
    this.dispatchEvent(new CustomEvent("frames", { detail: { targetId, frames } }));
  }

  // -- edits -----------------------------------------------------------------------------------

  /**
   * Put an edit in the queue; it is drawn from now on and saved in its turn.
   *
   * @param {Wanted} wanted
   * @returns {Promise<any>} the server's answer once the store has it; null when it was given up,
   *   or there was nothing to do
   */
  add(wanted) {
    const at = Math.max(Date.now(), this.#madeAt + 0.001); // in the order they were made
    this.#madeAt = at;
    const id = `${Math.floor(at).toString(36)}-${random()}`;
    const way = { id, at, tried: false, sending: false, failure: null };
    const targetId = wanted.targetId ?? this.#madeAlready(wanted);
    const { queue, edit } = queued(this.#queue, { ...wanted, ...way, targetId });
    const earlier = this.#askers.get(edit.id);
    const asked = new Promise((resolve) => this.#askers.set(edit.id, resolve));
    earlier?.(asked); // who asked for what it replaces hears the same answer
    this.#setQueue(queue, [edit]);
    this.#write((journal) => journal.put(edit));
    this.#pump();
    return asked;
  }

  /** Undo or redo the person's last edit of a clip, after what was asked for before. */
  async step(clipId, which) {
    const failed = this.#queue.find((edit) => edit.clipId === clipId && edit.failure);
    if (failed) {
      this.#session.notice(
        `Frame ${failed.first} is not saved. Retry or discard it first.`,
        "error",
      );
      return null;
    }
    const reply = await this.add({ kind: which, clipId, targetId: null, first: 0, last: 0 });
    if (reply && !reply.edit) this.#session.notice(`There is nothing to ${which}.`, "info");
    return reply?.changed ?? null;
  }

  #setQueue(queue, shown) {
    this.#queue = queue;
    this.#showQueue(shown);
    this.#say();
  }

  #say() {
    const kept = this.#unreachable
      ? this.#queue.length
      : this.#queue.filter(({ failure }) => failure).length;
    const waiting = this.#queue.length - kept;
    this.#session.setEdits({ waiting, kept: kept + this.#recovered.length });
    this.dispatchEvent(new CustomEvent("queue"));
  }

  #change(id, facts) {
    this.#setQueue(
      changed(this.#queue, id, facts),
      this.#queue.filter((edit) => edit.id === id),
    );
  }

  #pump() {
    if (this.#unreachable) return;
    for (const edit of sendable(this.#queue)) {
      if (this.#sending >= AT_ONCE) return;
      this.#deliver(edit);
    }
  }

  async #deliver({ id }) {
    this.#sending += 1;
    this.#change(id, { sending: true, tried: true });
    const sent = () => this.#queue.find((edit) => edit.id === id);
    try {
      if (needsTarget(sent())) await this.#giveTarget(sent().clipId);
      const edit = sent();
      const landed = await send(this.#api, edit, {
        stored: () => this.#stored(edit),
        refiner: this.#session.refiner,
        readings: this.#readings,
      });
      await this.#land(edit, landed);
    } catch (error) {
      await this.#fail(sent(), error);
    } finally {
      this.#sending -= 1;
      this.#pump();
    }
  }

  /** What the store holds of an edit's frame, also where its clip is not open. */
  async #stored({ clipId, targetId, first }) {
    if (clipId === this.#clipId && this.#targets.has(targetId)) {
      const isLoaded = await this.#loading.get(targetId); // of masks half read nothing can be said
      if (isLoaded && clipId === this.#clipId) return this.frame(targetId, first);
    }
    const masks = await read(this.#api, targetId, [first]);
    return masks.reduce(arrived, emptyFrame(first));
  }

  async #land(edit, { masks, frames, reply }) {
    await Promise.all([...frames].map(([targetId, which]) => this.refresh(targetId, which)));
    this.#unreachable = "";
    // Mask and queue change in one step: in between, the edit would be drawn twice or not at all.
    this.#queue = without(this.#queue, [edit.id]);
    this.#arrive(edit.targetId, masks);
    this.#setQueue(this.#queue, [edit]);
    this.#forget([edit], reply);
    if (reply === null) return;
    this.#session.noteSaved();
    for (const mask of masks) this.#tell(edit, edit.targetId, [mask.frameIndex]);
    for (const [targetId, which] of frames) this.#tell(edit, targetId, which);
  }

  /** Tell the page's other parts what was saved here. */
  #tell({ clipId }, targetId, frames) {
    this.#telling = true;
    this.#session.changedHere(clipId, targetId, frames);
    this.#telling = false;
  }

  async #fail(edit, error) {
    if (!edit) return;
    if (UNREACHABLE_STATUS.has(error.status) || UNREACHABLE_CODE.has(error.code)) {
      this.#unreachable = error.message;
      this.#change(edit.id, { sending: false });
      clearTimeout(this.#retryTimer);
      this.#retryTimer = setTimeout(() => this.resume(), RETRY_MS);
      return;
    }
    this.#unreachable = "";
    if (error.status === undefined) console.error(error); // our own mistake: still nothing is lost
    const reason = { stale: "stale", missing: "gone" }[error.code] ?? "refused";
    if (reason === "stale") await this.refresh(edit.targetId, range(edit));
    if (!isWork(edit)) {
      this.#session.notice(error.message, "error");
      this.#drop([edit]);
      return;
    }
    this.#change(edit.id, { sending: false, failure: { reason, message: error.message } });
    const failed = this.#queue.find(({ id }) => id === edit.id);
    this.#write((journal) => journal.put(failed));
  }

  /** Forget edits that are done or given up, here and in the journal. */
  #forget(edits, reply = null) {
    for (const { id } of edits) {
      this.#askers.get(id)?.(reply);
      this.#askers.delete(id);
    }
    this.#write((journal) => journal.remove(edits.map(({ id }) => id)));
  }

  /** The browser writes in the order it is asked to; the page may be gone the next moment. */
  #write(work) {
    if (!this.#journal) return;
    work(this.#journal).catch((error) => {
      this.#session.notice(
        `The browser keeps no copy of what is not saved yet (${error.message}). ` +
          "Leave the page open until the header says saved.",
        "error",
      );
    });
  }

  // -- a target for the first edit -------------------------------------------------------------

  /** Make the target that edits of a clip wait for. */
  #giveTarget(clipId) {
    if (!this.#making.has(clipId)) {
      const making = this.#makeTarget(clipId).finally(() => this.#making.delete(clipId));
      this.#making.set(clipId, making);
    }
    return this.#making.get(clipId);
  }

  /** The target of a clip's edits that had none when they were made; null while there is none. */
  targetMadeFor(clipId) {
    return this.#made.get(clipId) ?? null;
  }

  /** Whether a clip's first edit is on its way, which makes its target. */
  isMakingTarget(clipId) {
    return this.#queue.some((edit) => edit.clipId === clipId && needsTarget(edit));
  }

  /** The target made meanwhile for an edit begun without one. */
  #madeAlready({ clipId, kind }) {
    const made = this.#made.get(clipId);
    const isGone = clipId === this.#clipId && !this.#targets.has(made);
    return made === undefined || isGone || kind === "undo" || kind === "redo" ? null : made;
  }

  async #makeTarget(clipId) {
    const first = this.#queue.find((edit) => edit.clipId === clipId && needsTarget(edit));
    const name = `${first.id}-target`; // asked for again, after a reload too, it is made once
    const { id } = await this.#api.post(`/api/clips/${clipId}/targets`, { name: "" }, name);
    this.#made.set(clipId, id);
    const waiting = this.#queue.filter((edit) => edit.clipId === clipId && needsTarget(edit));
    const given = waiting.map((edit) => ({ ...edit, targetId: id }));
    this.#queue = this.#queue.map((edit) => given.find((one) => one.id === edit.id) ?? edit);
    for (const edit of given) this.#write((journal) => journal.put({ ...edit, sending: false }));
    if (clipId === this.#clipId) {
      this.#targets.set(id, new Map());
      this.#loading.set(id, Promise.resolve(true));
      this.#read.add(id);
    }
    this.#showQueue([...waiting, ...given]);
    this.#choose(clipId, id);
  }

  /** Work goes on on the target just made, where the person has not chosen another. */
  async #choose(clipId, targetId) {
    const { clip } = this.#session;
    if (clip?.clip.id !== clipId || this.#session.targetId !== null) return;
    await this.#session.reloadClip();
    const isThere = this.#session.clip?.targets?.some(({ id }) => id === targetId) ?? false;
    if (this.#session.clip?.clip.id === clipId && isThere) this.#session.selectTarget(targetId);
  }

  // -- what did not get there ------------------------------------------------------------------

  /** The edits on their way, oldest first. @returns {readonly Edit[]} */
  get waiting() {
    return this.#queue;
  }

  /** Whether anything here is not in the store yet. */
  hasUnsaved() {
    return this.#queue.length > 0;
  }

  /**
   * What the person should know of edits that are not saved, or null.
   *
   * @returns {{reason: "unreachable" | "stale" | "gone" | "refused", message: string,
   *   edits: number, edit: Edit} | null} the first such edit, and how many there are
   */
  get problem() {
    const [edit] = this.#queue.filter(({ failure }) => failure);
    if (edit) return { ...edit.failure, edits: resting(this.#queue).length, edit };
    const [first] = this.#queue;
    if (!this.#unreachable || !first) return null;
    const message = this.#unreachable;
    return { reason: "unreachable", message, edits: this.#queue.length, edit: first };
  }

  /** Try whether the server takes edits again; when it takes one, the others follow. */
  resume() {
    clearTimeout(this.#retryTimer);
    const [first] = sendable(this.#queue);
    if (!this.#unreachable) this.#pump();
    else if (first && !this.#sending) this.#deliver(first);
    else if (!this.#queue.length) this.#unreachable = "";
  }

  /** Send again what was refused. */
  retry() {
    const failed = this.#queue.filter(({ failure }) => failure);
    for (const { id } of failed) this.#change(id, { failure: null });
    this.resume();
  }

  /** Give up an edit that failed, and what was drawn on its frame after it. */
  async discard(edit) {
    this.#drop(drawnWith(this.#queue, edit));
    this.#pump();
    await this.refresh(edit.targetId, range(edit));
  }

  #drop(edits) {
    for (const { id } of edits) this.#given.add(id);
    this.dispatchEvent(new CustomEvent("given-up", { detail: { edits } }));
    this.#setQueue(
      without(
        this.#queue,
        edits.map(({ id }) => id),
      ),
      edits,
    );
    this.#forget(edits);
  }

  /**
   * Wait for the edits made so far that touch a place.
   *
   * @param {import("./queue.js").Place | null} place null: edits of every clip
   * @returns {Promise<boolean>} false when one of them failed or was given up
   */
  settled(place) {
    const awaited = this.#queue.filter((edit) => !place || collide(edit, { ...place, kind: "" }));
    const ids = new Set(awaited.map(({ id }) => id));
    return new Promise((resolve) => {
      const look = () => {
        const left = this.#queue.filter(({ id }) => ids.has(id));
        const failed =
          [...ids].some((id) => this.#given.has(id)) ||
          resting(this.#queue).some(({ id }) => ids.has(id)) ||
          (left.length > 0 && this.#unreachable !== "");
        if (left.length && !failed) return;
        this.removeEventListener("queue", look);
        resolve(!failed);
      };
      this.addEventListener("queue", look);
      look();
    });
  }

  // -- other than edits ------------------------------------------------------------------------

  /** Ask what clicks would do, without doing it; null where a newer question came in between. */
  preview(targetId, frameIndex, clicks) {
    const { refiner } = this.#session;
    const seen = this.frame(targetId, frameIndex).target.version;
    const body = { clicks, seen, ...(refiner ? { refiner } : {}) };
    return preview(this.#api, targetId, frameIndex, body);
  }

  // -- beyond the page -------------------------------------------------------------------------

  /**
   * Keep the queue in a journal, and take from it what this page had before it was reloaded.
   *
   * @param {import("./journal.js").Journal | null} journal null: the browser keeps none
   */
  async keepIn(journal) {
    this.#journal = journal;
    if (!journal) return;
    for (const edit of this.#queue) this.#write((kept) => kept.put(edit));
    const { own, others } = await journal.recall().catch(() => ({ own: [], others: [] }));
    const known = new Set(this.#queue.map(({ id }) => id));
    this.#restore(own.filter(({ id }) => !known.has(id)));
    this.#recovered = offered(others);
    this.#say();
    clearInterval(this.#looking);
    this.#looking = setInterval(() => this.lookForRecovered(), LOOK_EVERY_MS);
  }

  /** Look again for edits of pages that are gone: one may have died beside this page. */
  async lookForRecovered() {
    const { others } = (await this.#journal?.recall().catch(() => null)) ?? { others: [] };
    const known = new Set(this.#queue.map(({ id }) => id));
    this.#recovered = offered(others).filter(({ id }) => !known.has(id));
    this.#say();
  }

  #restore(edits) {
    const again = edits.map((edit) => ({ ...edit, tried: true, sending: false }));
    this.#setQueue([...again, ...this.#queue], again);
    this.#pump();
  }

  /** Edits of pages that are gone, which the store never acknowledged. */
  get recovered() {
    return this.#recovered;
  }

  /** Save what another page left, as if it had been drawn here. */
  async takeRecovered() {
    const edits = (await this.#stillRecovered()).map((edit) => ({ ...edit, failure: null }));
    for (const edit of edits) this.#write((journal) => journal.put(edit));
    this.#restore(edits);
    this.#say();
  }

  /** Give up what another page left. */
  async dropRecovered() {
    this.#forget(await this.#stillRecovered());
    this.#say();
  }

  /** What was offered and nobody has decided on since: a page beside this one may have. */
  async #stillRecovered() {
    const ids = new Set(this.#recovered.map(({ id }) => id));
    this.#recovered = [];
    const { others } = await this.#journal.recall();
    return others.filter(({ id }) => ids.has(id));
  }

  /** Stop trying; the page is left. */
  close() {
    clearTimeout(this.#retryTimer);
    clearInterval(this.#looking);
  }
}

/** An undo of a page that is gone would take back what was done since. */
function offered(edits) {
  return edits.filter((edit) => !isOfWholeClip(edit));
}

function needsTarget(edit) {
  return edit.targetId === null && edit.kind !== "undo" && edit.kind !== "redo";
}

function range({ first, last }) {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}

function random() {
  return crypto.getRandomValues(new Uint32Array(1))[0].toString(36);
}
