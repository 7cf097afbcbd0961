/** The dialog that adds clips: files, a folder of frames, or what lies in the media folders. */

import { api } from "../shared/api.js";
import { openDialog } from "./dialogs.js";
import { element } from "../shared/dom.js";
import { session } from "../shared/session.js";
import { addFiles, droppedFiles } from "./uploads.js";

export function openAddClips() {
  if (document.querySelector('dialog[data-dialog="add-clips"]')) return;
  const start = numberField("from second", { min: 0, step: 0.1 });
  const end = numberField("to second", { min: 0, step: 0.1 });
  const crop = ["left", "top", "width", "height"].map((side) =>
    numberField(side, { min: 0, step: 1 }),
  );
  const said = element("p", { class: "rs-field-error", role: "alert" });
  const files = element("input", {
    type: "file",
    multiple: true,
    accept: "video/*,.mkv",
    hidden: true,
    onchange: () => take(files),
  });
  const folder = element("input", {
    type: "file",
    webkitdirectory: true,
    hidden: true,
    onchange: () => take(folder),
  });
  const choose = (input, words) =>
    element("button", { type: "button", class: "rs-button", onclick: () => input.click() }, words);
  const media = session.media.length
    ? [
        element("h3", {}, "In the media folders"),
        element("ul", { class: "rs-media" }, ...session.media.map(drawMedia)),
      ]
    : [];
  const dialog = openDialog(
    "Add clips",
    [
      element(
        "div",
        { class: "rs-drop-zone" },
        element("p", {}, "Drop videos or a folder of frames here, or anywhere on the page."),
        element(
          "div",
          { class: "rs-row rs-centre" },
          choose(files, "Choose videos …"),
          choose(folder, "Choose a folder of frames …"),
        ),
      ),
      ...media,
      element(
        "div",
        { class: "rs-row" },
        element(
          "button",
          { type: "button", class: "rs-button", onclick: addSamples },
          "Add the sample clips",
        ),
        element("span", { class: "rs-muted" }, "short rendered processes with exact masks"),
      ),
      element(
        "details",
        { class: "rs-details" },
        element("summary", {}, "Trim and crop"),
        element(
          "p",
          { class: "rs-muted" },
          "Trim to the event with a little before and after. Empty fields keep everything.",
        ),
        element(
          "div",
          { class: "rs-form-row" },
          element("span", {}, "Keep"),
          start.label,
          end.label,
        ),
        element(
          "div",
          { class: "rs-form-row" },
          element("span", {}, "Crop"),
          ...crop.map((each) => each.label),
        ),
      ),
      said,
      files,
      folder,
    ],
    { name: "add-clips" },
  );

  function numberField(words, limits) {
    const input = element("input", {
      class: "rs-field rs-number-field",
      type: "number",
      ...limits,
    });
    return { input, label: element("label", { class: "rs-label" }, words, input) };
  }

  /** The trim and crop as the server wants them, or null after saying what is wrong. */
  function options() {
    const [from, to] = [start, end].map(({ input }) =>
      input.value === "" ? undefined : Number(input.value),
    );
    const sides = crop.map(({ input }) => input.value);
    said.textContent = "";
    if (from !== undefined && to !== undefined && to <= from)
      said.textContent = "The trim ends before it begins.";
    const given = sides.filter((side) => side !== "").length;
    if (given !== 0 && given !== 4) said.textContent = "A crop needs all four numbers, in pixels.";
    else if (given === 4 && !(Number(sides[2]) > 0 && Number(sides[3]) > 0))
      said.textContent = "A crop has a width and a height.";
    if (said.textContent) {
      dialog.querySelector("details").open = true;
      return null;
    }
    return { trim_start: from, trim_end: to, crop: given ? sides.join(",") : undefined };
  }

  function take(input) {
    const chosen = [...input.files].map((file) => ({
      file,
      path: file.webkitRelativePath || file.name,
    }));
    input.value = "";
    const wanted = options();
    if (!wanted || !chosen.length) return;
    dialog.close();
    addFiles(chosen, wanted);
  }

  function drawMedia(entry) {
    return element(
      "li",
      {},
      element("span", { class: "rs-ellipsis", title: entry.name }, entry.name),
      element("span", { class: "rs-muted" }, entry.kind),
      element(
        "button",
        {
          type: "button",
          class: "rs-button rs-small",
          "aria-label": `Add ${entry.name}`,
          onclick: () => addMedia(entry),
        },
        "Add",
      ),
    );
  }

  async function addMedia(entry) {
    const wanted = options();
    if (!wanted) return;
    if (await ingest(entry, wanted)) dialog.close();
  }

  async function addSamples() {
    dialog.close();
    await requestSamples();
  }
}

/** Ask the server to render and add the sample clips. */
export async function requestSamples() {
  const reply = await session.request(() => api.post("/api/samples"));
  if (reply) session.takeJob(reply.job, requestSamples);
}

async function ingest(entry, options) {
  const reply = await session.request(() => api.post(`/api/media/${entry.id}/ingest`, options));
  if (reply) session.takeJob(reply.job, () => ingest(entry, options));
  return reply !== null;
}

/** Let videos and folders be dropped anywhere on `root`; dialogs included. */
export function acceptDrops(root) {
  let depth = 0;
  const veil = element(
    "div",
    { class: "rs-drop-veil", hidden: true },
    element("p", {}, "Drop to add as a clip"),
  );
  root.append(veil);
  const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  root.addEventListener("dragenter", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth += 1;
    veil.hidden = false;
  });
  root.addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    veil.hidden = depth === 0;
  });
  root.addEventListener("dragover", (event) => {
    if (carriesFiles(event)) event.preventDefault();
  });
  root.addEventListener("drop", async (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth = 0;
    veil.hidden = true;
    /** @type {HTMLDialogElement | null} */
    const open = document.querySelector('dialog[data-dialog="add-clips"]');
    open?.close();
    await addFiles(await droppedFiles(event.dataTransfer));
  });
}
