/**
 * The frames to look at next: asked of the server after every change, while the person goes on.
 */

import { api } from "./api.js";
import { session } from "./session.js";

const ASK_AFTER_MS = 1200; // after the last of a burst of changes

/** What the server's reasons are called on the page. */
export const REASONS = Object.freeze({
  vanished: "mask vanishes",
  jump: "sudden change",
  motion: "does not follow the motion",
  cut: "first after a cut",
  disagreement: "differs from the draft",
  "in pieces": "in pieces",
  unsure: "refiner unsure",
});

/**
 * The frame after (`way` 1) or before (-1) `frameIndex` among `frames`, coming round at the end.
 *
 * @param {{frame_index: number}[]} frames in any order
 * @returns {number | null} null when no other frame is listed
 */
export function neighbour(frames, frameIndex, way) {
  const order = frames.map((frame) => frame.frame_index).sort((a, b) => way * (a - b));
  const next = order.find((index) => way * (index - frameIndex) > 0) ?? order[0];
  return next === undefined || next === frameIndex ? null : next;
}

class LookList extends EventTarget {
  /** Most urgent first; null while the server has not answered for this target. */
  frames = null;
  #targetId = null;
  #timer = 0;
  #asking = 0;

  constructor() {
    super();
    for (const type of ["clip", "target"])
      session.addEventListener(type, () => this.#targetChanged());
    for (const type of ["masks", "saved", "draft-frames"]) {
      session.addEventListener(type, () => this.#soon());
    }
  }

  #targetChanged() {
    if (session.targetId === this.#targetId) return;
    this.#targetId = session.targetId;
    this.#asking += 1;
    this.frames = null;
    this.#say();
    this.#soon();
  }

  #soon() {
    clearTimeout(this.#timer);
    if (this.#targetId !== null) this.#timer = setTimeout(() => this.ask(), ASK_AFTER_MS);
  }

  /** Read the list anew. */
  async ask() {
    clearTimeout(this.#timer);
    const targetId = this.#targetId;
    if (targetId === null) return;
    const asking = ++this.#asking;
    try {
      const reply = await api.get(`/api/targets/${targetId}/attention`);
      if (asking !== this.#asking || reply === null) return; // it was asked for anew
      this.frames = reply.frames;
      this.#say();
    } catch {
      // Only a help: the last list stands until the next change.
    }
  }

  /** Where to go from `frameIndex`; waits for the first answer, and throws where none comes. */
  async next(frameIndex, way) {
    if (this.frames === null) await this.ask();
    if (this.frames === null)
      throw new Error("The frames to look at are not known yet; try again soon.");
    return neighbour(this.frames, frameIndex, way);
  }

  #say() {
    this.dispatchEvent(new CustomEvent("look"));
  }
}

export const lookList = new LookList();
