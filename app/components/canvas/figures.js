/** J of the first two runs compared, on the frame and over the clip, when there is time. */

import { ANNOTATION } from "../shared/comparison.js";
import { Agreement, mean } from "./agreement.js";

const AFTER_MS = 150;

export class Figures {
  #parts;
  #agreement = new Agreement();
  #timer = 0;
  #pair = "";

  /** @param {object} parts session, edits, layers, scene, player, compare */
  constructor(parts) {
    this.#parts = parts;
  }

  /** Masks, runs or frame changed. */
  changed() {
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
    const { session, edits, layers, scene, player, compare } = this.#parts;
    const { targetId } = session;
    const [first, second] = scene.runs.map(({ key }) => key);
    if (!targetId || !second || player.playing) return;
    if (this.#pair !== `${first} ${second}`) this.#agreement.clear();
    this.#pair = `${first} ${second}`;
    const states = edits.frames(targetId);
    const runsOf = (key, frameIndex) =>
      key === ANNOTATION
        ? states.get(frameIndex)?.target.runs
        : layers.layer(key)?.runs(frameIndex);
    const agreed = (frameIndex) => {
      const ignore = states.get(frameIndex)?.ignore.runs;
      const [one, other] = [runsOf(first, frameIndex), runsOf(second, frameIndex)];
      return this.#agreement.frame(frameIndex, one, other, ignore);
    };
    const frames = Array.from({ length: player.frameCount }, (_, frameIndex) => frameIndex);
    compare.showFigures(agreed(player.shown ?? player.wanted), mean(frames.map(agreed)));
  }
}
