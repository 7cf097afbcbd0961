/**
 * Carrying the mask of this frame to others. Direction, refiner, overwrite and button are Gradio's.
 */

import { api } from "../shared/api.js";
import { element, listen } from "../shared/dom.js";
import { keys } from "../shared/keys.js";
import { aboutEngine, reasonOf } from "./engine_words.js";
import { session } from "../shared/session.js";
import { edits } from "../canvas/edits/the_edits.js";
import { toolsButton } from "./tools_dialog.js";
import { afterEdits } from "./waiting.js";

export const GO_BUTTON = "rs-propagate";

/** Why nothing can be propagated now, as a sentence; "" when it can. */
export function whyNotPropagate() {
  if (!session.clip) return "Open a clip first.";
  if (session.targetId === null && !edits.isMakingTarget(session.clip.clip.id)) {
    return "Type an expression first: a mask belongs to its target.";
  }
  const engine = session.refiners.find((each) => each.name === session.refiner);
  if (engine && !engine.ready) return reasonOf(engine);
  const busy = session.runningJobs.some(
    (job) => job.kind === "propagate" && job.target_id === session.targetId,
  );
  return busy ? "It is being propagated: see the bar below." : "";
}

/**
 * Carry the mask of the frame shown.
 *
 * @param {"both" | "forward" | "backward"} direction
 * @param {string[]} also "overwrite": over frames settled by hand; "anew": what is up to date too;
 *   "all": every target that has a mask on this frame
 */
export async function propagate(direction, also) {
  const reason = whyNotPropagate();
  if (reason) {
    session.notice(reason);
    return;
  }
  const [first, last] = session.range;
  const body = {
    frame_index: session.frameIndex,
    direction,
    first,
    last,
    refiner: session.refiner,
    overwrite: also.includes("overwrite"),
    anew: also.includes("anew"),
  };
  const clipId = session.clip.clip.id;
  const { targetId, frameIndex } = session;
  const others = session.clip.targets.map((target) => target.id);
  const place = { clipId, first: Math.min(first, frameIndex), last: Math.max(last, frameIndex) };
  const targets = also.includes("all") && others.length ? others : [targetId];
  for (const each of targets) {
    if (!(await afterEdits({ ...place, targetId: each }, "Propagating"))) return;
    await ask(each ?? edits.targetMadeFor(clipId), body);
  }
}

async function ask(targetId, body) {
  const reply = await session.request(() => api.post(`/api/targets/${targetId}/propagate`, body));
  if (reply) session.takeJob(reply.job, () => ask(targetId, body));
}

/** The range between in and out, and what the engine says. */
export function mountPropagateState(root) {
  const first = bound("First frame", (value) => session.setRange(value, session.last));
  const last = bound("Last frame", (value) => session.setRange(session.first, value));
  const whole = element(
    "button",
    { type: "button", class: "rs-button rs-small", onclick: () => session.setRange(null, null) },
    "Whole clip",
  );
  const from = element("p", { class: "rs-muted" });
  const said = element("p", { class: "rs-engine-line" });
  root.replaceChildren(
    element(
      "div",
      { class: "rs-form-row" },
      element("span", {}, "Frames"),
      first,
      element("span", {}, "to"),
      last,
      whole,
    ),
    from,
    said,
    toolsButton(),
  );
  draw();
  listen(root, session, ["ready", "engine", "clip", "target", "job", "range", "frame"], draw);
  listen(root, edits, ["queue"], draw);
  keys.on("propagate", () => {
    const button = /** @type {HTMLButtonElement | null} */ (document.getElementById(GO_BUTTON));
    if (button && !button.disabled) button.click();
    else session.notice(whyNotPropagate());
  });

  function bound(label, set) {
    const input = element("input", {
      class: "rs-field rs-number-field",
      type: "number",
      min: 0,
      step: 1,
      "aria-label": label,
      onchange: () => {
        const value = Math.round(Number(input.value));
        const inside = input.value !== "" && value >= 0 && value < session.frameCount;
        if (inside) set(value);
        else draw();
      },
    });
    return input;
  }

  function draw() {
    const [begin, end] = session.range;
    if (document.activeElement !== first) first.value = String(begin);
    if (document.activeElement !== last) last.value = String(end);
    first.max = last.max = String(Math.max(0, session.frameCount - 1));
    whole.hidden = session.first === null && session.last === null;
    from.textContent = session.clip
      ? `Starts from the mask on frame ${session.frameIndex}. ${keys.keyOf("mark-in")} and ${keys.keyOf("mark-out")} set the frames.`
      : "";
    const reason = whyNotPropagate();
    const engine = session.refiners.find((each) => each.name === session.refiner);
    const waits = reason && session.clip && engine?.ready ? reason : "";
    said.replaceChildren(...aboutEngine(engine), waits);
    const button = /** @type {HTMLButtonElement | null} */ (document.getElementById(GO_BUTTON));
    if (button) {
      button.disabled = reason !== "";
      button.title = reason || `Propagate (${keys.keyOf("propagate")})`;
    }
  }
}
