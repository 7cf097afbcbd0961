/** Small controls that the panels are made of. */

import { drawing, element } from "../shared/dom.js";

const SHAPES = {
  add: "M8 3v10M3 8h10",
  close: "M4 4l8 8M12 4l-8 8",
  edit: "M3 13l1-3 6.5-6.5 2 2L6 12z",
  remove: "M3.5 5h9M6.5 5V3.5h3V5M5 5l.5 8h5l.5-8",
  sun: "M8 5.2a2.8 2.8 0 100 5.6 2.8 2.8 0 000-5.6zM8 1.5v1.6M8 12.9v1.6M1.5 8h1.6M12.9 8h1.6M3.4 3.4l1.1 1.1M11.5 11.5l1.1 1.1M3.4 12.6l1.1-1.1M11.5 4.5l1.1-1.1",
  moon: "M12.8 9.8A5.3 5.3 0 016.2 3.2 5.3 5.3 0 1012.8 9.8z",
  system: "M2.5 3.5h11v7h-11zM6 13.5h4M8 10.5v3",
  eye: "M1.5 8S4 3.8 8 3.8 14.5 8 14.5 8 12 12.2 8 12.2 1.5 8 1.5 8zM8 6.3a1.7 1.7 0 100 3.4 1.7 1.7 0 000-3.4z",
  film: "M2.5 3.5h11v9h-11zM5.5 3.5v9M10.5 3.5v9M2.5 6.5h3M2.5 9.5h3M10.5 6.5h3M10.5 9.5h3",
};

/** A small line drawing by name, hidden from screen readers: its button carries the words. */
export function icon(name) {
  const sign = drawing(SHAPES[name]);
  sign.setAttribute("class", "rs-icon");
  return sign;
}

/** A button that is only an icon: its words are the tooltip and the accessible name. */
export function iconButton(name, words, onclick) {
  return element(
    "button",
    { type: "button", class: "rs-icon-button", title: words, "aria-label": words, onclick },
    icon(name),
  );
}

/** A <select> from [[value, words], ...]. */
export function picker(label, options, value, onchange) {
  const select = element(
    "select",
    { class: "rs-select", "aria-label": label, onchange: () => onchange(select.value) },
    ...options.map(([each, words]) => element("option", { value: each }, words)),
  );
  select.value = value;
  return select;
}
