/** What is asked for while an edit is on its way waits for it. */

import { edits } from "../canvas/edits/the_edits.js";
import { session } from "../shared/session.js";

const SAY_AFTER_MS = 400;

/**
 * Resolves once the edits made so far that touch a place are in the store.
 *
 * @param {{clipId: number, targetId: number | null, first: number, last: number} | null} place null:
 *   edits of every clip
 * @param {string} what is waited with, as the person calls it: "Propagating"
 * @returns {Promise<boolean>} false when it must not go on: an edit is not saved, and that was said
 */
export async function afterEdits(place, what) {
  const saying = setTimeout(
    () => session.notice(`${what} begins when your last edit is saved.`),
    SAY_AFTER_MS,
  );
  const saved = await edits.settled(place);
  clearTimeout(saying);
  if (!saved) {
    session.notice(`${what} was not begun: an edit is not saved. See to it first.`, "error");
  }
  return saved;
}
