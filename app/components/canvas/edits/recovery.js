/**
 * The queue beyond its page: what this page had before it was reloaded, and what pages left that
 * are gone.
 *
 * @typedef {import("./queue.js").Edit} Edit
 * @typedef {import("./journal.js").Journal} Journal
 */

import { isOfWholeClip } from "./queue.js";
import { stashed, stash } from "./stash.js";

const LOOK_EVERY_MS = 30_000;

export class Recovery {
  #stash;
  #queue;
  #restored;
  #changed;
  #dropped;
  #failed;
  /** @type {Journal | null} */
  #journal = null;
  #isKeeping = false;
  /** @type {Edit[]} */
  #offered = [];
  /** @type {any} */
  #looking = null; // for what pages leave that die beside this one

  /**
   * @param {{storage: Storage | undefined, workspace: () => string}} kept where the page's last
   *   moment is kept
   * @param {object} told
   * @param {() => Edit[]} told.queue the edits on their way
   * @param {(edits: Edit[]) => void} told.restored edits are this page's from now on
   * @param {() => void} told.changed what is offered grew or shrank
   * @param {(edits: Edit[]) => void} told.dropped the person gave them up
   * @param {(error: Error) => void} told.failed the browser could not keep something
   */
  constructor(kept, { queue, restored, changed, dropped, failed }) {
    this.#stash = kept;
    this.#queue = queue;
    this.#restored = restored;
    this.#changed = changed;
    this.#dropped = dropped;
    this.#failed = failed;
  }

  /**
   * Keep the queue in a journal, and take from it what this page had before it was reloaded.
   *
   * @param {Journal | null} journal null: the browser keeps none
   */
  async keepIn(journal) {
    this.#journal = journal;
    const last = stashed(this.#stash); // newer than what the journal has of them
    for (const edit of [...last, ...this.#queue()]) this.put(edit);
    stash(this.#stash, []);
    this.#isKeeping = true;
    const nothing = { own: [], others: [] };
    const { own, others } = (await journal?.recall().catch(() => null)) ?? nothing;
    this.#offer(others);
    clearInterval(this.#looking);
    if (journal) this.#looking = setInterval(() => this.look(), LOOK_EVERY_MS);
    const found = new Map([...own, ...last].map((edit) => [edit.id, edit]));
    this.#restored(this.#unknown([...found.values()].sort((a, b) => a.at - b.at)));
  }

  /** Keep an edit, or what has become of it. @param {Edit} edit */
  put(edit) {
    this.#journal?.put(edit).catch(this.#failed);
  }

  /** The store has them, or the person gave them up. @param {Edit[]} edits */
  remove(edits) {
    this.#journal?.remove(edits.map(({ id }) => id)).catch(this.#failed);
  }

  /**
   * The page goes: hand the queue to the page that comes after it in this tab. The journal may have
   * had no time for the newest edits, and that page may not get at the name they are kept under.
   */
  leave() {
    const known = [...stashed(this.#stash), ...this.#queue()];
    stash(this.#stash, [...new Map(known.map((edit) => [edit.id, edit])).values()]);
  }

  /** The page did not go after all. */
  stay() {
    if (this.#isKeeping) stash(this.#stash, []);
  }

  /** Edits of pages that are gone, which the store never acknowledged. */
  get offered() {
    return this.#offered;
  }

  /** Look again for edits of pages that are gone: one may have died beside this page. */
  async look() {
    const { others } = (await this.#journal?.recall().catch(() => null)) ?? { others: [] };
    this.#offer(others);
    this.#changed();
  }

  /** An undo of a page that is gone would take back what was done since: it is forgotten. */
  #offer(edits) {
    const unknown = this.#unknown(edits);
    const orders = unknown.filter(isOfWholeClip);
    if (orders.length) this.remove(orders);
    this.#offered = unknown.filter((edit) => !isOfWholeClip(edit));
  }

  #unknown(edits) {
    const known = new Set(this.#queue().map(({ id }) => id));
    return edits.filter(({ id }) => !known.has(id));
  }

  /** Save what another page left, as if it had been drawn here. */
  async take() {
    const edits = (await this.#stillOffered()).map((edit) => ({ ...edit, failure: null }));
    for (const edit of edits) this.put(edit);
    this.#restored(edits);
  }

  /** Give up what another page left. */
  async drop() {
    const edits = await this.#stillOffered();
    this.remove(edits);
    this.#dropped(edits);
    this.#changed();
  }

  /** What was offered and nobody has decided on since: a page beside this one may have. */
  async #stillOffered() {
    const ids = new Set(this.#offered.map(({ id }) => id));
    this.#offered = [];
    const { others } = await this.#journal.recall();
    return others.filter(({ id }) => ids.has(id));
  }

  /** Stop looking. */
  close() {
    clearInterval(this.#looking);
  }
}
