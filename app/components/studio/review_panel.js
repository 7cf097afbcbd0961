// Looking over frame by frame: verified, verified empty, and how far the clip is.

import { api } from "./api.js";
import { h, listen } from "./dom.js";
import { keys } from "./keys.js";
import { lookList, REASONS } from "./look_list.js";
import { session } from "./session.js";

export function mountReviewPanel(element) {
  const frame = h("p", { class: "rs-review-frame rs-number" });
  const bar = h("span", { class: "rs-clip-progress", "aria-hidden": "true" });
  const done = h("p", { class: "rs-muted rs-number" });
  const act = (name, words, style = "") =>
    h("button", { type: "button", class: `rs-button ${style}`, dataset: { run: name }, onclick: () => session.runKey(name) }, words, " ", h("kbd", {}, keys.keyOf(name)));
  const buttons = h("div", { class: "rs-row rs-wrap" },
    act("verify", "Verified", "rs-primary"),
    act("next-to-look-at", "Next to look at"),
    act("verify-empty", "Verified empty"),
  );
  const look = mountLookList();
  const absent = h("button", { type: "button", class: "rs-button", onclick: markAbsent });
  const panel = h("div", { class: "rs-review" },
    frame,
    buttons,
    h("div", { class: "rs-row" }, absent),
    look,
    h("p", { class: "rs-muted" }, "Verified frames are never overwritten by a draft or by propagating."),
    bar,
    done,
  );
  const repair = mountRepair();
  panel.append(repair.node);
  element.replaceChildren(panel);
  draw();
  listen(element, session, ["clip", "target", "frame", "clips", "masks", "range"], draw);
  // The counts come with the list of clips, which is read again only while somebody looks at them.
  listen(element, session, ["saved"], ({ detail }) => {
    if (detail.state === "saved" && element.offsetParent !== null) session.reloadClipsSoon();
  });

  function draw() {
    for (const button of buttons.children) button.disabled = session.targetId === null;
    repair.draw();
    const [first, last] = session.range;
    const marked = session.first !== null || session.last !== null;
    absent.textContent = marked ? `Absent on ${first} to ${last}` : "Absent: mark in and out first";
    absent.title = "The target is not in view there: an empty mask, verified, on each of these frames";
    absent.disabled = session.targetId === null || !marked;
    frame.textContent = session.clip ? `Frame ${session.frameIndex}` : "Open a clip first.";
    const facts = session.clips?.find((clip) => clip.id === session.clip?.clip.id);
    bar.hidden = done.hidden = !facts;
    if (!facts) return;
    bar.style.setProperty("--masked", facts.masked_frames / facts.frame_count);
    bar.style.setProperty("--verified", facts.verified_frames / facts.frame_count);
    done.textContent = `${facts.masked_frames} of ${facts.frame_count} frames with a mask, ${facts.verified_frames} verified`;
  }
}

/** Say of every frame of the range that the target is not in view; one step of undo. */
async function markAbsent() {
  const [first, last] = session.range;
  const frames = Array.from({ length: last - first + 1 }, (_, place) => first + place);
  const { targetId } = session;
  const reply = await session.change(() =>
    api.post(`/api/targets/${targetId}/verify`, { frames, verified: true, empty: true }));
  if (reply) session.dispatchEvent(new CustomEvent("masks", { detail: { target_id: targetId, frames } }));
}

const LISTED = 8;

/** The frames to look at, the most urgent first; a press goes there. */
function mountLookList() {
  const list = h("ol", { class: "rs-look-list", "aria-label": "Frames to look at" });
  const head = h("h3", {}, "To look at");
  const node = h("div", { class: "rs-look" }, head, list);
  lookList.addEventListener("look", draw);
  draw();
  return node;

  function draw() {
    const frames = lookList.frames ?? [];
    head.textContent = lookList.frames === null || !frames.length ? "To look at" : `To look at: ${frames.length}`;
    list.replaceChildren(...frames.slice(0, LISTED).map((frame) =>
      h("li", {},
        h("button", { type: "button", class: "rs-look-item", onclick: () => session.setFrame(frame.frame_index) },
          h("span", { class: "rs-number" }, String(frame.frame_index)),
          h("span", { class: "rs-look-urgency", style: `--urgency: ${frame.urgency.toFixed(2)}`, "aria-hidden": "true" }),
          h("span", { class: "rs-ellipsis" }, REASONS[frame.reason] ?? frame.reason)))));
    if (!frames.length) {
      const words = session.targetId === null ? "Choose a target first." : lookList.frames === null ? "Looking …" : "No frame stands out.";
      list.replaceChildren(h("li", { class: "rs-muted" }, words));
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
  const pixels = h("input", { class: "rs-field rs-number-field", type: "number", min: 0, max: 100, step: 1, value: "0", "aria-label": "Size in pixels" });
  const hint = h("span", { class: "rs-muted" });
  const operation = h("select", { class: "rs-select", "aria-label": "Repair", onchange: choose },
    ...REPAIRS.map(([value, words]) => h("option", { value }, words)));
  const here = h("button", { type: "button", class: "rs-button", onclick: () => run(session.frameIndex, session.frameIndex) });
  const range = h("button", { type: "button", class: "rs-button", onclick: () => run(...session.range) });
  choose();
  const clearHere = h("button", { type: "button", class: "rs-button", onclick: () => clear(session.frameIndex, session.frameIndex) });
  const clearRange = h("button", { type: "button", class: "rs-button", onclick: () => clear(...session.range) });
  const node = h("div", { class: "rs-repair" },
    h("h3", {}, "Repair"),
    h("div", { class: "rs-row" }, operation, pixels, hint),
    h("div", { class: "rs-row rs-wrap" }, here, range),
    h("h3", {}, "Clear masks"),
    h("div", { class: "rs-row rs-wrap" }, clearHere, clearRange),
  );

  /** Take the masks of a range away, target and Ignore; one step of undo. */
  async function clear(first, last) {
    const { targetId } = session;
    const reply = await session.change(() => api.post(`/api/targets/${targetId}/clear`, { first, last }));
    if (!reply) return;
    const frames = [...new Set(reply.versions.map((each) => each.frame_index))];
    session.dispatchEvent(new CustomEvent("masks", { detail: { target_id: targetId, frames } }));
  }

  function choose() {
    const [, , size] = REPAIRS.find(([value]) => value === operation.value);
    pixels.value = String(size);
    hint.textContent = size === 0 ? "px wide, 0: any" : "px";
  }

  async function run(first, last) {
    const body = { operation: operation.value, pixels: Number(pixels.value), first, last };
    const reply = await session.request(() => api.post(`/api/targets/${session.targetId}/repair`, body));
    if (reply) session.takeJob(reply.job);
  }

  function draw() {
    const [first, last] = session.range;
    here.textContent = clearHere.textContent = `On frame ${session.frameIndex}`;
    range.textContent = clearRange.textContent = `On ${first} to ${last}`;
    for (const button of [here, range, clearHere, clearRange]) button.disabled = session.targetId === null;
  }

  return { node, draw };
}
