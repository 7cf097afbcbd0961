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

import { FirstTargets, needsTarget } from "./first_target.js";
import { nextReading } from "./next_reading.js";
import { OpenMasks } from "./open_masks.js";
import {
  changed,
  drawnWith,
  isOfWholeClip,
  isWork,
  problemOf,
  queued,
  sendable,
  without,
} from "./queue.js";
import { Readings } from "./readings.js";
import { Recovery } from "./recovery.js";
import { meetsAny, preview, send } from "./requests.js";
import { Waiting } from "./waiting.js";

const RETRY_MS = 3000;
const AT_ONCE = 4; // requests; a browser opens six connections, and frames want some

export class Edits extends EventTarget {
  #api;
  #session;
  #masks;
  #firstTargets;
  #waiting;
  #readings = new Readings();
  /** @type {Edit[]} */
  #queue = [];
  #sending = 0;
  #unreachable = ""; // why nothing can be sent now
  #retryTimer = 0;
  #madeAt = 0; // when the last edit was made
  #telling = false;

  /**
   * @param {object} api
   * @param {object} session what the page looks at
   * @param {Storage} [storage] the tab's own
   */
  constructor(api, session, storage = undefined) {
    super();
    this.#api = api;
    this.#session = session;
    const queue = () => this.#queue;
    this.#masks = new OpenMasks(api, {
      queue,
      changed: (targetId, frames) =>
        this.dispatchEvent(new CustomEvent("frames", { detail: { targetId, frames } })),
      failed: (error) => session.notice(error.message, "error"),
    });
    this.#waiting = new Waiting(this, { queue, isUnreachable: () => this.#unreachable !== "" });
    this.#firstTargets = new FirstTargets(api, (...made) => this.#giveTarget(...made));
    const kept = { storage, workspace: () => session.workspaceId };
    /** The queue beyond the page. */
    this.recovery = new Recovery(kept, {
      queue,
      restored: (edits) => this.#restore(edits),
      changed: () => this.#say(),
      dropped: (edits) => this.#sayGivenUp(edits),
      failed: (error) =>
        session.notice(
          `The browser keeps no copy of what is not saved yet (${error.message}). ` +
            "Leave the page open until the header says saved.",
          "error",
        ),
    });
    session.addEventListener("masks", ({ detail }) => {
      if (this.#telling) return; // our own news
      if (detail.target_id === null) this.#masks.refreshAll();
      else this.#masks.refresh(detail.target_id, detail.frames ?? null);
    });
    session.addEventListener("connection", ({ detail }) => detail.up && this.resume());
  }

  // -- masks -----------------------------------------------------------------------------------

  /** Read the masks of every target of a clip; of another clip only edits on their way are kept. */
  open(clipId, targetIds, firstTarget) {
    return this.#masks.open(clipId, targetIds, firstTarget);
  }

  /** The state of one frame; a frame nobody touched is an empty one. */
  frame(targetId, frameIndex) {
    return this.#masks.frame(targetId, frameIndex);
  }

  /** The touched frames of a target. */
  frames(targetId) {
    return this.#masks.frames(targetId);
  }

  /** Whether what is shown of a target of the open clip was read from the store. */
  isLoaded(targetId) {
    return this.#masks.isLoaded(targetId);
  }

  /**
   * Resolves once what is shown of a target is what an edit can be made on: its masks are here, and
   * no undo or redo of the clip is on its way.
   */
  async ready(clipId, targetId) {
    await this.#masks.loaded(targetId);
    await this.#waiting.stepsOf(clipId);
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
    const asked = this.#waiting.ask(edit.id);
    this.#setQueue(queue, [edit]);
    this.recovery.put(edit);
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

  /** Put the refiner's next reading of a frame's last click in place of the one shown. */
  nextReading(place, size) {
    const known = { edits: this, masks: this.#masks, readings: this.#readings };
    const refuse = (sentence) => this.#session.notice(sentence, "info");
    return nextReading(place, size, known, refuse).catch((error) => refuse(error.message));
  }

  #setQueue(queue, shown) {
    this.#queue = queue;
    this.#masks.showQueue(shown);
    this.#say();
  }

  #say() {
    const kept = this.#unreachable
      ? this.#queue.length
      : this.#queue.filter(({ failure }) => failure).length;
    const waiting = this.#queue.length - kept;
    this.#session.setEdits({ waiting, kept: kept + this.recovery.offered.length });
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
      await this.#target(sent());
      const edit = sent();
      const landed = await send(this.#api, edit, {
        stored: () => this.#masks.stored(edit),
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

  async #land(edit, { masks, frames, reply }) {
    await this.#readAgain(frames);
    this.#unreachable = "";
    // Mask and queue change in one step: in between, the edit would be drawn twice or not at all.
    this.#queue = without(this.#queue, [edit.id]);
    this.#masks.arrive(edit.targetId, masks);
    this.#setQueue(this.#queue, [edit]);
    this.#forget([edit], reply);
    if (reply === null) return;
    this.#session.noteSaved();
    for (const mask of masks) this.#tell(edit, edit.targetId, [mask.frameIndex]);
    for (const [targetId, which] of frames) this.#tell(edit, targetId, which);
  }

  /**
   * Read what an edit changed. While the server cannot be asked the edit stays, and is asked for
   * again with it: without it an older mask would be shown as saved.
   */
  async #readAgain(frames) {
    const reads = [...frames].map(async ([targetId, which]) => {
      try {
        await this.#masks.readAgain(targetId, which);
      } catch (error) {
        if (meetsAny(error)) throw error;
        this.#session.notice(error.message, "error"); // the target was removed meanwhile
      }
    });
    await Promise.all(reads);
  }

  /** Tell the page's other parts what was saved here. */
  #tell({ clipId }, targetId, frames) {
    this.#telling = true;
    this.#session.changedHere(clipId, targetId, frames);
    this.#telling = false;
  }

  async #fail(edit, error) {
    if (!edit) return;
    if (meetsAny(error)) {
      this.#unreachable = error.message;
      this.#change(edit.id, { sending: false });
      clearTimeout(this.#retryTimer);
      this.#retryTimer = setTimeout(() => this.resume(), RETRY_MS);
      return;
    }
    this.#unreachable = "";
    if (error.status === undefined) console.error(error); // our own mistake: still nothing is lost
    const reason = { stale: "stale", missing: "gone" }[error.code] ?? "refused";
    if (reason === "stale") await this.#masks.refresh(edit.targetId, range(edit));
    if (!isWork(edit)) {
      this.#session.notice(error.message, "error");
      this.#drop([edit]);
      return;
    }
    this.#change(edit.id, { sending: false, failure: { reason, message: error.message } });
    const failed = this.#queue.find(({ id }) => id === edit.id);
    this.recovery.put(failed);
  }

  /** Forget edits that are done or given up, here and in the journal. */
  #forget(edits, reply = null) {
    this.#waiting.answer(edits, reply);
    this.recovery.remove(edits);
  }

  /** Edits that were made before are sent again. */
  #restore(edits) {
    const again = edits.map((edit) => ({ ...edit, tried: true, sending: false }));
    this.#setQueue([...again, ...this.#queue], again);
    this.#pump();
  }

  // -- a target for the first edit -------------------------------------------------------------

  /** The target of a clip's edits that had none when they were made; null while there is none. */
  targetMadeFor(clipId) {
    return this.#firstTargets.madeFor(clipId);
  }

  /** Whether a clip's first edit is on its way, which makes its target. */
  isMakingTarget(clipId) {
    return this.#withoutTarget(clipId).length > 0;
  }

  #withoutTarget(clipId) {
    return this.#queue.filter((edit) => edit.clipId === clipId && needsTarget(edit));
  }

  /** The target made meanwhile for an edit begun without one. */
  #madeAlready({ clipId, kind }) {
    const made = this.#firstTargets.madeFor(clipId);
    return isOfWholeClip({ kind }) || !this.#masks.mayHave(clipId, made) ? null : made;
  }

  /** Make the target that an edit waits for, if it does. */
  async #target(edit) {
    if (!needsTarget(edit)) return;
    const [first] = this.#withoutTarget(edit.clipId);
    await this.#firstTargets.make(edit.clipId, first.id);
  }

  /** A clip's target is made: its edits are of that from now on. */
  #giveTarget(clipId, targetId) {
    const waiting = this.#withoutTarget(clipId);
    for (const { id } of waiting) this.#queue = changed(this.#queue, id, { targetId });
    const given = this.#queue.filter((edit) => waiting.some(({ id }) => id === edit.id));
    for (const edit of given) this.recovery.put({ ...edit, sending: false });
    this.#masks.begin(clipId, targetId);
    this.#masks.showQueue([...waiting, ...given]);
    this.#choose(clipId, targetId);
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

  /** What the person should know of edits that are not saved, or null. */
  get problem() {
    return problemOf(this.#queue, this.#unreachable);
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
    await this.#masks.refresh(edit.targetId, range(edit));
  }

  #sayGivenUp(edits) {
    this.dispatchEvent(new CustomEvent("given-up", { detail: { edits } }));
  }

  #drop(edits) {
    this.#waiting.giveUp(edits);
    this.#sayGivenUp(edits);
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
    return this.#waiting.settled(place);
  }

  // -- other than edits ------------------------------------------------------------------------

  /** Ask what clicks would do, without doing it; null where a newer question came in between. */
  preview(targetId, frameIndex, clicks) {
    const { refiner } = this.#session;
    const seen = this.frame(targetId, frameIndex).target.version;
    const body = { clicks, seen, ...(refiner ? { refiner } : {}) };
    return preview(this.#api, targetId, frameIndex, body);
  }

  /** Stop trying; the page is left. */
  close() {
    clearTimeout(this.#retryTimer);
    this.recovery.close();
  }
}

function range({ first, last }) {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}

function random() {
  return crypto.getRandomValues(new Uint32Array(1))[0].toString(36);
}
