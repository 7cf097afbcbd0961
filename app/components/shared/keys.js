/**
 * Every key of the studio: one table, and the code that listens for it.
 *
 * A handler is registered under a name, never under a key, so that a person can change the key:
 *
 *   keys.on("brush", () => chooseTool("brush"));
 *   keys.on("hide", ({ down }) => setOverlayHidden(down));   // `hold` rows call twice: down, then up
 *
 * A handler gets {down, repeat, event}; `event` is null when a button or session.runKey called it.
 */

/**
 * name: what handlers register; key: the default chord; label: what the `?` sheet and the README say.
 * hold: handlers also hear the release.  repeat: holding the key down repeats the action.
 * pointer: done with the mouse and listed for completeness; it cannot be changed.
 * canvas: acts only while the picture has the keyboard focus (elsewhere Tab walks from part to part).
 */
export const TABLE = Object.freeze([
  { group: "Play", name: "play", key: "Space", label: "Play or stop", hold: true },
  { group: "Play", name: "frame-back", key: "ArrowLeft", label: "One frame back", repeat: true },
  {
    group: "Play",
    name: "frame-forward",
    key: "ArrowRight",
    label: "One frame forward",
    repeat: true,
  },
  {
    group: "Play",
    name: "ten-back",
    key: "Shift+ArrowLeft",
    label: "Ten frames back",
    repeat: true,
  },
  {
    group: "Play",
    name: "ten-forward",
    key: "Shift+ArrowRight",
    label: "Ten frames forward",
    repeat: true,
  },
  { group: "Play", name: "first-frame", key: "Home", label: "First frame" },
  { group: "Play", name: "last-frame", key: "End", label: "Last frame" },
  { group: "Play", name: "mark-in", key: "[", label: "Range begins here" },
  { group: "Play", name: "mark-out", key: "]", label: "Range ends here" },
  { group: "Play", name: "next-to-look-at", key: "N", label: "Next frame to look at" },
  {
    group: "Play",
    name: "previous-to-look-at",
    key: "Shift+N",
    label: "Previous frame to look at",
  },

  { group: "Draw", name: "positive", key: "1", label: "Click adds to the mask" },
  { group: "Draw", name: "negative", key: "2", label: "Click takes away from the mask" },
  { group: "Draw", name: "box", key: "X", label: "Box around the target" },
  { group: "Draw", name: "brush", key: "B", label: "Brush" },
  { group: "Draw", name: "eraser", key: "E", label: "Eraser" },
  { group: "Draw", name: "lasso", key: "L", label: "Lasso" },
  { group: "Draw", name: "layer", key: "Tab", label: "Target or Ignore", canvas: true },
  { group: "Draw", name: "preview", key: "Alt", label: "Preview a click while held", hold: true },
  { group: "Draw", name: "other-reading", key: "M", label: "Another reading of the click" },
  { group: "Draw", name: "redraw", key: "G", label: "Redraw a roughly painted mask" },
  { group: "Draw", name: "clear-clicks", key: "Backspace", label: "Remove this frame's clicks" },
  { group: "Draw", name: "undo", key: "Z", label: "Undo", repeat: true },
  { group: "Draw", name: "redo", key: "Shift+Z", label: "Redo", repeat: true },
  { group: "Draw", name: "brush-size", key: "Ctrl+Wheel", label: "Brush size", pointer: true },

  { group: "Look", name: "hide", key: "H", label: "Hide the overlay while held", hold: true },
  {
    group: "Look",
    name: "compare",
    key: "C",
    label: "Compare runs: both, side by side, wipe, difference, contours, heat map",
  },
  { group: "Look", name: "flicker", key: "F", label: "Flicker between the runs compared" },
  { group: "Look", name: "zoom-in", key: "+", label: "Zoom in", repeat: true },
  { group: "Look", name: "zoom-out", key: "-", label: "Zoom out", repeat: true },
  { group: "Look", name: "zoom-fit", key: "0", label: "Whole frame" },
  {
    group: "Look",
    name: "zoom-at-cursor",
    key: "Wheel",
    label: "Zoom at the cursor",
    pointer: true,
  },
  {
    group: "Look",
    name: "pan",
    key: "Middle drag, Space drag",
    label: "Move the picture",
    pointer: true,
  },
  { group: "Look", name: "stats", key: "S", label: "Show how playing keeps up" },
  { group: "Look", name: "left-panel", key: ",", label: "Show or hide the clips" },
  { group: "Look", name: "right-panel", key: ".", label: "Show or hide the right panel" },

  { group: "Work", name: "new-expression", key: "A", label: "Type an expression" },
  { group: "Work", name: "run", key: "R", label: "Run the segmenter" },
  { group: "Work", name: "propagate", key: "P", label: "Propagate" },
  { group: "Work", name: "pause", key: "Shift+P", label: "Pause propagating, or go on" },
  { group: "Work", name: "verify", key: "V", label: "Frame is verified" },
  { group: "Work", name: "verify-empty", key: "Shift+V", label: "Frame is verified empty" },
  { group: "Work", name: "previous-clip", key: "PageUp", label: "Previous clip" },
  { group: "Work", name: "next-clip", key: "PageDown", label: "Next clip" },
  { group: "Work", name: "key-sheet", key: "?", label: "Show the keys" },
]);

const ALIASES = Object.freeze({ "Ctrl+Z": "undo", "Ctrl+Shift+Z": "redo", "Ctrl+Y": "redo" });
const STORED = "refscribe.keys";

/**
 * The chord an event stands for: "Shift+ArrowLeft", "Z", "?", "Alt".
 *
 * Shift is spelled out for letters, named keys and digits only: a sign such as "?" or "+" already
 * needed it, on some keyboards and not on others.
 */
export function chord(event) {
  if (["Alt", "Shift", "Control", "Meta"].includes(event.key)) return event.key;
  const sign = event.key.length === 1 && event.key !== " ";
  const letter = sign && event.key.toLowerCase() !== event.key.toUpperCase();
  const name = event.key === " " ? "Space" : letter ? event.key.toUpperCase() : event.key;
  const parts = [];
  if (event.ctrlKey || event.metaKey) parts.push("Ctrl");
  // Alt is a held key of its own here (preview), and must not break the others while it is down.
  if (event.shiftKey && (letter || !sign)) parts.push("Shift");
  parts.push(name);
  return parts.join("+");
}

/** How a chord is written for people: "Shift + Left", "Page Up". */
export function spell(key) {
  const names = {
    ArrowLeft: "Left",
    ArrowRight: "Right",
    ArrowUp: "Up",
    ArrowDown: "Down",
    PageUp: "Page Up",
    PageDown: "Page Down",
  };
  if (key === "+") return "+";
  return key
    .split(/\+(?=.)/)
    .map((part) => names[part] ?? part)
    .join(" + ");
}

/** The rows with the person's own keys in place of the defaults. */
export function rowsWith(changes) {
  return TABLE.map((row) => (row.pointer ? row : { ...row, key: changes[row.name] ?? row.key }));
}

/** The row a chord belongs to, or undefined. */
export function rowFor(rows, pressed) {
  const alias = ALIASES[pressed];
  if (alias) return rows.find((row) => row.name === alias);
  return rows.find((row) => !row.pointer && row.key === pressed);
}

/** True where letters are text: no key of ours may act there. */
export function isTyping(element) {
  if (!element?.closest) return false;
  if (element.isContentEditable) return true;
  const field = element.closest("input, textarea, select, [role=listbox], [role=combobox]");
  if (!field) return false;
  const quiet = ["checkbox", "radio", "button", "range", "submit", "file", "color"];
  return !(field.tagName === "INPUT" && quiet.includes(field.type));
}

/** Keys a focused control needs for itself: Space presses it, arrows move a slider. */
function belongsToControl(element, pressed) {
  const control = element?.closest?.(
    "button, a, summary, input, [role=tab], [role=slider], [role=option]",
  );
  if (!control) return false;
  if (["Space", "Enter"].includes(pressed)) return true;
  const steered = control.matches("input, [role=tab], [role=slider], [role=option]");
  return steered && /^(Shift\+)?(Arrow|Home|End|Page)/.test(pressed);
}

export class Keys {
  #handlers = new Map();
  #held = new Map(); // event.code -> row of a hold key that is down
  #changes = {};

  constructor(storage = globalThis.localStorage) {
    this.storage = storage;
    try {
      this.#changes = JSON.parse(storage?.getItem(STORED) ?? "{}");
    } catch {
      this.#changes = {}; // A damaged or forbidden store means the defaults.
    }
  }

  get rows() {
    return rowsWith(this.#changes);
  }

  /** The key now in force for `name`, spelled for people; "" for an unknown name. */
  keyOf(name) {
    const row = this.rows.find((each) => each.name === name);
    return row ? spell(row.key) : "";
  }

  /** Register `handler`; a later registration of the same name replaces it. Returns an undo. */
  on(name, handler) {
    if (!TABLE.some((row) => row.name === name && !row.pointer)) {
      throw new Error(`keys.on: no key is called "${name}"`);
    }
    this.#handlers.set(name, handler);
    return () => this.#handlers.get(name) === handler && this.#handlers.delete(name);
  }

  has(name) {
    return this.#handlers.has(name);
  }

  /** Act as if the key called `name` was pressed (and released). True when somebody listened. */
  run(name) {
    const row = this.rows.find((each) => each.name === name);
    const handler = this.#handlers.get(name);
    if (!row || !handler) return false;
    handler({ down: true, repeat: false, event: null });
    if (row.hold) handler({ down: false, repeat: false, event: null });
    return true;
  }

  /** Give `name` another key; whoever had it swaps. Throws a sentence when that cannot be. */
  change(name, key) {
    const rows = this.rows;
    const row = rows.find((each) => each.name === name);
    if (!row || row.pointer) throw new Error("This one is done with the mouse.");
    if (ALIASES[key]) throw new Error(`${spell(key)} is kept for undo and redo.`);
    const owner = rows.find((each) => each.key === key && each.name !== name);
    if (owner?.pointer) throw new Error(`${spell(key)} belongs to the mouse.`);
    this.#changes = { ...this.#changes, [name]: key };
    if (owner) this.#changes[owner.name] = row.key;
    this.#store();
  }

  reset() {
    this.#changes = {};
    this.#store();
  }

  #store() {
    try {
      this.storage?.setItem(STORED, JSON.stringify(this.#changes));
    } catch {
      // Private windows may forbid storage: the change then lasts as long as the page.
    }
  }

  /** Listen to the keyboard on behalf of `root`. Returns an undo. */
  bind(root) {
    const page = root.ownerDocument;
    const ours = (element) =>
      element === page.body || element === page.documentElement || root.contains(element);
    const down = (event) => {
      if (event.defaultPrevented || event.isComposing || !ours(event.target)) return;
      if (isTyping(event.target) || page.querySelector("dialog[open]")) return;
      const pressed = chord(event);
      if (belongsToControl(event.target, pressed)) return;
      const row = rowFor(this.rows, pressed);
      if (!row || !this.#handlers.has(row.name)) return;
      if (row.canvas && !event.target.closest?.("[data-keys=canvas]")) return;
      event.preventDefault();
      if (event.repeat && !row.repeat) return;
      if (row.hold) this.#held.set(event.code, row);
      this.#handlers.get(row.name)({ down: true, repeat: event.repeat, event });
    };
    const up = (event) => {
      const row = this.#held.get(event.code);
      if (!row) return;
      this.#held.delete(event.code);
      this.#handlers.get(row.name)?.({ down: false, repeat: false, event });
    };
    const lost = () => {
      // The window lost the keyboard: a release will never be heard.
      for (const row of this.#held.values()) {
        this.#handlers.get(row.name)?.({ down: false, repeat: false, event: null });
      }
      this.#held.clear();
    };
    // What was pressed with the mouse must not keep the keyboard: Space would press it again, and
    // the arrows would move a slider. Once the click has done its work, the picture gets the keys.
    const released = (event) => {
      if (event.detail === 0 || !root.contains(event.target)) return;
      setTimeout(() => {
        const active = page.activeElement;
        const control = active?.matches?.("button, input, [role=tab]") && !isTyping(active);
        if (page.querySelector("dialog[open]") || !(control || active === page.body)) return;
        if (control) active.blur();
        focusPicture(page);
      });
    };
    page.addEventListener("keydown", down);
    page.addEventListener("keyup", up);
    page.addEventListener("click", released);
    globalThis.addEventListener("blur", lost);
    return () => {
      page.removeEventListener("keydown", down);
      page.removeEventListener("keyup", up);
      page.removeEventListener("click", released);
      globalThis.removeEventListener("blur", lost);
    };
  }
}

/** Give the picture the keyboard, where there is one. */
export function focusPicture(page = document) {
  /** @type {HTMLElement | null} */
  const picture = page.querySelector("[data-keys=canvas]");
  // Chromium's types do not know focusVisible yet.
  picture?.focus(/** @type {FocusOptions} */ ({ preventScroll: true, focusVisible: false }));
}

export const keys = new Keys();
