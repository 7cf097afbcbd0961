/** The tools: from pointer gestures in frame pixels to edits of the frame that is shown. */

import { clipped, layStroke, stepBrush, touchLine, touchPolygon } from "./brush.js";
import { encode } from "./edits/runs.js";
import { clickNear, shownClicks } from "./edits/state.js";
import { isInside } from "./viewport.js";

const PAINTING = new Set(["brush", "eraser", "lasso"]);
const CLICK_REACH = 9; // CSS pixels around a click's dot
const LEAST_BOX = 2; // frame pixels
const LEAST_DRAG = 8; // CSS pixels; less is the slip of a hand that clicks
const LEAST_LASSO_STEP = 0.5; // frame pixels

export class Tools {
  #session;
  #edits;
  #scene;
  #gesture = null;
  #previewing = null; // the run of previews since Alt was pressed
  #nextPreview = null;

  /**
   * @param {object} parts session, edits, scene; `changed` is called when the overlay or the choice of tool changed
   */
  constructor({ session, edits, scene, changed }) {
    this.#session = session;
    this.#edits = edits;
    this.#scene = scene;
    this.changed = changed;
    this.tool = "positive";
    this.layer = "target";
    this.diameter = 24;
    this.size = null; // of the frames
  }

  get paints() {
    return PAINTING.has(this.tool);
  }

  /** The brush's circle follows the pointer for these. */
  get hasCircle() {
    return this.tool === "brush" || this.tool === "eraser";
  }

  get busy() {
    return this.#gesture !== null;
  }

  choose(tool) {
    this.#finish();
    this.tool = tool;
    if (!this.paints) this.layer = "target"; // clicks find the target; Ignore is painted
    this.changed();
  }

  setLayer(layer) {
    this.#finish();
    this.layer = layer;
    if (layer === "ignore" && !this.paints) this.tool = "brush";
    this.changed();
  }

  toggleLayer() {
    this.setLayer(this.layer === "target" ? "ignore" : "target");
  }

  changeBrush(steps) {
    this.diameter = stepBrush(this.diameter, steps);
    this.changed();
  }

  /** The outline being drawn, in frame pixels, for the lasso. */
  get lasso() {
    return this.#gesture?.points ?? null;
  }

  /** The box being drawn, in frame pixels. */
  get box() {
    return drawsBox(this.#gesture) ? orderedBox(this.#gesture.from, this.#gesture.to) : null;
  }

  /**
   * A press on the stage.
   *
   * @param {{x: number, y: number}} point in frame pixels
   * @param {number} frameIndex the frame the person sees
   * @param {{second: boolean, alt: boolean, pressure: number, scale: number}} how `second`: the
   *   right button, which does the tool's opposite; scale: CSS pixels per frame pixel
   */
  press(point, frameIndex, how) {
    this.clearPreview();
    if (this.paints) return this.#beginStroke(point, frameIndex, how);
    if (this.tool === "box" && !how.second) {
      this.#gesture = { kind: "box", place: this.#placeOf(frameIndex), from: point, to: point };
      return undefined;
    }
    if (this.tool === "positive" && !how.second && !how.alt) {
      // A click, unless it is dragged to a box: that says how large the target is, too.
      const place = this.#placeOf(frameIndex);
      this.#gesture = { kind: "point", place, from: point, to: point, how };
      return undefined;
    }
    return this.#click(point, this.#placeOf(frameIndex), how);
  }

  /** Moves of a gesture, all of them since the last call. @param {{point, pressure}[]} moves */
  move(moves) {
    const gesture = this.#gesture;
    if (!gesture) return;
    for (const { point, pressure } of moves) {
      if (gesture.kind === "brush") this.#brushTo(point, pressure);
      else if (gesture.kind === "lasso") extendLasso(gesture.points, point);
      else gesture.to = point;
    }
    this.changed();
  }

  /** The pointer was lifted: what was drawn becomes one edit. */
  release() {
    this.#finish();
    this.changed();
  }

  /** Forget the gesture under way. */
  cancel() {
    if (!this.#gesture) return;
    this.#gesture = null;
    this.#scene.endStroke();
    this.changed();
  }

  async #click(point, place, { second, alt, scale }) {
    if (!isInside(point, this.size)) return;
    const { size, tool } = this;
    await this.#edits.ready(place.clipId, place.targetId);
    const clicks = shownClicks(this.#edits.frame(place.targetId, place.first));
    const near = clickNear(clicks, point, CLICK_REACH / scale);
    const removes = near >= 0 && (second || alt);
    if (!removes && near >= 0) return; // a second press on a dot is a slip of the finger
    const positive = (tool !== "negative") !== second;
    const next = removes
      ? clicks.filter((_, index) => index !== near)
      : [...clicks, { ...clickPlace(point, size), positive }];
    this.#submit(place, { kind: "clicks", clicks: next });
  }

  #clicksOf(frameIndex) {
    return shownClicks(this.#edits.frame(this.#session.targetId, frameIndex));
  }

  /** Where a gesture belongs that begins now, whatever is chosen before it ends. */
  #placeOf(frameIndex) {
    const { clip, targetId } = this.#session;
    return { clipId: clip.clip.id, targetId, first: frameIndex, last: frameIndex };
  }

  /** The first edit of a clip without a target makes one. */
  #submit(place, order) {
    this.#edits.add({ ...place, ...order });
    this.changed();
  }

  #beginStroke(point, frameIndex, { second, pressure }) {
    const erases = (this.tool === "eraser") !== second;
    const { pixels, repaint } = this.#scene.beginStroke(frameIndex, this.layer);
    this.#gesture = {
      kind: this.tool === "lasso" ? "lasso" : "brush",
      place: this.#placeOf(frameIndex),
      layer: this.layer,
      value: erases ? 0 : 1,
      touched: new Uint8Array(this.size.width * this.size.height),
      any: false,
      pixels,
      repaint,
      last: point,
      points: this.tool === "lasso" ? [point] : null,
    };
    if (this.#gesture.kind === "brush") this.#brushTo(point, pressure);
    this.changed();
  }

  #brushTo(point, pressure) {
    const gesture = this.#gesture;
    const radius = (this.diameter / 2) * pressure;
    const rect = touchLine(gesture.touched, this.size, gesture.last, point, radius);
    gesture.last = point;
    this.#lay(rect);
  }

  #lay(rect) {
    if (!rect) return;
    const { pixels, touched, value, repaint } = this.#gesture;
    this.#gesture.any = true;
    layStroke(pixels, touched, value, rect, this.size.width);
    repaint(rect);
  }

  #finish() {
    const gesture = this.#gesture;
    if (!gesture) return;
    if (gesture.kind === "lasso")
      this.#lay(touchPolygon(gesture.touched, this.size, gesture.points));
    this.#gesture = null;
    this.#scene.endStroke();
    if (gesture.kind === "box" || gesture.kind === "point") {
      const box = drawsBox(gesture) && clipped(orderedBox(gesture.from, gesture.to), this.size);
      const large = box && box.right - box.left >= LEAST_BOX && box.bottom - box.top >= LEAST_BOX;
      // What a box finds is a mask to begin from: clicks after it correct it, those before are over.
      if (large) this.#submit(gesture.place, { kind: "clicks", clicks: [], box });
      else if (gesture.kind === "point") this.#click(gesture.from, gesture.place, gesture.how);
    } else if (gesture.any) {
      this.#submit(gesture.place, {
        kind: "stroke",
        tool: gesture.kind === "lasso" ? "lasso" : "stroke",
        layer: gesture.layer,
        value: gesture.value,
        touched: encode(gesture.touched),
        size: this.size,
      });
    }
  }

  /** Show what a click at `point` would do; one question at a time, the newest point wins. */
  async hover(point, frameIndex) {
    const { targetId } = this.#session;
    if (this.paints || this.tool === "box" || !targetId || !isInside(point, this.size)) return;
    this.#nextPreview = { point, frameIndex, targetId };
    if (this.#previewing) return;
    const mine = {};
    this.#previewing = mine;
    try {
      while (this.#nextPreview) {
        const asked = this.#nextPreview;
        this.#nextPreview = null;
        const click = {
          ...clickPlace(asked.point, this.size),
          positive: this.tool === "positive",
        };
        const clicks = [...this.#clicksOf(asked.frameIndex), click];
        const runs = await this.#edits.preview(asked.targetId, asked.frameIndex, clicks);
        if (this.#previewing !== mine) return; // Alt was let go, and perhaps pressed again
        if (runs === null) continue;
        this.#scene.preview = { frameIndex: asked.frameIndex, runs };
        this.changed();
      }
    } catch (error) {
      if (this.#previewing === mine) this.#session.notice(error.message, "error");
    } finally {
      if (this.#previewing === mine) this.#previewing = null;
    }
  }

  clearPreview() {
    this.#nextPreview = null;
    this.#previewing = null;
    if (!this.#scene.preview) return;
    this.#scene.preview = null;
    this.changed();
  }
}

/** Whether a gesture draws a box: the box tool's does, and a click that is dragged far enough. */
function drawsBox(gesture) {
  if (gesture?.kind === "box") return true;
  if (gesture?.kind !== "point") return false;
  const { from, to, how } = gesture;
  return Math.hypot(to.x - from.x, to.y - from.y) * how.scale >= LEAST_DRAG;
}

/** A click travels as 32-bit floats: rounded here, it cannot be rounded off the frame there. */
function clickPlace({ x, y }, { width, height }) {
  const rounded = (value, length) => Math.min(Math.round(value * 100) / 100, length - 0.01);
  return { x: rounded(x, width), y: rounded(y, height) };
}

function extendLasso(points, point) {
  const last = points.at(-1);
  if (Math.hypot(point.x - last.x, point.y - last.y) >= LEAST_LASSO_STEP) points.push(point);
}

function orderedBox(from, to) {
  return {
    left: Math.min(from.x, to.x),
    top: Math.min(from.y, to.y),
    right: Math.max(from.x, to.x),
    bottom: Math.max(from.y, to.y),
  };
}
