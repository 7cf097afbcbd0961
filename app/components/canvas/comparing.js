/** Everything on the canvas that compares runs: their masks, views, figures, and the strip. */

import { comparison } from "../shared/the_comparison.js";
import { Compare } from "./compare.js";
import { Figures } from "./figures.js";
import { RunLayers } from "./run_layers.js";
import { Strip } from "./strip.js";

export class Comparing {
  #parts;

  /**
   * @param {object} parts session, api, palette, player, edits, draft, scene, stage, keys;
   *   `changed` when the overlay must be painted anew, `needMaps` when soft maps are wanted, `goTo`
   *   shows a frame, `failed` is told of errors
   */
  constructor(parts) {
    this.#parts = parts;
    const { scene, palette, changed, needMaps, goTo, failed } = parts;
    this.layers = new RunLayers({
      ...parts,
      comparison,
      changed: (frames, what) => this.#delivered(frames, what),
      failed,
    });
    scene.useLayers(this.layers);
    this.compare = new Compare({ ...parts, comparison, layers: this.layers, changed, needMaps });
    this.figures = new Figures({ ...parts, layers: this.layers, compare: this.compare });
    this.strip = new Strip(palette, comparison, goTo);
  }

  /** Hear of what is compared, for as long as the canvas lives. */
  listen(isAlive, signal) {
    const hear = (type, listener) =>
      comparison.addEventListener(type, () => isAlive() && listener(), { signal });
    hear("runs", () => this.runsChanged());
    hear("threshold", () => this.compare.thresholdChanged());
    hear("view-wanted", () => this.compare.choose(comparison.wanted));
  }

  /** Masks or soft maps of a run arrived. */
  #delivered(frames, what) {
    this.#parts.scene.forget(frames);
    if (what !== "map") {
      this.figures.changed();
      this.#parts.needMaps();
    }
    this.#parts.changed();
  }

  /** Other runs may be compared now. */
  runsChanged() {
    this.compare.runsChanged();
    this.figures.changed();
  }

  /** The annotation's masks changed: with the first of them there is something to compare with. */
  masksChanged() {
    if (!comparison.annotated) this.runsChanged();
  }

  /** Another clip, or none. */
  openClip(clip) {
    this.figures.forget();
    this.strip.open(clip?.frame_count ?? 0);
  }

  close() {
    for (const part of [this.compare, this.figures, this.strip, this.layers]) part.close();
  }
}
