/**
 * The masks of a clip's targets: read from the store, edited here, saved one edit at a time.
 *
 * What happens to a frame is decided by the reducer of state.js; this module carries its
 * decisions to the server and back.
 */

import { decodeLayer } from "../overlay.js";
import { Readings } from "./readings.js";
import { encode, frameList, readMasks, writeMasks } from "./runs.js";
import { emptyFrame, isUnsaved, nextToSend, reduce } from "./state.js";

const RETRY_MS = 3000;

export class MaskSync {
  #api;
  #session;
  #readings = new Readings();
  #targets = new Map(); // target id -> Map(frame index -> FrameState)
  #size = null;
  #clipId = null;
  #nextEdit = 1;
  #waiting = new Map(); // "target/frame" -> resolvers of settled()
  #failed = new Map(); // "target/frame" -> {targetId, frameIndex}: asked for at every painted frame
  #retryTimer = 0;
  #turn = Promise.resolve(); // undo, redo and verify, one after the other
  #turns = 0; // how many of them are not done yet

  /**
   * @param {object} api
   * @param {object} session
   * @param {(targetId: number, frames: number[] | null) => void} changed null when all frames did
   */
  constructor(api, session, changed) {
    this.#api = api;
    this.#session = session;
    this.changed = changed;
    this.telling = false; // the session's "masks" event of this moment is our own news
  }

  /** Tell the page's other parts what was saved here. */
  #tell(targetId, frames) {
    this.telling = true;
    this.#session.changedHere(targetId, frames);
    this.telling = false;
  }

  /** Read the masks of every target of a clip; another clip's are forgotten. */
  async open(clipId, size, targetIds, firstTarget) {
    if (clipId !== this.#clipId) {
      this.#targets.clear();
      this.#failed.clear();
      this.#readings.clear();
      this.#clipId = clipId;
      this.#size = size;
    }
    for (const id of [...this.#targets.keys()]) {
      if (targetIds.includes(id)) continue;
      this.#targets.delete(id);
      for (const [key, { targetId }] of this.#failed) if (targetId === id) this.#failed.delete(key);
      this.changed(id, null);
    }
    const missing = targetIds.filter((id) => !this.#targets.has(id));
    missing.sort((a, b) => Number(b === firstTarget) - Number(a === firstTarget));
    for (const id of missing) this.#targets.set(id, new Map());
    for (const id of missing) await this.refresh(id, null);
  }

  /** The state of one frame; a frame nobody touched is an empty one. */
  frame(targetId, frameIndex) {
    return this.#targets.get(targetId)?.get(frameIndex) ?? emptyFrame(frameIndex);
  }

  /** @returns {Map<number, import("./state.js").FrameState>} the touched frames of a target */
  frames(targetId) {
    return this.#targets.get(targetId) ?? new Map();
  }

  #dispatch(targetId, frameIndex, event) {
    const frames = this.#targets.get(targetId);
    if (!frames) return;
    const before = frames.get(frameIndex) ?? emptyFrame(frameIndex);
    const after = reduce(before, event);
    if (after === before) return;
    frames.set(frameIndex, after);
    const key = `${targetId}/${frameIndex}`;
    if (after.failure) this.#failed.set(key, { targetId, frameIndex });
    else this.#failed.delete(key);
    this.changed(targetId, [frameIndex]);
    if (!isUnsaved(after)) this.#wake(targetId, frameIndex);
  }

  /** Read frames (null: all) of a target again; older replies lose against newer masks. */
  async refresh(targetId, frames) {
    const which = frames === null ? "" : `?frames=${frameList(frames)}`;
    try {
      const buffer = await this.#api.binary(`/api/targets/${targetId}/masks.bin${which}`);
      this.#arrive(targetId, buffer);
    } catch (error) {
      if (this.#targets.has(targetId)) this.#session.notice(error.message, "error");
    }
  }

  #arrive(targetId, buffer) {
    const known = this.#targets.get(targetId);
    if (!known) return;
    const changed = new Set();
    for (const mask of readMasks(buffer).masks) {
      const before = known.get(mask.frameIndex) ?? emptyFrame(mask.frameIndex);
      const after = reduce(before, { type: "maskArrived", mask });
      if (after === before) continue;
      known.set(mask.frameIndex, after);
      changed.add(mask.frameIndex);
    }
    if (changed.size) this.changed(targetId, [...changed]);
  }

  /**
   * Put one edit in the frame's queue; it is drawn from now on and saved in its turn.
   *
   * @param {object} edit a StrokeEdit or ClicksEdit without its id
   */
  edit(targetId, frameIndex, edit) {
    const numbered = { ...edit, id: this.#nextEdit++ };
    this.#dispatch(targetId, frameIndex, { type: "edited", edit: numbered });
    // An edit made while an undo is on its way is made on what the undo leaves.
    if (this.#turns) this.#turn.then(() => this.#pump(targetId, frameIndex));
    else this.#pump(targetId, frameIndex);
  }

  /** Do `work` after whatever was asked for before it. */
  #inTurn(work) {
    this.#turns += 1;
    const done = this.#turn.then(work).finally(() => {
      this.#turns -= 1;
    });
    this.#turn = done.catch(() => undefined); // who asked hears of the failure; the next goes on
    return done;
  }

  async #pump(targetId, frameIndex) {
    const state = this.frame(targetId, frameIndex);
    const edit = nextToSend(state);
    if (!edit) return;
    this.#dispatch(targetId, frameIndex, { type: "sending", id: edit.id });
    this.#session.saving();
    try {
      const masks = await this.#send(targetId, frameIndex, state, edit);
      this.#dispatch(targetId, frameIndex, { type: "saved", id: edit.id, masks });
      this.#session.saved();
      this.#tell(targetId, [frameIndex]);
    } catch (error) {
      this.#session.saved(error);
      await this.#sendFailed(targetId, frameIndex, edit, error);
    }
    this.#pump(targetId, frameIndex);
  }

  #send(targetId, frameIndex, state, edit) {
    return edit.kind === "clicks"
      ? this.#sendClicks(targetId, frameIndex, state, edit)
      : this.#sendStroke(targetId, frameIndex, state, edit);
  }

  async #sendClicks(targetId, frameIndex, state, edit) {
    const body = { clicks: edit.clicks, seen: state.target.version };
    if (edit.box) body.box = [edit.box.left, edit.box.top, edit.box.right, edit.box.bottom];
    if (this.#session.refiner) body.refiner = this.#session.refiner;
    const path = `/api/targets/${targetId}/frames/${frameIndex}/clicks`;
    const { masks } = readMasks(await this.#ask(path, body));
    this.#readings.note(targetId, masks);
    return masks;
  }

  async #sendStroke(targetId, frameIndex, state, edit) {
    const size = this.#size;
    const stored = state[edit.layer];
    const length = size.width * size.height;
    const source = { runs: stored.runs, strokes: [edit] };
    const pixels = decodeLayer(source, size, new Uint8Array(length), new Uint8Array(length));
    const runs = encode(pixels);
    const body = writeMasks(size, [
      { frameIndex, layer: edit.layer, version: stored.version, runs },
    ]);
    const path = `/api/targets/${targetId}/masks?kind=${edit.tool ?? "stroke"}`;
    const reply = await this.#api.binary(path, { method: "POST", body });
    const { versions } = JSON.parse(new TextDecoder().decode(reply));
    const { version } = versions.find(
      (one) => one.layer === edit.layer && one.frame_index === frameIndex,
    );
    return [{ ...stored, version, runs, verified: false, origin: "stroke", clicks: [] }];
  }

  #ask(path, body) {
    return this.#api.binary(path, { method: "POST", body: { json: body } });
  }

  /** Ask what a click would do, without doing it. @returns {Promise<Uint32Array>} runs */
  async preview(targetId, frameIndex, clicks) {
    const body = { clicks, seen: this.frame(targetId, frameIndex).target.version, preview: true };
    if (this.#session.refiner) body.refiner = this.#session.refiner;
    const reply = await this.#ask(`/api/targets/${targetId}/frames/${frameIndex}/clicks`, body);
    return readMasks(reply).masks[0]?.runs ?? new Uint32Array(0);
  }

  /**
   * Put the refiner's next reading of the last click in place of the one shown.
   *
   * @returns {Promise<{place: number, count: number} | null>} null where it had one reading only
   */
  async nextReading(targetId, frameIndex) {
    return this.#onSettled(targetId, frameIndex, async (target) => {
      const next = this.#readings.next(targetId, frameIndex, target.version);
      if (!next) return null;
      const { version } = target;
      const body = writeMasks(this.#size, [
        { frameIndex, layer: "target", version, runs: next.runs },
      ]);
      const path = `/api/targets/${targetId}/masks?kind=click`;
      const reply = await this.#api.binary(path, { method: "POST", body });
      const { versions } = JSON.parse(new TextDecoder().decode(reply));
      this.#readings.chosen(targetId, frameIndex, versions[0].version);
      await this.refresh(targetId, [frameIndex]);
      return next;
    });
  }

  /** Have the refiner read the mask of a frame, however rough, as what it was painted over. */
  async redraw(targetId, frameIndex) {
    return this.#onSettled(targetId, frameIndex, async (target) => {
      const body = { seen: target.version };
      if (this.#session.refiner) body.refiner = this.#session.refiner;
      const reply = await this.#ask(`/api/targets/${targetId}/frames/${frameIndex}/redraw`, body);
      this.#readings.note(targetId, readMasks(reply).masks);
      this.#arrive(targetId, reply);
      return true;
    });
  }

  /**
   * Do `work` with a frame's stored mask once nothing of it waits to be saved.
   *
   * @returns {Promise<any>} what `work` made, null where it could not
   */
  async #onSettled(targetId, frameIndex, work) {
    if (this.#refusedByFailure()) return null;
    const settled = this.settled(targetId, frameIndex);
    return this.#inTurn(async () => {
      await settled;
      let found = null;
      await this.#session.change(async () => {
        found = await work(this.frame(targetId, frameIndex).target);
      });
      if (found) this.#tell(targetId, [frameIndex]);
      return found;
    });
  }

  async #sendFailed(targetId, frameIndex, edit, error) {
    const reason = { stale: "stale", offline: "unreachable" }[error.code] ?? "refused";
    if (reason !== "unreachable") await this.refresh(targetId, [frameIndex]);
    if (edit.kind === "clicks" && reason !== "unreachable") {
      // Later clicks of the series go with it; strokes that wait stay.
      const { queue } = this.frame(targetId, frameIndex);
      const ids = queue.filter(({ kind }) => kind === "clicks").map(({ id }) => id);
      this.#dispatch(targetId, frameIndex, { type: "dropped", ids });
      this.#session.notice(error.message, "error");
      return;
    }
    this.#dispatch(targetId, frameIndex, { type: "failed", reason, message: error.message });
    if (reason === "unreachable") {
      clearTimeout(this.#retryTimer);
      this.#retryTimer = setTimeout(() => this.retryAll(), RETRY_MS);
    }
  }

  /** Send again what failed on a frame. */
  retry(targetId, frameIndex) {
    const { queue, failure } = this.frame(targetId, frameIndex);
    if (!queue.length || !failure) return;
    this.#dispatch(targetId, frameIndex, { type: "dropped", ids: [] });
    this.#pump(targetId, frameIndex);
  }

  /** The connection is back: send again whatever could not reach the server. */
  retryAll() {
    for (const { targetId, frameIndex } of [...this.#failed.values()]) {
      const { failure } = this.frame(targetId, frameIndex);
      if (failure?.reason === "unreachable") this.retry(targetId, frameIndex);
    }
  }

  /** Give up the edits of a frame that could not be saved. */
  discard(targetId, frameIndex) {
    const ids = this.frame(targetId, frameIndex).queue.map((edit) => edit.id);
    this.#dispatch(targetId, frameIndex, { type: "dropped", ids });
    this.refresh(targetId, [frameIndex]);
  }

  /** A frame with an edit that could not be saved, of any target, or null. */
  firstFailure() {
    for (const place of this.#failed.values()) {
      return { ...place, ...this.frame(place.targetId, place.frameIndex).failure };
    }
    return null;
  }

  /** Whether anything here is not in the store yet. */
  hasUnsaved() {
    return [...this.#targets.values()].some((frames) => [...frames.values()].some(isUnsaved));
  }

  /** Resolves once the frame has no edit waiting. */
  settled(targetId, frameIndex) {
    if (!isUnsaved(this.frame(targetId, frameIndex))) return Promise.resolve();
    const key = `${targetId}/${frameIndex}`;
    return new Promise((resolve) => {
      this.#waiting.set(key, [...(this.#waiting.get(key) ?? []), resolve]);
    });
  }

  #wake(targetId, frameIndex) {
    const key = `${targetId}/${frameIndex}`;
    for (const resolve of this.#waiting.get(key) ?? []) resolve();
    this.#waiting.delete(key);
  }

  /** Say that a frame is right, or take that back; `empty` says that the target is not there. */
  async verify(targetId, frameIndex, verified, empty = false) {
    if (this.#refusedByFailure()) return;
    const settled = this.settled(targetId, frameIndex);
    await this.#inTurn(async () => {
      await settled;
      await this.#session.change(async () => {
        const body = { frames: [frameIndex], verified, ...(empty ? { empty } : {}) };
        await this.#api.post(`/api/targets/${targetId}/verify`, body);
        await this.refresh(targetId, [frameIndex]);
        this.#tell(targetId, [frameIndex]);
      });
    });
  }

  /** What waits on an edit that cannot be saved would wait for ever: say so instead. */
  #refusedByFailure() {
    const failure = this.firstFailure();
    if (!failure) return false;
    const sentence = `Frame ${failure.frameIndex} is not saved. Retry or discard it first.`;
    this.#session.notice(sentence, "error");
    return true;
  }

  /** Undo or redo the person's last edit of this clip. @param {"undo" | "redo"} which */
  async step(which) {
    if (this.#refusedByFailure()) return null;
    // Only what was edited before is waited for: later edits wait for this step in turn.
    const pending = [...this.#targets].flatMap(([targetId, frames]) =>
      [...frames.keys()].map((frameIndex) => this.settled(targetId, frameIndex)),
    );
    return this.#inTurn(async () => {
      await Promise.all(pending);
      return this.#session.change(() => this.#stepNow(which));
    });
  }

  async #stepNow(which) {
    const reply = await this.#api.post(`/api/clips/${this.#clipId}/${which}`, {});
    if (!reply.edit) this.#session.notice(`There is nothing to ${which}.`, "info");
    const reads = [...groupByTarget(reply.changed)].map(async ([targetId, changes]) => {
      const frames = [...new Set(changes.map((change) => change.frame_index))];
      await this.refresh(targetId, frames);
      this.#tell(targetId, frames);
    });
    await Promise.all(reads);
    return reply.changed;
  }

  /** Stop trying; the page is left. */
  close() {
    clearTimeout(this.#retryTimer);
  }
}

function groupByTarget(changes) {
  const groups = new Map();
  for (const change of changes) {
    groups.set(change.target_id, [...(groups.get(change.target_id) ?? []), change]);
  }
  return groups;
}
