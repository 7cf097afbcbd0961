/** A clip's frames as decoded pictures: fetched ahead, kept for a while, closed when let go. */

import { address } from "../studio/api.js";
import { Lru, wantedFrames } from "./prefetch.js";

const KEPT = 96; // decoded 1280x720 frames: 330 MB
const AT_ONCE = 4;
const RETRY_AFTER_MS = 1500;

export class FrameSource {
  #clip = null;
  #wanted = [];
  #loading = new Map(); // frame index -> AbortController
  #failedAt = new Map();
  #retry = 0;
  #toldOfFailure = false;

  /** @param {(frameIndex: number) => void} arrived @param {(error: Error) => void} failed */
  constructor(arrived, failed) {
    this.arrived = arrived;
    this.failed = failed;
    this.bitmaps = new Lru(KEPT, (bitmap) => bitmap.close());
  }

  /** Forget the clip before and serve this one, or none. */
  setClip(clip) {
    for (const controller of this.#loading.values()) controller.abort();
    clearTimeout(this.#retry);
    this.#loading.clear();
    this.#failedAt.clear();
    this.#wanted = [];
    this.bitmaps.clear();
    this.#clip = clip;
  }

  /** @returns {ImageBitmap | undefined} the frame, if it is at hand */
  get(frameIndex) {
    return this.bitmaps.get(frameIndex);
  }

  /** Fetch what is needed around `frameIndex`; what is no longer near is cancelled. */
  want(frameIndex, direction, range, { ahead, behind, stride }) {
    if (!this.#clip) return;
    this.#wanted = wantedFrames(
      frameIndex,
      direction,
      range,
      Math.min(ahead, KEPT - 12),
      behind,
      stride,
    );
    const near = new Set(this.#wanted);
    near.add(frameIndex - 1); // the one just missed is nearly here, and better late than not shown
    for (const [loading, controller] of this.#loading) {
      if (!near.has(loading)) controller.abort();
    }
    this.#fill();
  }

  #fill() {
    for (const frameIndex of this.#wanted) {
      if (this.#loading.size >= AT_ONCE) return;
      if (this.bitmaps.has(frameIndex) || this.#loading.has(frameIndex)) continue;
      if (performance.now() - (this.#failedAt.get(frameIndex) ?? -Infinity) < RETRY_AFTER_MS)
        continue;
      this.#load(frameIndex);
    }
  }

  async #load(frameIndex) {
    const clip = this.#clip;
    const controller = new AbortController();
    this.#loading.set(frameIndex, controller);
    try {
      const url = address(`clips/${clip.id}/frames/${frameIndex}.jpg`);
      const reply = await fetch(url, { signal: controller.signal });
      if (!reply.ok) throw new Error(`Frame ${frameIndex} could not be read (${reply.status}).`);
      const bitmap = await createImageBitmap(await reply.blob());
      if (controller.signal.aborted) {
        bitmap.close();
        return;
      }
      this.#failedAt.delete(frameIndex);
      this.#toldOfFailure = false;
      this.bitmaps.set(frameIndex, bitmap);
      this.arrived(frameIndex);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.#failedAt.set(frameIndex, performance.now());
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.#fill(), RETRY_AFTER_MS + 50);
      // It is tried again and again, but said once.
      if (frameIndex === this.#wanted[0] && !this.#toldOfFailure) {
        this.#toldOfFailure = true;
        // A TypeError is the browser's way of saying that no answer came.
        const silent = `Frame ${frameIndex} is not here: the server does not answer.`;
        this.failed(error instanceof TypeError ? new Error(silent) : error);
      }
    } finally {
      if (this.#loading.get(frameIndex) === controller) {
        this.#loading.delete(frameIndex);
        this.#fill();
      }
    }
  }
}
