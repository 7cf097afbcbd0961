/**
 * The person's edits on their way to the store, oldest first. Pure.
 *
 * Edits of different frames are sent side by side; an edit waits for the earlier ones that touch a
 * frame of its own, so that each is made on what the one before it left behind.
 *
 * @typedef {import("./runs.js").Click} Click
 * @typedef {{reason: "stale" | "gone" | "refused", message: string}} Failure
 *
 * @typedef {object} Place what an edit touches
 * @property {number} clipId
 * @property {number | null} targetId null: a target that is made for it; of "undo" and "redo": all
 * @property {number} first frame
 * @property {number} last frame, included
 *
 * @typedef {object} Order what the person wants done
 * @property {"stroke" | "clicks" | "reading" | "redraw" | "verify" | "clear" | "accept" | "undo"
 *   | "redo"} kind
 * @property {"target" | "ignore"} [layer] of a stroke or a reading
 * @property {0 | 1} [value] of a stroke
 * @property {Uint32Array} [touched] pixels of a stroke, as runs
 * @property {string} [tool] of a stroke: "stroke" or "lasso"
 * @property {{width: number, height: number}} [size] of the frames
 * @property {Click[]} [clicks] all clicks in force on the frame
 * @property {import("../brush.js").Rect} [box] begins a new series of clicks
 * @property {Uint32Array} [runs] of a reading, the whole mask
 * @property {number} [seen] version that a reading takes the place of
 * @property {{place: number, count: number}} [reading] which one of how many, from 1
 * @property {boolean} [verified]
 * @property {boolean} [empty] the target is not to be seen there
 * @property {number} [draftId] of the draft accepted
 * @property {number} [threshold] of the draft accepted
 * @property {boolean} [overwrite] accept over frames settled by hand, too
 *
 * @typedef {{id: string, at: number, tried: boolean, sending: boolean,
 *   failure: Failure | null}} Way how far it is; `at` in ms since 1970; `tried`: it was sent, so
 *   that the server may have it although no answer came
 * @typedef {Place & Order & Way} Edit
 */

const WHOLE_CLIP = new Set(["undo", "redo"]);
const WORK = new Set(["stroke", "clicks", "verify"]);

/** Whether an edit holds work of the person's hand; the others are orders, easily given again. */
export function isWork(edit) {
  return WORK.has(edit.kind);
}

/** Whether an edit is one of all targets of its clip. */
export function isOfWholeClip(edit) {
  return WHOLE_CLIP.has(edit.kind);
}

/** Whether an edit touches frame `frameIndex` of a target. @param {Edit} edit */
export function touches(edit, targetId, frameIndex) {
  return (
    !WHOLE_CLIP.has(edit.kind) &&
    edit.targetId === targetId &&
    edit.first <= frameIndex &&
    frameIndex <= edit.last
  );
}

/** Whether the later of two edits must wait for the earlier one. */
export function collide(edit, other) {
  if (edit.clipId !== other.clipId) return false;
  if (WHOLE_CLIP.has(edit.kind) || WHOLE_CLIP.has(other.kind)) return true;
  return edit.targetId === other.targetId && edit.first <= other.last && other.first <= edit.last;
}

/**
 * The queue with an edit behind the others.
 *
 * Of several fast clicks on a frame only the newest set of all clicks is worth the refiner's time,
 * so it takes the place of one that was never sent, its id included. A box is no click: what it finds is what the
 * clicks after it correct.
 *
 * @param {Edit[]} queue
 * @param {Edit} edit
 * @returns {{queue: Edit[], edit: Edit}} the edit as it stands in the queue
 */
export function queued(queue, edit) {
  const before = queue.findLast((earlier) => collide(earlier, edit));
  const replaces =
    edit.kind === "clicks" &&
    before?.kind === "clicks" &&
    !before.tried &&
    (!before.box || Boolean(edit.box));
  if (!replaces) return { queue: [...queue, edit], edit };
  const newer = { ...edit, id: before.id };
  return { queue: [...queue.filter((other) => other !== before), newer], edit: newer };
}

/** The edits that may be sent now: nothing before them touches what they touch. */
export function sendable(queue) {
  return queue.filter(
    (edit, at) =>
      !edit.sending &&
      !edit.failure &&
      !queue.slice(0, at).some((earlier) => collide(earlier, edit)),
  );
}

/** The queue with what is known of one edit changed. */
export function changed(queue, id, facts) {
  return queue.map((edit) => (edit.id === id ? { ...edit, ...facts } : edit));
}

/** The queue without some edits. @param {Iterable<string>} ids */
export function without(queue, ids) {
  const gone = new Set(ids);
  return queue.filter(({ id }) => !gone.has(id));
}

/** Failed edits and those that wait behind them, in the order of the queue. */
export function resting(queue) {
  const found = [];
  for (const edit of queue) {
    if (edit.failure || found.some((earlier) => collide(earlier, edit))) found.push(edit);
  }
  return found;
}

/**
 * What the person should know of edits that are not saved, or null.
 *
 * @param {Edit[]} queue
 * @param {string} unreachable why nothing can be sent now; empty where it can
 * @returns {{reason: "unreachable" | "stale" | "gone" | "refused", message: string,
 *   edits: number, edit: Edit} | null} the first such edit, and how many there are
 */
export function problemOf(queue, unreachable) {
  const failed = queue.find(({ failure }) => failure);
  if (failed) return { ...failed.failure, edits: resting(queue).length, edit: failed };
  if (!unreachable || !queue.length) return null;
  return { reason: "unreachable", message: unreachable, edits: queue.length, edit: queue[0] };
}

/** A failed edit and what was drawn on its frame after it. */
export function drawnWith(queue, failed) {
  const at = queue.findIndex(({ id }) => id === failed.id);
  return queue
    .slice(at)
    .filter((edit) => isWork(edit) && collide(edit, failed) && edit.first === edit.last);
}
