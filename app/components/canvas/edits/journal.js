/**
 * What is not in the store yet, kept by the browser: it outlives the page, and a crash of the
 * browser costs at most the stroke in hand.
 *
 * Each page writes under a name of its own. A page that is reloaded finds its edits again; edits of
 * a page that is gone are offered to whichever page comes next.
 *
 * @typedef {import("./queue.js").Edit} Edit
 * @typedef {{id: string, page: string, workspace: string, edit: Edit}} Entry
 */

const DATABASE = "refscribe";
const ENTRIES = "edits";
const OWN_NAME = "refscribe-page";
const TRIES = 8;
const TRY_EVERY_MS = 100;
const SURELY_GONE_MS = 60_000; // where the browser cannot say which pages live

export class Journal {
  #workspace;
  #page;
  #database;
  #locks;
  #letGo = () => {};

  constructor(database, workspace, page, locks) {
    this.#database = database;
    this.#workspace = workspace;
    this.#page = page;
    this.#locks = locks;
  }

  /**
   * Open the browser's journal for one workspace; null where the browser keeps none.
   *
   * @param {string} workspace the edits of another one, served under the same address, stay its own
   * @param {{indexedDB?: IDBFactory, locks?: LockManager, storage?: Storage}} [browser]
   * @returns {Promise<Journal | null>}
   */
  static async open(workspace, browser = ours()) {
    try {
      const opening = browser.indexedDB.open(DATABASE, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore(ENTRIES, { keyPath: "id" });
      const database = await answer(opening);
      // A newer version of the page may want to change the database: do not stand in its way.
      database.onversionchange = () => database.close();
      const journal = new Journal(database, workspace, "", browser.locks);
      journal.#page = await journal.#name(browser.storage);
      return journal;
    } catch {
      return null; // a private window, or a full disk: edits are then kept by the page alone
    }
  }

  /** The name this page had before a reload, unless another page has it now: a copied tab. */
  async #name(storage) {
    const before = storage?.getItem(OWN_NAME);
    // The page that is reloaded holds its name for a moment longer.
    for (let tries = 0; before && tries < TRIES; tries++) {
      if (await this.#take(before)) return before;
      await new Promise((resolve) => setTimeout(resolve, TRY_EVERY_MS));
    }
    const name = crypto.getRandomValues(new Uint32Array(2)).join("-");
    await this.#take(name);
    storage?.setItem(OWN_NAME, name);
    return name;
  }

  /** Hold a page's name for as long as this page lives. @returns {Promise<boolean>} false: taken */
  #take(name) {
    if (!this.#locks) return Promise.resolve(true);
    return new Promise((resolve) => {
      const held = this.#locks.request(`${OWN_NAME}-${name}`, { ifAvailable: true }, (lock) => {
        resolve(lock !== null);
        return lock && new Promise((end) => (this.#letGo = () => end(undefined)));
      });
      held.catch(() => resolve(true));
    });
  }

  /** Keep an edit, or what has become of it. */
  async put(edit) {
    const entry = { id: edit.id, page: this.#page, workspace: this.#workspace, edit };
    await this.#write((entries) => entries.put(entry));
  }

  /** The store has it, or the person gave it up. @param {string[]} ids */
  async remove(ids) {
    await this.#write((entries) => ids.forEach((id) => entries.delete(id)));
  }

  /**
   * What was kept: of this page before it was reloaded, and of pages that are gone.
   *
   * @returns {Promise<{own: Edit[], others: Edit[]}>} each in the order they were made
   */
  async recall() {
    /** @type {Entry[]} */
    const entries = await answer(this.#database.transaction(ENTRIES).objectStore(ENTRIES).getAll());
    const here = entries.filter(({ workspace }) => workspace === this.#workspace);
    const living = await this.#livingPages();
    const isGone = ({ page, edit }) =>
      living ? !living.has(page) : Date.now() - edit.at > SURELY_GONE_MS;
    const inOrder = (kept) => kept.map(({ edit }) => edit).sort((a, b) => a.at - b.at);
    return {
      own: inOrder(here.filter(({ page }) => page === this.#page)),
      others: inOrder(here.filter((entry) => entry.page !== this.#page && isGone(entry))),
    };
  }

  /** Names of the pages that are open; null where the browser cannot say. */
  async #livingPages() {
    if (!this.#locks) return null;
    const { held } = await this.#locks.query();
    const names = held.map(({ name }) => name).filter((name) => name.startsWith(OWN_NAME));
    return new Set(names.map((name) => name.slice(OWN_NAME.length + 1)));
  }

  async #write(work) {
    const transaction = this.#database.transaction(ENTRIES, "readwrite");
    const ended = new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(undefined);
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
    work(transaction.objectStore(ENTRIES));
    // Said now, it is done even if the page is gone the next moment; unsaid, the page is waited for.
    transaction.commit?.();
    await ended;
  }

  /** Let go of the page's name and the database. */
  close() {
    this.#letGo();
    this.#database.close();
  }
}

function ours() {
  return {
    indexedDB: globalThis.indexedDB,
    locks: globalThis.navigator?.locks, // browsers give it to pages on this machine and to https
    storage: globalThis.sessionStorage,
  };
}

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function answer(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
