/** The tabs of the right panel: what to do with the selected expression. */

import { element } from "../shared/dom.js";
import { session } from "../shared/session.js";

const STORED = "refscribe.tab";
const TABS = [
  ["draft", "Draft"],
  ["propagate", "Propagate"],
  ["compare", "Compare"],
  ["review", "Review"],
  ["export", "Export"],
];

/** The panels are Gradio columns with the ids rs-tab-<name>; the studio's class says which one shows. */
export function mountTabs(root) {
  const buttons = TABS.map(([name, words]) =>
    element(
      "button",
      {
        type: "button",
        role: "tab",
        id: `rs-tab-button-${name}`,
        "aria-controls": `rs-tab-${name}`,
        onclick: () => choose(name),
        onkeydown: steer,
      },
      words,
    ),
  );
  root.replaceChildren(
    element(
      "div",
      { class: "rs-tabs", role: "tablist", "aria-label": "Work on the expression" },
      ...buttons,
    ),
  );
  let kept = null;
  try {
    kept = sessionStorage.getItem(STORED);
  } catch {
    // Without storage the first tab opens.
  }
  choose(TABS.some(([name]) => name === kept) ? kept : "draft");

  function choose(chosen) {
    document.getElementById("rs-studio").dataset.tab = chosen;
    session.dispatchEvent(new CustomEvent("tab", { detail: { name: chosen } }));
    TABS.forEach(([name], place) => {
      buttons[place].setAttribute("aria-selected", String(name === chosen));
      buttons[place].tabIndex = name === chosen ? 0 : -1;
      const panel = document.getElementById(`rs-tab-${name}`);
      panel?.setAttribute("role", "tabpanel");
      panel?.setAttribute("aria-labelledby", `rs-tab-button-${name}`);
    });
    try {
      sessionStorage.setItem(STORED, chosen);
    } catch {
      // As above.
    }
  }

  function steer(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const place = (buttons.indexOf(event.currentTarget) + step + TABS.length) % TABS.length;
    buttons[place].focus();
    choose(TABS[place][0]);
    event.preventDefault();
  }
}
