/**
 * One frame of one target: what the store holds, and the person's edits on their way to it. Pure.
 *
 * The store's masks carry versions that only grow.
 *
 * @typedef {import("./runs.js").FrameMask} FrameMask
 * @typedef {import("./queue.js").Edit} Edit
 * @typedef {{target: FrameMask, ignore: FrameMask, queue: Edit[]}} FrameState `queue`: the edits
 *   that touch the frame, oldest first
 */

const NO_RUNS = new Uint32Array(0);

/** @returns {FrameState} a frame nobody has touched */
export function emptyFrame(frameIndex) {
  const nothing = (layer) => ({
    frameIndex,
    layer,
    version: 0,
    verified: false,
    origin: "none",
    clicks: [],
    runs: NO_RUNS,
  });
  return { target: nothing("target"), ignore: nothing("ignore"), queue: [] };
}

/**
 * The state once a mask of the store is here; the same object where a newer one is already: a slow
 * reply must not overwrite it.
 *
 * @param {FrameState} state
 * @param {FrameMask} mask
 * @returns {FrameState}
 */
export function arrived(state, mask) {
  return mask.version > state[mask.layer].version ? { ...state, [mask.layer]: mask } : state;
}

/** The strokes still to be laid over the stored mask of a layer, oldest first. */
export function pendingStrokes(state, layer) {
  return state.queue.filter((edit) => edit.kind === "stroke" && edit.layer === layer);
}

/** The clicks in force as the person sees them: what they placed last, stored or not. */
export function shownClicks(state) {
  for (let index = state.queue.length - 1; index >= 0; index--) {
    const edit = state.queue[index];
    if (edit.kind === "clicks") return edit.clicks;
    if (edit.kind === "verify" && !edit.empty) continue;
    if (edit.layer !== "ignore") return []; // a stroke begins a new series of clicks
  }
  return state.target.clicks;
}

/** Whether a person has looked at this frame and said that it is right, and the store knows. */
export function isVerified(state) {
  return state.target.verified && state.queue.length === 0;
}

/** Whether the frame will be verified once everything asked for is done. */
export function willBeVerified(state) {
  const last = state.queue.at(-1);
  if (!last) return state.target.verified;
  return last.kind === "verify" && Boolean(last.verified);
}

/** Whether the frame has a mask of the target, or one is on its way. */
export function willHaveMask(state) {
  const makes = state.queue.findLast(({ kind, layer }) => kind !== "verify" && layer !== "ignore");
  return makes ? makes.kind !== "clear" : state.target.runs.length > 0;
}

/** How the timeline shows the frame: "none", "draft", "propagation", "edited" or "verified". */
export function stateName(state) {
  if (isVerified(state)) return "verified";
  if (state.queue.length) return "edited";
  switch (state.target.origin) {
    case "none":
    case "clear":
      return state.ignore.runs.length ? "edited" : "none";
    case "draft":
    case "import":
      return "draft";
    case "propagation":
      return "propagation";
    default:
      return "edited";
  }
}

/** The index of the click within `reach` frame pixels of a point, the nearest one, or -1. */
export function clickNear(clicks, point, reach) {
  let found = -1;
  let nearest = reach;
  clicks.forEach((click, index) => {
    const distance = Math.hypot(click.x - point.x, click.y - point.y);
    if (distance <= nearest) {
      nearest = distance;
      found = index;
    }
  });
  return found;
}
