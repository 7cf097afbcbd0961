/** What the person can do on the canvas, by pointer, key or button. */

import { lookList } from "../shared/look_list.js";
import { isVerified, shownClicks } from "./edits/state.js";

const EMBED_AFTER_MS = 350;

export class Actions {
  #parts;
  #makingTarget = null;
  #spaceHeld = false;
  #spaceDragged = false;
  #embedTimer = 0;

  /**
   * @param {object} parts session, api, player, sync, draft, scene, stage, tools, screen, compare;
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
    try {
      const next = await lookList.next(player.wanted, way);
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
    if (!this.#clip) return;
    const changed = await this.#parts.sync.step(which);
    const frames = (changed ?? []).map((change) => change.frame_index);
    // An undo nobody sees is a riddle: go to what it changed.
    if (frames.length && !frames.includes(this.here)) this.goTo(Math.min(...frames));
  }

  /** Say that the frame is right, or take that back; `empty`: right because nothing is there. */
  verify(empty) {
    const { session, sync, player } = this.#parts;
    const { targetId } = session;
    if (!targetId || player.shown === null) {
      session.notice("Make a target first: type an expression, or click what you mean.", "info");
      return;
    }
    const verified = empty || !isVerified(sync.frame(targetId, this.here));
    sync.verify(targetId, this.here, verified, empty);
  }

  /** Remove the clicks of the frame; the mask they corrected comes back. */
  clearClicks() {
    const { session, sync } = this.#parts;
    const { targetId } = session;
    if (!targetId || !shownClicks(sync.frame(targetId, this.here)).length) {
      session.notice("This frame has no clicks.", "info");
      return;
    }
    sync.edit(targetId, this.here, { kind: "clicks", clicks: [] });
  }

  /** Another reading of the last click, where the refiner was unsure. */
  async nextReading() {
    const { session, sync } = this.#parts;
    if (!session.targetId) return;
    const shown = await sync.nextReading(session.targetId, this.here);
    session.notice(
      shown
        ? `Reading ${shown.place} of ${shown.count}.`
        : "The refiner has no other reading here: it has them of a first click it is unsure of.",
      "info",
    );
  }

  /** Have the refiner draw what the mask was roughly painted over. */
  redraw() {
    const { session, sync } = this.#parts;
    if (!session.targetId || !sync.frame(session.targetId, this.here).target.runs.length) {
      session.notice("Paint the target roughly with the brush first.", "info");
      return;
    }
    sync.redraw(session.targetId, this.here);
  }

  /** The target to edit; the first click on a clip makes one. @returns {Promise<number | null>} */
  needTarget() {
    const { session, api } = this.#parts;
    const clip = this.#clip;
    if (!clip) return Promise.resolve(null);
    this.#makingTarget ??= session
      .change(() => api.post(`/api/clips/${clip.id}/targets`, { name: "" }))
      .then(async (target) => {
        if (!target) return null;
        await session.reloadClip();
        session.selectTarget(target.id);
        return target.id;
      })
      .finally(() => {
        this.#makingTarget = null;
      });
    return this.#makingTarget;
  }

  retryUnsaved() {
    this.#withFailure(({ targetId, frameIndex }) => this.#parts.sync.retry(targetId, frameIndex));
  }

  discardUnsaved() {
    this.#withFailure(({ targetId, frameIndex }) => this.#parts.sync.discard(targetId, frameIndex));
  }

  showUnsaved() {
    this.#withFailure(({ targetId, frameIndex }) => {
      this.#parts.session.selectTarget(targetId);
      this.goTo(frameIndex);
    });
  }

  #withFailure(act) {
    const failure = this.#parts.sync.firstFailure();
    if (failure) act(failure);
    this.#parts.changed();
  }

  // -- ahead of the person ---------------------------------------------------------------------

  /** Have the refiner look at the frame the person rests on, so that the first click is quick. */
  embedSoon() {
    const { session, api, player, tools } = this.#parts;
    clearTimeout(this.#embedTimer);
    this.#embedTimer = setTimeout(() => {
      if (!this.#clip || player.playing || tools.paints) return;
      const asked = { clip_id: this.#clip.id, frame_index: this.here, refiner: session.refiner };
      // Only a wish: without it the click itself takes a little longer.
      api.post("/api/prefetch", asked).catch(() => undefined);
    }, EMBED_AFTER_MS);
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
