/** A target for edits that were made before their clip had one. */

/** Whether an edit waits for a target to be made. @param {import("./queue.js").Edit} edit */
export function needsTarget(edit) {
  return edit.targetId === null && edit.kind !== "undo" && edit.kind !== "redo";
}

export class FirstTargets {
  #api;
  #made;
  #making = new Map(); // clip id -> when its target is made
  #last = new Map(); // clip id -> the target made last for it

  /**
   * @param {object} api
   * @param {(clipId: number, targetId: number) => void} made called once for each target, before
   *   anybody who waits for it goes on
   */
  constructor(api, made) {
    this.#api = api;
    this.#made = made;
  }

  /**
   * Make a clip's target; once, however many edits ask for it meanwhile.
   *
   * @param {number} clipId
   * @param {string} editId of the first edit that waits: asked for again under this name, after a
   *   reload too, the target is still made once
   */
  make(clipId, editId) {
    if (!this.#making.has(clipId)) {
      const making = this.#make(clipId, editId).finally(() => this.#making.delete(clipId));
      this.#making.set(clipId, making);
    }
    return this.#making.get(clipId);
  }

  async #make(clipId, editId) {
    const path = `/api/clips/${clipId}/targets`;
    const { id } = await this.#api.post(path, { name: "" }, `${editId}-target`);
    this.#last.set(clipId, id);
    this.#made(clipId, id);
  }

  /** The target made last for a clip; null while there is none. */
  madeFor(clipId) {
    return this.#last.get(clipId) ?? null;
  }
}
