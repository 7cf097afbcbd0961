/** Says around the picture what is so: tools, counter, verified, unsaved, the timeline's rows. */

import { isVerified, shownClicks, stateName } from "./edits/state.js";

export class Display {
  #parts;

  /**
   * @param {object} parts session, player, sync, draft, tools, stage, notices, figures, actions,
   *   toolbar, transport, timeline
   */
  constructor(parts) {
    this.#parts = parts;
  }

  get #clip() {
    return this.#parts.session.clip?.clip ?? null;
  }

  /** Another tool, layer or brush. */
  showTools() {
    const { toolbar, stage, tools } = this.#parts;
    toolbar.show({ enabled: this.#clip !== null });
    stage.root.dataset.tool = tools.tool;
    stage.root.dataset.layer = tools.layer;
  }

  /** Another clip, or none: its counter before the first picture is there. */
  showClip() {
    const { session, transport, notices } = this.#parts;
    notices.showEmpty(this.#clip ? "" : "Choose a clip on the left, or add one.");
    transport.showFrame(session.frameIndex, this.#clip?.frame_count ?? 0);
  }

  /** Another frame is before the person's eyes. */
  showFrame(frameIndex) {
    const { player, transport, timeline } = this.#parts;
    transport.showFrame(frameIndex, player.frameCount);
    timeline.showFrame(frameIndex);
    this.showState();
  }

  /** What the transport and the notices say about the frame shown. */
  showState() {
    const { session, player, sync, actions, transport, notices, figures } = this.#parts;
    const { targetId } = session;
    const { here } = actions;
    const [first, last] = session.range;
    transport.show({
      playing: player.playing,
      speed: player.speed,
      range: { first, last },
      whole: session.first === null && session.last === null,
      frameCount: player.frameCount,
      verified: targetId ? isVerified(sync.frame(targetId, here)) : false,
      editable: Boolean(targetId),
      enabled: this.#clip !== null,
    });
    const failure = sync.firstFailure();
    notices.showUnsaved(failure, failure?.frameIndex === here && failure.targetId === targetId);
    if (!player.playing) figures.changed();
  }

  /** What the timeline shows: a state's name per frame, clicks, draft coverage, in and out. */
  timelineContent() {
    const { session, player, sync, draft } = this.#parts;
    const states = session.targetId ? sync.frames(session.targetId) : new Map();
    const [first, last] = session.range;
    const names = Array.from({ length: player.frameCount }, (_, frameIndex) => {
      const state = states.get(frameIndex);
      return state ? stateName(state) : "none";
    });
    const clicked = [...states].filter(([, state]) => shownClicks(state).length);
    return {
      states: names,
      clicks: clicked.map(([frameIndex]) => frameIndex),
      drafts: [...draft.frames],
      range: { first, last },
    };
  }
}
