/** The masks of the runs compared: one layer of masks for every draft among them. */

import { draftIdOf } from "../shared/comparison.js";
import { DraftLayer } from "./drafts.js";

export class RunLayers {
  #parts;
  #own = new Map(); // draft id -> DraftLayer
  #heat = false;

  /**
   * @param {object} parts api, session, comparison, draft (the layer of the draft that is shown);
   *   `changed(frames)` when masks changed, null for all frames; `failed(error)`
   */
  constructor(parts) {
    this.#parts = parts;
  }

  /** The layer of a run, or null for the annotation and for what is not compared. */
  layer(key) {
    const id = draftIdOf(key);
    if (id === null) return null;
    return this.#own.get(id) ?? (this.#parts.draft.id === id ? this.#parts.draft : null);
  }

  /** Follow the comparison: what is compared, at which threshold, with or without soft maps. */
  update({ heat = this.#heat } = {}) {
    const { session, comparison, draft } = this.#parts;
    this.#heat = heat;
    const detail = session.clip;
    const size = detail && { width: detail.clip.width, height: detail.clip.height };
    const wanted = comparison.runs.map(({ key }) => draftIdOf(key)).filter((id) => id !== null);
    // The draft that is shown is read already; at another threshold it is another layer.
    const shares = (id) => id === session.draftId && comparison.threshold === null;
    for (const [id, layer] of this.#own) {
      if (wanted.includes(id) && !shares(id)) continue;
      layer.close();
      this.#own.delete(id);
    }
    for (const id of wanted.filter((one) => !shares(one))) {
      const facts = detail.drafts.find((one) => one.id === id);
      if (!this.#own.has(id)) {
        const { api, changed, failed } = this.#parts;
        this.#own.set(id, new DraftLayer(api, changed, failed));
      }
      const layer = this.#own.get(id);
      layer.setThreshold(comparison.threshold ?? facts.threshold);
      layer.show(facts, size);
    }
    for (const layer of this.#own.values()) layer.needsMaps = heat;
    draft.needsMaps = heat && wanted.some(shares);
  }

  /** A running draft delivered frames. */
  delivered(id, frames) {
    this.#own.get(id)?.delivered(frames);
  }

  /** Fetch soft maps around the playhead while they are of use. */
  want(frameIndex, direction, range) {
    for (const layer of this.#own.values()) layer.want(frameIndex, direction, range);
  }

  close() {
    for (const layer of this.#own.values()) layer.close();
    this.#own.clear();
  }
}
