/** Writing the dataset out, and saying where it went. */

import { address, api } from "../shared/api.js";
import { element, listen } from "../shared/dom.js";
import { count } from "../shared/words.js";
import { session } from "../shared/session.js";
import { afterEdits } from "./waiting.js";

export const EXPORT_BUTTON = "rs-export";
let lastJob = null;

/** Start an export; `which` is "this" or "all", `step` 1 or 4, `formats` a list of names. */
export async function startExport(which, step, formats) {
  if (which === "this" && !session.clip)
    return session.notice("Open a clip first, or export all clips.");
  if (!formats.length) return session.notice("Choose at least one format.");
  const body = {
    clip_ids: which === "all" ? "all" : [session.clip.clip.id],
    mask_step: Number(step),
    formats,
  };
  return ask(body);
}

async function ask(body) {
  if (!(await afterEdits(null, "Exporting"))) return;
  const reply = await session.request(() => api.post("/api/export", body));
  if (!reply) return;
  lastJob = reply.job.id;
  session.takeJob(reply.job, () => ask(body));
  session.dispatchEvent(new CustomEvent("export"));
}

export function mountExportPanel(root) {
  const box = element("div", { class: "rs-export", "aria-live": "polite" });
  root.replaceChildren(box);
  listen(root, session, ["job", "export"], draw);
  draw();

  function draw() {
    // A job of one clip takes out a comparison, and is told of where that was asked for.
    const exports = [...session.jobs.values()].filter(
      (job) => job.kind === "export" && !job.clip_id,
    );
    const job = session.jobs.get(lastJob) ?? exports.at(-1);
    if (!job) return box.replaceChildren();
    if (job.state === "failed")
      return box.replaceChildren(element("p", { class: "rs-warning" }, job.message));
    if (job.state === "cancelled")
      return box.replaceChildren(
        element("p", { class: "rs-muted" }, "The export was cancelled; nothing was written."),
      );
    if (job.state !== "done" || !job.result) {
      return box.replaceChildren(
        element("p", { class: "rs-muted" }, "Writing and reading back: see the bar below."),
      );
    }
    const { folder, files, frames, download } = job.result;
    return box.replaceChildren(
      element(
        "p",
        { class: "rs-done-line" },
        `${count(files, "file")}, ${count(frames, "frame")}; read back and compared.`,
      ),
      element("code", { class: "rs-path", title: folder }, folder),
      element(
        "div",
        { class: "rs-row" },
        element(
          "a",
          { class: "rs-button rs-primary", href: address(download), download: "" },
          "Download as zip",
        ),
        element(
          "button",
          {
            type: "button",
            class: "rs-button",
            onclick: (event) => copy(folder, event.currentTarget),
          },
          "Copy path",
        ),
      ),
    );
  }

  async function copy(text, button) {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      // Without a secure connection the browser keeps the clipboard to itself.
      getSelection().selectAllChildren(box.querySelector(".rs-path"));
      button.textContent = "Selected";
    }
  }
}
