/**
 * A page's last moment: its queue in the tab's own storage, the only one that is written at once.
 * It outlives a reload; what outlives more than that is the journal.
 *
 * @typedef {import("./queue.js").Edit} Edit
 * @typedef {{storage: Storage | undefined, workspace: () => string}} Kept
 */

const NAME = "refscribe-last-edits";

/** Keep these edits, and no others. @param {Kept} kept @param {Edit[]} edits */
export function stash({ storage, workspace }, edits) {
  try {
    if (!edits.length) storage?.removeItem(`${NAME}-${workspace()}`);
    else storage?.setItem(`${NAME}-${workspace()}`, JSON.stringify(edits, plain));
  } catch {
    // No room, or not allowed: the journal has nearly all of them.
  }
}

/** What was kept for a workspace. @param {Kept} kept @returns {Edit[]} */
export function stashed({ storage, workspace }) {
  try {
    return JSON.parse(storage?.getItem(`${NAME}-${workspace()}`) ?? "[]", typed);
  } catch {
    return [];
  }
}

const plain = (_name, value) => (value instanceof Uint32Array ? { words: [...value] } : value);
const typed = (_name, value) => (value?.words ? Uint32Array.from(value.words) : value);
