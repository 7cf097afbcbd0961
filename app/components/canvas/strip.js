/** J, F or their mean of every run, frame by frame, under the timeline; a click goes to the frame. */

import { element, setAttribute, setText } from "../shared/dom.js";
import { yieldKeys } from "./controls.js";
import { DASHES } from "./compose.js";
import { figuresAt, linesOf, strokesOf } from "./strip_layout.js";
import { frameAtX, xOfFrame } from "./timeline_layout.js";

const HEIGHT = 48;
const ROW = { top: 4, height: 40 };
const NAMES = { j: "J", f: "F", jf: "J&F" };

export class Strip {
  #palette;
  #comparison;
  #frameCount = 0;
  #shown = 0;
  #lines = [];
  #observer;
  #end = new AbortController();

  /**
   * @param {import("./colours.js").Palette} palette
   * @param {import("../shared/comparison.js").Comparison} comparison
   * @param {(frameIndex: number) => void} goTo
   */
  constructor(palette, comparison, goTo) {
    this.#palette = palette;
    this.#comparison = comparison;
    this.canvas = element("canvas", { "aria-hidden": "true" });
    this.playhead = element("div", { class: "rsc-strip-head", "aria-hidden": "true" });
    this.track = element(
      "div",
      {
        class: "rsc-strip-track",
        role: "slider",
        tabindex: "0",
        "aria-label": "Frame, by its numbers",
        "aria-valuemin": "0",
      },
      this.canvas,
      this.playhead,
    );
    this.measure = yieldKeys(
      element(
        "select",
        { class: "rsc-strip-measure", "aria-label": "Number shown per frame" },
        ...Object.entries(NAMES).map(([value, name]) => element("option", { value }, name)),
      ),
    );
    this.figures = element("output", { class: "rsc-strip-figures", "aria-live": "off" });
    const head = element("div", { class: "rsc-strip-words" }, this.measure, this.figures);
    this.root = element("div", { class: "rsc-strip", hidden: true }, head, this.track);
    this.#listen(goTo);
    this.#observer = new ResizeObserver(() => this.repaint());
    this.#observer.observe(this.track);
  }

  /** Another clip. */
  open(frameCount) {
    this.#frameCount = frameCount;
    setAttribute(this.track, "aria-valuemax", Math.max(0, frameCount - 1));
    this.#update();
  }

  /** Another frame is shown: the mark moves and the figures change, nothing is painted. */
  showFrame(frameIndex) {
    this.#shown = frameIndex;
    if (this.root.hidden) return;
    const x = xOfFrame(frameIndex, this.track.clientWidth, this.#frameCount);
    this.playhead.style.transform = `translateX(${x.toFixed(1)}px)`;
    setText(this.figures, figuresAt(this.#lines, frameIndex));
    setAttribute(this.track, "aria-valuenow", frameIndex);
    setAttribute(this.track, "aria-valuetext", `${frameIndex}: ${this.figures.textContent}`);
  }

  #update() {
    const { numbers, runs } = this.#comparison;
    this.#lines = linesOf(numbers.reply, runs, this.measure.value);
    this.root.hidden = !this.#lines.length && this.measure.value === "j";
    this.repaint();
  }

  /** Lines, colours or width changed. */
  repaint() {
    const width = this.track.clientWidth;
    if (this.root.hidden || !width) return;
    const dpr = globalThis.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * dpr);
    this.canvas.height = Math.round(HEIGHT * dpr);
    const context = this.canvas.getContext("2d");
    context.setTransform(dpr, 0, 0, dpr, 0, 0);
    this.#paintGround(context, width);
    for (const { values, variable, dash } of this.#lines) {
      context.strokeStyle = this.#palette.css(variable);
      context.lineWidth = 1.75;
      context.setLineDash(DASHES[dash % DASHES.length] ? [DASHES[dash % DASHES.length], 3] : []);
      for (const stroke of strokesOf(values, width, ROW)) {
        context.beginPath();
        stroke.forEach(({ x, y }, at) => (at ? context.lineTo(x, y) : context.moveTo(x, y)));
        context.stroke();
      }
    }
    this.showFrame(this.#shown);
  }

  /** Lines at 0, a half and 1. */
  #paintGround(context, width) {
    context.strokeStyle = this.#palette.css("--rs-line");
    context.lineWidth = 1;
    for (const share of [0, 0.5, 1]) {
      const y = Math.round(ROW.top + ROW.height * share) + 0.5;
      context.beginPath();
      context.moveTo(0, y);
      context.lineTo(width, y);
      context.stroke();
    }
  }

  close() {
    this.#end.abort();
    this.#observer.disconnect();
  }

  #listen(goTo) {
    const { signal } = this.#end;
    for (const type of ["numbers", "runs"]) {
      this.#comparison.addEventListener(type, () => this.#update(), { signal });
    }
    this.measure.addEventListener("change", () => this.#update());
    const { track } = this;
    const scrub = (event) => {
      const x = event.clientX - track.getBoundingClientRect().left;
      goTo(frameAtX(x, track.clientWidth, this.#frameCount));
    };
    track.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !this.#frameCount) return;
      track.setPointerCapture(event.pointerId);
      scrub(event);
    });
    track.addEventListener("pointermove", (event) => {
      if (track.hasPointerCapture(event.pointerId)) scrub(event);
    });
    track.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10 }[event.key];
      const to = { Home: 0, End: this.#frameCount - 1 }[event.key];
      if ((by === undefined && to === undefined) || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      const wanted = to ?? this.#shown + by * (event.shiftKey ? 10 : 1);
      goTo(Math.min(this.#frameCount - 1, Math.max(0, wanted)));
    });
  }
}
