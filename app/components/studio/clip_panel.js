/**
 * The list of clips: search, filter, sort, open, remove. Cheap rows: hundreds of clips stay light.
 */

import { api, address } from "../shared/api.js";
import { openAddClips } from "./add_clips.js";
import { ask } from "./dialogs.js";
import { element, listen } from "../shared/dom.js";
import { count } from "../shared/words.js";
import { icon, iconButton, picker } from "./controls.js";
import { chooseClips, CLIP_STATES, share, SORTS } from "./clip_list.js";
import { keys } from "../shared/keys.js";
import { session } from "../shared/session.js";

export function mountClipPanel(root) {
  const choice = { search: "", state: "", sort: "newest" };
  const rows = new Map(); // clip id -> {row, facts: JSON of what it shows}
  const search = element("input", {
    class: "rs-field",
    type: "search",
    placeholder: "Search clips",
    "aria-label": "Search clips",
    oninput: () => {
      choice.search = search.value;
      draw();
    },
    onkeydown: (event) => event.key === "Escape" && search.blur(),
  });
  const state = picker(
    "Show",
    [["", "all states"], ...CLIP_STATES.map((each) => [each, each])],
    "",
    (value) => {
      choice.state = value;
      draw();
    },
  );
  const sort = picker(
    "Sort by",
    Object.keys(SORTS).map((each) => [each, each]),
    "newest",
    (value) => {
      choice.sort = value;
      draw();
    },
  );
  const total = element("span", { class: "rs-muted rs-number" });
  const list = element("ul", { class: "rs-clip-list", tabindex: "-1", "aria-label": "Clips" });
  root.replaceChildren(
    element(
      "div",
      { class: "rs-panel-head" },
      element("h2", {}, "Clips"),
      total,
      element("span", { class: "rs-spacer" }),
    ),
    element(
      "div",
      { class: "rs-clip-filter" },
      search,
      element("div", { class: "rs-row" }, state, sort),
    ),
    list,
    element(
      "div",
      { class: "rs-panel-foot" },
      element(
        "button",
        { type: "button", class: "rs-button rs-wide-button", onclick: () => openAddClips() },
        icon("add"),
        "Add clips",
      ),
    ),
  );
  draw();
  listen(root, session, ["clips", "ready", "load-failed"], draw);
  listen(root, session, ["clip", "opening"], mark);
  keys.on("next-clip", () => step(1));
  keys.on("previous-clip", () => step(-1));

  function draw() {
    if (session.clips === null) {
      total.textContent = "";
      list.setAttribute("aria-busy", "true");
      list.replaceChildren(
        ...Array.from({ length: 6 }, () =>
          element("li", { class: "rs-skeleton rs-clip-skeleton" }),
        ),
      );
      return;
    }
    list.removeAttribute("aria-busy");
    const shown = chooseClips(session.clips, choice);
    total.textContent =
      shown.length === session.clips.length
        ? `${shown.length}`
        : `${shown.length} of ${session.clips.length}`;
    const kept = new Set(session.clips.map((clip) => clip.id));
    for (const id of rows.keys()) if (!kept.has(id)) rows.delete(id);
    const items = shown.map(rowFor);
    if (!items.length)
      items.push(
        element(
          "li",
          { class: "rs-hint" },
          session.clips.length ? "No clip matches." : "No clips yet.",
        ),
      );
    // Rows that stand where they stood are left alone: a reload of 300 clips moves nothing.
    items.forEach((item, place) => {
      if (list.children[place] !== item) list.insertBefore(item, list.children[place] ?? null);
    });
    while (list.children.length > items.length) list.lastChild.remove();
    mark();
  }

  function rowFor(clip) {
    const facts = JSON.stringify(clip);
    const known = rows.get(clip.id);
    if (known?.facts === facts) return known.row;
    const row = drawRow(clip);
    rows.set(clip.id, { row, facts });
    return row;
  }

  function drawRow(clip) {
    const who = clip.annotators.length ? clip.annotators.join(", ") : "";
    const progress = element("span", { class: "rs-clip-progress", "aria-hidden": "true" });
    progress.style.setProperty(
      "--masked",
      String(clip.frame_count ? clip.masked_frames / clip.frame_count : 0),
    );
    progress.style.setProperty("--verified", String(share(clip)));
    return element(
      "li",
      { class: "rs-clip", dataset: { clip: clip.id } },
      element(
        "button",
        {
          type: "button",
          class: "rs-clip-open",
          title: `${clip.name}\n${count(clip.expressions, "expression")}, ${clip.masked_frames} of ${count(clip.frame_count, "frame")} with a mask, ${clip.verified_frames} verified`,
          onclick: () => session.openClip(clip.id),
        },
        element("img", {
          class: "rs-thumb",
          src: address(clip.thumb),
          alt: "",
          loading: "lazy",
          decoding: "async",
          width: 64,
          height: 36,
        }),
        element(
          "span",
          { class: "rs-clip-words" },
          element("span", { class: "rs-clip-title" }, clip.name),
          element(
            "span",
            { class: "rs-clip-line rs-muted" },
            element("span", { class: "rs-state", dataset: { state: clip.state } }, clip.state),
            clip.expressions
              ? element("span", { class: "rs-number" }, `${clip.expressions} expr.`)
              : null,
            who ? element("span", { class: "rs-who" }, who) : null,
          ),
          progress,
        ),
      ),
      iconButton("remove", `Remove ${clip.name}`, () => remove(clip)),
    );
  }

  function mark() {
    const open = session.opening ?? session.clip?.clip.id ?? null;
    for (const [id, { row }] of rows) {
      const current = id === open;
      row.classList.toggle("rs-chosen", current);
      if (current) row.firstChild.setAttribute("aria-current", "true");
      else row.firstChild.removeAttribute("aria-current");
    }
  }

  function step(by) {
    const shown = chooseClips(session.clips ?? [], choice);
    if (!shown.length) return;
    const here = shown.findIndex((clip) => clip.id === session.clip?.clip.id);
    const next = shown[Math.min(shown.length - 1, Math.max(0, here + by))];
    session.openClip(next.id);
    rows.get(next.id)?.row.scrollIntoView({ block: "nearest" });
  }

  async function remove(clip) {
    const lost = clip.masked_frames
      ? `Its frames, ${count(clip.expressions, "expression")} and masks on ${count(clip.masked_frames, "frame")} are deleted from the workspace.`
      : "Its frames are deleted from the workspace; the file they came from stays.";
    if (!(await ask(`Remove “${clip.name}”?`, `${lost} This cannot be undone.`, "Remove clip")))
      return;
    await session.change(() => api.remove(`/api/clips/${clip.id}`));
    if (session.clip?.clip.id === clip.id) session.closeClip();
    session.reloadClipsSoon();
  }
}
