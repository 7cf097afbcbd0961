/**
 * The numbers of the runs compared: asked for while somebody looks at them, and again after edits.
 */

import { ApiError } from "../shared/api.js";

const AFTER_EDIT_MS = 600;
const WHILE_MADE_MS = 3000; // a running draft delivers without a pause
const NONE = { state: "none", reply: null, message: "" };

export class Numbers {
  #parts;
  #watched = false;
  #asked = 0;
  #timer = 0;
  #keys = "";

  /** @param {{api, session, comparison}} parts */
  constructor(parts) {
    this.#parts = parts;
    const { session, comparison } = parts;
    comparison.addEventListener("runs", () => this.#runsChanged());
    session.addEventListener("masks", ({ detail }) => {
      if (detail.target_id === session.targetId) this.#askSoon();
    });
    session.addEventListener("draft-frames", ({ detail }) => {
      if (this.#keys.split(",").includes(`draft:${detail.draft_id}`)) this.#askInAWhile();
    });
  }

  /** Somebody looks at the numbers, or nobody does any more. */
  watch(watched) {
    if (watched === this.#watched) return;
    this.#watched = watched;
    this.#keys = "";
    this.#runsChanged();
  }

  #runsChanged() {
    const { session, comparison } = this.#parts;
    const keys = [session.targetId, ...comparison.runs.map(({ key }) => key)].join();
    if (!this.#watched || comparison.runs.length < 2) {
      this.#asked += 1;
      this.#keys = "";
      if (comparison.numbers.state !== "none") comparison.setNumbers(NONE);
      return;
    }
    if (keys === this.#keys) return;
    this.#keys = keys;
    comparison.setNumbers(NONE); // those of other runs would mislead
    this.ask();
  }

  /** A burst of edits is one question. */
  #askSoon() {
    if (!this.#watched) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.ask(), AFTER_EDIT_MS);
  }

  /** However often it is said, the question is asked when its time has come. */
  #askInAWhile() {
    if (this.#watched) this.#timer ||= setTimeout(() => this.ask(), WHILE_MADE_MS);
  }

  /** Ask now; J first, and F, which takes longer, after it. */
  async ask() {
    const { api, session, comparison } = this.#parts;
    clearTimeout(this.#timer);
    this.#timer = 0;
    const clipId = session.clip?.clip.id;
    const drafts = comparison.runs.map(({ key }) => key).filter((key) => key.startsWith("draft:"));
    if (!clipId || !drafts.length || !this.#watched) return;
    const turn = ++this.#asked;
    const path = `/api/clips/${clipId}/comparison?runs=${drafts.join(",")}&target=${session.targetId}`;
    const { reply } = comparison.numbers;
    comparison.setNumbers({ state: "asked", reply, message: "" });
    try {
      for (const [query, state] of [
        ["&f=0", "asked"],
        ["", "here"],
      ]) {
        const numbers = await api.get(path + query);
        if (turn !== this.#asked) return;
        // After an edit the figures shown keep their F until the new one is here.
        if (state === "here" || !reply)
          comparison.setNumbers({ state, reply: numbers, message: "" });
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (turn === this.#asked)
        comparison.setNumbers({
          state: "failed",
          reply: comparison.numbers.reply,
          message: error.message,
        });
    }
  }
}
