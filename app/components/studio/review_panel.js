// Looking over frame by frame: verified, verified empty, and how far the clip is.

import { h, listen } from "./dom.js";
import { keys } from "./keys.js";
import { session } from "./session.js";

export function mountReviewPanel(element) {
  const frame = h("p", { class: "rs-review-frame rs-number" });
  const bar = h("span", { class: "rs-clip-progress", "aria-hidden": "true" });
  const done = h("p", { class: "rs-muted rs-number" });
  const act = (name, words, style = "") =>
    h("button", { type: "button", class: `rs-button ${style}`, dataset: { run: name }, onclick: () => session.runKey(name) }, words, " ", h("kbd", {}, keys.keyOf(name)));
  const buttons = h("div", { class: "rs-row rs-wrap" },
    act("verify", "Verified", "rs-primary"),
    act("verify-empty", "Verified empty"),
    act("next-to-look-at", "Next to look at"),
  );
  element.replaceChildren(
    frame,
    buttons,
    h("p", { class: "rs-muted" }, "Verified frames are never overwritten by a draft or by propagating."),
    bar,
    done,
  );
  draw();
  listen(element, session, ["clip", "target", "frame", "clips", "masks"], draw);

  function draw() {
    for (const button of buttons.children) button.disabled = session.targetId === null;
    frame.textContent = session.clip ? `Frame ${session.frameIndex}` : "Open a clip first.";
    const facts = session.clips?.find((clip) => clip.id === session.clip?.clip.id);
    bar.hidden = done.hidden = !facts;
    if (!facts) return;
    bar.style.setProperty("--masked", facts.masked_frames / facts.frame_count);
    bar.style.setProperty("--verified", facts.verified_frames / facts.frame_count);
    done.textContent = `${facts.masked_frames} of ${facts.frame_count} frames with a mask, ${facts.verified_frames} verified`;
  }
}
