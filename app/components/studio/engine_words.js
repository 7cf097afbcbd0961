/** What the page says of an engine: what it is, under which licence, why it cannot run. */

import { element } from "../shared/dom.js";

/** An engine's reason as a sentence that stands by itself. */
export function reasonOf(engine) {
  const words = engine.sentence || "It cannot run here";
  return `${words[0].toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? "" : "."}`;
}

/** The parts of a line about an engine; none where no engine is chosen. */
export function aboutEngine(engine) {
  if (!engine) return [];
  const about = [engine.note, `Licence: ${engine.licence}.`].filter(Boolean).join(" ");
  return [
    ...(engine.is_demo ? [element("span", { class: "rs-chip rs-demo" }, "demo"), " "] : []),
    ...(engine.ready ? [] : [element("span", { class: "rs-warning-text" }, reasonOf(engine)), " "]),
    element("span", { class: "rs-muted" }, `${about} `),
  ];
}
