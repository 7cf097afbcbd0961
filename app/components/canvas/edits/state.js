/**
 * One frame of one target: what the store holds, and the person's edits on their way to it.
 *
 * A pure reducer.  The store's masks carry versions that only grow; edits wait in a queue and
 * are sent one at a time, so that each is made on the version the one before it left behind.
 *
 * @typedef {import("./runs.js").FrameMask} FrameMask
 * @typedef {import("./runs.js").Click} Click
 * @typedef {{id: number, kind: "stroke", layer: "target"|"ignore", value: 0|1,
 *   touched: Uint32Array}} StrokeEdit  `touched` as runs
 * @typedef {{id: number, kind: "clicks", clicks: Click[],
 *   box?: import("../brush.js").Rect}} ClicksEdit  all clicks in force; a box begins a new series
 * @typedef {StrokeEdit | ClicksEdit} Edit
 * @typedef {{target: FrameMask, ignore: FrameMask, queue: Edit[], sending: number | null,
 *   failure: {reason: "stale"|"refused"|"unreachable", message: string} | null}} FrameState
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
  return {
    target: nothing("target"),
    ignore: nothing("ignore"),
    queue: [],
    sending: null,
    failure: null,
  };
}

/**
 * The state after `event`; the same object where nothing changed.
 *
 * @param {FrameState} state
 * @param {object} event
 * @returns {FrameState}
 */
export function reduce(state, event) {
  switch (event.type) {
    case "maskArrived": // a slow reply must not overwrite a newer mask
      return event.mask.version > state[event.mask.layer].version
        ? { ...state, [event.mask.layer]: event.mask }
        : state;
    case "edited": {
      const last = state.queue.at(-1);
      // Of several fast clicks only the newest set of all clicks is worth the refiner's time.
      // A box is no click: what it finds is what the clicks after it correct.
      const replaces =
        event.edit.kind === "clicks" &&
        last?.kind === "clicks" &&
        last.id !== state.sending &&
        (!last.box || event.edit.box);
      const kept = replaces ? state.queue.slice(0, -1) : state.queue;
      return { ...state, queue: [...kept, event.edit] };
    }
    case "sending":
      return { ...state, sending: event.id, failure: null };
    case "saved": {
      // Mask and queue change in one step: in between, the edit would be drawn twice or not at all.
      const queue = state.queue.filter((edit) => edit.id !== event.id);
      const landed = { ...state, queue, sending: null, failure: null };
      return event.masks.reduce(
        (next, mask) => reduce(next, { type: "maskArrived", mask }),
        landed,
      );
    }
    case "failed": // the edit stays in hand and visible
      return {
        ...state,
        sending: null,
        failure: { reason: event.reason, message: event.message },
      };
    case "dropped":
      return {
        ...state,
        queue: state.queue.filter((edit) => !event.ids.includes(edit.id)),
        sending: null,
        failure: null,
      };
    default:
      throw new TypeError(`unknown event: ${event.type}`);
  }
}

/** The edit to send now, or null: nothing waits, one is under way, or the last one failed. */
export function nextToSend(state) {
  return state.sending === null && state.failure === null ? (state.queue[0] ?? null) : null;
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
    if (edit.layer === "target") return []; // a stroke begins a new series of clicks
  }
  return state.target.clicks;
}

/** Whether anything is drawn that the store does not hold yet. */
export function isUnsaved(state) {
  return state.queue.length > 0;
}

/** Whether a person has looked at this frame and said that it is right. */
export function isVerified(state) {
  return state.target.verified && state.queue.length === 0;
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
