/** The refiner's readings of the last click or stroke on a frame, to choose another from. Pure. */

const MOST_KEPT = 100; // frames

export class Readings {
  #kept = new Map(); // "target/frame" -> {version, runs: Uint32Array[], at}

  /**
   * Note an answer of the refiner: the mask that was kept first, then other readings of version 0.
   *
   * @param {number} targetId
   * @param {import("./runs.js").FrameMask[]} masks
   */
  note(targetId, masks) {
    const [kept, ...others] = masks.filter(({ layer }) => layer === "target");
    if (!kept) return;
    const name = `${targetId}/${kept.frameIndex}`;
    if (!others.length) this.#kept.delete(name);
    else {
      const runs = [kept.runs, ...others.map((other) => other.runs)];
      this.#kept.delete(name);
      this.#kept.set(name, { version: kept.version, runs, at: 0 });
      if (this.#kept.size > MOST_KEPT) this.#kept.delete(this.#kept.keys().next().value);
    }
  }

  /**
   * The reading after the one shown, round and round.
   *
   * @param {number} version of the mask shown: of an older answer there is nothing to choose
   * @returns {{runs: Uint32Array, place: number, count: number} | null} place counts from 1
   */
  next(targetId, frameIndex, version) {
    const kept = this.#kept.get(`${targetId}/${frameIndex}`);
    if (!kept || kept.version !== version) return null;
    const at = (kept.at + 1) % kept.runs.length;
    return { runs: kept.runs[at], place: at + 1, count: kept.runs.length };
  }

  /** The reading after the one of version `seen` was saved as `version`. */
  chosen(targetId, frameIndex, seen, version) {
    const kept = this.#kept.get(`${targetId}/${frameIndex}`);
    if (kept?.version !== seen) return;
    kept.version = version;
    kept.at = (kept.at + 1) % kept.runs.length;
  }
}
