/** The seed a draft is made with: read where it is typed. */

import { element } from "../shared/dom.js";

export const HIGHEST_SEED = 2 ** 31 - 1;

/**
 * Read a seed as it was typed.
 *
 * @param {string | number | null} typed nothing means 0
 * @returns {{seed: number | null, problem: string}} problem: "" where it is a seed
 */
export function readSeed(typed) {
  const text = String(typed ?? "").trim();
  const seed = Number(text);
  if (Number.isInteger(seed) && seed >= 0 && seed <= HIGHEST_SEED) return { seed, problem: "" };
  const problem = `Expected a whole number from 0 to ${HIGHEST_SEED}, got ${text.slice(0, 30)}.`;
  return { seed: null, problem };
}

/** @type {HTMLElement | null} */
let line = null;

/** The line under the field that says what is wrong with it. */
export function mountSeedProblem(root) {
  line = element("p", { class: "rs-warning", role: "alert" });
  root.replaceChildren(line);
}

/** Say what is wrong with the seed, or with "" that nothing is; the field is brought into sight. */
export function saySeedProblem(problem) {
  if (!line) return;
  line.textContent = problem;
  if (problem) line.closest("#rs-segment-details")?.querySelector("input")?.focus();
}
