// The drafts of a clip: look at one, move its threshold, accept it for all frames or a range, discard it.

import { api } from "./api.js";
import { ask } from "./dialogs.js";
import { count, h, iconButton, listen } from "./dom.js";
import { queryChoice } from "./query_choice.js";
import { session } from "./session.js";

export function mountDraftPanel(element) {
  const list = h("ul", { class: "rs-drafts", "aria-label": "Drafts" });
  let drawn = ""; // what the list shows: a reload that changes nothing leaves a slider in hand alone
  element.replaceChildren(list);
  draw();
  listen(element, session, ["clip", "expression", "draft", "ready"], draw);
  listen(element, session, ["draft-frames", "job"], progress);
  listen(element, session, ["threshold"], showThreshold);
  listen(element, session, ["range"], showRange);

  function draw() {
    const { drafts, expressions } = session.clip ?? { drafts: [], expressions: [] };
    const { expressionId, draftId, segmenters } = session;
    const facts = JSON.stringify([drafts.map(({ frames_done, ...rest }) => rest), expressions, expressionId, draftId, segmenters.length]);
    if (facts === drawn) return progress();
    drawn = facts;
    const own = drafts.filter((draft) => draft.expression_id === session.expressionId);
    const others = drafts.filter((draft) => draft.expression_id !== session.expressionId);
    const newestFirst = (a, b) => b.id - a.id;
    const items = [...own.sort(newestFirst), ...others.sort(newestFirst)].map(drawDraft);
    if (!items.length && session.expression) {
      items.push(h("li", { class: "rs-hint" }, "No drafts yet. Run a segmenter, or click on the picture to begin by hand."));
    }
    list.replaceChildren(...items);
    return undefined;
  }

  function drawDraft(draft) {
    const shown = draft.id === session.draftId;
    const expression = session.clip.expressions.find((each) => each.id === draft.expression_id);
    const engine = session.segmenters.find((each) => each.name === draft.segmenter);
    const stale = expression && draft.expression_text !== expression.text;
    const item = h(
      "li",
      { class: `rs-draft${shown ? " rs-chosen" : ""}`, dataset: { draft: draft.id } },
      h(
        "div",
        { class: "rs-draft-head" },
        h("button", {
          type: "button",
          class: "rs-draft-show",
          "aria-pressed": `${shown}`,
          title: shown ? "Hide this draft" : "Show this draft over the picture",
          onclick: () => toggle(draft, shown),
        },
          h("span", { class: "rs-draft-mark", "aria-hidden": "true" }),
          h("span", { class: "rs-label-chip rs-number" }, expression?.label ?? "–"),
          h("span", { class: "rs-ellipsis" }, engine?.title ?? draft.segmenter),
          h("span", { class: "rs-muted rs-number rs-draft-frames" }, framesText(draft)),
        ),
        iconButton("remove", "Discard this draft", () => discard(draft)),
      ),
      stale ? h("p", { class: "rs-muted rs-small-text", title: draft.expression_text }, "Made for an earlier wording.") : null,
      draft.note ? h("p", { class: "rs-warning" }, draft.note) : null,
    );
    if (shown) item.append(...tools(draft).filter(Boolean));
    return item;
  }

  function framesText(draft) {
    const frames = `${draft.frames_done} / ${session.frameCount}`;
    return draft.state === "done" ? `seed ${draft.seed}` : `${draft.state} ${frames}`;
  }

  function tools(draft) {
    const slider = h("input", {
      type: "range", min: 0.02, max: 0.98, step: 0.01, class: "rs-slider", "aria-label": "Threshold",
      value: session.threshold,
      oninput: () => session.setThreshold(Number(slider.value)),
    });
    const overwrite = h("input", { type: "checkbox", class: "rs-overwrite" });
    return [
      draft.query === null ? null : queryChoice(draft),
      h("label", { class: "rs-slider-row" }, "Threshold", slider, h("output", { class: "rs-number" }, session.threshold.toFixed(2))),
      h("div", { class: "rs-row" },
        h("button", { type: "button", class: "rs-button rs-primary", onclick: () => accept(draft, null, overwrite.checked) }, "Accept all"),
        h("button", { type: "button", class: "rs-button rs-accept-range", onclick: () => accept(draft, session.range, overwrite.checked) }, rangeWords()),
      ),
      h("label", { class: "rs-check" }, overwrite, "also over frames edited or verified by hand"),
    ];
  }

  function rangeWords() {
    const [first, last] = session.range;
    return session.first === null && session.last === null ? `Frame ${session.frameIndex} only` : `Accept ${first}–${last}`;
  }

  function showRange() {
    const button = list.querySelector(".rs-accept-range");
    if (button) button.textContent = rangeWords();
  }
  listen(element, session, ["frame"], showRange);

  function showThreshold() {
    const slider = list.querySelector(".rs-slider");
    if (!slider) return;
    if (document.activeElement !== slider) slider.value = session.threshold;
    slider.nextElementSibling.textContent = session.threshold.toFixed(2);
  }

  /** A running draft grows: only its numbers change, so a slider in hand stays in hand. */
  function progress() {
    for (const draft of session.clip?.drafts ?? []) {
      const place = list.querySelector(`[data-draft="${draft.id}"] .rs-draft-frames`);
      if (place) place.textContent = framesText(draft);
    }
  }

  function toggle(draft, shown) {
    if (!shown && draft.expression_id !== session.expressionId) session.selectExpression(draft.expression_id);
    session.showDraft(shown ? null : draft.id);
  }

  async function accept(draft, range, overwrite) {
    const all = [0, session.frameCount - 1];
    const chosen = session.first === null && session.last === null ? [session.frameIndex, session.frameIndex] : range;
    const [first, last] = range === null ? all : chosen;
    const { threshold } = session;
    const body = { first, last, threshold, overwrite_edited: overwrite };
    const reply = await session.change(() => api.post(`/api/drafts/${draft.id}/accept`, body));
    if (!reply) return;
    const frames = (reply.versions ?? []).map((each) => each.frame_index);
    const targetId = session.clip.expressions.find((each) => each.id === draft.expression_id)?.target_id;
    session.changedHere(targetId, frames, reply.revision);
    const left = last - first + 1 - new Set(frames).size;
    const kept = left > 0 ? `; ${count(left, "frame")} left as ${left === 1 ? "it was" : "they were"}` : "";
    session.notice(`Accepted on ${count(new Set(frames).size, "frame")}${kept}.`);
    session.showDraft(null);
  }

  async function discard(draft) {
    const agreed = await ask(
      "Discard this draft?",
      "Its masks and soft maps are deleted. What you accepted from it stays. This cannot be undone.",
      "Discard",
    );
    if (!agreed) return;
    await session.change(() => api.remove(`/api/drafts/${draft.id}`));
    await session.reloadClip();
  }
}
