/** Says around the picture what is so: tools, counter, verified, unsaved, the timeline's rows. */

import { isVerified, shownClicks, stateName } from "./edits/state.js";

export class Display {
  #parts;

  /**
   * @param {object} parts session, player, edits, draft, tools, stage, notices, figures, actions,
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
    const { session, player, edits, actions, transport, figures } = this.#parts;
    const { targetId } = session;
    const { here } = actions;
    const [first, last] = session.range;
    transport.show({
      playing: player.playing,
      speed: player.speed,
      range: { first, last },
      whole: session.first === null && session.last === null,
      frameCount: player.frameCount,
      verified: isVerified(edits.frame(targetId, here)),
      editable: Boolean(targetId),
      enabled: this.#clip !== null,
    });
    this.#showUnsaved(targetId, here);
    if (!player.playing) figures.changed();
  }

  #showUnsaved(targetId, here) {
    const { session, edits, notices } = this.#parts;
    const { problem } = edits;
    if (!problem) {
      notices.showRecovered(edits.recovery.offered);
      return;
    }
    const { clipId, first, last, ...edit } = problem.edit;
    const isHere = edit.targetId === targetId && first <= here && here <= last;
    const name = session.clips?.find((clip) => clip.id === clipId)?.name ?? "a removed clip";
    const elsewhere = clipId === this.#clip?.id ? "" : ` of “${name}”`;
    notices.showUnsaved({ ...problem, place: `Frame ${first}${elsewhere}`, isHere });
  }

  /** What the timeline shows: a state's name per frame, clicks, draft coverage, in and out. */
  timelineContent() {
    const { session, player, edits, draft } = this.#parts;
    const states = edits.frames(session.targetId);
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
