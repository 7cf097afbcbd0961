/**
 * The masks of the open clip: what the store holds of them, under the edits on their way to it.
 *
 * @typedef {import("./queue.js").Edit} Edit
 * @typedef {import("./state.js").FrameState} FrameState
 */

import { touches } from "./queue.js";
import { read } from "./requests.js";
import { arrived, emptyFrame } from "./state.js";

export class OpenMasks {
  #api;
  #queue;
  #changed;
  #failed;
  #clipId = null;
  #targets = new Map(); // target id -> Map(frame index -> FrameState); null: of the target to be made
  #loading = new Map(); // target id -> when all its masks are here; false where they are not
  #read = new Set(); // ids of the targets whose masks are all here

  /**
   * @param {object} api
   * @param {object} told
   * @param {() => Edit[]} told.queue the edits on their way
   * @param {(targetId: number | null, frames: number[] | null) => void} told.changed what is shown
   *   of frames (null: all) changed
   * @param {(error: Error) => void} told.failed masks could not be read
   */
  constructor(api, { queue, changed, failed }) {
    this.#api = api;
    this.#queue = queue;
    this.#changed = changed;
    this.#failed = failed;
  }

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
      this.#changed(id, null);
    }
    const missing = targetIds.filter((id) => !this.#loading.has(id));
    missing.sort((a, b) => Number(b === firstTarget) - Number(a === firstTarget));
    for (const id of [...missing, null]) {
      if (!this.#targets.has(id)) this.#targets.set(id, new Map());
      this.showQueue(this.#queue().filter((edit) => edit.targetId === id));
    }
    let before = Promise.resolve(true);
    for (const id of missing) {
      before = before.then(() => this.refresh(id, null));
      this.#loading.set(id, before);
    }
    await before;
  }

  /** Take in a target that was just made: there is nothing to read of it. */
  begin(clipId, targetId) {
    if (clipId !== this.#clipId) return;
    this.#targets.set(targetId, new Map());
    this.#loading.set(targetId, Promise.resolve(true));
    this.#read.add(targetId);
  }

  /** Whether a target is one of the clip's, or the clip is not open and nothing is known of it. */
  mayHave(clipId, targetId) {
    return clipId !== this.#clipId || this.#targets.has(targetId);
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

  /** Resolves once it is known whether all masks of a target could be read. */
  async loaded(targetId) {
    return this.#loading.get(targetId);
  }

  /** What the store holds of an edit's frame, also where its clip is not open. */
  async stored({ clipId, targetId, first }) {
    if (clipId === this.#clipId && this.#targets.has(targetId)) {
      const isLoaded = await this.#loading.get(targetId); // of masks half read nothing can be said
      if (isLoaded && clipId === this.#clipId) return this.frame(targetId, first);
    }
    const masks = await read(this.#api, targetId, [first]);
    return masks.reduce(arrived, emptyFrame(first));
  }

  /**
   * Read frames (null: all) of a target again; older replies lose against newer masks.
   *
   * @returns {Promise<boolean>} whether they were read; what was wrong is said
   */
  async refresh(targetId, frames) {
    if (!this.#targets.has(targetId) || targetId === null) return false;
    try {
      await this.readAgain(targetId, frames);
    } catch (error) {
      if (this.#targets.has(targetId)) this.#failed(error);
      return false;
    }
    return true;
  }

  /** As `refresh`, and rejects where they cannot be read. */
  async readAgain(targetId, frames) {
    if (!this.#targets.has(targetId)) return;
    this.arrive(targetId, await read(this.#api, targetId, frames));
    if (frames !== null || !this.#targets.has(targetId)) return;
    this.#loading.set(targetId, Promise.resolve(true));
    this.#read.add(targetId);
  }

  /** Everything may have changed. */
  async refreshAll() {
    await Promise.all([...this.#targets.keys()].map((id) => this.refresh(id, null)));
  }

  /** Masks of the store are here. */
  arrive(targetId, masks) {
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
    if (news.size) this.#changed(targetId, [...news]);
  }

  #withQueue(targetId, frameIndex) {
    const queue = this.#queue().filter((edit) => touches(edit, targetId, frameIndex));
    return { ...emptyFrame(frameIndex), queue };
  }

  /** Put the queue as it is now into the states of the frames that `edits` touch. */
  showQueue(edits) {
    for (const { clipId, targetId, first, last, kind } of edits) {
      const known = this.#targets.get(targetId);
      if (clipId !== this.#clipId || !known || kind === "undo" || kind === "redo") continue;
      const frames = [];
      for (let frameIndex = first; frameIndex <= last; frameIndex++) {
        const { queue } = this.#withQueue(targetId, frameIndex);
        const before = known.get(frameIndex) ?? emptyFrame(frameIndex);
        known.set(frameIndex, { ...before, queue });
        frames.push(frameIndex);
      }
      this.#changed(targetId, frames);
    }
  }
}
