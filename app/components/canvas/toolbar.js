/** The canvas's own tools: one press, one key. */

import { element, setAttribute, setText } from "../shared/dom.js";
import { button, yieldKeys } from "./controls.js";

const SIGNS = {
  positive: "M8 2v12M2 8h12",
  negative: "M2 8h12",
  brush:
    "M13.5 2.5c-3 1-6 4-7 6.5l1.5 1.5c2.5-1 5.5-4 6.5-7zM6 9.5" +
    "c-2 0-2.5 1.5-2.5 3-.5.5-1 .7-1.5 1 2 .8 5 .5 5.5-2.5",
  eraser: "M6 13.5 2.5 10 9 3.5 13 7.5 7 13.5zM5.5 7l4 4M6 13.5h8",
  lasso:
    "M8 3c3.5 0 6 1.6 6 3.8S11.5 10.5 8 10.5c-.8 0-1.5 0-2.2-.2M8 3C4.5 3 2 4.6 2 6.8" +
    "c0 1.2.8 2.2 2 2.9M4 9.7c-1.2.4-1.2 2 .2 2 1.5 0 1.8-1.5.6-2M4.5 11.7" +
    "c.3 1-.2 1.8-1 2.3",
  box: "M2.5 3.5h11v9h-11z",
  hide:
    "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM8 6" +
    "a2 2 0 1 0 0 4 2 2 0 0 0 0-4z",
};

const TOOLS = [
  [
    "positive",
    "Add",
    "Click what belongs to the target, or drag a box around it; right button takes away",
  ],
  ["negative", "Take", "Click what does not belong to the target; right button adds"],
  ["box", "Box", "Draw a box around the target"],
  ["brush", "Brush", "Paint; right button erases"],
  ["eraser", "Erase", "Erase; right button paints"],
  ["lasso", "Lasso", "Fill an outline; right button cuts it out"],
];

/**
 * @param {{tools: import("./tools.js").Tools, keys: object, opacity: number,
 *   actions: import("./actions.js").Actions}} parts
 * @returns {{root: HTMLElement, show: (state: object) => void}}
 */
export function buildToolbar({ tools, keys, actions, opacity }) {
  const pickers = new Map();
  const group = (label, ...children) =>
    element("div", { class: "rsc-group", role: "group", "aria-label": label }, ...children);

  for (const [name, label, title] of TOOLS) {
    const press = () => actions.choose(name);
    pickers.set(
      name,
      button({ label, sign: SIGNS[name], name, keys, title, press, toggles: true }),
    );
  }
  const layers = new Map(
    [
      ["target", "Target", "Paint the target"],
      ["ignore", "Ignore", "Paint what scoring leaves out"],
    ].map(([layer, label, title]) => {
      const press = () => actions.setLayer(layer);
      const className = `rsc-layer rsc-layer-${layer}`;
      const made = button({ label, name: "layer", keys, title, press, className, toggles: true });
      made.prepend(element("span", { class: "rsc-swatch", "aria-hidden": "true" }));
      return [layer, made];
    }),
  );

  const size = element("output", { class: "rsc-brush-size", "aria-label": "Brush size" });
  const brush = element(
    "div",
    { class: "rsc-group rsc-brush", role: "group", "aria-label": "Brush size" },
    button({
      label: "Smaller brush",
      sign: "M3 8h10",
      className: "icon-only",
      title: "Smaller brush (Ctrl + wheel)",
      press: () => actions.changeBrush(-1),
    }),
    size,
    button({
      label: "Larger brush",
      sign: "M3 8h10M8 3v10",
      className: "icon-only",
      title: "Larger brush (Ctrl + wheel)",
      press: () => actions.changeBrush(1),
    }),
  );

  const slider = element("input", {
    type: "range",
    min: "0",
    max: "100",
    value: String(Math.round(opacity * 100)),
    "aria-label": "Opacity of the masks",
    title: "Opacity of the masks",
    oninput: (event) => actions.setOpacity(Number(event.target.value) / 100),
  });
  yieldKeys(slider);
  const hide = button({
    label: "Hide masks while held",
    sign: SIGNS.hide,
    name: "hide",
    keys,
    className: "icon-only",
    press: () => {},
  });
  hide.addEventListener("pointerdown", () => actions.hide(true));
  for (const type of ["pointerup", "pointerleave", "pointercancel", "blur"]) {
    hide.addEventListener(type, () => actions.hide(false));
  }
  hide.addEventListener("keydown", (event) => event.key === " " && actions.hide(true));
  hide.addEventListener("keyup", (event) => event.key === " " && actions.hide(false));

  const root = element(
    "div",
    { class: "rsc-toolbar", role: "toolbar", "aria-label": "Tools" },
    group("Tool", ...pickers.values()),
    group("Layer", ...layers.values()),
    brush,
    element("div", { class: "rsc-group rsc-opacity" }, slider, hide),
  );

  return {
    root,
    /** @param {{enabled: boolean}} state whether there is a clip to work on */
    show({ enabled }) {
      for (const [name, picker] of pickers)
        setAttribute(picker, "aria-pressed", tools.tool === name);
      for (const [layer, picker] of layers)
        setAttribute(picker, "aria-pressed", tools.layer === layer);
      brush.classList.toggle("is-quiet", !tools.hasCircle);
      setText(size, `${tools.diameter} px`);
      /** @type {NodeListOf<HTMLButtonElement | HTMLInputElement>} */
      const controls = root.querySelectorAll("button, input");
      for (const control of controls) control.disabled = !enabled;
    },
  };
}
