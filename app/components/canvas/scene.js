/** What lies over a frame in each pane: which masks, in which colours, from the bottom up. */

import { ANNOTATION } from "../shared/comparison.js";
import { otherTarget } from "./colours.js";
import { HeatCache } from "./heat_cache.js";
import { OverlayCache } from "./overlay.js";
import { pendingStrokes, shownClicks } from "./edits/state.js";
import { grainOf } from "./viewport.js";

const KEPT_OF_A_RUN = 24; // overlays; the annotation being edited keeps more
const WORKING = "both";

/**
 * What of a frame is shown, `runs` being those compared:
 *   both: the annotation and the draft that is shown, for editing; side: a pane for every run;
 *   wipe: the first run left of the divider, the second right of it; flicker: one run in turn;
 *   difference: only the first, only the second, both; contours: the outlines of all;
 *   heat: a pane for every draft with its soft map
 *
 * @typedef {"both" | "side" | "wipe" | "flicker" | "difference" | "contours" | "heat"} View
 */
export class Scene {
  #session;
  #edits;
  #draft;
  #palette;
  #layers = null;
  #caches = new Map(); // what is shown -> OverlayCache, or HeatCache
  #style = { opacity: 0.45, grain: 1 };

  constructor(session, edits, draft, palette) {
    this.#session = session;
    this.#edits = edits;
    this.#draft = draft;
    this.#palette = palette;
    this.hidden = false;
    this.view = WORKING;
    this.runs = []; // {key, variable} of those compared
    this.turn = 0; // whose turn it is while flickering
    this.divider = 0.5; // of the frame's width
    this.preview = null; // {frameIndex, runs}
    this.live = null; // a stroke under way: {frameIndex, overlay}
  }

  /** @param {import("./run_layers.js").RunLayers} layers the masks of the runs compared */
  useLayers(layers) {
    this.#layers = layers;
  }

  /** Frames of another size. */
  setSize(size) {
    this.forget(null);
    this.#caches.clear();
    this.size = size;
    this.preview = null;
    this.live = null;
  }

  /** Compare other runs. */
  setRuns(runs) {
    this.runs = runs;
    this.turn = 0;
    for (const [name, cache] of this.#caches) {
      if (name === WORKING) continue;
      cache.forget(null);
      this.#caches.delete(name);
    }
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

  /** The runs with a pane of their own, or null for one pane of all. */
  get paneRuns() {
    if (this.view === "side") return this.runs;
    if (this.view === "heat") return this.runs.filter(({ key }) => key !== ANNOTATION);
    return null;
  }

  /** Whether what a person draws now would be seen. */
  get showsAnnotation() {
    if (this.view === WORKING) return true;
    return this.view !== "heat" && this.runs.some(({ key }) => key === ANNOTATION);
  }

  // -- sources ---------------------------------------------------------------------------------

  /** The sources of the working view, bottom first; `editing` names a layer that must be there. */
  #working(frameIndex, editing = null) {
    const mask = this.#draft.mask(frameIndex);
    const draft = mask && { ...mask, colour: this.#palette.rgb("--rs-draft"), manner: "fill" };
    const target = this.#layerSource(frameIndex, "target", editing);
    const ignore = this.#layerSource(frameIndex, "ignore", editing);
    // The annotation lies on the draft; the draft's outline lies on both, so that neither hides.
    const line = draft && (target || ignore) ? { ...draft, manner: "line" } : null;
    return [...this.#otherTargets(frameIndex), draft, target, ignore, line].filter(Boolean);
  }

  /** One run with Ignore, as a pane or a side of the divider shows it. */
  #alone(frameIndex, run, editing = null) {
    const mask = this.#runSource(frameIndex, run, editing);
    const ignore = this.#layerSource(frameIndex, "ignore", editing);
    return [mask, ignore].filter(Boolean);
  }

  /** Only the first in stripes across, only the second in stripes down, both in a pale tint. */
  #difference(frameIndex) {
    const [first, second] = this.runs.map((run) => this.#runSource(frameIndex, run));
    const ignore = this.#layerSource(frameIndex, "ignore");
    if (!first || !second) return [first, second, ignore].filter(Boolean);
    const both = { ...first, both: second, colour: [255, 255, 255], manner: "shared" };
    const only = { ...first, minus: second, manner: "rows" };
    const other = { ...second, minus: first, manner: "columns", dash: 1 };
    return [both, only, other, ignore].filter(Boolean);
  }

  #contours(frameIndex) {
    const lines = this.runs.map((run, place) => {
      const source = this.#runSource(frameIndex, run);
      return source && { ...source, manner: "line", dash: place, wide: 2 };
    });
    return [this.#layerSource(frameIndex, "ignore"), ...lines].filter(Boolean);
  }

  #runSource(frameIndex, { key, variable }, editing = null) {
    if (key === ANNOTATION) return this.#layerSource(frameIndex, "target", editing);
    const mask = this.#layers.layer(key)?.mask(frameIndex);
    return mask ? { ...mask, colour: this.#palette.rgb(variable), manner: "fill" } : null;
  }

  #otherTargets(frameIndex) {
    const { targetId, clip } = this.#session;
    return (clip?.targets ?? [])
      .filter((target) => target.id !== targetId)
      .map(({ id, number }) => ({
        runs: this.#edits.frame(id, frameIndex).target.runs,
        colour: otherTarget(number),
        manner: "faint",
      }))
      .filter(({ runs }) => runs.length);
  }

  #layerSource(frameIndex, layer, editing = null) {
    const { targetId } = this.#session;
    const state = this.#edits.frame(targetId, frameIndex);
    const strokes = pendingStrokes(state, layer);
    const { runs } = state[layer];
    if (!runs.length && !strokes.length && layer !== editing) return null;
    const colour = this.#palette.rgb(`--rs-${layer}`);
    return { layer, runs, strokes, colour, manner: layer === "ignore" ? "hatch" : "fill" };
  }

  // -- overlays --------------------------------------------------------------------------------

  #cache(name) {
    if (!this.#caches.has(name)) {
      const cache = name.startsWith("heat ")
        ? new HeatCache(this.size)
        : new OverlayCache(this.size, name === WORKING ? undefined : KEPT_OF_A_RUN);
      this.#caches.set(name, cache);
    }
    return this.#caches.get(name);
  }

  #overlay(name, frameIndex, sources) {
    return this.#cache(name).get(frameIndex, sources, this.#style);
  }

  #run(frameIndex, run) {
    return this.#overlay(run.key, frameIndex, () => this.#alone(frameIndex, run));
  }

  #heat(frameIndex, { key }) {
    const layer = this.#layers.layer(key);
    const map = layer?.map(frameIndex);
    return this.#cache(`heat ${key}`).get(frameIndex, map, layer?.cut, this.#style);
  }

  /** Begin a stroke on a frame. @returns the layer's pixels, and how to show what changed */
  beginStroke(frameIndex, layer) {
    const annotation = this.paneRuns?.find(({ key }) => key === ANNOTATION);
    const sources = annotation
      ? this.#alone(frameIndex, annotation, layer)
      : this.#working(frameIndex, layer);
    const live = this.#cache(WORKING).live(sources, this.#style);
    this.live = { frameIndex, overlay: live.overlay };
    const { pixels } = live.layers.find((one) => one.layer === layer);
    return { pixels, repaint: live.repaint };
  }

  endStroke() {
    this.live = null;
  }

  /**
   * What is drawn over a frame, pane by pane: overlays, bottom first (`from` and `until` cut one,
   * in frame pixels), clicks, and whether the person may draw there.
   */
  panes(frameIndex) {
    const { paneRuns } = this;
    if (this.hidden || !this.size) {
      const empty = { overlays: [], clicks: [], editable: false };
      return Array.from({ length: paneRuns?.length || 1 }, () => empty);
    }
    const live = this.live?.frameIndex === frameIndex ? this.live.overlay : null;
    const preview = this.preview?.frameIndex === frameIndex ? this.#previewOverlay() : null;
    const clicks = this.#clicks(frameIndex);
    if (!paneRuns?.length) {
      const overlays = [...(live ? [live] : this.#viewed(frameIndex)), preview].filter(Boolean);
      return [{ overlays, clicks: this.#whole ? clicks : [], editable: true }];
    }
    return paneRuns.map((run) => {
      if (this.view === "heat") {
        const overlays = [this.#heat(frameIndex, run)].filter(Boolean);
        return { overlays, clicks: [], editable: false };
      }
      const editable = run.key === ANNOTATION;
      const shown = editable && live ? live : this.#run(frameIndex, run);
      const overlays = [shown, editable ? preview : null].filter(Boolean);
      return { overlays, clicks: editable ? clicks : [], editable };
    });
  }

  /** Whether the annotation is in sight this moment, in the one pane. */
  get #whole() {
    if (this.view === "flicker") return this.runs[this.turn]?.key === ANNOTATION;
    return this.showsAnnotation;
  }

  #viewed(frameIndex) {
    const { view, runs } = this;
    if (view === "wipe" && runs.length > 1) {
      const at = this.divider * this.size.width;
      const [first, second] = runs.slice(0, 2).map((run) => this.#run(frameIndex, run));
      return [first && { ...first, until: at }, second && { ...second, from: at }];
    }
    if (view === "flicker" && runs.length) {
      return [this.#run(frameIndex, runs[this.turn % runs.length])];
    }
    if (view === "difference" && runs.length > 1) {
      return [this.#overlay(view, frameIndex, () => this.#difference(frameIndex))];
    }
    if (view === "contours" && runs.length) {
      return [this.#overlay(view, frameIndex, () => this.#contours(frameIndex))];
    }
    return [this.#overlay(WORKING, frameIndex, () => this.#working(frameIndex))];
  }

  #previewOverlay() {
    const white = { runs: this.preview.runs, colour: [255, 255, 255], manner: "dashed" };
    this.preview.overlay ??= this.#cache(WORKING).once([white], this.#style);
    return this.preview.overlay;
  }

  /** Make the overlays of a frame that is likely to be shown next. */
  prepare(frameIndex) {
    if (!this.hidden && this.size) this.panes(frameIndex);
  }

  #clicks(frameIndex) {
    return shownClicks(this.#edits.frame(this.#session.targetId, frameIndex));
  }
}
