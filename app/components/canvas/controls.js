/** The canvas's buttons, and controls that give the keyboard back. */

import { drawing, element } from "../shared/dom.js";

/** A button that shows whether it is pressed; `name` is the key's name in the table of keys. */
export function button({
  label,
  sign = "",
  name = "",
  keys = null,
  title = label,
  press,
  className = "",
  toggles = false,
}) {
  /** @type {Element[]} */
  const content = sign ? [drawing(sign)] : [];
  if (className.includes("icon-only") === false) content.push(element("span", {}, label));
  return element(
    "button",
    {
      type: "button",
      class: `rsc-button ${className}`,
      title: withKey(title, name, keys),
      "aria-label": className.includes("icon-only") ? label : null,
      "aria-pressed": toggles ? "false" : null,
      onclick: press,
    },
    ...content,
  );
}

function withKey(title, name, keys) {
  const key = name && keys?.keyOf(name);
  return key ? `${title} (${key})` : title;
}

/**
 * Let go of the keyboard after a control was used with the pointer, so that arrows and Space are
 * the picture's again; whoever came by keyboard keeps it.
 */
export function yieldKeys(control) {
  let byPointer = false;
  control.addEventListener("pointerdown", () => {
    byPointer = true;
  });
  control.addEventListener("keydown", () => {
    byPointer = false;
  });
  control.addEventListener("change", () => byPointer && control.blur());
  return control;
}
