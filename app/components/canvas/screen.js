/** Paints when something changed, and while a clip plays; counts how well it keeps up. */

import { paintOverlay, paintPicture } from "./draw.js";

const SKELETON_AFTER_MS = 120;
const STATS_EVERY_MS = 250;

export class Screen {
  #parts;
  #requested = 0;
  #dirty = true;
  #painted = null; // the frame on the canvases
  #waitingSince = 0;
  #drawMs = 0;
  #lastMs = 0;
  #clickAt = null;
  #clickMs = null; // from the last click to the painting of its answer; null while it waits
  #answered = false;
  #statsAt = 0;

  /**
   * @param {object} parts stage, frames, scene, player, tools, palette, notices; `isAlive` says
   *   whether the canvas is still on the page, `shown(frameIndex)` is told of every other frame
   */
  constructor(parts) {
    this.#parts = parts;
  }

  /** Paint soon, all changes until then at once. */
  request() {
    this.#dirty = true;
    this.#requested ||= requestAnimationFrame((now) => this.#tick(now));
  }

  /** Paint what is shown now again: the canvases were emptied. */
  repaint() {
    if (this.#painted === null) this.#paintNothing();
    else this.#paint(this.#painted);
  }

  /** Another clip, or none: nothing of the one before stays. */
  open() {
    this.#painted = null;
    this.#waitingSince = performance.now();
    this.#paintNothing();
    this.request();
  }

  /** The person clicked, and waits for the answer. */
  clicked() {
    this.#clickAt = performance.now();
    this.#clickMs = null;
    this.#answered = false;
  }

  /** The frame shown has, or has not yet, what the click asked for. */
  answered(there) {
    this.#answered = there;
  }

  toggleStats() {
    this.#parts.notices.toggleStats();
    this.#statsAt = 0;
    this.request();
  }

  /** Show the figures at once, not at their next turn. */
  statsChanged() {
    this.#statsAt = 0;
  }

  get stats() {
    const { player, frames } = this.#parts;
    return {
      ...player.stats(performance.now()),
      drawMs: this.#drawMs,
      lastMs: this.#lastMs,
      clickMs: this.#clickMs,
      cached: frames.bitmaps.size,
      frameIndex: this.#painted,
    };
  }

  close() {
    cancelAnimationFrame(this.#requested);
  }

  #tick(now) {
    const { player, notices, scene } = this.#parts;
    this.#requested = 0;
    if (!this.#parts.isAlive()) return;
    const frameIndex = player.tick(now);
    const moved = frameIndex !== this.#painted;
    if (frameIndex === null) this.#paintNothing();
    else if (moved || this.#dirty) this.#paint(frameIndex);
    this.#dirty = false;
    player.painted();
    if (moved && frameIndex !== null) this.#parts.shown(frameIndex);
    this.#showWaiting(now);
    if (notices.statsShown && now - this.#statsAt > STATS_EVERY_MS) {
      this.#statsAt = now;
      notices.showStats(this.stats);
    }
    if (!player.playing) return;
    this.#requested ||= requestAnimationFrame((next) => this.#tick(next));
    // The next frame's overlay is made in the time left over, not when it is due.
    if (frameIndex !== null) scene.prepare(player.following(frameIndex));
  }

  /** Picture and overlay of one frame, in one task: neither is ever seen without the other. */
  #paint(frameIndex) {
    const { stage, frames, scene, tools, palette } = this.#parts;
    const began = performance.now();
    const { viewport, dpr, panes } = stage;
    const bitmap = frames.get(frameIndex);
    // A frame shown for long may have left the cache; its picture is then still on the canvas.
    if (bitmap)
      paintPicture(stage.pictureContext, bitmap, panes, viewport, dpr, palette.css("--rs-picture"));
    const drawn = scene.panes(frameIndex).map((pane) => ({
      ...pane,
      lasso: pane.editable ? tools.lasso : null,
      box: pane.editable ? tools.box : null,
    }));
    const colours = {
      target: palette.css("--rs-target"),
      lasso: palette.css(tools.layer === "ignore" ? "--rs-ignore" : "--rs-target"),
    };
    paintOverlay(stage.overlayContext, drawn, panes, viewport, dpr, colours);
    this.#painted = frameIndex;
    if (this.#answered && this.#clickAt !== null) {
      this.#clickMs = performance.now() - this.#clickAt;
      this.#clickAt = null;
    }
    this.#lastMs = performance.now() - began;
    this.#drawMs += 0.1 * (this.#lastMs - this.#drawMs);
  }

  #paintNothing() {
    const { stage, palette } = this.#parts;
    const { viewport, dpr, panes } = stage;
    paintPicture(stage.pictureContext, null, panes, viewport, dpr, palette.css("--rs-picture"));
    paintOverlay(stage.overlayContext, [], panes, viewport, dpr, null);
  }

  /** A skeleton where the first picture will be; a later one may take its time unnoticed. */
  #showWaiting(now) {
    const { stage, player, notices } = this.#parts;
    const waits = player.frameCount > 0 && player.shown === null;
    const { scale, left, top } = stage.viewport;
    const { width, height } = stage.image;
    const late = waits && now - this.#waitingSince > SKELETON_AFTER_MS;
    notices.showLoading(late, { left, top, width: width * scale, height: height * scale });
    if (waits && !late) setTimeout(() => this.request(), SKELETON_AFTER_MS);
  }
}
