/** Light, dark, or as the system is; remembered per browser. */

import { session } from "../shared/session.js";

const STORED = "refscribe.theme";
const MODES = ["system", "light", "dark"];
const system = matchMedia("(prefers-color-scheme: dark)");

/** "system", "light" or "dark": what the person chose. */
export function themeMode() {
  try {
    const kept = localStorage.getItem(STORED);
    return MODES.includes(kept) ? kept : "system";
  } catch {
    return "system";
  }
}

export function isDark(mode = themeMode()) {
  return mode === "dark" || (mode === "system" && system.matches);
}

/** Choose the mode that follows the present one, and return it. */
export function nextTheme() {
  const mode = MODES[(MODES.indexOf(themeMode()) + 1) % MODES.length];
  try {
    localStorage.setItem(STORED, mode);
  } catch {
    // Without storage there is nothing to remember with; the system's choice stays.
  }
  apply();
  return mode;
}

function apply() {
  const dark = isDark();
  for (const element of [document.documentElement, document.body]) {
    if (element.classList.contains("dark") !== dark) element.classList.toggle("dark", dark);
  }
  session.dispatchEvent(new CustomEvent("theme", { detail: { dark } }));
}

/** Keep the page in its theme; Gradio sets the class by itself and has to be followed up. */
export function keepTheme() {
  apply();
  system.addEventListener("change", apply);
  new MutationObserver(() => {
    if (document.body.classList.contains("dark") !== isDark()) apply();
  }).observe(document.body, { attributes: true, attributeFilter: ["class"] });
}
