/** The clip at a glance: thumbnails, what state each frame is in, clicks, drafts, in and out. */

import { address } from "../shared/api.js";
import { element, setAttribute } from "../shared/dom.js";
import { frameAtX, rangeEndAt, spans, thumbnailPlaces, xOfFrame } from "./timeline_layout.js";

const THUMBNAILS = { top: 0, height: 36 };
const DRAFTS = { top: 38, height: 4 };
const STATES = { top: 44, height: 10 };
const CLICKS = { top: 56, height: 6 };
const HEIGHT = 64;
const REPAINT_MS = 80; // a propagation changes many frames a second

export class Timeline {
  #palette;
  #actions;
  #frameCount = 0;
  #shown = 0;
  #strip = null;
  #content = { states: [], clicks: [], drafts: [], range: { first: 0, last: 0 } };
  #timer = 0;
  #drag = null;
  #observer;
  #loading = null;

  /**
   * @param {import("./colours.js").Palette} palette
   * @param {{scrub: (frameIndex: number) => void, setRange: (first: number, last: number) => void,
   *   togglePlay: () => void, takeKeys: () => void, content: () => object}} actions `takeKeys`
   *   gives the picture the keyboard; `content` gives {states, clicks, drafts, range}: a state's
   *   name per frame, frames with clicks, frames with a draft, in and out
   */
  constructor(palette, actions) {
    this.#palette = palette;
    this.#actions = actions;
    this.canvas = element("canvas", { "aria-hidden": "true" });
    this.playhead = element("div", { class: "rsc-playhead", "aria-hidden": "true" });
    this.hint = element("div", { class: "rsc-hint", "aria-hidden": "true", hidden: true });
    this.track = element(
      "div",
      {
        class: "rsc-track",
        role: "slider",
        tabindex: "0",
        "aria-label": "Frame",
        "aria-valuemin": "0",
        "aria-valuemax": "0",
        "aria-valuenow": "0",
      },
      this.canvas,
      this.playhead,
      this.hint,
    );
    this.root = element("div", { class: "rsc-timeline" }, this.track);
    this.#listen();
    this.#observer = new ResizeObserver(() => this.#paint());
    this.#observer.observe(this.track);
  }

  /** Another clip, or none. */
  async open(clip) {
    this.#loading?.abort();
    this.#strip?.bitmap.close();
    this.#strip = null;
    this.#frameCount = clip?.frame_count ?? 0;
    setAttribute(this.track, "aria-valuemax", Math.max(0, this.#frameCount - 1));
    this.root.classList.toggle("is-empty", !clip);
    this.repaint();
    if (clip) await this.#loadStrip(clip);
  }

  async #loadStrip(clip) {
    const loading = new AbortController();
    this.#loading = loading;
    try {
      const reply = await fetch(address(`clips/${clip.id}/strip.jpg`), { signal: loading.signal });
      if (!reply.ok) return; // a timeline without thumbnails still works
      const frames = (reply.headers.get("X-Strip-Frames") ?? "0").split(",").map(Number);
      const bitmap = await createImageBitmap(await reply.blob());
      if (loading.signal.aborted) return bitmap.close();
      const tileWidth = bitmap.width / frames.length;
      this.#strip = { bitmap, frames, tileWidth, tileHeight: bitmap.height };
      this.repaint();
    } catch (error) {
      if (error.name !== "AbortError" && !(error instanceof TypeError)) throw error;
    }
    return undefined;
  }

  /** Move the playhead; the only thing done while playing. */
  showFrame(frameIndex) {
    this.#shown = frameIndex;
    const x = xOfFrame(frameIndex, this.track.clientWidth, this.#frameCount);
    this.playhead.style.transform = `translateX(${x.toFixed(1)}px)`;
    setAttribute(this.track, "aria-valuenow", frameIndex);
  }

  /** What the track shows changed. */
  repaint() {
    this.#timer ||= setTimeout(() => this.#paint(), REPAINT_MS);
  }

  close() {
    clearTimeout(this.#timer);
    this.#loading?.abort();
    this.#observer.disconnect();
    this.#strip?.bitmap.close();
  }

  #paint() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    const width = this.track.clientWidth;
    if (!width) return;
    const dpr = globalThis.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * dpr);
    this.canvas.height = Math.round(HEIGHT * dpr);
    const context = this.canvas.getContext("2d");
    context.setTransform(dpr, 0, 0, dpr, 0, 0);
    if (!this.#frameCount) return;
    this.#content = this.#actions.content();
    this.#paintThumbnails(context, width);
    this.#paintRows(context, width);
    this.#paintRange(context, width);
    this.showFrame(this.#shown);
  }

  #paintThumbnails(context, width) {
    context.fillStyle = this.#palette.css("--rs-picture");
    context.fillRect(0, THUMBNAILS.top, width, THUMBNAILS.height);
    if (!this.#strip) return;
    const { bitmap, tileWidth, tileHeight } = this.#strip;
    for (const place of thumbnailPlaces(width, THUMBNAILS.height, this.#strip, this.#frameCount)) {
      const left = Math.round(place.tile * tileWidth);
      context.drawImage(
        bitmap,
        left,
        0,
        tileWidth,
        tileHeight,
        place.left,
        0,
        place.width,
        THUMBNAILS.height,
      );
    }
  }

  #paintRows(context, width) {
    const at = (frameIndex) => (frameIndex * width) / this.#frameCount;
    const one = Math.max(1, width / this.#frameCount);
    context.fillStyle = this.#palette.css("--rs-draft");
    for (const frameIndex of this.#content.drafts) {
      context.fillRect(at(frameIndex), DRAFTS.top, one + 0.5, DRAFTS.height);
    }
    for (const { state, first, last } of spans(this.#content.states)) {
      context.fillStyle = this.#palette.css(`--rs-state-${state}`);
      // Untouched frames are a thin line, so that the states read by height as well as by colour.
      const thin = state === "none" ? 3 : 0;
      context.fillRect(
        at(first),
        STATES.top + thin,
        at(last + 1) - at(first),
        STATES.height - 2 * thin,
      );
      if (state === "verified") this.#paintTicks(context, at(first), at(last + 1));
    }
    context.fillStyle = this.#palette.css("--rs-text");
    for (const frameIndex of this.#content.clicks) {
      const x = xOfFrame(frameIndex, width, this.#frameCount);
      context.beginPath();
      context.moveTo(x, CLICKS.top);
      context.lineTo(x + 3.5, CLICKS.top + CLICKS.height);
      context.lineTo(x - 3.5, CLICKS.top + CLICKS.height);
      context.fill();
    }
  }

  /** A light line through verified frames: they read without colour. */
  #paintTicks(context, left, right) {
    context.fillStyle = "rgba(255, 255, 255, 0.85)";
    context.fillRect(left, STATES.top + STATES.height / 2 - 1, right - left, 2);
  }

  #paintRange(context, width) {
    const { first, last } = this.#content.range;
    if (first === 0 && last === this.#frameCount - 1) return;
    const left = (first * width) / this.#frameCount;
    const right = ((last + 1) * width) / this.#frameCount;
    context.fillStyle = "rgba(0, 0, 0, 0.5)";
    context.fillRect(0, 0, left, THUMBNAILS.height);
    context.fillRect(right, 0, width - right, THUMBNAILS.height);
    context.fillStyle = this.#palette.css("--rs-accent");
    context.fillRect(left, 0, right - left, 2);
    for (const [x, inward] of [
      [left, 1],
      [right, -1],
    ]) {
      context.fillRect(inward > 0 ? x : x - 3, 0, 3, THUMBNAILS.height);
      context.fillRect(inward > 0 ? x : x - 8, THUMBNAILS.height - 2, 8, 2);
    }
  }

  #listen() {
    const { track } = this;
    const xOf = (event) => event.clientX - track.getBoundingClientRect().left;
    const frameOf = (event) => frameAtX(xOf(event), track.clientWidth, this.#frameCount);
    // Who scrubs with the pointer steps and plays with the keys next: they are the picture's.
    track.addEventListener("mousedown", (event) => {
      event.preventDefault();
      this.#actions.takeKeys();
    });
    track.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !this.#frameCount) return;
      track.setPointerCapture(event.pointerId);
      const onThumbnails = event.clientY - track.getBoundingClientRect().top < THUMBNAILS.height;
      const end = onThumbnails ? this.#rangeEnd(xOf(event)) : null;
      this.#drag = end ?? "scrub";
      this.#dragTo(frameOf(event));
    });
    track.addEventListener("pointermove", (event) => {
      if (!this.#frameCount) return;
      const frameIndex = frameOf(event);
      this.#showHint(xOf(event), frameIndex);
      if (this.#drag) this.#dragTo(frameIndex);
      else track.classList.toggle("is-range-end", this.#rangeEnd(xOf(event)) !== null);
    });
    const end = () => {
      this.#drag = null;
    };
    track.addEventListener("pointerup", end);
    track.addEventListener("pointercancel", end);
    track.addEventListener("pointerleave", () => {
      this.hint.hidden = true;
    });
    track.addEventListener("keydown", (event) => this.#step(event));
  }

  #rangeEnd(x) {
    const { first, last } = this.#content.range;
    if (first === 0 && last === this.#frameCount - 1) return null;
    return rangeEndAt(x, this.#content.range, this.track.clientWidth, this.#frameCount);
  }

  #dragTo(frameIndex) {
    const { first, last } = this.#content.range;
    if (this.#drag === "scrub") this.#actions.scrub(frameIndex);
    else if (this.#drag === "first") this.#actions.setRange(Math.min(frameIndex, last), last);
    else this.#actions.setRange(first, Math.max(frameIndex, first));
  }

  #showHint(x, frameIndex) {
    this.hint.hidden = false;
    this.hint.textContent = String(frameIndex).padStart(3, "0");
    const within = Math.min(this.track.clientWidth - 20, Math.max(20, x));
    this.hint.style.transform = `translateX(${within}px) translateX(-50%)`;
  }

  /** A focused slider steers itself. */
  #step(event) {
    if (event.key === " " && !event.repeat) {
      event.preventDefault();
      this.#actions.togglePlay();
      return;
    }
    const now = Number(this.track.getAttribute("aria-valuenow"));
    const by = event.shiftKey ? 10 : 1;
    const to = {
      ArrowLeft: now - by,
      ArrowDown: now - by,
      ArrowRight: now + by,
      ArrowUp: now + by,
      PageDown: now - 10,
      PageUp: now + 10,
      Home: 0,
      End: this.#frameCount - 1,
    }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.#actions.scrub(Math.min(this.#frameCount - 1, Math.max(0, to)));
  }
}
