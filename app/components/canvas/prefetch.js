/** Which frames to have at hand, and a cache that lets go of the rest.  Pure. */

/**
 * Frames worth having, most urgent first: the one wanted, then those ahead in the direction of
 * movement, with a few behind for a change of mind.
 *
 * @param {number} frameIndex
 * @param {1|-1} direction
 * @param {{first: number, last: number, wraps: boolean}} range frames to stay within; playing wraps
 * @param {number} ahead
 * @param {number} behind
 * @param {number} [stride] every how many frames one is shown
 * @returns {number[]} without repetition
 */
export function wantedFrames(frameIndex, direction, range, ahead, behind, stride = 1) {
  const length = range.last - range.first + 1;
  const wanted = new Set([frameIndex]);
  const add = (offset) => {
    let candidate = frameIndex + offset;
    if (range.wraps && length > 0) {
      candidate = range.first + ((((candidate - range.first) % length) + length) % length);
    }
    if (candidate >= range.first && candidate <= range.last) wanted.add(candidate);
  };
  for (let step = 1; step <= ahead; step++) {
    add(step * direction * stride);
    if (step <= behind) add(-step * direction);
  }
  return [...wanted];
}

/** A map that forgets what was used longest ago, telling `release` of each value it drops. */
export class Lru {
  #values = new Map();

  constructor(capacity, release = (/** @type {any} */ _value) => {}) {
    this.capacity = capacity;
    this.release = release;
  }

  get size() {
    return this.#values.size;
  }

  has(key) {
    return this.#values.has(key);
  }

  get(key) {
    const value = this.#values.get(key);
    if (value !== undefined) {
      this.#values.delete(key);
      this.#values.set(key, value);
    }
    return value;
  }

  set(key, value) {
    this.delete(key);
    this.#values.set(key, value);
    while (this.#values.size > this.capacity) this.delete(this.#values.keys().next().value);
  }

  delete(key) {
    const value = this.#values.get(key);
    if (value === undefined) return;
    this.#values.delete(key);
    this.release(value);
  }

  clear() {
    for (const key of [...this.#values.keys()]) this.delete(key);
  }
}
