/** Who waits for edits: those who asked for one, and those who build on what is under way. */

import { collide, isOfWholeClip, resting } from "./queue.js";

export class Waiting {
  #edits;
  #queue;
  #isUnreachable;
  #askers = new Map(); // edit id -> resolves what `ask` promised
  #given = new Set(); // ids of edits that were given up

  /**
   * @param {EventTarget} edits says "queue" whenever the queue changed
   * @param {object} told
   * @param {() => import("./queue.js").Edit[]} told.queue the edits on their way
   * @param {() => boolean} told.isUnreachable whether nothing can be sent now
   */
  constructor(edits, { queue, isUnreachable }) {
    this.#edits = edits;
    this.#queue = queue;
    this.#isUnreachable = isUnreachable;
  }

  /** @returns {Promise<any>} what an edit is answered with; who asked for what it replaces, too */
  ask(id) {
    const earlier = this.#askers.get(id);
    const asked = new Promise((resolve) => this.#askers.set(id, resolve));
    earlier?.(asked);
    return asked;
  }

  /** Edits are done, or given up: `reply` is null. */
  answer(edits, reply) {
    for (const { id } of edits) {
      this.#askers.get(id)?.(reply);
      this.#askers.delete(id);
    }
  }

  /** Edits will not be saved. */
  giveUp(edits) {
    for (const { id } of edits) this.#given.add(id);
  }

  /**
   * Wait for the edits made so far that touch a place.
   *
   * @param {import("./queue.js").Place | null} place null: edits of every clip
   * @returns {Promise<boolean>} false when one of them failed or was given up
   */
  async settled(place) {
    const awaited = this.#queue().filter((edit) => !place || collide(edit, { ...place, kind: "" }));
    const ids = new Set(awaited.map(({ id }) => id));
    const isLeft = () => this.#queue().some(({ id }) => ids.has(id));
    const isFailed = () =>
      [...ids].some((id) => this.#given.has(id)) ||
      resting(this.#queue()).some(({ id }) => ids.has(id)) ||
      (isLeft() && this.#isUnreachable());
    await this.#until(() => !isLeft() || isFailed());
    return !isFailed();
  }

  /** Wait until no undo or redo of a clip is under way. */
  async stepsOf(clipId) {
    const isTurning = () =>
      this.#queue().some((edit) => edit.clipId === clipId && isOfWholeClip(edit));
    await this.#until(() => !isTurning() || this.#isUnreachable());
  }

  async #until(truth) {
    while (!truth()) {
      await new Promise((resolve) =>
        this.#edits.addEventListener("queue", resolve, { once: true }),
      );
    }
  }
}
