/** What lies over a frame: which masks, in which colours, from the bottom up. */

import { otherTarget } from "./colours.js";
import { OverlayCache } from "./overlay.js";
import { pendingStrokes, shownClicks } from "./state.js";
import { grainOf } from "./viewport.js";

export class Scene {
  #session;
  #sync;
  #draft;
  #palette;
  #cache = null;
  #style = { opacity: 0.45, grain: 1 };

  constructor(session, sync, draft, palette) {
    this.#session = session;
    this.#sync = sync;
    this.#draft = draft;
    this.#palette = palette;
    this.hidden = false;
    this.preview = null; // {frameIndex, runs}
    this.live = null; // a stroke under way: {frameIndex, overlay}
  }

  /** Frames of another size. */
  setSize(size) {
    this.#cache?.forget(null);
    this.#cache = new OverlayCache(size);
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
    this.#cache?.forget(frameIndices);
  }

  /** The sources of a frame's overlay; `editing` names a layer that must be among them. */
  sources(frameIndex, editing = null) {
    const { targetId, clip } = this.#session;
    const found = [];
    for (const target of clip?.targets ?? []) {
      if (target.id === targetId) continue;
      const { runs } = this.#sync.frame(target.id, frameIndex).target;
      if (runs.length) found.push({ runs, colour: otherTarget(target.number), manner: "faint" });
    }
    const draft = this.#draft.mask(frameIndex);
    const draftColour = this.#palette.rgb("--rs-draft");
    if (draft) found.push({ ...draft, colour: draftColour, manner: "fill" });
    const state = targetId ? this.#sync.frame(targetId, frameIndex) : null;
    for (const layer of ["target", "ignore"]) {
      const strokes = state ? pendingStrokes(state, layer) : [];
      const runs = state?.[layer].runs ?? [];
      if (!runs.length && !strokes.length && layer !== editing) continue;
      const colour = this.#palette.rgb(`--rs-${layer}`);
      found.push({ layer, runs, strokes, colour, manner: layer === "ignore" ? "hatch" : "fill" });
    }
    // The annotation lies on the draft; the draft's outline lies on both, so that neither hides.
    if (draft && found.some(({ layer }) => layer)) found.push({ ...draft, colour: draftColour, manner: "line" });
    return found;
  }

  /** Begin a stroke on a frame. @returns what OverlayCache.live returns, and the layer's pixels */
  beginStroke(frameIndex, layer) {
    const live = this.#cache.live(this.sources(frameIndex, layer), this.#style);
    this.live = { frameIndex, overlay: live.overlay };
    const { pixels } = live.layers.find((one) => one.layer === layer);
    return { pixels, repaint: live.repaint };
  }

  endStroke() {
    this.live = null;
  }

  /** The overlays to draw over a frame, bottom first. */
  overlays(frameIndex) {
    if (this.hidden || !this.#cache) return [];
    const live = this.live?.frameIndex === frameIndex ? this.live.overlay : null;
    const masks = live ?? this.#cache.get(frameIndex, () => this.sources(frameIndex), this.#style);
    const preview = this.preview?.frameIndex === frameIndex ? this.#previewOverlay() : null;
    return [masks, preview].filter(Boolean);
  }

  #previewOverlay() {
    this.preview.overlay ??= this.#cache.once(
      [{ runs: this.preview.runs, colour: [255, 255, 255], manner: "dashed" }],
      this.#style,
    );
    return this.preview.overlay;
  }

  /** Make the overlay of a frame that is likely to be shown next. */
  prepare(frameIndex) {
    if (!this.hidden) this.#cache?.get(frameIndex, () => this.sources(frameIndex), this.#style);
  }

  /** The clicks to draw on a frame. */
  clicks(frameIndex) {
    const { targetId } = this.#session;
    return targetId && !this.hidden ? shownClicks(this.#sync.frame(targetId, frameIndex)) : [];
  }
}
