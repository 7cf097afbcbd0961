/** Having several models run on several expressions, all at once. */

import { api } from "../shared/api.js";
import { comparison } from "../shared/the_comparison.js";
import { ANNOTATION, MOST_RUNS } from "../shared/comparison.js";
import { element } from "../shared/dom.js";
import { count } from "../shared/words.js";
import { reasonOf } from "./engine_words.js";
import { session } from "../shared/session.js";
import { readSeed } from "./seed.js";

/** The form: models, expressions of the target, a seed, and Run. */
export function mountRunMore() {
  const models = element("fieldset", { class: "rs-checks" }, element("legend", {}, "Models"));
  const expressions = element(
    "fieldset",
    { class: "rs-checks" },
    element("legend", {}, "Expressions"),
  );
  const seed = element("input", {
    class: "rs-field rs-number-field",
    type: "number",
    min: 0,
    step: 1,
    value: "0",
    "aria-label": "Seed of the runs",
  });
  const run = element(
    "button",
    { type: "button", class: "rs-button rs-primary", onclick: start },
    "Run",
  );
  const node = element(
    "details",
    { class: "rs-details" },
    element("summary", {}, "Run models"),
    models,
    expressions,
    element(
      "div",
      { class: "rs-row" },
      element("label", { class: "rs-label" }, "Seed", seed),
      element("span", { class: "rs-spacer" }),
      run,
    ),
  );
  let drawn = "";
  node.addEventListener("change", drawButton);

  function draw() {
    const own = (session.clip?.expressions ?? []).filter(
      (each) => each.target_id === session.targetId,
    );
    const told = JSON.stringify([
      session.segmenters,
      own,
      session.expressionId,
      session.clip?.clip.id,
    ]);
    if (told !== drawn) {
      drawn = told;
      fill(
        models,
        "Models",
        session.segmenters.map((each) => ({
          name: `model:${each.name}`,
          words: each.title,
          title: each.ready ? each.note || each.title : reasonOf(each),
          enabled: each.ready,
          usual: each.name === session.segmenter || each.is_demo,
        })),
      );
      fill(
        expressions,
        "Expressions",
        own.map(({ id, label, text }) => ({
          name: `expression:${id}`,
          words: `${label} ${text}`,
          title: text,
          enabled: true,
          usual: id === session.expressionId,
        })),
      );
      // Whoever has nothing to compare yet comes here first.
      if (session.clip && own.length && comparison.choices.length < 3 && !node.dataset.seen) {
        node.dataset.seen = "yes";
        node.open = true;
      }
    }
    drawButton();
  }

  /** What was ticked stays ticked; where nothing of it is left, the usual rows are. */
  function fill(field, legend, rows) {
    const before = new Set([...field.querySelectorAll("input:checked")].map((input) => input.name));
    const stays = rows.some(({ name, enabled }) => enabled && before.has(name));
    field.replaceChildren(
      element("legend", {}, legend),
      ...rows.map(({ name, words, title, enabled, usual }) =>
        element(
          "label",
          { class: "rs-check", title },
          element("input", {
            type: "checkbox",
            name,
            checked: enabled && (stays ? before.has(name) : usual),
            disabled: !enabled,
          }),
          element("span", { class: "rs-ellipsis" }, words),
        ),
      ),
    );
    if (!rows.length) field.append(element("p", { class: "rs-muted" }, "None yet."));
  }

  function picked(kind) {
    /** @type {NodeListOf<HTMLInputElement>} */
    const boxes = node.querySelectorAll(`input:checked[name^="${kind}:"]`);
    return [...boxes].map((box) => box.name.slice(kind.length + 1));
  }

  function drawButton() {
    const runs = picked("model").length * picked("expression").length;
    run.disabled = !runs;
    run.textContent = runs ? `Run ${count(runs, "run")}` : "Run";
    run.title = runs
      ? "What was run before with the same weights and seed is used again"
      : "Choose a model and an expression";
  }

  async function start() {
    const { seed: chosen, problem } = readSeed(seed.value || 0);
    seed.setCustomValidity(problem);
    if (!seed.reportValidity()) return;
    run.disabled = true;
    const body = {
      expression_ids: picked("expression").map(Number),
      segmenters: picked("model"),
      seed: chosen,
    };
    try {
      await ask(session.clip.clip.id, body);
    } finally {
      drawButton();
    }
  }

  async function ask(clipId, body) {
    const reply = await session.request(() => api.post(`/api/clips/${clipId}/runs`, body));
    if (!reply) return;
    const { queued, reused } = reply;
    for (const { job, expression_id, segmenter } of queued) {
      session.takeJob(job, () =>
        ask(clipId, { ...body, expression_ids: [expression_id], segmenters: [segmenter] }),
      );
    }
    if (reused.length)
      session.notice(`${count(reused.length, "run")} already made with these weights: used again.`);
    await session.reloadClip();
    if (session.clip?.clip.id !== clipId) return;
    const made = [...reused, ...queued]
      .map((each) => each.draft_id)
      .filter(Boolean)
      .map((id) => `draft:${id}`);
    show(made);
  }

  /** Compare what was asked for: with the annotation where there is one, then with other runs. */
  function show(made) {
    const start = comparison.annotated ? [ANNOTATION] : [];
    const others = comparison.runs.map((each) => each.key).filter((key) => key !== ANNOTATION);
    const wanted = [
      ...new Set([...start, ...made, ...(start.length + made.length < 2 ? others : [])]),
    ];
    if (wanted.length > 1) comparison.pick(wanted.slice(0, MOST_RUNS));
  }

  return { node, draw };
}
