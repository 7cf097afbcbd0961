// Dialogs: the browser's own <dialog>, which keeps the keyboard inside and closes with Escape.

import { h, iconButton } from "./dom.js";

/** Open a dialog of `title` around `children`; it leaves the page when closed. Returns the <dialog>. */
export function openDialog(title, children, { name = "", wide = false } = {}) {
  const heading = h("h2", { class: "rs-dialog-title" }, title);
  const dialog = h(
    "dialog",
    { class: wide ? "rs-dialog rs-wide" : "rs-dialog", "aria-label": title, dataset: { dialog: name } },
    h("div", { class: "rs-dialog-head" }, heading, iconButton("close", "Close", () => dialog.close())),
    h("div", { class: "rs-dialog-body" }, ...children),
  );
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("pointerdown", (event) => {
    if (event.target === dialog) dialog.close(); // the backdrop
  });
  document.getElementById("rs-studio").append(dialog);
  dialog.showModal();
  // The first thing to press is in the body; the cross at the top only closes.
  dialog.querySelector(".rs-dialog-body :is(button, input:not([hidden]), [autofocus])")?.focus({ focusVisible: false });
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
    const dialog = openDialog(question, [
      h("p", { class: "rs-dialog-text" }, explanation),
      h(
        "div",
        { class: "rs-dialog-foot" },
        h("button", { type: "button", class: "rs-button", autofocus: true, onclick: () => dialog.close() }, "Keep"),
        h("button", { type: "button", class: "rs-button rs-danger", onclick: yes }, verb),
      ),
    ], { name: "ask" });
    dialog.addEventListener("close", () => resolve(answer));
  });
}
