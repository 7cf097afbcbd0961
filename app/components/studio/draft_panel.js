/**
 * The drafts of a clip: look at one, move its threshold, accept it for all frames or a range, discard it.
 */

import { api } from "../shared/api.js";
import { ask } from "./dialogs.js";
import { element, listen } from "../shared/dom.js";
import { count } from "../shared/words.js";
import { iconButton } from "./controls.js";
import { queryChoice } from "./query_choice.js";
import { session } from "../shared/session.js";
import { edits } from "../canvas/edits/the_edits.js";

export function mountDraftPanel(root) {
  const list = element("ul", { class: "rs-drafts", "aria-label": "Drafts" });
  let drawn = ""; // what the list shows: a reload that changes nothing leaves a slider in hand alone
  root.replaceChildren(list);
  draw();
  listen(root, session, ["clip", "expression", "draft", "ready"], draw);
  listen(root, session, ["draft-frames", "job"], progress);
  listen(root, session, ["threshold"], showThreshold);
  listen(root, session, ["range"], showRange);

  function draw() {
    const { drafts, expressions } = session.clip ?? { drafts: [], expressions: [] };
    const { expressionId, draftId, segmenters } = session;
    const facts = JSON.stringify([
      drafts.map((draft) => ({ ...draft, frames_done: undefined })),
      expressions,
      expressionId,
      draftId,
      segmenters.length,
    ]);
    if (facts === drawn) return progress();
    drawn = facts;
    const own = drafts.filter((draft) => draft.expression_id === session.expressionId);
    const others = drafts.filter((draft) => draft.expression_id !== session.expressionId);
    const newestFirst = (a, b) => b.id - a.id;
    const items = [...own.sort(newestFirst), ...others.sort(newestFirst)].map(drawDraft);
    if (!items.length && session.expression) {
      items.push(
        element(
          "li",
          { class: "rs-hint" },
          "No drafts yet. Run a segmenter, or click on the picture to begin by hand.",
        ),
      );
    }
    list.replaceChildren(...items);
    return undefined;
  }

  function drawDraft(draft) {
    const shown = draft.id === session.draftId;
    const expression = session.clip.expressions.find((each) => each.id === draft.expression_id);
    const engine = session.segmenters.find((each) => each.name === draft.segmenter);
    const stale = expression && draft.expression_text !== expression.text;
    const item = element(
      "li",
      { class: `rs-draft${shown ? " rs-chosen" : ""}`, dataset: { draft: draft.id } },
      element(
        "div",
        { class: "rs-draft-head" },
        element(
          "button",
          {
            type: "button",
            class: "rs-draft-show",
            "aria-pressed": `${shown}`,
            title: shown ? "Hide this draft" : "Show this draft over the picture",
            onclick: () => toggle(draft, shown),
          },
          element("span", { class: "rs-draft-mark", "aria-hidden": "true" }),
          element("span", { class: "rs-label-chip rs-number" }, expression?.label ?? "–"),
          element("span", { class: "rs-ellipsis" }, engine?.title ?? draft.segmenter),
          element("span", { class: "rs-muted rs-number rs-draft-frames" }, framesText(draft)),
        ),
        iconButton("remove", "Discard this draft", () => discard(draft)),
      ),
      stale
        ? element(
            "p",
            { class: "rs-muted rs-small-text", title: draft.expression_text },
            "Made for an earlier wording.",
          )
        : null,
      draft.note ? element("p", { class: "rs-warning" }, draft.note) : null,
    );
    if (shown) item.append(...tools(draft).filter(Boolean));
    return item;
  }

  function framesText(draft) {
    const frames = `${draft.frames_done} / ${session.frameCount}`;
    return draft.state === "done" ? `seed ${draft.seed}` : `${draft.state} ${frames}`;
  }

  function tools(draft) {
    const slider = element("input", {
      type: "range",
      min: 0.02,
      max: 0.98,
      step: 0.01,
      class: "rs-slider",
      "aria-label": "Threshold",
      value: session.threshold,
      oninput: () => session.setThreshold(Number(slider.value)),
    });
    const overwrite = element("input", { type: "checkbox", class: "rs-overwrite" });
    return [
      draft.query === null ? null : queryChoice(draft),
      element(
        "label",
        { class: "rs-slider-row" },
        "Threshold",
        slider,
        element("output", { class: "rs-number" }, session.threshold.toFixed(2)),
      ),
      element(
        "div",
        { class: "rs-row" },
        element(
          "button",
          {
            type: "button",
            class: "rs-button rs-primary",
            onclick: () => accept(draft, null, overwrite.checked),
          },
          "Accept all",
        ),
        element(
          "button",
          {
            type: "button",
            class: "rs-button rs-accept-range",
            onclick: () => accept(draft, session.range, overwrite.checked),
          },
          rangeWords(),
        ),
      ),
      element(
        "label",
        { class: "rs-check" },
        overwrite,
        "also over frames edited or verified by hand",
      ),
    ];
  }

  function rangeWords() {
    const [first, last] = session.range;
    return session.first === null && session.last === null
      ? `Frame ${session.frameIndex} only`
      : `Accept ${first}–${last}`;
  }

  function showRange() {
    const button = list.querySelector(".rs-accept-range");
    if (button) button.textContent = rangeWords();
  }
  listen(root, session, ["frame"], showRange);

  function showThreshold() {
    /** @type {HTMLInputElement | null} */
    const slider = list.querySelector(".rs-slider");
    if (!slider) return;
    if (document.activeElement !== slider) slider.value = String(session.threshold);
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
    if (!shown && draft.expression_id !== session.expressionId)
      session.selectExpression(draft.expression_id);
    session.showDraft(shown ? null : draft.id);
  }

  async function accept(draft, range, overwrite) {
    const all = [0, session.frameCount - 1];
    const chosen =
      session.first === null && session.last === null
        ? [session.frameIndex, session.frameIndex]
        : range;
    const [first, last] = range === null ? all : chosen;
    const { threshold, clip } = session;
    const expression = clip.expressions.find((each) => each.id === draft.expression_id);
    const place = { clipId: clip.clip.id, targetId: expression.target_id, first, last };
    const order = {
      kind: /** @type {const} */ ("accept"),
      draftId: draft.id,
      threshold,
      overwrite,
    };
    const reply = await edits.add({ ...place, ...order });
    if (!reply) return;
    const frames = new Set(reply.versions.map((each) => each.frame_index)).size;
    const left = last - first + 1 - frames;
    const kept =
      left > 0 ? `; ${count(left, "frame")} left as ${left === 1 ? "it was" : "they were"}` : "";
    session.notice(`Accepted on ${count(frames, "frame")}${kept}.`);
    if (session.draftId === draft.id) session.showDraft(null);
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
