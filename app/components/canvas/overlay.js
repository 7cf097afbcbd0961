/**
 * The overlay of a frame as a picture: made once from run lengths, kept, drawn every time.
 *
 * @typedef {import("./compose.js").Layer} Layer
 * @typedef {import("./brush.js").Rect} Rect
 * @typedef {{runs?: Uint32Array, pixels?: Uint8Array, colour: number[], manner: string,
 *   strokes?: {touched: Uint32Array, value: 0|1}[], minus?: Source, both?: Source,
 *   dash?: number}} Source  what a layer is made from; `minus` is taken away from it, and only what
 *   is in `both` too is left
 * @typedef {{bitmap: ImageBitmap | OffscreenCanvas, left: number, top: number,
 *   right: number, bottom: number}} Overlay  in frame pixels
 */

import { clipped, grown, union } from "./brush.js";
import { compose } from "./compose.js";
import { bounds, decodeInto } from "./edits/runs.js";

const KEPT = 96;

/** Decode a layer's runs and lay its waiting strokes over them. */
export function decodeLayer(source, size, pixels, scratch) {
  if (source.pixels) pixels.set(source.pixels);
  else decodeInto(pixels, source.runs ?? []);
  for (const stroke of source.strokes ?? []) {
    decodeInto(scratch, stroke.touched);
    for (let at = 0; at < pixels.length; at++) if (scratch[at]) pixels[at] = stroke.value;
  }
  const other = source.minus ?? source.both;
  if (other) {
    const keeps = source.minus ? 0 : 1;
    const found = other.pixels ?? decodeLayer(other, size, scratch, new Uint8Array(pixels.length));
    for (let at = 0; at < pixels.length; at++) if (found[at] !== keeps) pixels[at] = 0;
  }
  return pixels;
}

function extent(source, size) {
  if (source.pixels) return { left: 0, top: 0, right: size.width, bottom: size.height };
  const painted = (source.strokes ?? [])
    .filter((stroke) => stroke.value)
    .map((stroke) => bounds(stroke.touched, size.width));
  return [bounds(source.runs ?? [], size.width), ...painted].reduce(union, null);
}

export class OverlayCache {
  #kept = new Map(); // frame index -> Overlay | null
  #buffers = [];
  #words = new Uint32Array(0);
  #keeps;

  /** @param {{width: number, height: number}} size of the clip's frames @param {number} keeps */
  constructor(size, keeps = KEPT) {
    this.size = size;
    this.#keeps = keeps;
  }

  /** Forget frames whose masks changed, or all of them where the style did. */
  forget(frameIndices) {
    for (const frameIndex of frameIndices ?? [...this.#kept.keys()]) {
      this.#kept.get(frameIndex)?.bitmap.close();
      this.#kept.delete(frameIndex);
    }
  }

  has(frameIndex) {
    return this.#kept.has(frameIndex);
  }

  /**
   * The overlay of a frame, or null where there is nothing to lay over it.
   *
   * @param {number} frameIndex
   * @param {() => Source[]} sources bottom first; asked only when the overlay is not at hand
   * @param {{opacity: number, grain: number}} style
   * @returns {Overlay | null}
   */
  get(frameIndex, sources, style) {
    if (!this.#kept.has(frameIndex)) {
      this.#kept.set(frameIndex, this.#make(sources(), style));
      if (this.#kept.size > this.#keeps) this.forget([this.#kept.keys().next().value]);
    }
    return this.#kept.get(frameIndex) ?? null;
  }

  /** An overlay that is not kept. */
  once(sources, style) {
    return this.#make(sources, style);
  }

  #make(sources, style) {
    const rect = sources.map((source) => extent(source, this.size)).reduce(union, null);
    const cut = rect && clipped(rect, this.size);
    if (!cut) return null;
    const layers = sources.map((source, index) => ({
      ...source,
      pixels: decodeLayer(source, this.size, this.#buffer(index + 1), this.#buffer(0)),
    }));
    const canvas = new OffscreenCanvas(cut.right - cut.left, cut.bottom - cut.top);
    this.#put(canvas.getContext("2d"), cut, layers, style, 0, 0);
    return { bitmap: canvas.transferToImageBitmap(), ...cut };
  }

  /** Paint `rect` of decoded layers onto a context at (x, y). */
  #put(context, rect, layers, style, x, y) {
    const columns = rect.right - rect.left;
    const rows = rect.bottom - rect.top;
    if (this.#words.length < columns * rows) this.#words = new Uint32Array(columns * rows);
    compose(this.#words, this.size, rect, layers, style);
    const bytes = new Uint8ClampedArray(this.#words.buffer, 0, columns * rows * 4);
    context.putImageData(new ImageData(bytes, columns, rows), x, y);
  }

  #buffer(index) {
    const length = this.size.width * this.size.height;
    this.#buffers[index] ??= new Uint8Array(length);
    return this.#buffers[index];
  }

  /** An overlay whose layers stay decoded, so that a stroke repaints only what it touched. */
  live(sources, style) {
    const { width, height } = this.size;
    const scratch = this.#buffer(0);
    const layers = sources.map((source) => ({
      ...source,
      pixels: decodeLayer(source, this.size, new Uint8Array(width * height), scratch),
    }));
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d");
    const repaint = (rect) => {
      const cut = grown(rect, style.grain + 1, this.size);
      if (cut) this.#put(context, cut, layers, style, cut.left, cut.top);
    };
    const whole = { left: 0, top: 0, right: width, bottom: height };
    repaint(whole);
    return { overlay: { bitmap: canvas, ...whole }, layers, repaint };
  }
}
