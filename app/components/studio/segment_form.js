/** Running a segmenter on the selected expression. The picker, seed and button are Gradio's. */

import { api } from "../shared/api.js";
import { element, listen } from "../shared/dom.js";
import { keys } from "../shared/keys.js";
import { session } from "../shared/session.js";
import { aboutEngine, reasonOf } from "./engine_words.js";
import { readSeed, saySeedProblem } from "./seed.js";
import { toolsButton } from "./tools_dialog.js";

export const RUN_BUTTON = "rs-run";
let running = false;

/** The facts of the chosen segmenter, or undefined. */
export function chosenSegmenter() {
  return session.segmenters.find((each) => each.name === session.segmenter);
}

/** Why the segmenter cannot run now, as a sentence; "" when it can. */
export function whyNotRun() {
  const engine = chosenSegmenter();
  if (!session.clip) return "Open a clip first.";
  if (!session.expression) return "Type an expression first: the segmenter looks for what it says.";
  if (!engine) return "No segmenter is chosen.";
  if (!engine.ready) return reasonOf(engine);
  const busy = session.runningJobs.some(
    (job) =>
      job.kind === "segment" &&
      job.clip_id === session.clip.clip.id &&
      draftOf(job) === session.expressionId,
  );
  return busy ? "It is being segmented: see the bar below." : "";
}

/** The expression a segment job works on, through its draft; undefined until the draft is known. */
function draftOf(job) {
  return session.clip?.drafts.find((draft) => draft.id === job.draft_id)?.expression_id;
}

/** Run the chosen segmenter on the selected expression, with the seed as it was typed. */
export async function runSegmenter(typed = null) {
  const { seed, problem } = readSeed(typed);
  saySeedProblem(problem);
  if (problem) {
    session.notice(`Seed: ${problem}`, "error");
    return;
  }
  const reason = whyNotRun();
  if (reason || running) {
    if (reason) session.notice(reason);
    return;
  }
  running = true;
  const { expressionId } = session;
  try {
    await ask(expressionId, { segmenter: session.segmenter, seed });
  } finally {
    running = false;
    session.dispatchEvent(new CustomEvent("engine"));
  }
}

async function ask(expressionId, body) {
  const reply = await session.request(() =>
    api.post(`/api/expressions/${expressionId}/segment`, body),
  );
  if (!reply) return;
  session.takeJob(reply.job, () => ask(expressionId, body));
  await session.reloadClip();
  const draftId = reply.draft_id ?? reply.job.draft_id;
  if (draftId && session.expressionId === expressionId) session.showDraft(draftId);
}

/** The lines under the picker: what the engine is, and why it cannot run. */
export function mountSegmentState(root) {
  const line = element("p", { class: "rs-engine-line" });
  root.replaceChildren(line, toolsButton());
  const draw = () => {
    const engine = chosenSegmenter();
    const reason = whyNotRun();
    const said = reason && session.clip && engine?.ready ? reason : "";
    line.replaceChildren(...aboutEngine(engine), element("span", { class: "rs-muted" }, said));
    const button = /** @type {HTMLButtonElement | null} */ (document.getElementById(RUN_BUTTON));
    if (button) {
      button.disabled = reason !== "";
      button.title = reason || `Run the segmenter (${keys.keyOf("run")})`;
    }
  };
  draw();
  listen(root, session, ["ready", "engine", "clip", "expression", "job", "draft"], draw);
  // The Gradio button presses itself: it alone knows what the seed field holds.
  keys.on("run", async () => {
    await session.changed(); // an expression just typed is on its way
    const button = /** @type {HTMLButtonElement | null} */ (document.getElementById(RUN_BUTTON));
    if (button && !button.disabled) button.click();
    else session.notice(whyNotRun() || "Open the Draft tab to run a segmenter.");
  });
}
