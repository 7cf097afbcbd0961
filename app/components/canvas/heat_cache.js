/** Heat maps of a run's frames as pictures, a few of them kept. */

import { heatWords, paintHeat } from "./heat.js";

const KEPT = 12; // whole frames are large, and made again in a few milliseconds
const STRONGER = 0.2; // than masks: a heat map is looked at, not through

export class HeatCache {
  #kept = new Map(); // frame index -> {map, made of; overlay}
  #words = new Uint32Array(0);
  #above = new Uint8Array(0);
  #palette = { opacity: null, words: null };
  #style = "";

  /** @param {{width: number, height: number}} size of the clip's frames */
  constructor(size) {
    this.size = size;
  }

  /** Forget frames, or all of them (null). */
  forget(frameIndices) {
    for (const frameIndex of frameIndices ?? [...this.#kept.keys()]) {
      this.#kept.get(frameIndex)?.overlay.bitmap.close();
      this.#kept.delete(frameIndex);
    }
  }

  /**
   * The heat map of a frame, as fine as the zoom can show.
   *
   * @param {number} frameIndex
   * @param {{width: number, height: number, values: Uint8Array} | undefined} map
   * @param {number} threshold 0..1
   * @param {{opacity: number, grain: number}} style
   * @returns {import("./overlay.js").Overlay | null} null while the soft map is not at hand
   */
  get(frameIndex, map, threshold, { opacity, grain }) {
    if (!map) return null;
    const style = `${threshold}/${opacity}/${grain}`;
    if (style !== this.#style) this.forget(null);
    this.#style = style;
    const known = this.#kept.get(frameIndex);
    if (known?.map === map) return known.overlay;
    this.forget([frameIndex]);
    const overlay = this.#make(map, threshold, Math.min(1, opacity + STRONGER), grain);
    this.#kept.set(frameIndex, { map, overlay });
    if (this.#kept.size > KEPT) this.forget([this.#kept.keys().next().value]);
    return overlay;
  }

  #make(map, threshold, opacity, grain) {
    const width = Math.ceil(this.size.width / grain);
    const height = Math.ceil(this.size.height / grain);
    if (this.#words.length < width * height) {
      this.#words = new Uint32Array(width * height);
      this.#above = new Uint8Array(width * height);
    }
    if (this.#palette.opacity !== opacity) this.#palette = { opacity, words: heatWords(opacity) };
    paintHeat(this.#words, map, { width, height }, threshold, this.#palette.words, this.#above);
    const canvas = new OffscreenCanvas(width, height);
    const bytes = new Uint8ClampedArray(this.#words.buffer, 0, width * height * 4);
    canvas.getContext("2d").putImageData(new ImageData(bytes, width, height), 0, 0);
    const { width: right, height: bottom } = this.size;
    return { bitmap: canvas.transferToImageBitmap(), left: 0, top: 0, right, bottom };
  }
}
