/** What the person can do on the canvas, by pointer, key or button. */

import { lookList } from "../shared/look_list.js";
import { shownClicks, willBeVerified, willHaveMask } from "./edits/state.js";

const EMBED_AFTER_MS = 350;

export class Actions {
  #parts;
  #spaceHeld = false;
  #spaceDragged = false;
  #embedTimer = 0;

  /**
   * @param {object} parts session, api, player, edits, draft, scene, stage, tools, screen, compare;
   *   `changed` is told when playing, speed or the frame wanted changed
   */
  constructor(parts) {
    this.#parts = parts;
  }

  get #clip() {
    return this.#parts.session.clip?.clip ?? null;
  }

  /** The frame an action means: the one the person sees. */
  get here() {
    const { player } = this.#parts;
    return player.shown ?? player.wanted;
  }

  // -- frames ----------------------------------------------------------------------------------

  /** The person wants this frame. */
  goTo(frameIndex) {
    const { session, player } = this.#parts;
    if (!this.#clip) return;
    this.pause();
    this.show(frameIndex);
    session.setFrame(player.wanted, { from: "canvas" });
  }

  goBy(frames) {
    this.goTo(this.#parts.player.wanted + frames);
  }

  /** Show a frame that somebody wants. */
  show(frameIndex) {
    const { tools, player, screen } = this.#parts;
    if (tools.busy) tools.release(); // a stroke belongs to the frame it was drawn on
    tools.clearPreview();
    player.go(frameIndex);
    this.wantSoftMaps();
    this.embedSoon();
    screen.request();
  }

  /** To the next (1) or previous (-1) frame of the list of those to look at. */
  async goToLook(way) {
    const { session, player } = this.#parts;
    if (!session.targetId) return;
    const clipId = this.#clip.id;
    try {
      const next = await lookList.next(player.wanted, way);
      if (this.#clip?.id !== clipId) return;
      if (next === null) session.notice("No other frame stands out.", "info");
      else this.goTo(next);
    } catch (error) {
      session.notice(error.message);
    }
  }

  // -- playing ---------------------------------------------------------------------------------

  get isSpaceHeld() {
    return this.#spaceHeld;
  }

  /** Space turned out to move the picture. */
  spaceDragged() {
    this.#spaceDragged = true;
  }

  /** Space plays when it is let go, unless it was held to drag the picture about. */
  playKey(down, event) {
    if (!event) {
      if (down) this.togglePlay();
      this.#spaceHeld = false;
      return;
    }
    this.#parts.stage.root.classList.toggle("can-pan", down);
    this.#spaceHeld = down;
    if (down) this.#spaceDragged = false;
    else if (!this.#spaceDragged) this.togglePlay();
  }

  togglePlay() {
    const { tools, player, screen, changed } = this.#parts;
    if (player.playing) {
      this.pause();
      return;
    }
    if (tools.busy) tools.release();
    tools.clearPreview();
    this.#leaveTheCores();
    player.play(performance.now());
    changed();
    screen.request();
  }

  pause() {
    const { session, player, screen, changed } = this.#parts;
    if (!player.playing) return;
    player.stop();
    session.setFrame(player.wanted, { from: "canvas" });
    this.embedSoon();
    changed();
    screen.statsChanged();
    screen.request();
  }

  setSpeed(speed) {
    this.#parts.player.setSpeed(speed, performance.now());
    this.#parts.changed();
  }

  // -- in and out ------------------------------------------------------------------------------

  markIn() {
    const { session } = this.#parts;
    session.setRange(this.here, Math.max(this.here, session.range[1]));
  }

  markOut() {
    const { session } = this.#parts;
    session.setRange(Math.min(this.here, session.range[0]), this.here);
  }

  setRange(first, last) {
    this.#parts.session.setRange(first, last);
  }

  clearRange() {
    this.#parts.session.setRange(null, null);
  }

  // -- looking ---------------------------------------------------------------------------------

  setOpacity(opacity) {
    this.#parts.scene.opacity = opacity;
    this.#parts.screen.request();
  }

  hide(down) {
    this.#parts.scene.hidden = down;
    this.#parts.screen.request();
  }

  // -- editing ---------------------------------------------------------------------------------

  choose(tool) {
    this.#parts.tools.choose(tool);
  }

  setLayer(layer) {
    this.#parts.tools.setLayer(layer);
  }

  changeBrush(steps) {
    this.#parts.tools.changeBrush(steps);
  }

  /** @param {"undo" | "redo"} which */
  async step(which) {
    const { edits } = this.#parts;
    const clipId = this.#clip?.id;
    if (clipId === undefined) return;
    const changed = await edits.step(clipId, which);
    if (this.#clip?.id !== clipId) return;
    const frames = (changed ?? []).map((change) => change.frame_index);
    // An undo nobody sees is a riddle: go to what it changed.
    if (frames.length && !frames.includes(this.here)) this.goTo(Math.min(...frames));
  }

  /** The place an edit means: the frame before the person's eyes. */
  get #place() {
    const { here } = this;
    return {
      clipId: this.#clip.id,
      targetId: this.#parts.session.targetId,
      first: here,
      last: here,
    };
  }

  /** Masks and waiting edits of a place, once its masks are here. */
  async #stateOf({ clipId, targetId, first }) {
    const { edits } = this.#parts;
    await edits.ready(clipId, targetId);
    return edits.frame(targetId, first);
  }

  /** Say that the frame is right, or take that back; `empty`: right because nothing is there. */
  async verify(empty) {
    const { session, player, edits } = this.#parts;
    if (!this.#clip || player.shown === null) return;
    const place = this.#place;
    const state = await this.#stateOf(place);
    if (place.targetId === null && !state.queue.length) {
      session.notice("Make a target first: type an expression, or click what you mean.", "info");
    } else if (!empty && !willHaveMask(state)) {
      const sentence = `Frame ${place.first} has no mask to verify.`;
      session.notice(`${sentence} Make one, or say that it is verified empty.`, "info");
    } else {
      const verified = empty || !willBeVerified(state);
      edits.add({ ...place, kind: "verify", verified, empty });
    }
  }

  /** Remove the clicks of the frame; the mask they corrected comes back. */
  async clearClicks() {
    if (!this.#clip) return;
    const { session, edits } = this.#parts;
    const place = this.#place;
    const { length } = shownClicks(await this.#stateOf(place));
    if (length) edits.add({ ...place, kind: "clicks", clicks: [] });
    else session.notice("This frame has no clicks.", "info");
  }

  /** Another reading of the last click, where the refiner was unsure. */
  async nextReading() {
    if (!this.#clip) return;
    const { session, edits } = this.#parts;
    const place = this.#place;
    if (!willHaveMask(await this.#stateOf(place))) return;
    const size = { width: this.#clip.width, height: this.#clip.height };
    const shown = await edits.nextReading(place, size);
    if (shown) session.notice(`Reading ${shown.place} of ${shown.count}.`, "info");
  }

  /** Have the refiner draw what the mask was roughly painted over. */
  async redraw() {
    if (!this.#clip) return;
    const { session, edits } = this.#parts;
    const place = this.#place;
    if (willHaveMask(await this.#stateOf(place))) edits.add({ ...place, kind: "redraw" });
    else session.notice("Paint the target roughly with the brush first.", "info");
  }

  // -- what is not saved -----------------------------------------------------------------------

  retryUnsaved() {
    this.#parts.edits.retry();
  }

  discardUnsaved() {
    const { edits } = this.#parts;
    if (edits.problem) edits.discard(edits.problem.edit);
  }

  /** Go to the frame of the first edit that is not saved, in whichever clip. */
  async showUnsaved() {
    const { session, edits } = this.#parts;
    if (!edits.problem) return;
    const { clipId, targetId, first } = edits.problem.edit;
    if (clipId !== this.#clip?.id) await session.openClip(clipId);
    if (clipId !== this.#clip?.id) return; // it was removed
    if (session.clip.targets.some(({ id }) => id === targetId)) session.selectTarget(targetId);
    this.goTo(first);
  }

  // -- ahead of the person ---------------------------------------------------------------------

  /** Have the refiner look at the frame the person rests on, so that a click is quick. */
  embedSoon() {
    const { player, tools } = this.#parts;
    clearTimeout(this.#embedTimer);
    this.#embedTimer = setTimeout(() => {
      if (!player.playing && !tools.paints) this.embed();
    }, EMBED_AFTER_MS);
  }

  /** Have the refiner loaded and look at the frame before the person's eyes. */
  embed() {
    const { session, api } = this.#parts;
    if (!this.#clip) return;
    const asked = { clip_id: this.#clip.id, frame_index: this.here, refiner: session.refiner };
    // Only a wish: without it the click itself takes a little longer.
    api.post("/api/prefetch", asked).catch(() => undefined);
  }

  /** Playing needs every core the machine can spare: nothing is embedded meanwhile. */
  #leaveTheCores() {
    clearTimeout(this.#embedTimer);
    this.#parts.api.remove("/api/prefetch").catch(() => undefined);
  }

  wantSoftMaps() {
    const { draft, layers, player } = this.#parts;
    if (!this.#clip) return;
    for (const part of [draft, layers]) part.want(player.wanted, player.direction, player.reach);
  }

  close() {
    clearTimeout(this.#embedTimer);
  }
}
