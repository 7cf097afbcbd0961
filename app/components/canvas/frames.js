/** A clip's frames as decoded pictures: fetched ahead, kept for a while, closed when let go. */

import { address } from "../shared/api.js";
import { Lru, wantedFrames } from "./prefetch.js";

const KEPT = 96; // decoded 1280x720 frames: 330 MB
const AT_ONCE = 3;
const TOO_LATE = 3; // frames from the one due on
const PACK = 8; // frames of one reply: a request costs three processes as much as a decoded frame
const RETRY_AFTER_MS = 1500;

export class FrameSource {
  #clip = null;
  #wanted = [];
  #playing = false;
  #loading = new Map(); // frame index -> {frames, controller}
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
    for (const { controller } of this.#loading.values()) controller.abort();
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
  want(frameIndex, direction, range, { ahead, behind, stride, playing }) {
    if (!this.#clip) return;
    this.#wanted = wantedFrames(
      frameIndex,
      direction,
      range,
      Math.min(ahead, KEPT - 12),
      behind,
      stride,
    );
    this.#playing = playing;
    const near = new Set(this.#wanted);
    near.add(frameIndex - 1); // the one just missed is nearly here, and better late than not shown
    for (const load of new Set(this.#loading.values())) {
      if (!load.frames.some((one) => near.has(one))) load.controller.abort();
    }
    // What is wanted counts as used, or the frames fetched first would be let go before their turn.
    for (const one of this.#wanted.toReversed()) this.bitmaps.get(one);
    this.#fill();
  }

  #fill() {
    // While playing, what is due this moment would come too late and keep the next ones waiting.
    const wanted = this.#playing ? this.#wanted.slice(TOO_LATE) : this.#wanted;
    while (new Set(this.#loading.values()).size < AT_ONCE) {
      const missing = wanted.filter((one) => this.#isMissing(one));
      if (!missing.length) return;
      // What a resting person waits for comes alone and first; what is only likely comes in packs.
      const waitedFor = !this.#playing && missing[0] === wanted[0];
      this.#load(missing.slice(0, waitedFor ? 1 : PACK));
    }
  }

  #isMissing(frameIndex) {
    if (this.bitmaps.has(frameIndex) || this.#loading.has(frameIndex)) return false;
    return !(performance.now() - this.#failedAt.get(frameIndex) < RETRY_AFTER_MS);
  }

  async #load(frames) {
    const clip = this.#clip;
    const load = { frames, controller: new AbortController() };
    const { signal } = load.controller;
    for (const frameIndex of frames) this.#loading.set(frameIndex, load);
    try {
      for await (const [frameIndex, picture] of fetchFrames(clip.id, frames, signal)) {
        const bitmap = await createImageBitmap(picture);
        if (signal.aborted) {
          bitmap.close();
          return;
        }
        this.#failedAt.delete(frameIndex);
        this.#toldOfFailure = false;
        this.bitmaps.set(frameIndex, bitmap);
        this.#done(frameIndex, load);
        this.arrived(frameIndex);
      }
    } catch (error) {
      if (error.name !== "AbortError") this.#loadFailed(frames, error);
    } finally {
      for (const frameIndex of frames) this.#done(frameIndex, load);
      this.#fill();
    }
  }

  #done(frameIndex, load) {
    if (this.#loading.get(frameIndex) === load) this.#loading.delete(frameIndex);
  }

  #loadFailed(frames, error) {
    for (const frameIndex of frames) this.#failedAt.set(frameIndex, performance.now());
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#fill(), RETRY_AFTER_MS + 50);
    // It is tried again and again, but said once.
    if (!frames.includes(this.#wanted[0]) || this.#toldOfFailure) return;
    this.#toldOfFailure = true;
    // A TypeError is the browser's way of saying that no answer came.
    const silent = `Frame ${frames[0]} is not here: the server does not answer.`;
    this.failed(error instanceof TypeError ? new Error(silent) : error);
  }
}

/** The JPEGs of frames as [frame index, Blob]; several travel as one reply. */
async function* fetchFrames(clipId, frames, signal) {
  const alone = frames.length === 1;
  const path = alone ? `frames/${frames[0]}.jpg` : `frames.pack?frames=${frames.join(",")}`;
  const reply = await fetch(address(`clips/${clipId}/${path}`), { signal });
  if (!reply.ok) throw new Error(`Frame ${frames[0]} could not be read (${reply.status}).`);
  if (alone) {
    yield [frames[0], await reply.blob()];
    return;
  }
  for (const [at, picture] of readPack(await reply.arrayBuffer()).entries()) {
    yield [frames[at], new Blob([picture], { type: "image/jpeg" })];
  }
}

/** Split a pack: little-endian words, the count and each length, then the pictures. Exported for tests. */
export function readPack(buffer) {
  const count = new DataView(buffer).getUint32(0, true);
  const lengths = new Uint32Array(buffer, 4, count);
  let begin = 4 + 4 * count;
  return Array.from(
    lengths,
    (length) => new Uint8Array(buffer, (begin += length) - length, length),
  );
}
