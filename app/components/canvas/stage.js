/** The stage: two canvases on top of each other, and where the frame lies on them, pane by pane. */

import { element } from "../shared/dom.js";
import { cutPanes, paneAt } from "./panes.js";
import { fit, panBy, pointerToStage, resized, toImage, zoomAt } from "./viewport.js";

const MARGIN = 8;
const NO_SIZE = { width: 1, height: 1 };

export class Stage {
  #fitted = true;
  #size = { ...NO_SIZE }; // of one pane
  #whole = { ...NO_SIZE };
  #held = null; // the pane a gesture began in: it stays there
  #observer;

  /** @param {(emptied?: boolean) => void} changed called when the picture must be painted anew */
  constructor(changed) {
    this.changed = changed;
    this.image = NO_SIZE;
    this.viewport = { scale: 1, left: 0, top: 0 }; // within a pane, the same in all
    this.panes = cutPanes(1, NO_SIZE, NO_SIZE);
    this.picture = element("canvas", { class: "rsc-picture", "aria-hidden": "true" });
    this.overlay = element("canvas", { class: "rsc-overlay", "aria-hidden": "true" });
    this.cursor = element("div", { class: "rsc-cursor", "aria-hidden": "true", hidden: true });
    this.root = element(
      "div",
      {
        class: "rsc-stage",
        tabindex: "0",
        role: "application",
        "aria-label": "Frame and masks",
        "data-keys": "canvas",
      },
      this.picture,
      this.overlay,
      this.cursor,
    );
    this.pictureContext = this.picture.getContext("2d", { alpha: false });
    this.overlayContext = this.overlay.getContext("2d");
    this.#observer = new ResizeObserver(() => this.#measure());
    this.#observer.observe(this.root);
    addEventListener("resize", this.#measureAgain); // another screen's pixels are no resize of ours
    const hold = (event) => {
      this.#held = event.type === "pointerdown" ? this.paneUnder(event) : null;
    };
    // The pane is known before any tool hears of the press.
    this.root.addEventListener("pointerdown", hold, { capture: true });
    for (const type of ["pointerup", "pointercancel"]) this.root.addEventListener(type, hold);
  }

  #measureAgain = () => this.#measure();

  get dpr() {
    return globalThis.devicePixelRatio || 1;
  }

  /** Frames of another size; the new one is fitted. */
  setImage(size) {
    this.image = size;
    this.split(this.panes.length);
    this.zoomFit();
  }

  /** Show so many panes; the same part of the frame stays in the middle of each. */
  split(count) {
    this.panes = cutPanes(count, this.#whole, this.image);
    const { width, height } = this.panes[0];
    const after = { width, height };
    this.viewport = this.#fitted
      ? fit(this.image, after, MARGIN)
      : resized(this.viewport, this.#size, after);
    this.#size = after;
  }

  /** The number of the pane under a pointer. */
  paneUnder(event) {
    return paneAt(this.panes, this.place(event));
  }

  #measure() {
    const after = { width: this.root.clientWidth, height: this.root.clientHeight };
    if (!after.width || !after.height) return;
    const { dpr } = this;
    const columns = Math.round(after.width * dpr);
    const rows = Math.round(after.height * dpr);
    if (this.picture.width !== columns || this.picture.height !== rows) {
      for (const canvas of [this.picture, this.overlay]) {
        canvas.width = columns;
        canvas.height = rows;
      }
    }
    this.#whole = after;
    this.split(this.panes.length);
    // Setting a canvas's size empties it: paint now rather than show one empty frame.
    this.changed(true);
  }

  zoomFit() {
    this.#fitted = true;
    this.viewport = fit(this.image, this.#size, MARGIN);
    this.changed();
  }

  /** Zoom about a point of the stage, the middle of every pane by default. */
  zoom(factor, about = null) {
    this.#fitted = false;
    const { width, height } = this.#size;
    const held = about ? this.#inPane(about) : { x: width / 2, y: height / 2 };
    this.viewport = panBy(zoomAt(this.viewport, held, factor), 0, 0, this.image, this.#size);
    this.changed();
  }

  pan(dx, dy) {
    this.#fitted = false;
    this.viewport = panBy(this.viewport, dx, dy, this.image, this.#size);
    this.changed();
  }

  /** Where a pointer is, in CSS pixels of the stage. */
  place(event) {
    const rect = this.root.getBoundingClientRect();
    return pointerToStage(event, rect, { width: rect.width || 1, height: rect.height || 1 });
  }

  /** Where a pointer is, in frame pixels; may lie outside the frame. */
  imagePoint(event) {
    return toImage(this.viewport, this.#inPane(this.place(event)));
  }

  #inPane(point) {
    const pane = this.panes[this.#held ?? paneAt(this.panes, point)] ?? this.panes[0];
    return { x: point.x - pane.left, y: point.y - pane.top };
  }

  /** Move the tool's cursor; `diameter` in frame pixels, or null for a tool without a circle. */
  showCursor(place, tool, diameter) {
    this.cursor.hidden = false;
    this.cursor.dataset.tool = tool;
    const across = diameter === null ? 0 : Math.max(3, diameter * this.viewport.scale);
    this.cursor.style.width = this.cursor.style.height = diameter === null ? "" : `${across}px`;
    this.cursor.style.transform = `translate(${place.x}px, ${place.y}px) translate(-50%, -50%)`;
  }

  /** Take the keyboard. */
  focus() {
    this.root.focus({ preventScroll: true });
  }

  hideCursor() {
    this.cursor.hidden = true;
  }

  close() {
    this.#observer.disconnect();
    removeEventListener("resize", this.#measureAgain);
  }
}
