/** What each pane, side or outline stands for, said at the foot of the picture. */

import { ANNOTATION } from "../shared/comparison.js";
import { element } from "../shared/dom.js";
import { heatColour } from "./heat.js";

const HEAT = Array.from({ length: 9 }, (_, step) => `rgb(${heatColour(step / 8).join(" ")})`);

/**
 * The captions of a view.  Pure.
 *
 * @param {string} view
 * @param {{key: string, letter: string, title: string, full: string, variable: string}[]} runs
 * @param {number} turn whose turn it is while flickering
 * @returns {{pane: number, side: "left" | "right", entries: {text: string, full: string,
 *   variable: string, mark: string}[]}[]} `mark` is how the mask is drawn
 */
export function captionsOf(view, runs, turn) {
  const entry = (run, mark = "fill", text = `${run.letter} ${run.title}`) => ({
    text,
    full: run.full ?? run.title,
    variable: run.variable,
    mark,
  });
  const [first, second] = runs;
  switch (view) {
    case "side":
      return runs.map((run, pane) => ({ pane, side: "left", entries: [entry(run)] }));
    case "heat":
      return runs
        .filter(({ key }) => key !== ANNOTATION)
        .map((run, pane) => ({ pane, side: "left", entries: [entry(run, "heat")] }));
    case "wipe":
      return second
        ? [
            { pane: 0, side: "left", entries: [entry(first)] },
            { pane: 0, side: "right", entries: [entry(second)] },
          ]
        : [];
    case "flicker":
      return first ? [{ pane: 0, side: "left", entries: [entry(runs[turn % runs.length])] }] : [];
    case "difference": {
      if (!second) return [];
      const both = { text: "Both", full: "In both", variable: "--rsc-white", mark: "shared" };
      const only = (run) => `Only ${run.letter} ${run.title}`;
      const entries = [
        entry(first, "rows", only(first)),
        entry(second, "columns", only(second)),
        both,
      ];
      return [{ pane: 0, side: "left", entries }];
    }
    case "contours":
      return [
        {
          pane: 0,
          side: "left",
          entries: runs.map((run, place) => entry(run, `line-${place}`)),
        },
      ];
    default:
      return [];
  }
}

/** The captions on the page, over the stage's panes. */
export class Captions {
  #told = "";

  constructor() {
    this.root = element("div", { class: "rsc-captions" });
  }

  /**
   * @param {ReturnType<typeof captionsOf>} captions
   * @param {import("./panes.js").Pane[]} panes
   * @param {{height: number}} stage
   */
  show(captions, panes, stage) {
    const told = JSON.stringify([captions, panes, stage.height]);
    if (told === this.#told) return;
    this.#told = told;
    this.root.replaceChildren(
      ...captions.map((caption) => draw(caption, panes[caption.pane] ?? panes[0], stage)),
    );
  }
}

function draw({ side, entries }, pane, stage) {
  const rows = entries.map(({ text, full, variable, mark }) => {
    const swatch = element("span", { class: `rsc-mark is-${mark}`, "aria-hidden": "true" });
    swatch.style.setProperty("--rsc-run", `var(${variable})`);
    swatch.style.setProperty("--rsc-heat", HEAT.join(", "));
    return element(
      "span",
      { class: "rsc-caption-row", title: full },
      swatch,
      element("span", { class: "rsc-caption-text" }, text),
    );
  });
  const node = element("div", { class: `rsc-caption is-${side}` }, ...rows);
  const place = node.style;
  place.bottom = `${stage.height - pane.top - pane.height + 6}px`;
  place.maxWidth = `${(side === "right" || entries.length > 1 ? 0.5 : 0.9) * pane.width}px`;
  if (side === "right") place.right = "6px";
  else place.left = `${pane.left + 6}px`;
  return node;
}
