/** Taking a comparison out: the figure for a paper, its numbers, the masks, a video. */

import { address, api } from "../shared/api.js";
import { comparison } from "../shared/the_comparison.js";
import { element } from "../shared/dom.js";
import { count } from "../shared/words.js";
import { readFrames, spread } from "./frame_choice.js";
import { session } from "../shared/session.js";

const FORMATS = [
  ["png", "Figure, PNG", true],
  ["pdf", "Figure, PDF", true],
  ["csv", "Numbers, CSV", true],
  ["json", "Numbers, JSON", true],
  ["masks", "Masks of every run", false],
  ["side-by-side", "Video, side by side", false],
  ["wipe", "Video, wipe", false],
];
const SHOWN = 5; // frames of a figure, unless others are asked for

/** The newest export of this clip's comparison, also one asked for before the page was reloaded. */
function lastOf(clipId) {
  return [...session.jobs.values()]
    .filter((job) => job.kind === "export" && job.clip_id === clipId)
    .at(-1);
}

/** The form, and what became of the last export. */
export function mountCompareExport() {
  const inputs = FORMATS.map(([name, , chosen]) =>
    element("input", { type: "checkbox", name, checked: chosen, onchange: draw }),
  );
  const boxes = FORMATS.map(([, words], at) =>
    element("label", { class: "rs-check" }, inputs[at], String(words)),
  );
  const frames = element("input", {
    class: "rs-field",
    type: "text",
    "aria-label": "Frames of the figure",
    "aria-describedby": "rs-compare-frames-said",
    oninput: draw,
  });
  const said = element("p", {
    class: "rs-field-error rs-small-text",
    id: "rs-compare-frames-said",
    role: "alert",
  });
  const write = element(
    "button",
    { type: "button", class: "rs-button rs-primary rs-wide-button", onclick: start },
    "Export comparison",
  );
  const result = element("div", { class: "rs-compare-result", "aria-live": "polite" });
  const node = element(
    "details",
    { class: "rs-details" },
    element("summary", {}, "Export"),
    element("fieldset", { class: "rs-checks" }, element("legend", {}, "Formats"), ...boxes),
    element("label", { class: "rs-label rs-frames-label" }, "Frames", frames),
    said,
    write,
    result,
  );
  let jobId = null;

  function chosen() {
    return inputs.filter((input) => input.checked).map((input) => input.name);
  }

  function draw() {
    node.hidden = comparison.runs.length < 2;
    const usual = spread(session.frameCount, SHOWN);
    frames.placeholder = usual.join(", ");
    const { error } = readFrames(frames.value, session.frameCount);
    if (said.textContent !== error) said.textContent = error;
    const clipId = session.clip?.clip.id;
    const own = session.jobs.get(jobId);
    const job = own?.clip_id === clipId ? own : lastOf(clipId);
    const busy = job && ["queued", "running"].includes(job.state);
    write.disabled = busy || error !== "" || !chosen().length;
    write.title = chosen().length ? "" : "Choose at least one format";
    result.replaceChildren(...drawResult(job));
  }

  function drawResult(job) {
    if (!job) return [];
    if (job.state === "failed") return [element("p", { class: "rs-warning" }, job.message)];
    if (job.state === "cancelled")
      return [
        element("p", { class: "rs-muted" }, "The export was cancelled; nothing was written."),
      ];
    if (job.state !== "done" || !job.result)
      return [element("p", { class: "rs-muted" }, "Writing: see the bar below.")];
    const { folder, files, download } = job.result;
    return [
      element("p", { class: "rs-done-line" }, `${count(files, "file")}; read back and compared.`),
      element("code", { class: "rs-path", title: folder }, folder),
      element(
        "div",
        { class: "rs-row" },
        element(
          "a",
          { class: "rs-button rs-primary", href: address(download), download: "" },
          "Download as zip",
        ),
      ),
    ];
  }

  async function start() {
    const { frames: wanted } = readFrames(frames.value, session.frameCount);
    await ask(session.clip.clip.id, {
      runs: comparison.runs.map(({ key }) => key).filter((key) => key.startsWith("draft:")),
      target_id: session.targetId,
      frames: wanted ?? spread(session.frameCount, SHOWN),
      formats: chosen(),
    });
  }

  async function ask(clipId, body) {
    const reply = await session.request(() =>
      api.post(`/api/clips/${clipId}/comparison/export`, body),
    );
    if (!reply) return;
    jobId = reply.job.id;
    session.takeJob(reply.job, () => ask(clipId, body));
    draw();
  }

  return { node, draw };
}
