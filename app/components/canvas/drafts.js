/** A draft shown or compared: its masks, and its soft maps for another threshold or as a heat map. */

import { address } from "../shared/api.js";
import { readPack } from "./frames.js";
import { Lru, wantedFrames } from "./prefetch.js";
import { frameList, readMasks } from "./edits/runs.js";
import { thresholdSoftMap } from "./soft_map.js";

const MAPS_KEPT = 160;
const MAPS_AT_ONCE = 2; // requests
const PACK = 16; // soft maps of one reply: they are small, a request is not
const MAPS_AHEAD = 72; // frames: three seconds of playing
const READ_EVERY_MS = 400;

export class DraftLayer {
  #api;
  #draft = null;
  #size = null;
  #masks = new Map(); // frame index -> runs
  #maps = new Lru(MAPS_KEPT);
  #loading = new Set();
  #requests = 0;
  #wanted = [];
  #fresh = new Set(); // frames delivered and not read yet
  #again = 0;
  #generation = 0; // of the soft maps: another draft or query has others

  /**
   * @param {object} api
   * @param {(frames: number[] | null, what?: "map") => void} changed null when all frames did
   * @param {(error: Error) => void} failed
   */
  constructor(api, changed, failed) {
    this.#api = api;
    this.changed = changed;
    this.failed = failed;
    this.threshold = null;
    this.needsMaps = false; // also while the threshold is the draft's own
  }

  get id() {
    return this.#draft?.id ?? null;
  }

  /** Which of the segmenter's queries it shows; null where there is but one. */
  get query() {
    return this.#draft?.query ?? null;
  }

  /** The frames this draft has masks for. */
  get frames() {
    return this.#masks.keys();
  }

  /** Show a draft of the clip, or none. */
  show(draft, size) {
    const other = draft?.id !== this.#draft?.id;
    const otherQuery = draft?.query !== this.#draft?.query;
    this.#draft = draft;
    this.#size = size;
    if (other || otherQuery) {
      this.#maps.clear();
      this.#generation += 1;
    }
    // Frames may have come that nobody told of, while the connection was lost.
    const missed = draft && draft.frames_done !== this.#masks.size;
    if (other) {
      this.#masks.clear();
      this.#fresh.clear();
      this.#wanted = [];
      this.changed(null);
      clearTimeout(this.#again);
      this.#again = 0;
      if (draft) this.#read();
    } else if (draft && (otherQuery || missed)) {
      this.#read();
    }
  }

  /** A running draft delivers frames one by one: they are read together, not each for itself. */
  #readSoon() {
    this.#again ||= setTimeout(() => {
      this.#again = 0;
      if (this.#fresh.size) this.#read([...this.#fresh]);
    }, READ_EVERY_MS);
  }

  /** Frames that a running draft delivered. @param {number[]} frames */
  delivered(frames) {
    for (const frameIndex of frames) this.#fresh.add(frameIndex);
    if (this.#draft && frames.length) this.#readSoon();
  }

  /** Read the masks of `frames`, or all. @param {number[] | null} frames */
  async #read(frames = null) {
    const { id } = this.#draft ?? {};
    if (id === undefined) return;
    for (const frameIndex of frames ?? this.#fresh) this.#fresh.delete(frameIndex);
    const which = frames === null ? "" : `?frames=${frameList(frames)}`;
    try {
      const { masks } = readMasks(await this.#api.binary(`/api/drafts/${id}/masks.bin${which}`));
      if (id !== this.id) return;
      const fresh = masks.filter((mask) => !sameRuns(this.#masks.get(mask.frameIndex), mask.runs));
      for (const mask of fresh) this.#masks.set(mask.frameIndex, mask.runs);
      this.changed(fresh.map((mask) => mask.frameIndex));
    } catch (error) {
      if (id === this.id) this.failed(error);
    }
  }

  /** The live threshold: soft maps are used only where it differs from the draft's own. */
  setThreshold(threshold) {
    if (threshold === this.threshold) return;
    const wasLive = this.#isLive();
    this.threshold = threshold;
    if (this.#draft && (wasLive || this.#isLive())) this.changed(null);
  }

  #isLive() {
    const { threshold } = this.#draft ?? {};
    return (
      this.threshold !== null &&
      threshold !== undefined &&
      Math.abs(this.threshold - threshold) > 1e-6
    );
  }

  /** The draft's stored runs on a frame, whatever the live threshold. */
  runs(frameIndex) {
    return this.#masks.get(frameIndex);
  }

  /** The draft's mask on a frame as a layer's source: runs, or pixels at the live threshold. */
  mask(frameIndex) {
    const runs = this.#masks.get(frameIndex);
    if (!runs) return null;
    const map = this.#isLive() ? this.#maps.get(frameIndex) : null;
    // Until its soft map is here a frame shows the draft's own threshold rather than nothing.
    return map ? { pixels: thresholdSoftMap(map, this.#size, this.threshold) } : { runs };
  }

  /** The threshold in force. */
  get cut() {
    return this.threshold ?? this.#draft?.threshold ?? 0.5;
  }

  /** The soft map of a frame, where it is at hand. */
  map(frameIndex) {
    return this.#maps.get(frameIndex);
  }

  /** Stop reading; nobody looks at it any more. */
  close() {
    clearTimeout(this.#again);
    this.#draft = null;
    this.#wanted = [];
  }

  /** Fetch soft maps around the playhead while they are of use. */
  want(frameIndex, direction, range) {
    if (!this.needsMaps && !this.#isLive()) return;
    this.#wanted = wantedFrames(frameIndex, direction, range, MAPS_AHEAD, 2);
    // What is wanted counts as used, or the maps fetched first would be let go before their turn.
    for (const one of this.#wanted.toReversed()) this.#maps.get(one);
    this.#fill();
  }

  #fill() {
    const missing = this.#wanted.filter(
      (one) => this.#masks.has(one) && !this.#maps.has(one) && !this.#loading.has(one),
    );
    while (missing.length && this.#requests < MAPS_AT_ONCE) {
      // The frame before the person's eyes is not kept waiting for its neighbours.
      const waitedFor = missing[0] === this.#wanted[0];
      this.#load(missing.splice(0, waitedFor ? 1 : PACK));
    }
  }

  async #load(frames) {
    const { id } = this;
    const generation = this.#generation;
    this.#requests += 1;
    for (const frameIndex of frames) this.#loading.add(frameIndex);
    const what = `The draft's soft map of frame ${frames[0]}`;
    try {
      const reply = await fetch(address(`drafts/${id}/maps.pack?frames=${frames.join(",")}`));
      if (!reply.ok) throw new Error(`${what} could not be read.`);
      for (const [at, picture] of readPack(await reply.arrayBuffer()).entries()) {
        const map = await readMap(new Blob([picture], { type: "image/png" }));
        if (id !== this.id || generation !== this.#generation) return;
        this.#maps.set(frames[at], map);
        this.changed([frames[at]], "map");
      }
    } catch (error) {
      this.#wanted = [];
      // A TypeError is the browser's way of saying that no answer came.
      const silent = `${what} is not here: no answer came.`;
      if (id === this.id) this.failed(error instanceof TypeError ? new Error(silent) : error);
    } finally {
      this.#requests -= 1;
      for (const frameIndex of frames) this.#loading.delete(frameIndex);
      this.#fill();
    }
  }
}

function sameRuns(before, after) {
  return before?.length === after.length && before.every((run, index) => run === after[index]);
}

/** Decode an 8-bit grey picture into its values, at its own size. */
async function readMap(blob) {
  const bitmap = await createImageBitmap(blob, {
    colorSpaceConversion: "none",
    premultiplyAlpha: "none",
  });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const values = new Uint8Array(width * height);
  for (let at = 0; at < values.length; at++) values[at] = data[at * 4];
  return { width, height, values };
}
