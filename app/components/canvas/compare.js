/** Comparing runs on the stage: how they are shown, the divider, flickering, and J of two. */

import { element, setAttribute, setText } from "../shared/dom.js";
import { button } from "./controls.js";
import { Captions, captionsOf } from "./captions.js";
import { toStage } from "./viewport.js";

const FLICKER_MS = 400;
const WAYS = [
  ["both", "Both", "The annotation over the draft, to work on"],
  ["side", "Side by side", "A pane for every run"],
  ["wipe", "Wipe", "The first run on the left, the second on the right of the line"],
  ["flicker", "Flicker", "The runs in turn"],
  ["difference", "Difference", "Only in the first, only in the second, in both"],
  ["contours", "Contours", "The outlines of all runs"],
  ["heat", "Heat map", "The drafts' soft maps, with the threshold as a line"],
];
const CYCLE = ["both", "side", "wipe", "difference", "contours", "heat"];

export class Compare {
  #parts;
  #timer = 0;
  #available = false;
  #captions = new Captions();

  /**
   * @param {object} parts comparison, scene, stage, layers, edits, session, keys; `changed` when the
   *   overlay must be painted anew, `needMaps` when soft maps are wanted
   */
  constructor(parts) {
    this.#parts = parts;
    this.way = "both";
    this.buttons = new Map(
      WAYS.map(([way, label, title]) => {
        const name = { both: "compare", flicker: "flicker" }[way];
        const press = () => this.choose(way);
        return [way, button({ label, title, name, keys: parts.keys, press, toggles: true })];
      }),
    );
    this.figure = element("output", {
      class: "rsc-figure",
      title: "Region similarity J of the first two runs, Ignore left out: this frame, and the mean",
      "aria-label": "Agreement of the first two runs",
      "aria-live": "off",
    });
    this.bar = element(
      "div",
      { class: "rsc-compare", role: "toolbar", "aria-label": "Compare runs", hidden: true },
      ...this.buttons.values(),
      this.figure,
    );
    this.line = element("div", {
      class: "rsc-divider",
      role: "slider",
      tabindex: "0",
      "aria-label": "Edge of the wipe",
      "aria-valuemin": "0",
      "aria-valuemax": "100",
      hidden: true,
    });
    this.nodes = [this.line, this.#captions.root];
    this.#listen();
    this.runsChanged();
  }

  /** Other runs are compared, or there are none any more. */
  runsChanged() {
    const { comparison, scene, session, edits } = this.#parts;
    const { targetId } = session;
    const masks = targetId === null ? [] : [...edits.frames(targetId).values()];
    comparison.setAnnotated(masks.some(({ target }) => target.runs.length > 0));
    const { runs } = comparison;
    if (JSON.stringify(runs) !== JSON.stringify(scene.runs)) scene.setRuns(runs);
    this.#available = runs.length > 1;
    this.bar.hidden = !this.#available;
    this.#follow();
    if (!this.#can(this.way)) this.choose("both");
    else this.#show();
  }

  /** The masks of a run, or the threshold, changed. */
  #follow() {
    const heat = this.way === "heat";
    this.#parts.layers.update({ heat });
    if (heat || this.#parts.comparison.threshold !== null) this.#parts.needMaps();
  }

  thresholdChanged() {
    this.#follow();
    this.#parts.scene.forget(null);
    this.#parts.changed();
  }

  #can(way) {
    if (way === "both") return true;
    if (!this.#available) return false;
    return way !== "heat" || this.#parts.scene.runs.some(({ key }) => key.startsWith("draft:"));
  }

  choose(way) {
    if (!this.#can(way)) return;
    const { scene, comparison, changed } = this.#parts;
    this.way = way;
    clearInterval(this.#timer);
    this.#timer = 0;
    scene.view = way;
    scene.turn = 0;
    if (way === "flicker") {
      this.#timer = setInterval(() => {
        scene.turn = (scene.turn + 1) % Math.max(1, scene.runs.length);
        this.place();
        changed();
      }, FLICKER_MS);
    }
    this.#follow();
    this.#show();
    if (comparison.view !== way) comparison.setView(way);
    changed();
  }

  /** The next way to compare; from flickering back to both. */
  cycle() {
    const rest = CYCLE.slice(CYCLE.indexOf(this.way) + 1).filter((way) => this.#can(way));
    this.choose(this.way === "flicker" ? "both" : (rest[0] ?? "both"));
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

  /** The stage moved under the divider and the captions. */
  place() {
    const { stage, scene } = this.#parts;
    const height = stage.root.clientHeight;
    this.#captions.show(captionsOf(this.way, scene.runs, scene.turn), stage.panes, { height });
    if (this.line.hidden) return;
    const { viewport, image } = stage;
    const { x, y } = toStage(viewport, { x: scene.divider * image.width, y: 0 });
    this.line.style.transform = `translate(${x}px, ${y}px)`;
    this.line.style.height = `${image.height * viewport.scale}px`;
    setAttribute(this.line, "aria-valuenow", Math.round(scene.divider * 100));
  }

  close() {
    clearInterval(this.#timer);
  }

  #show() {
    const { stage, scene, changed } = this.#parts;
    for (const [way, one] of this.buttons) {
      setAttribute(one, "aria-pressed", way === this.way);
      one.disabled = !this.#can(way);
    }
    this.line.hidden = this.way !== "wipe";
    const panes = scene.paneRuns?.length || 1;
    if (panes !== stage.panes.length) stage.split(panes);
    scene.setScale(stage.viewport.scale * stage.dpr);
    this.place();
    changed();
  }

  #moveTo(divider) {
    this.#parts.scene.divider = Math.min(1, Math.max(0, divider));
    this.place();
    this.#parts.changed();
  }

  #listen() {
    const { line } = this;
    const { stage, scene } = this.#parts;
    line.addEventListener("mousedown", (event) => {
      event.preventDefault();
      stage.focus();
    });
    line.addEventListener("pointerdown", (event) => line.setPointerCapture(event.pointerId));
    line.addEventListener("pointermove", (event) => {
      if (!line.hasPointerCapture(event.pointerId)) return;
      this.#moveTo(stage.imagePoint(event).x / stage.image.width);
    });
    line.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -0.02, ArrowRight: 0.02 }[event.key];
      const end = { Home: 0, End: 1 }[event.key];
      if (!step && end === undefined) return;
      event.preventDefault();
      this.#moveTo(end ?? scene.divider + step);
    });
  }
}
