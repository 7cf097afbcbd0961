/** Targets of the open clip and the expressions that refer to them. */

import { api } from "../shared/api.js";
import { ask } from "./dialogs.js";
import { element, listen } from "../shared/dom.js";
import { count } from "../shared/words.js";
import { iconButton, picker } from "./controls.js";
import { keys } from "../shared/keys.js";
import { session } from "../shared/session.js";

const NEW_TARGET = "new";

export function mountExpressionPanel(root) {
  const list = element("div", {
    class: "rs-targets",
    role: "group",
    "aria-label": "Targets and expressions",
    tabindex: "-1",
  });
  const total = element("span", { class: "rs-muted rs-number" });
  const where = picker("It refers to target", [], NEW_TARGET, () => {});
  const text = element("input", {
    class: "rs-field rs-new-expression",
    type: "text",
    "aria-label": "New expression",
    autocomplete: "off",
    maxlength: 500,
    onkeydown: (event) => {
      if (event.key === "Enter" && !event.isComposing) add();
      if (event.key === "Escape") text.blur();
    },
  });
  const button = element("button", { type: "button", class: "rs-button", onclick: add }, "Add");
  const foot = element("div", { class: "rs-panel-foot rs-row" }, where, text, button);
  root.replaceChildren(
    element(
      "div",
      { class: "rs-panel-head" },
      element("h2", {}, "Expressions"),
      total,
      element("span", { class: "rs-spacer" }),
    ),
    list,
    foot,
  );
  draw();
  listen(root, session, ["clip"], draw);
  listen(root, session, ["target", "expression"], mark);
  keys.on("new-expression", () => session.clip && text.focus());

  function draw() {
    if (list.querySelector("input")) return; // somebody is typing there: drawn when that is done
    foot.hidden = !session.clip;
    if (!session.clip) {
      total.textContent = "";
      list.replaceChildren(
        element("p", { class: "rs-hint" }, "Open a clip to describe what you see in it."),
      );
      return;
    }
    const { targets, expressions } = session.clip;
    total.textContent = expressions.length ? `${expressions.length}` : "";
    const chosen = where.value;
    where.replaceChildren(
      ...targets.map((target) => element("option", { value: target.id }, `${target.number}`)),
      element("option", { value: NEW_TARGET }, targets.length ? "new" : "1"),
    );
    where.title = "Which target the expression refers to";
    where.hidden = !targets.length;
    where.value = targets.some((target) => `${target.id}` === chosen)
      ? chosen
      : `${session.targetId ?? NEW_TARGET}`;
    text.placeholder = "Type what you see";
    list.replaceChildren(...targets.map((target) => drawTarget(target, expressions)));
    if (!targets.length) {
      list.append(
        element(
          "p",
          { class: "rs-hint" },
          "No target yet: type what you see below, such as “the smoke rising from the candle”.",
        ),
      );
    }
    mark();
  }

  function drawTarget(target, expressions) {
    const own = expressions.filter((each) => each.target_id === target.id);
    const words = target.name || "target";
    return element(
      "section",
      { class: "rs-target", dataset: { target: target.id } },
      element(
        "div",
        { class: "rs-target-head" },
        element(
          "button",
          {
            type: "button",
            class: "rs-target-choose",
            title: words,
            onclick: () => session.selectTarget(target.id),
          },
          element("span", { class: "rs-badge rs-number" }, `${target.number}`),
          element("span", { class: "rs-ellipsis" }, words),
        ),
        iconButton("edit", `Rename target ${target.number}`, (event) =>
          renameTarget(target, event.currentTarget),
        ),
        iconButton("remove", `Remove target ${target.number}`, () => removeTarget(target, own)),
      ),
      own.length
        ? element("ul", { class: "rs-expressions" }, ...own.map(drawExpression))
        : element("p", { class: "rs-hint" }, "No expression refers to it yet."),
    );
  }

  function drawExpression(expression) {
    return element(
      "li",
      { class: "rs-expression", dataset: { expression: expression.id } },
      element(
        "button",
        {
          type: "button",
          class: "rs-expression-choose",
          title: `${expression.text}\nby ${expression.annotator}`,
          onclick: () => session.selectExpression(expression.id),
        },
        element("span", { class: "rs-label-chip rs-number" }, expression.label),
        element("span", { class: "rs-expression-text" }, expression.text),
      ),
      iconButton("edit", `Edit expression ${expression.label}`, (event) =>
        edit(expression, event.currentTarget),
      ),
      iconButton("remove", `Remove expression ${expression.label}`, () => remove(expression)),
    );
  }

  function mark() {
    /** @type {NodeListOf<HTMLElement>} */
    const sections = list.querySelectorAll(".rs-target");
    for (const section of sections) {
      const chosen = Number(section.dataset.target) === session.targetId;
      section.classList.toggle("rs-chosen", chosen);
      section.querySelector(".rs-target-choose").setAttribute("aria-pressed", String(chosen));
    }
    /** @type {NodeListOf<HTMLElement>} */
    const items = list.querySelectorAll(".rs-expression");
    for (const item of items) {
      const chosen = Number(item.dataset.expression) === session.expressionId;
      item.classList.toggle("rs-chosen", chosen);
      item.querySelector(".rs-expression-choose").setAttribute("aria-pressed", String(chosen));
      if (chosen) item.scrollIntoView({ block: "nearest" });
    }
    if (session.targetId !== null && document.activeElement !== where)
      where.value = `${session.targetId}`;
  }

  async function add() {
    const words = text.value.trim();
    if (!words || !session.clip) return text.focus();
    const clipId = session.clip.clip.id;
    const wanted = session.clip.targets.length ? where.value : NEW_TARGET;
    text.value = "";
    const made = await session.change(async () => {
      const targetId =
        wanted === NEW_TARGET
          ? (await api.post(`/api/clips/${clipId}/targets`, { name: "" })).id
          : Number(wanted);
      return api.post(`/api/targets/${targetId}/expressions`, { text: words });
    });
    if (!made) {
      text.value ||= words; // what was typed is not lost with the request
      return undefined;
    }
    await session.reloadClip();
    session.selectExpression(made.id);
    return undefined;
  }

  /** Put a field in the place of `button`'s row; Enter or leaving saves, Escape keeps the old. */
  function editInPlace(button, label, value, save) {
    const row = button.closest(".rs-expression, .rs-target-head");
    let over = false;
    const input = element("input", {
      class: "rs-field",
      type: "text",
      "aria-label": label,
      value,
      maxlength: 500,
    });
    const finish = (keep) => {
      if (over) return;
      over = true;
      input.remove();
      const words = input.value.trim();
      if (keep && words !== value) save(words);
      else draw();
    };
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.isComposing) finish(true);
      if (event.key === "Escape") finish(false);
    });
    input.addEventListener("blur", () => finish(true));
    row.replaceChildren(input);
    input.focus();
    input.select();
  }

  function renameTarget(target, button) {
    editInPlace(button, `Name of target ${target.number}`, target.name, async (name) => {
      await session.change(() => api.patch(`/api/targets/${target.id}`, { name }));
      await session.reloadClip();
    });
  }

  function edit(expression, button) {
    editInPlace(button, `Expression ${expression.label}`, expression.text, async (words) => {
      if (!words) return draw();
      await session.change(() => api.patch(`/api/expressions/${expression.id}`, { text: words }));
      return session.reloadClip();
    });
  }

  async function remove(expression) {
    const drafts = session.clip.drafts.filter(
      (draft) => draft.expression_id === expression.id,
    ).length;
    const lost = drafts ? ` Its ${count(drafts, "draft goes", "drafts go")} with it.` : "";
    const agreed = await ask(
      `Remove expression ${expression.label}?`,
      `“${expression.text}”${lost} Masks belong to the target and stay. This cannot be undone.`,
      "Remove expression",
    );
    if (!agreed) return;
    await session.change(() => api.remove(`/api/expressions/${expression.id}`));
    await session.reloadClip();
  }

  async function removeTarget(target, own) {
    const agreed = await ask(
      `Remove target ${target.number}?`,
      `Its ${count(own.length, "expression")}, drafts and masks are deleted. This cannot be undone.`,
      "Remove target",
    );
    if (!agreed) return;
    await session.change(() => api.remove(`/api/targets/${target.id}`));
    await session.reloadClip();
  }
}
