/** How well two masks of a frame agree, Ignore left out.  Pure. */

/**
 * Region similarity J of two masks of one size, both as row-major runs.
 *
 * Pixels of Ignore count neither as shared nor as missed, as in the benchmark's scoring.
 *
 * @param {Uint32Array} first
 * @param {Uint32Array} second
 * @param {Uint32Array | number[]} [ignore]
 * @returns {number} 0..1; 1 when both are empty outside Ignore
 */
export function similarity(first, second, ignore = []) {
  const masks = [first, second, ignore];
  const run = [0, 0, 0];
  const end = masks.map((runs) => (runs.length ? runs[0] : Infinity));
  let at = 0;
  let shared = 0;
  let union = 0;
  for (;;) {
    const stop = Math.min(end[0], end[1], end[2]);
    if (stop === Infinity) return union ? shared / union : 1;
    if (!(run[2] & 1)) {
      const inFirst = run[0] & 1;
      const inSecond = run[1] & 1;
      if (inFirst && inSecond) shared += stop - at;
      if (inFirst || inSecond) union += stop - at;
    }
    at = stop;
    for (let mask = 0; mask < 3; mask++) {
      if (end[mask] !== stop) continue;
      run[mask] += 1;
      if (run[mask] < masks[mask].length) {
        end[mask] += masks[mask][run[mask]];
      } else {
        end[mask] = Infinity;
        run[mask] = 0; // past its last run there is only background
      }
    }
  }
}

/** J frame by frame, remembered until a mask of the frame is another one. */
export class Agreement {
  #known = new Map(); // frame index -> {mask, draft, ignore, value}

  /** @returns {number | null} null where there is not one mask and one draft to compare */
  frame(frameIndex, mask, draft, ignore) {
    if (!mask?.length || !draft?.length) return null;
    const known = this.#known.get(frameIndex);
    if (known?.mask === mask && known.draft === draft && known.ignore === ignore)
      return known.value;
    const value = similarity(mask, draft, ignore);
    this.#known.set(frameIndex, { mask, draft, ignore, value });
    return value;
  }

  clear() {
    this.#known.clear();
  }
}

/** The mean of the values that are there, or null. */
export function mean(values) {
  const there = values.filter((value) => value !== null);
  return there.length ? there.reduce((sum, value) => sum + value, 0) / there.length : null;
}
