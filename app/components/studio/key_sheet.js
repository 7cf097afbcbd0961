/** The `?` sheet: the table of keys.js, and a way to change a key. */

import { openDialog } from "./dialogs.js";
import { element } from "../shared/dom.js";
import { chord, keys, spell } from "../shared/keys.js";

export function openKeySheet() {
  if (document.querySelector('dialog[data-dialog="keys"]')) return;
  const list = element("div", { class: "rs-key-groups" });
  const said = element(
    "span",
    { class: "rs-muted", role: "status" },
    "Press a key's button to change it.",
  );
  const reset = element(
    "button",
    {
      type: "button",
      class: "rs-button",
      onclick: () => {
        keys.reset();
        draw();
      },
    },
    "Back to the defaults",
  );
  openDialog("Keys", [list, element("div", { class: "rs-dialog-foot" }, said, reset)], {
    name: "keys",
    wide: true,
  });
  draw();

  function draw() {
    const groups = Map.groupBy
      ? Map.groupBy(keys.rows, (row) => row.group)
      : keys.rows.reduce(
          (map, row) => map.set(row.group, [...(map.get(row.group) ?? []), row]),
          new Map(),
        );
    list.replaceChildren(
      ...[...groups].map(([group, rows]) =>
        element(
          "section",
          {},
          element("h3", {}, group),
          element("dl", { class: "rs-keys" }, ...rows.map(drawRow)),
        ),
      ),
    );
  }

  function drawRow(row) {
    const shown = row.pointer
      ? element("kbd", {}, spell(row.key))
      : element(
          "button",
          {
            type: "button",
            class: "rs-key",
            "aria-label": `${row.label}: ${spell(row.key)}. Change`,
            onclick: (event) => listenFor(row, event.currentTarget),
          },
          element("kbd", {}, spell(row.key)),
        );
    return element(
      "div",
      { class: "rs-key-row", dataset: { key: row.name } },
      element("dt", {}, row.label),
      element("dd", {}, shown),
    );
  }

  /** The next key pressed becomes the key of `row`; Escape leaves it as it is. */
  function listenFor(row, button) {
    button.firstChild.textContent = "press a key";
    said.textContent = `${row.label}: press the new key, or Escape.`;
    const pressed = (event) => {
      const key = chord(event);
      if (["Shift", "Control", "Meta"].includes(key)) return; // the chord is not complete yet
      event.preventDefault();
      event.stopPropagation();
      stop();
      if (key === "Escape") return;
      try {
        keys.change(row.name, key);
        said.textContent = `${row.label} is now ${spell(key)}.`;
      } catch (error) {
        said.textContent = error.message;
      }
      draw();
    };
    const stop = () => {
      button.removeEventListener("keydown", pressed);
      button.removeEventListener("blur", stop);
      draw();
    };
    button.focus();
    button.addEventListener("keydown", pressed);
    button.addEventListener("blur", stop);
  }
}
