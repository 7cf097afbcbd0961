/** The page's one queue of edits, with the browser's journal behind it. */

import { api } from "../../shared/api.js";
import { session } from "../../shared/session.js";
import { Edits } from "./edits.js";
import { Journal } from "./journal.js";

export const edits = new Edits(api, session, globalThis.sessionStorage);

let kept = false;
async function keep() {
  if (kept || !session.ready) return; // the server was asked again after a failure
  kept = true;
  await edits.recovery.keepIn(await Journal.open(session.workspaceId));
}
session.addEventListener("ready", keep);
keep(); // the panels around the canvas may have been here first

// What is not saved is kept by the browser, but only this page shows it: ask before it is left.
globalThis.addEventListener?.("beforeunload", (event) => {
  if (edits.hasUnsaved()) event.preventDefault();
});
globalThis.addEventListener?.("pagehide", () => edits.recovery.leave());
globalThis.addEventListener?.("pageshow", ({ persisted }) => persisted && edits.recovery.stay());
