/** Comparing the annotation with the draft on the stage: wipe, difference, flicker, and J. */

import { button, element, setAttribute, setText } from "./dom.js";
import { toStage } from "./viewport.js";

const FLICKER_MS = 400;
const WAYS = [
  ["both", "Both", "The mask over the draft, and the draft's outline"],
  ["wipe", "Wipe", "The mask on the left, the draft on the right of the line"],
  ["difference", "Difference", "Only where mask and draft differ, each in its colour"],
  ["flicker", "Flicker", "The mask and the draft in turn"],
];
const CYCLE = ["both", "wipe", "difference"];

export class Compare {
  #scene;
  #stage;
  #changed;
  #timer = 0;
  #available = false;

  /** @param {() => void} changed the overlay must be painted anew */
  constructor({ scene, stage, keys, changed }) {
    this.#scene = scene;
    this.#stage = stage;
    this.#changed = changed;
    this.way = "both";
    this.buttons = new Map(
      WAYS.map(([way, label, title]) => {
        const name = { wipe: "compare", flicker: "flicker" }[way];
        return [
          way,
          button({ label, title, name, keys, press: () => this.choose(way), toggles: true }),
        ];
      }),
    );
    this.figure = element("output", {
      class: "rsc-figure",
      title:
        "Region similarity J of mask and draft, Ignore left out: this frame, and the clip's mean",
      "aria-label": "Agreement of mask and draft",
      "aria-live": "off",
    });
    this.bar = element(
      "div",
      {
        class: "rsc-compare",
        role: "toolbar",
        "aria-label": "Compare mask and draft",
        hidden: true,
      },
      ...this.buttons.values(),
      this.figure,
    );
    this.line = element("div", {
      class: "rsc-divider",
      role: "slider",
      tabindex: "0",
      "aria-label": "Line between mask and draft",
      "aria-valuemin": "0",
      "aria-valuemax": "100",
      hidden: true,
    });
    this.#listen();
    this.#show();
  }

  /** There is, or is no longer, a draft to compare with. */
  setAvailable(available) {
    if (available === this.#available) return;
    this.#available = available;
    this.bar.hidden = !available;
    if (!available) this.choose("both");
  }

  choose(way) {
    if (!this.#available && way !== "both") return;
    this.way = way;
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#scene.view = way === "flicker" ? "mask" : way;
    if (way === "flicker") {
      this.#timer = setInterval(() => {
        this.#scene.view = this.#scene.view === "mask" ? "draft" : "mask";
        this.#changed();
      }, FLICKER_MS);
    }
    this.#show();
    this.#changed();
  }

  /** The next way to compare; from flickering back to both. */
  cycle() {
    this.choose(CYCLE[(CYCLE.indexOf(this.way) + 1) % CYCLE.length]);
  }

  toggleFlicker() {
    this.choose(this.way === "flicker" ? "both" : "flicker");
  }

  /**
   * @param {number | null} frame J on this frame
   * @param {number | null} clip its mean over the clip
   */
  showFigures(frame, clip) {
    const written = (value) => (value === null ? "-.---" : value.toFixed(3));
    setText(this.figure, `J ${written(frame)}  clip ${written(clip)}`);
  }

  /** The stage moved under the divider. */
  place() {
    if (this.line.hidden) return;
    const { viewport, image } = this.#stage;
    const { x, y } = toStage(viewport, { x: this.#scene.divider * image.width, y: 0 });
    this.line.style.transform = `translate(${x}px, ${y}px)`;
    this.line.style.height = `${image.height * viewport.scale}px`;
    setAttribute(this.line, "aria-valuenow", Math.round(this.#scene.divider * 100));
  }

  close() {
    clearInterval(this.#timer);
  }

  #show() {
    for (const [way, one] of this.buttons) setAttribute(one, "aria-pressed", way === this.way);
    this.line.hidden = this.way !== "wipe";
    this.place();
  }

  #moveTo(divider) {
    this.#scene.divider = Math.min(1, Math.max(0, divider));
    this.place();
    this.#changed();
  }

  #listen() {
    const { line } = this;
    line.addEventListener("mousedown", (event) => {
      event.preventDefault();
      this.#stage.focus();
    });
    line.addEventListener("pointerdown", (event) => line.setPointerCapture(event.pointerId));
    line.addEventListener("pointermove", (event) => {
      if (!line.hasPointerCapture(event.pointerId)) return;
      this.#moveTo(this.#stage.imagePoint(event).x / this.#stage.image.width);
    });
    line.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -0.02, ArrowRight: 0.02 }[event.key];
      if (!step) return;
      event.preventDefault();
      this.#moveTo(this.#scene.divider + step);
    });
  }
}
