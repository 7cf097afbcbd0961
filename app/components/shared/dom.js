/** Building elements without a line of HTML: what a person typed can only ever be text. */

/**
 * An element: `element("button", { class: "rs-button", onclick: run }, "Run")`.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [properties] names that begin with "on" are listeners, `dataset` is
 *   spread, `value` is set as a property; true sets a bare attribute, false and null leave it out
 * @param {...(Node | string | false | null | undefined)} children false and null are left out
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(made.dataset, value);
    else if (name === "value") /** @type {HTMLInputElement} */ (made).value = value;
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(name, value);
    }
  }
  for (const child of children) if (child !== false && child !== null) made.append(child ?? "");
  return made;
}

/** A sign drawn in 16x16, in the colour of the text around it; its button carries the words. */
export function drawing(path) {
  const space = "http://www.w3.org/2000/svg";
  const sign = document.createElementNS(space, "svg");
  sign.setAttribute("viewBox", "0 0 16 16");
  sign.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(space, "path");
  line.setAttribute("d", path);
  sign.append(line);
  return sign;
}

/** Set an attribute only where it changes: a playing clip would touch the page needlessly. */
export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** Set a text only where it changes. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Listen to `session` events for as long as `node` is on the page.
 *
 * Gradio may take an element away without a word, so each event first looks whether it is there.
 */
export function listen(node, session, names, handler) {
  for (const name of names) {
    const heard = (event) => {
      if (node.isConnected) handler(event);
      else session.removeEventListener(name, heard);
    };
    session.addEventListener(name, heard);
  }
}
