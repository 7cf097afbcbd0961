/** Where the person was in each clip, kept for this tab: a reload comes back to it. */

const WRITE_AFTER_MS = 400; // while playing the place changes many times a second; storage is slow

/**
 * @typedef {{frame?: number, target?: number | null, expression?: number | null}} Place
 */
export class Places {
  #waiting = null; // {clipId, place}
  #timer = 0;

  /** @param {Storage} storage @param {EventTarget} leaving tells "pagehide", in a browser */
  constructor(storage, leaving) {
    this.storage = storage;
    leaving.addEventListener?.("pagehide", () => this.#write());
  }

  /** @param {number} clipId @param {Place} place */
  remember(clipId, place) {
    if (this.#waiting && this.#waiting.clipId !== clipId) this.#write();
    this.#waiting = { clipId, place };
    this.#timer ||= setTimeout(() => this.#write(), WRITE_AFTER_MS);
  }

  /** @returns {Place} empty where nothing is known */
  recall(clipId) {
    if (this.#waiting?.clipId === clipId) return this.#waiting.place;
    try {
      return JSON.parse(this.storage.getItem(key(clipId))) ?? {};
    } catch {
      return {};
    }
  }

  #write() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    if (!this.#waiting) return;
    const { clipId, place } = this.#waiting;
    this.#waiting = null;
    try {
      this.storage.setItem(key(clipId), JSON.stringify(place));
    } catch {
      // Without storage a reload begins at frame 0.
    }
  }
}

function key(clipId) {
  return `refscribe.clip.${clipId}`;
}
