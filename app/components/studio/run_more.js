// Having several models run on several expressions, all at once.

import { api } from "./api.js";
import { comparison } from "./comparing.js";
import { ANNOTATION, MOST_RUNS } from "./comparison.js";
import { count, h } from "./dom.js";
import { reasonOf } from "./segment_form.js";
import { session } from "./session.js";

/** The form: models, expressions of the target, a seed, and Run. */
export function mountRunMore() {
  const models = h("fieldset", { class: "rs-checks" }, h("legend", {}, "Models"));
  const expressions = h("fieldset", { class: "rs-checks" }, h("legend", {}, "Expressions"));
  const seed = h("input", { class: "rs-field rs-number-field", type: "number", min: 0, step: 1, value: "0", "aria-label": "Seed of the runs" });
  const run = h("button", { type: "button", class: "rs-button rs-primary", onclick: start }, "Run");
  const node = h("details", { class: "rs-details" },
    h("summary", {}, "Run models"),
    models, expressions,
    h("div", { class: "rs-row" }, h("label", { class: "rs-label" }, "Seed", seed), h("span", { class: "rs-spacer" }), run),
  );
  let drawn = "";
  node.addEventListener("change", drawButton);

  function draw() {
    const own = (session.clip?.expressions ?? []).filter((each) => each.target_id === session.targetId);
    const told = JSON.stringify([session.segmenters, own, session.expressionId, session.clip?.clip.id]);
    if (told !== drawn) {
      drawn = told;
      fill(models, "Models", session.segmenters.map((each) => ({
        name: `model:${each.name}`, words: each.title, title: each.ready ? each.title : reasonOf(each), enabled: each.ready,
        usual: each.name === session.segmenter || each.is_demo,
      })));
      fill(expressions, "Expressions", own.map(({ id, label, text }) => ({
        name: `expression:${id}`, words: `${label} ${text}`, title: text, enabled: true, usual: id === session.expressionId,
      })));
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
    field.replaceChildren(h("legend", {}, legend), ...rows.map(({ name, words, title, enabled, usual }) =>
      h("label", { class: "rs-check", title },
        h("input", { type: "checkbox", name, checked: enabled && (stays ? before.has(name) : usual), disabled: !enabled }),
        h("span", { class: "rs-ellipsis" }, words))));
    if (!rows.length) field.append(h("p", { class: "rs-muted" }, "None yet."));
  }

  function picked(kind) {
    return [...node.querySelectorAll(`input:checked[name^="${kind}:"]`)].map((input) => input.name.slice(kind.length + 1));
  }

  function drawButton() {
    const runs = picked("model").length * picked("expression").length;
    run.disabled = !runs;
    run.textContent = runs ? `Run ${count(runs, "run")}` : "Run";
    run.title = runs ? "What was run before with the same weights and seed is used again" : "Choose a model and an expression";
  }

  async function start() {
    run.disabled = true;
    const body = { expression_ids: picked("expression").map(Number), segmenters: picked("model"), seed: Number(seed.value) || 0 };
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
      session.takeJob(job, () => ask(clipId, { ...body, expression_ids: [expression_id], segmenters: [segmenter] }));
    }
    if (reused.length) session.notice(`${count(reused.length, "run")} already made with these weights: used again.`);
    await session.reloadClip();
    if (session.clip?.clip.id !== clipId) return;
    const made = [...reused, ...queued].map((each) => each.draft_id).filter(Boolean).map((id) => `draft:${id}`);
    show(made);
  }

  /** Compare what was asked for: with the annotation where there is one, then with other runs. */
  function show(made) {
    const start = comparison.annotated ? [ANNOTATION] : [];
    const others = comparison.runs.map((each) => each.key).filter((key) => key !== ANNOTATION);
    const wanted = [...new Set([...start, ...made, ...(start.length + made.length < 2 ? others : [])])];
    if (wanted.length > 1) comparison.pick(wanted.slice(0, MOST_RUNS));
  }

  return { node, draw };
}
