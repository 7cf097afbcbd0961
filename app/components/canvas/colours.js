/** The page's colours as numbers, read from its CSS variables. */

const FALLBACKS = {
  "--rs-target": "#e6007e",
  "--rs-ignore": "#f5c400",
  "--rs-draft": "#009e9a",
  "--rs-run-1": "#009e9a",
  "--rs-run-2": "#e08a00",
  "--rs-run-3": "#56b4e9",
  "--rs-run-4": "#8a5a2b",
  "--rs-accent": "#3b6fd4",
  "--rs-picture": "#777777",
  "--rs-text": "#1f2328",
  "--rs-muted": "#5c636b",
  "--rs-line": "#c8ccd1",
  "--rs-panel": "#ffffff",
  "--rs-state-none": "#d5d8dc",
  "--rs-state-draft": "#56b4e9",
  "--rs-state-propagation": "#8f7fd6",
  "--rs-state-edited": "#e69f00",
  "--rs-state-verified": "#009e73",
};

/** Colours of a clip's other targets, told apart by the colour-blind too (after Okabe and Ito). */
const OTHER_TARGETS = [
  [86, 180, 233],
  [230, 159, 0],
  [0, 158, 115],
  [240, 228, 66],
  [0, 114, 178],
  [213, 94, 0],
];

/** The colour of a target that is shown beside the selected one, by its number in the clip. */
export function otherTarget(number) {
  return OTHER_TARGETS[(number - 1) % OTHER_TARGETS.length];
}

export class Palette {
  #canvas = new OffscreenCanvas(1, 1);
  #context = this.#canvas.getContext("2d", { willReadFrequently: true });
  #element;
  #known = new Map();

  /** @param {Element} element the variables are read where this element stands */
  constructor(element) {
    this.#element = element;
  }

  /** The theme changed. */
  reread() {
    this.#known.clear();
  }

  /** A variable's value as CSS. */
  css(name) {
    return getComputedStyle(this.#element).getPropertyValue(name).trim() || FALLBACKS[name];
  }

  /** A variable's value as [red, green, blue], whatever notation it is written in. */
  rgb(name) {
    if (!this.#known.has(name)) {
      this.#context.fillStyle = FALLBACKS[name];
      this.#context.fillStyle = this.css(name);
      this.#context.fillRect(0, 0, 1, 1);
      this.#known.set(name, [...this.#context.getImageData(0, 0, 1, 1).data.slice(0, 3)]);
    }
    return this.#known.get(name);
  }
}
