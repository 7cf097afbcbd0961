/** J of mask and draft, on the frame and over the clip, worked out when there is time. */

import { Agreement, mean } from "./agreement.js";

const AFTER_MS = 150;

export class Figures {
  #parts;
  #agreement = new Agreement();
  #timer = 0;

  /** @param {object} parts session, sync, draft, player, compare */
  constructor(parts) {
    this.#parts = parts;
  }

  /** Masks, draft or frame changed. */
  changed() {
    const { session, draft, compare } = this.#parts;
    compare.setAvailable(draft.id !== null && session.targetId !== null);
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      this.#show();
    }, AFTER_MS);
  }

  /** Another clip. */
  forget() {
    this.#agreement.clear();
  }

  close() {
    clearTimeout(this.#timer);
  }

  #show() {
    const { session, sync, draft, player, compare } = this.#parts;
    const { targetId } = session;
    if (!targetId || draft.id === null || player.playing) return;
    const states = sync.frames(targetId);
    const agreed = (frameIndex) => {
      const state = states.get(frameIndex);
      const runs = draft.runs(frameIndex);
      return this.#agreement.frame(frameIndex, state?.target.runs, runs, state?.ignore.runs);
    };
    compare.showFigures(agreed(player.shown ?? player.wanted), mean([...draft.frames].map(agreed)));
  }
}
