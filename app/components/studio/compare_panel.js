/** Comparing runs: which ones, at which threshold, and their numbers. */

import { api } from "../shared/api.js";
import { mountCompareExport } from "./compare_export.js";
import { comparison } from "../shared/the_comparison.js";
import { ANNOTATION, MOST_RUNS } from "../shared/comparison.js";
import { element, listen } from "../shared/dom.js";
import { Numbers } from "./numbers.js";
import { tableOf } from "./numbers_table.js";
import { mountRunMore } from "./run_more.js";
import { session } from "../shared/session.js";

const numbers = new Numbers({ api, session, comparison });

export function mountComparePanel(root) {
  const sentence = element("p", { class: "rs-muted" });
  const pickers = element("div", {
    class: "rs-runs",
    role: "group",
    "aria-label": "Runs compared",
  });
  const threshold = thresholdRow();
  const table = element("div", { class: "rs-compare-numbers", "aria-live": "polite" });
  const more = mountRunMore();
  const out = mountCompareExport();
  root.replaceChildren(
    element(
      "div",
      { class: "rs-compare-panel" },
      pickers,
      sentence,
      threshold.node,
      table,
      more.node,
      out.node,
    ),
  );

  let drawn = ""; // what the pickers show: a reload that changes nothing leaves an open one alone
  drawAll();
  listen(root, comparison, ["runs"], drawAll);
  listen(root, session, ["expression", "ready", "engine"], drawAll);
  listen(root, session, ["job", "draft-frames"], () => {
    drawSentence();
    out.draw();
  });
  listen(root, comparison, ["numbers"], drawNumbers);
  listen(root, comparison, ["threshold"], threshold.draw);
  listen(root, session, ["tab"], ({ detail }) => numbers.watch(detail.name === "compare"));
  numbers.watch(document.getElementById("rs-studio")?.dataset.tab === "compare");

  function drawAll() {
    drawPickers();
    drawSentence();
    threshold.draw();
    more.draw();
    out.draw();
    drawNumbers();
  }

  function drawPickers() {
    const { runs, choices } = comparison;
    const told = JSON.stringify([runs, choices]);
    if (told === drawn) return;
    drawn = told;
    const focused = [...pickers.children].findIndex((row) => row.contains(document.activeElement));
    const places =
      choices.length < 2 ? 0 : Math.min(MOST_RUNS, choices.length, Math.max(2, runs.length + 1));
    pickers.replaceChildren(
      ...Array.from({ length: places }, (_, place) => drawPicker(place, runs, choices)),
    );
    if (focused >= 0) pickers.children[focused]?.querySelector("select")?.focus();
  }

  function drawPicker(place, runs, choices) {
    const run = runs[place];
    const letter = "ABCD"[place];
    const options = choices.map(({ key, title }) => element("option", { value: key }, title));
    // Two runs are the least: only a third and fourth can be left out.
    if (place >= 2 || !run)
      options.unshift(element("option", { value: "" }, place < 2 ? "Choose a run" : "None"));
    const select = element(
      "select",
      {
        class: "rs-select rs-run-pick",
        "aria-label": `Run ${letter}`,
        title: run?.full ?? "",
        onchange: () => comparison.put(place, select.value),
      },
      ...options,
    );
    select.value = run?.key ?? "";
    const swatch = element("span", { class: "rs-run-mark", "aria-hidden": "true" });
    if (run) swatch.style.setProperty("--rs-run", `var(${run.variable})`);
    return element(
      "div",
      { class: "rs-row" },
      swatch,
      element("b", { class: "rs-run-letter" }, letter),
      select,
    );
  }

  function drawSentence() {
    const text = whatIsMissing();
    if (sentence.textContent !== text) sentence.textContent = text;
    sentence.hidden = !text;
  }
}

/** What stands between the person and a comparison; else which of the runs are still being made. */
function whatIsMissing() {
  const { runs, choices } = comparison;
  if (!session.clip) return "Open a clip first.";
  if (!session.expression && choices.length < 2)
    return "Type an expression first; then have models run on it.";
  if (choices.length < 2) return "No runs yet: choose models below and press Run.";
  if (runs.length < 2) return "Choose the runs to compare.";
  const making = runs.flatMap(({ key, letter }) => {
    const draft = session.clip.drafts.find((each) => `draft:${each.id}` === key);
    if (!draft || draft.state === "done") return [];
    const frames = `${draft.frames_done} of ${session.frameCount} frames`;
    return [`${letter} ${draft.state === "running" ? "is being made" : draft.state}: ${frames}.`];
  });
  return making.join(" ");
}

/** One threshold for all drafts compared, or each run's own. */
function thresholdRow() {
  const slider = element("input", {
    type: "range",
    min: 0.02,
    max: 0.98,
    step: 0.01,
    class: "rs-slider",
    "aria-label": "Threshold of the runs compared",
    oninput: () => comparison.setThreshold(Number(slider.value)),
  });
  const said = element("output", { class: "rs-number rs-threshold-said" });
  const own = element(
    "button",
    {
      type: "button",
      class: "rs-button rs-small",
      title: "Each run at the threshold it was made with",
      onclick: () => comparison.setThreshold(null),
    },
    "Own",
  );
  const node = element("div", { class: "rs-slider-row" }, "Threshold", slider, said, own);
  function draw() {
    const drafts = comparison.runs.filter(({ key }) => key !== ANNOTATION);
    node.hidden = comparison.runs.length < 2 || !drafts.length;
    own.disabled = comparison.threshold === null;
    if (comparison.threshold === null) {
      const first = session.clip?.drafts.find((draft) => `draft:${draft.id}` === drafts[0]?.key);
      slider.value = first?.threshold ?? 0.5;
    } else if (document.activeElement !== slider) slider.value = comparison.threshold;
    said.textContent = comparison.threshold === null ? "own" : comparison.threshold.toFixed(2);
  }
  return { node, draw };
}

function drawNumbers() {
  const box = document.querySelector(".rs-compare-numbers");
  if (!box) return;
  const {
    numbers: { state, reply, message },
    runs,
  } = comparison;
  box.setAttribute("aria-busy", String(state === "asked"));
  if (state === "failed") {
    box.replaceChildren(
      element("p", { class: "rs-warning" }, message),
      element(
        "div",
        {},
        element(
          "button",
          { type: "button", class: "rs-button rs-small", onclick: () => numbers.ask() },
          "Try again",
        ),
      ),
    );
    return;
  }
  if (!reply) {
    box.replaceChildren(
      ...(state === "asked" ? [element("p", { class: "rs-muted" }, "Counting …")] : []),
    );
    return;
  }
  const { columns, rows, agreements, annotated } = tableOf(reply, runs);
  const head = columns.map(({ letter, full, variable }) => {
    const mark = element("span", { class: "rs-run-mark", "aria-hidden": "true" });
    mark.style.setProperty("--rs-run", `var(${variable})`);
    return element("th", { scope: "col", title: full }, mark, letter);
  });
  const figures = element(
    "table",
    { class: "rs-figures" },
    element("thead", {}, element("tr", {}, element("td", {}, "Mean"), ...head)),
    element(
      "tbody",
      {},
      ...rows.map(({ name, title, values }) =>
        element(
          "tr",
          { title },
          element("th", { scope: "row" }, name),
          ...values.map((value) => element("td", { class: "rs-number" }, value)),
        ),
      ),
    ),
  );
  const pairs = element(
    "p",
    { class: "rs-agreements" },
    element("span", { class: "rs-muted" }, "Agreement, mean J "),
    ...agreements.flatMap(({ name, title, value }) => [
      element("span", { class: "rs-number", title }, `${name} ${value}`),
      " ",
    ]),
  );
  box.replaceChildren(
    ...[
      annotated
        ? figures
        : element(
            "p",
            { class: "rs-muted" },
            "Nothing is annotated on the frames of these runs: they are compared with each other.",
          ),
      agreements.length ? pairs : null,
      ...[...new Map(reply.runs.map((run) => [run.limits, run])).values()]
        .filter((run) => run.limits)
        .map((run) =>
          element("p", { class: "rs-muted rs-small-text" }, `${run.title}: ${run.limits}`),
        ),
      comparison.threshold !== null && reply.threshold_note
        ? element("p", { class: "rs-muted rs-small-text" }, reply.threshold_note)
        : null,
    ].filter(Boolean),
  );
}
