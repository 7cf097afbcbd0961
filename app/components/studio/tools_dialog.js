/** Better tools: what is worth fetching for this machine, and fetching it. */

import { api, ApiError } from "../shared/api.js";
import { openDialog } from "./dialogs.js";
import { element, listen } from "../shared/dom.js";
import { duration, size } from "../shared/words.js";
import { reasonOf } from "./engine_words.js";
import { session } from "../shared/session.js";

const NAME = "tools";
const LINES = 3; // further ones wait below a line of their own
const RUNNING = ["queued", "running"];

/** The way to the dialog, for where engines are picked. */
export function toolsButton() {
  return element(
    "button",
    { type: "button", class: "rs-link", onclick: openTools },
    "Get better tools …",
  );
}

/** Show what suits this machine. Nothing is fetched before the person says so. */
export async function openTools() {
  if (document.querySelector(`dialog[data-dialog="${NAME}"]`)) return;
  const body = element("div", { class: "rs-tools-body" });
  openDialog("Get better tools", [body], { name: NAME });
  body.replaceChildren(...Array.from({ length: LINES }, skeleton));
  const chosen = [session.segmenter, session.refiner].map((name) => ["also", name]);
  try {
    const offer = await api.get(`/api/tools?${new URLSearchParams(chosen)}`);
    body.replaceChildren(...drawOffer(offer, body));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    body.replaceChildren(
      element("p", { class: "rs-field-error", role: "alert" }, error.message),
      foot(element("button", { type: "button", class: "rs-button", onclick: again }, "Try again")),
    );
  }
  /** @type {HTMLElement | null} */
  const first = body.querySelector("input:not(:disabled), button");
  first?.focus(/** @type {FocusOptions} */ ({ focusVisible: false }));

  function again() {
    body.closest("dialog")?.close();
    openTools();
  }
}

function skeleton() {
  return element("div", { class: "rs-skeleton rs-tool-skeleton", "aria-hidden": "true" });
}

function foot(...children) {
  return element("div", { class: "rs-dialog-foot" }, ...children);
}

function drawOffer(offer, body) {
  const tools = offer.tools.filter((tool) => !tool.is_here);
  if (!tools.length) return nothingLeft(offer, body);
  const rows = tools.map((tool) => drawTool(tool, () => drawFoot()));
  const total = element("span", { class: "rs-muted rs-number", role: "status" });
  const fetch = element(
    "button",
    { type: "button", class: "rs-button rs-primary", onclick: fetchChosen },
    "Fetch",
  );
  const lists = [rows.slice(0, LINES), rows.slice(LINES)].map((some) =>
    element("ul", { class: "rs-tools" }, ...some.map((row) => row.node)),
  );
  listen(body, session, ["job", "engine"], () => {
    for (const row of rows) row.draw();
    drawFoot();
  });
  drawFoot();
  const machine = offer.gpu_bytes
    ? `a GPU with ${size(offer.gpu_bytes)}`
    : "no GPU that networks can use";
  return [
    element("p", {}, `This machine has ${machine}. These suit it:`),
    lists[0],
    rows.length > LINES &&
      element(
        "details",
        { class: "rs-details" },
        element("summary", {}, `${rows.length - LINES} more`),
        lists[1],
      ),
    element(
      "p",
      { class: "rs-muted rs-small-text rs-dialog-text" },
      `Nothing leaves this machine before you press Fetch. Then ${offer.hub} is asked for these ` +
        `files alone; they are kept in ${offer.folder}.`,
    ),
    foot(total, fetch),
  ].filter(Boolean);

  function drawFoot() {
    const wanted = rows.filter((row) => row.isChosen());
    const bytes = wanted.reduce((sum, row) => sum + row.tool.size_bytes, 0);
    const fits = bytes < offer.free_bytes;
    const free = size(offer.free_bytes);
    const room = bytes ? `${size(bytes)} of ${free} free` : `${free} free`;
    total.textContent = fits ? room : `${size(bytes)} of ${free} free: choose less or make room`;
    total.classList.toggle("rs-warning-text", !fits);
    fetch.disabled = !wanted.length || !fits;
  }

  async function fetchChosen() {
    fetch.disabled = true;
    for (const row of rows.filter((each) => each.isChosen())) await ask(row.tool.name);
    drawFoot();
  }
}

function nothingLeft(offer, body) {
  const here = offer.tools.map((tool) => tool.title).join(", ");
  return [
    element("p", {}, "Nothing better to fetch for this machine."),
    element(
      "p",
      { class: "rs-muted" },
      here ? `What suits it is here: ${here}.` : "It has too little memory for what could be.",
    ),
    foot(
      element(
        "button",
        { type: "button", class: "rs-button", onclick: () => body.closest("dialog")?.close() },
        "Close",
      ),
    ),
  ];
}

async function ask(name) {
  const reply = await session.request(() => api.post(`/api/tools/${name}/fetch`));
  if (reply) session.takeJob(reply.job, () => ask(name));
}

/** The newest job that fetches a tool, or undefined. */
function jobOf(tool) {
  return [...session.jobs.values()].filter((job) => job.engine === tool.name).pop();
}

function link(href, words) {
  return element("a", { href, target: "_blank", rel: "noopener noreferrer" }, words);
}

/** One tool's row: what it is, and how far fetching it is. `changed` hears of its checkbox. */
function drawTool(tool, changed) {
  const before = jobOf(tool); // weights fetched earlier may have been removed since
  const over = before && ["done", "cancelled"].includes(before.state) ? before.id : null;
  const box = element("input", { type: "checkbox", onchange: changed });
  box.checked = tool.is_chosen;
  const state = element("div", { class: "rs-tool-state", hidden: true });
  const row = element(
    "li",
    { class: "rs-tool", dataset: { tool: tool.name } },
    element(
      "label",
      {},
      box,
      element(
        "span",
        { class: "rs-tool-name" },
        element("b", {}, tool.title),
        element("span", { class: "rs-muted" }, tool.kind),
        element("span", { class: "rs-number" }, size(tool.size_bytes)),
      ),
    ),
    element(
      "p",
      {},
      tool.better_at,
      tool.caution && element("span", { class: "rs-muted" }, ` ${tool.caution}`),
    ),
    element(
      "p",
      { class: "rs-tool-licence" },
      "Licence: ",
      link(tool.licence_page, tool.licence),
      tool.is_non_commercial ? ". " : "",
      tool.is_non_commercial &&
        element("span", { class: "rs-warning-text" }, "For non-commercial use only."),
    ),
    tool.gated
      ? element(
          "p",
          { class: "rs-warning" },
          `Gated: ask ${tool.gated} first, on `,
          link(tool.page, "its page"),
          ", and log in with “hf auth login”.",
        )
      : null,
    tool.has_room ? null : element("p", { class: "rs-warning" }, "The disk has no room for it."),
    state,
  );
  const parts = stateParts();
  let shown = "";
  draw();
  return { node: row, tool, draw, isChosen: () => box.checked && !box.disabled };

  function draw() {
    const newest = jobOf(tool);
    const job = newest?.id === over ? undefined : newest;
    const kind = job?.state ?? "";
    const busy = RUNNING.includes(kind);
    row.dataset.state = kind;
    box.disabled = busy || kind === "done" || !tool.has_room;
    if (box.disabled) box.checked = false;
    if (busy) parts.tell(job);
    if (kind === shown && kind !== "done") return;
    shown = kind;
    state.hidden = !kind || kind === "cancelled";
    state.replaceChildren(...parts.of(kind, job));
  }

  function stateParts() {
    const meter = element("progress", {
      class: "rs-meter",
      "aria-label": `Fetching ${tool.title}`,
    });
    const words = element("span", { class: "rs-muted rs-number" });
    const cancel = element(
      "button",
      {
        type: "button",
        class: "rs-button rs-small",
        "aria-label": `Cancel: ${tool.title}`,
        onclick: () => session.request(() => api.post(`/api/jobs/${jobOf(tool)?.id}/cancel`)),
      },
      "Cancel",
    );
    const retry = element(
      "button",
      { type: "button", class: "rs-button rs-small", onclick: () => ask(tool.name) },
      "Try again",
    );
    return {
      tell(job) {
        meter.max = job.total || 1;
        if (job.total) meter.value = job.done;
        else meter.removeAttribute("value");
        const left = job.seconds_left ? `, ${duration(job.seconds_left)} left` : "";
        const far = job.total ? `${size(job.done)} of ${size(job.total)}${left}` : "";
        words.textContent = job.state === "queued" ? "Waiting for its turn" : job.stage || far;
      },
      of(kind, job) {
        if (kind === "queued") return [words, cancel];
        if (kind === "running") return [meter, words, cancel];
        if (kind === "failed")
          return [element("span", { class: "rs-tool-failed", role: "alert" }, job.message), retry];
        if (kind !== "done") return [];
        const engine = session.engineNamed(tool.name);
        return engine?.ready || !engine
          ? [element("span", { class: "rs-done-line" }, "Ready: choose it in the picker.")]
          : [element("span", { class: "rs-muted" }, reasonOf(engine))];
      },
    };
  }
}
