/** Dialogs: the browser's own <dialog>, which keeps the keyboard inside and closes with Escape. */

import { element } from "../shared/dom.js";
import { iconButton } from "./controls.js";

/** Open a dialog of `title` around `children`; it leaves the page when closed. Returns the <dialog>. */
export function openDialog(title, children, { name = "", wide = false } = {}) {
  const heading = element("h2", { class: "rs-dialog-title" }, title);
  const dialog = element(
    "dialog",
    {
      class: wide ? "rs-dialog rs-wide" : "rs-dialog",
      "aria-label": title,
      dataset: { dialog: name },
    },
    element(
      "div",
      { class: "rs-dialog-head" },
      heading,
      iconButton("close", "Close", () => dialog.close()),
    ),
    element("div", { class: "rs-dialog-body" }, ...children),
  );
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("pointerdown", (event) => {
    if (event.target === dialog) dialog.close(); // the backdrop
  });
  document.getElementById("rs-studio").append(dialog);
  dialog.showModal();
  // The first thing to press is in the body; the cross at the top only closes.
  /** @type {HTMLElement | null} */
  const first = dialog.querySelector(
    ".rs-dialog-body :is(button, input:not([hidden]), [autofocus])",
  );
  first?.focus(/** @type {FocusOptions} */ ({ focusVisible: false }));
  return dialog;
}

/** Ask before something that cannot be taken back. Resolves to true when the person says `verb`. */
export function ask(question, explanation, verb) {
  return new Promise((resolve) => {
    let answer = false;
    const yes = () => {
      answer = true;
      dialog.close();
    };
    const dialog = openDialog(
      question,
      [
        element("p", { class: "rs-dialog-text" }, explanation),
        element(
          "div",
          { class: "rs-dialog-foot" },
          element(
            "button",
            { type: "button", class: "rs-button", autofocus: true, onclick: () => dialog.close() },
            "Keep",
          ),
          element("button", { type: "button", class: "rs-button rs-danger", onclick: yes }, verb),
        ),
      ],
      { name: "ask" },
    );
    dialog.addEventListener("close", () => resolve(answer));
  });
}
