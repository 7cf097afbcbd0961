/** What lies over a frame: which masks, in which colours, from the bottom up. */

import { otherTarget } from "./colours.js";
import { OverlayCache } from "./overlay.js";
import { pendingStrokes, shownClicks } from "./state.js";
import { grainOf } from "./viewport.js";

/**
 * What of a frame is shown: "both" the annotation and the draft; "mask" or "draft" alone;
 * "difference": only what one has and the other has not, each in its colour.
 */
const VIEWS = ["both", "mask", "draft", "difference"];

export class Scene {
  #session;
  #sync;
  #draft;
  #palette;
  #caches = new Map(); // view -> OverlayCache
  #style = { opacity: 0.45, grain: 1 };

  constructor(session, sync, draft, palette) {
    this.#session = session;
    this.#sync = sync;
    this.#draft = draft;
    this.#palette = palette;
    this.hidden = false;
    this.view = "both"; // or "wipe": the mask left of the divider, the draft right of it
    this.divider = 0.5; // of the frame's width
    this.preview = null; // {frameIndex, runs}
    this.live = null; // a stroke under way: {frameIndex, overlay}
  }

  /** Frames of another size. */
  setSize(size) {
    this.forget(null);
    this.#caches = new Map(VIEWS.map((view) => [view, new OverlayCache(size)]));
    this.size = size;
    this.preview = null;
    this.live = null;
  }

  get opacity() {
    return this.#style.opacity;
  }

  set opacity(opacity) {
    this.#style = { ...this.#style, opacity };
    this.forget(null);
  }

  /** Outlines are as thick as the zoom needs. */
  setScale(deviceScale) {
    const grain = grainOf(deviceScale);
    if (grain === this.#style.grain) return;
    this.#style = { ...this.#style, grain };
    this.forget(null);
  }

  /** The masks of these frames (null: all) or the style changed. */
  forget(frameIndices) {
    for (const cache of this.#caches.values()) cache.forget(frameIndices);
  }

  /** The sources of a frame's overlay, bottom first; `editing` names a layer that must be there. */
  sources(frameIndex, view = "both", editing = null) {
    const draft = view === "mask" ? null : this.#draftSource(frameIndex);
    const target = view === "draft" ? null : this.#layerSource(frameIndex, "target", editing);
    const ignore = this.#layerSource(frameIndex, "ignore", editing);
    if (view === "difference" && draft && target) {
      const missed = { ...draft, minus: target };
      const extra = { ...target, minus: draft };
      return [missed, extra, ignore].filter(Boolean);
    }
    // The annotation lies on the draft; the draft's outline lies on both, so that neither hides.
    const line = draft && (target || ignore) ? { ...draft, manner: "line" } : null;
    return [...this.#otherTargets(frameIndex), draft, target, ignore, line].filter(Boolean);
  }

  #otherTargets(frameIndex) {
    const { targetId, clip } = this.#session;
    return (clip?.targets ?? [])
      .filter((target) => target.id !== targetId)
      .map(({ id, number }) => ({
        runs: this.#sync.frame(id, frameIndex).target.runs,
        colour: otherTarget(number),
        manner: "faint",
      }))
      .filter(({ runs }) => runs.length);
  }

  #draftSource(frameIndex) {
    const mask = this.#draft.mask(frameIndex);
    return mask && { ...mask, colour: this.#palette.rgb("--rs-draft"), manner: "fill" };
  }

  #layerSource(frameIndex, layer, editing) {
    const { targetId } = this.#session;
    const state = targetId ? this.#sync.frame(targetId, frameIndex) : null;
    const strokes = state ? pendingStrokes(state, layer) : [];
    const runs = state?.[layer].runs ?? [];
    if (!runs.length && !strokes.length && layer !== editing) return null;
    const colour = this.#palette.rgb(`--rs-${layer}`);
    return { layer, runs, strokes, colour, manner: layer === "ignore" ? "hatch" : "fill" };
  }

  #cached(frameIndex, view) {
    const sources = () => this.sources(frameIndex, view);
    return this.#caches.get(view)?.get(frameIndex, sources, this.#style) ?? null;
  }

  /** Begin a stroke on a frame. @returns the layer's pixels, and how to show what changed */
  beginStroke(frameIndex, layer) {
    const sources = this.sources(frameIndex, "both", layer);
    const live = this.#caches.get("both").live(sources, this.#style);
    this.live = { frameIndex, overlay: live.overlay };
    const { pixels } = live.layers.find((one) => one.layer === layer);
    return { pixels, repaint: live.repaint };
  }

  endStroke() {
    this.live = null;
  }

  /** The overlays of a frame, bottom first; `from` and `until` cut one, in frame pixels. */
  overlays(frameIndex) {
    if (this.hidden || !this.#caches.size) return [];
    const live = this.live?.frameIndex === frameIndex ? this.live.overlay : null;
    const preview = this.preview?.frameIndex === frameIndex ? this.#previewOverlay() : null;
    return [...(live ? [live] : this.#viewed(frameIndex)), preview].filter(Boolean);
  }

  #viewed(frameIndex) {
    if (this.view !== "wipe") return [this.#cached(frameIndex, this.view)];
    const at = this.divider * this.size.width;
    const mask = this.#cached(frameIndex, "mask");
    const draft = this.#cached(frameIndex, "draft");
    return [mask && { ...mask, until: at }, draft && { ...draft, from: at }];
  }

  #previewOverlay() {
    this.preview.overlay ??= this.#caches
      .get("both")
      .once([{ runs: this.preview.runs, colour: [255, 255, 255], manner: "dashed" }], this.#style);
    return this.preview.overlay;
  }

  /** Make the overlay of a frame that is likely to be shown next. */
  prepare(frameIndex) {
    if (!this.hidden && this.#caches.size) this.#viewed(frameIndex);
  }

  /** The clicks to draw on a frame. */
  clicks(frameIndex) {
    const { targetId } = this.#session;
    if (!targetId || this.hidden || this.view === "draft") return [];
    return shownClicks(this.#sync.frame(targetId, frameIndex));
  }
}
