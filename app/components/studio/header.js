/** The top line: which clip, what it is, whether it is saved, who is annotating. */

import { api } from "../shared/api.js";
import { CLIP_STATES } from "./clip_list.js";
import { element, listen } from "../shared/dom.js";
import { count, duration } from "../shared/words.js";
import { icon, picker } from "./controls.js";
import { openKeySheet } from "./key_sheet.js";
import { keys } from "../shared/keys.js";
import { session } from "../shared/session.js";
import { nextTheme, themeMode } from "./theme.js";

export function mountHeader(root) {
  const name = field("Clip name", "name", "rs-clip-name");
  const concept = field("Concept", "concept", "rs-concept");
  concept.placeholder = "concept, as “candle melting”";
  const category = picker("Category", [["", "no category"]], "", (value) =>
    patch({ category: value }),
  );
  const state = picker(
    "State",
    CLIP_STATES.map((each) => [each, each]),
    "new",
    (value) => patch({ state: value }),
  );
  const facts = element("span", { class: "rs-muted rs-number rs-facts" });
  const about = element(
    "div",
    { class: "rs-about", hidden: true },
    name,
    facts,
    concept,
    category,
    state,
  );
  const saved = element("span", { class: "rs-saved rs-muted rs-number", role: "status" });
  const annotator = element("span", { class: "rs-annotator rs-muted" });
  const help = element(
    "button",
    {
      type: "button",
      class: "rs-icon-button rs-help",
      title: "Keys (?)",
      "aria-label": "Keys",
      onclick: openKeySheet,
    },
    "?",
  );
  const theme = element("button", {
    type: "button",
    class: "rs-icon-button",
    onclick: () => showTheme(nextTheme()),
  });

  root.replaceChildren(
    element("h1", { class: "rs-brand" }, "Refscribe"),
    about,
    element("span", { class: "rs-spacer" }),
    saved,
    annotator,
    help,
    theme,
  );
  showTheme(themeMode());
  showClip();
  showSession();
  keys.on("key-sheet", openKeySheet);
  listen(root, session, ["ready"], showSession);
  listen(root, session, ["clip", "clips"], showClip);
  listen(root, session, ["saved"], ({ detail }) => {
    const time = detail.at?.toLocaleTimeString([], {
      hour: "2-digit",
      minute: "2-digit",
      hour12: false,
    });
    const words = {
      saving: "saving …",
      saved: `saved ${time}`,
      failed: `not saved: ${count(detail.unsaved, "edit")}`,
    };
    saved.textContent = words[detail.state] ?? "";
    saved.dataset.state = detail.state;
  });

  function field(label, key, style) {
    const input = element("input", {
      class: `rs-quiet-field ${style}`,
      type: "text",
      "aria-label": label,
      spellcheck: "false",
      autocomplete: "off",
      onkeydown: (event) => {
        if (event.key === "Escape") input.value = session.clip?.clip[key] ?? "";
        if (["Enter", "Escape"].includes(event.key)) input.blur();
      },
      onchange: () => {
        const value = input.value.trim();
        if (key === "name" && !value) input.value = session.clip?.clip.name ?? "";
        else patch({ [key]: value });
      },
    });
    return input;
  }

  async function patch(fields) {
    const { id } = session.clip.clip;
    await session.change(() => api.patch(`/api/clips/${id}`, fields));
    await session.reloadClip();
    session.reloadClipsSoon();
  }

  function showSession() {
    annotator.textContent = session.annotator ? `you: ${session.annotator}` : "";
    annotator.title = session.workspace ? `Workspace: ${session.workspace}` : "";
    category.replaceChildren(
      element("option", { value: "" }, "no category"),
      ...session.categories.map((each) => element("option", { value: each }, each)),
    );
    category.value = session.clip?.clip.category ?? "";
  }

  function showClip() {
    about.hidden = !session.clip;
    if (!session.clip) {
      document.title = "Refscribe";
      return;
    }
    const { clip } = session.clip;
    document.title = `${clip.name} – Refscribe`;
    for (const [input, text] of [
      [name, clip.name],
      [concept, clip.concept],
    ]) {
      if (document.activeElement !== input) input.value = text;
    }
    name.title = clip.name;
    facts.textContent = `${clip.width}×${clip.height}, ${duration(clip.frame_count / clip.fps)}`;
    facts.title = `${count(clip.frame_count, "frame")} at ${clip.fps} per second`;
    category.value = clip.category;
    // The list is read again after every edit, the clip's own facts are not.
    state.value = session.clips?.find((each) => each.id === clip.id)?.state ?? clip.state;
  }

  function showTheme(mode) {
    theme.replaceChildren(icon({ system: "system", light: "sun", dark: "moon" }[mode]));
    const words = `Theme: ${mode === "system" ? "as the system" : mode}`;
    theme.title = words;
    theme.setAttribute("aria-label", words);
  }
}
