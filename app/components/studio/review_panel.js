/** Looking over frame by frame: verified, verified empty, and how far the clip is. */

import { api } from "../shared/api.js";
import { element, listen } from "../shared/dom.js";
import { keys } from "../shared/keys.js";
import { lookList, REASONS } from "../shared/look_list.js";
import { session } from "../shared/session.js";
import { edits } from "../canvas/edits/the_edits.js";
import { afterEdits } from "./waiting.js";

export function mountReviewPanel(root) {
  const frame = element("p", { class: "rs-review-frame rs-number" });
  const bar = element("span", { class: "rs-clip-progress", "aria-hidden": "true" });
  const done = element("p", { class: "rs-muted rs-number" });
  const act = (name, words, style = "") =>
    element(
      "button",
      {
        type: "button",
        class: `rs-button ${style}`,
        dataset: { run: name },
        onclick: () => session.runKey(name),
      },
      words,
      " ",
      element("kbd", {}, keys.keyOf(name)),
    );
  const buttons = element(
    "div",
    { class: "rs-row rs-wrap" },
    act("verify", "Verified", "rs-primary"),
    act("next-to-look-at", "Next to look at"),
    act("verify-empty", "Verified empty"),
  );
  const look = mountLookList();
  const absent = element("button", { type: "button", class: "rs-button", onclick: markAbsent });
  const panel = element(
    "div",
    { class: "rs-review" },
    frame,
    buttons,
    element("div", { class: "rs-row" }, absent),
    look,
    element(
      "p",
      { class: "rs-muted" },
      "Verified frames are never overwritten by a draft or by propagating.",
    ),
    bar,
    done,
  );
  const repair = mountRepair();
  panel.append(repair.node);
  root.replaceChildren(panel);
  draw();
  listen(root, session, ["clip", "target", "frame", "clips", "masks", "range"], draw);
  // The counts come with the list of clips, which is read again only while somebody looks at them.
  listen(root, session, ["saved"], ({ detail }) => {
    if (detail.state === "saved" && root.offsetParent !== null) session.reloadClipsSoon();
  });

  function draw() {
    for (const button of buttons.querySelectorAll("button")) {
      button.disabled = session.targetId === null;
    }
    repair.draw();
    const [first, last] = session.range;
    const marked = session.first !== null || session.last !== null;
    absent.textContent = marked ? `Absent on ${first} to ${last}` : "Absent: mark in and out first";
    absent.title =
      "The target is not in view there: an empty mask, verified, on each of these frames";
    absent.disabled = session.targetId === null || !marked;
    frame.textContent = session.clip ? `Frame ${session.frameIndex}` : "Open a clip first.";
    const facts = session.clips?.find((clip) => clip.id === session.clip?.clip.id);
    bar.hidden = done.hidden = !facts;
    if (!facts) return;
    bar.style.setProperty("--masked", String(facts.masked_frames / facts.frame_count));
    bar.style.setProperty("--verified", String(facts.verified_frames / facts.frame_count));
    done.textContent = `${facts.masked_frames} of ${facts.frame_count} frames with a mask, ${facts.verified_frames} verified`;
  }
}

/** Say of every frame of the range that the target is not in view; one step of undo. */
function markAbsent() {
  edits.add({ ...place(...session.range), kind: "verify", verified: true, empty: true });
}

/** Frames `first` to `last` of the target worked on. */
function place(first, last) {
  return { clipId: session.clip.clip.id, targetId: session.targetId, first, last };
}

const LISTED = 8;

/** The frames to look at, the most urgent first; a press goes there. */
function mountLookList() {
  const list = element("ol", { class: "rs-look-list", "aria-label": "Frames to look at" });
  const head = element("h3", {}, "To look at");
  const node = element("div", { class: "rs-look" }, head, list);
  lookList.addEventListener("look", draw);
  draw();
  return node;

  function draw() {
    const frames = lookList.frames ?? [];
    head.textContent =
      lookList.frames === null || !frames.length ? "To look at" : `To look at: ${frames.length}`;
    list.replaceChildren(
      ...frames.slice(0, LISTED).map((frame) =>
        element(
          "li",
          {},
          element(
            "button",
            {
              type: "button",
              class: "rs-look-item",
              onclick: () => session.setFrame(frame.frame_index),
            },
            element("span", { class: "rs-number" }, String(frame.frame_index)),
            element("span", {
              class: "rs-look-urgency",
              style: `--urgency: ${frame.urgency.toFixed(2)}`,
              "aria-hidden": "true",
            }),
            element("span", { class: "rs-ellipsis" }, REASONS[frame.reason] ?? frame.reason),
          ),
        ),
      ),
    );
    if (!frames.length) {
      const words =
        session.targetId === null
          ? "Choose a target first."
          : lookList.frames === null
            ? "Looking …"
            : "No frame stands out.";
      list.replaceChildren(element("li", { class: "rs-muted" }, words));
    }
  }
}

const REPAIRS = [
  ["fill-holes", "Fill holes", 0],
  ["drop-islands", "Drop islands", 0],
  ["smooth", "Smooth", 3],
  ["grow", "Grow", 1],
  ["shrink", "Shrink", 1],
];

/** Repairs of masks that are nearly right, on this frame or over the range; each is one step of undo. */
function mountRepair() {
  const pixels = element("input", {
    class: "rs-field rs-number-field",
    type: "number",
    min: 0,
    max: 100,
    step: 1,
    value: "0",
    "aria-label": "Size in pixels",
  });
  const hint = element("span", { class: "rs-muted" });
  const operation = element(
    "select",
    { class: "rs-select", "aria-label": "Repair", onchange: choose },
    ...REPAIRS.map(([value, words]) => element("option", { value }, String(words))),
  );
  const here = element("button", {
    type: "button",
    class: "rs-button",
    onclick: () => run(session.frameIndex, session.frameIndex),
  });
  const range = element("button", {
    type: "button",
    class: "rs-button",
    onclick: () => run(...session.range),
  });
  choose();
  const clearHere = element("button", {
    type: "button",
    class: "rs-button",
    onclick: () => clear(session.frameIndex, session.frameIndex),
  });
  const clearRange = element("button", {
    type: "button",
    class: "rs-button",
    onclick: () => clear(...session.range),
  });
  const node = element(
    "div",
    { class: "rs-repair" },
    element("h3", {}, "Repair"),
    element("div", { class: "rs-row" }, operation, pixels, hint),
    element("div", { class: "rs-row rs-wrap" }, here, range),
    element("h3", {}, "Clear masks"),
    element("div", { class: "rs-row rs-wrap" }, clearHere, clearRange),
  );

  /** Take the masks of a range away, target and Ignore; one step of undo. */
  function clear(first, last) {
    edits.add({ ...place(first, last), kind: "clear" });
  }

  function choose() {
    const [, , size] = REPAIRS.find(([value]) => value === operation.value);
    pixels.value = String(size);
    hint.textContent = size === 0 ? "px wide, 0: any" : "px";
  }

  async function run(first, last) {
    const body = { operation: operation.value, pixels: Number(pixels.value), first, last };
    const where = place(first, last);
    if (!(await afterEdits(where, "Repairing"))) return;
    const reply = await session.request(() =>
      api.post(`/api/targets/${where.targetId}/repair`, body),
    );
    if (reply) session.takeJob(reply.job);
  }

  function draw() {
    const [first, last] = session.range;
    here.textContent = clearHere.textContent = `On frame ${session.frameIndex}`;
    range.textContent = clearRange.textContent = `On ${first} to ${last}`;
    for (const button of [here, range, clearHere, clearRange])
      button.disabled = session.targetId === null;
  }

  return { node, draw };
}
