/** Building elements without a line of HTML: text from people can only ever be text. */

/**
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes] `class`, `title`, `aria-...`; `on` holds listeners;
 *   false and null are left out
 * @param {...(Node | string)} children
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [type, listener] of Object.entries(value)) made.addEventListener(type, listener);
    } else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(name, value === true ? "" : value);
    }
  }
  made.append(...children);
  return made;
}

/** A drawn sign, 16x16, in the colour of the text around it. */
export function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

/** A button that shows whether it is pressed; `name` is the key's name in the table of keys. */
export function button({
  label,
  sign,
  name,
  keys,
  title = label,
  press,
  className = "",
  toggles = false,
}) {
  const content = sign ? [icon(sign)] : [];
  if (className.includes("icon-only") === false) content.push(element("span", {}, label));
  return element(
    "button",
    {
      type: "button",
      class: `rsc-button ${className}`,
      title: withKey(title, name, keys),
      "aria-label": className.includes("icon-only") ? label : null,
      "aria-pressed": toggles ? "false" : null,
      on: { click: press },
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

/** Set an attribute only where it changes: a playing clip would touch the page needlessly. */
export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** Set a text only where it changes. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
