/**
 * The canvas: one clip's frames with their masks, the tools, and the timeline.
 *
 * Puts the parts together, listens to the session, and tells the parts what changed.
 */

import { api } from "../shared/api.js";
import { keys } from "../shared/keys.js";
import { session } from "../shared/session.js";
import { Actions } from "./actions.js";
import { Palette } from "./colours.js";
import { Comparing } from "./comparing.js";
import { Display } from "./display.js";
import { element } from "../shared/dom.js";
import { DraftLayer } from "./drafts.js";
import { FrameSource } from "./frames.js";
import { listenToKeys } from "./keyboard.js";
import { edits } from "./edits/the_edits.js";
import { buildNotices } from "./notices.js";
import { Player } from "./player.js";
import { listenToPointer } from "./pointer.js";
import { Scene } from "./scene.js";
import { Screen } from "./screen.js";
import { Stage } from "./stage.js";
import { Timeline } from "./timeline.js";
import { buildToolbar } from "./toolbar.js";
import { Tools } from "./tools.js";
import { buildTransport } from "./transport.js";

const NOT_SEEN = "The annotation is not in view here: show Both, or compare it, before you draw.";

/**
 * Build the canvas inside `root`, once; a second call returns the first one's canvas.
 *
 * @param {HTMLElement} root
 * @returns {{stats: {playing: boolean, shown: number, due: number, rate: number, drawMs: number,
 *   clickMs: number | null, cached: number, frameIndex: number | null}, dispose: () => void}}
 *   stats: frames shown of those due since playing began, and what the person waited for
 */
export function mountCanvas(root) {
  const holder = /** @type {HTMLElement & {refscribeCanvas?: Canvas["face"]}} */ (root);
  holder.refscribeCanvas ??= new Canvas(root).face;
  return holder.refscribeCanvas;
}

class Canvas {
  #root;
  #end = new AbortController();
  #clipId = null;
  #targetId = null;
  #palette;
  #frames;
  #player;
  #draft;
  #scene;
  #stage;
  #tools;
  #screen;
  #comparing;
  #actions;
  #notices;
  #timeline;
  #display;
  #pointer;
  #takeKeysBack;

  constructor(root) {
    this.#root = root;
    root.classList.add("rsc");
    loadStyle();
    this.#makeParts();
    this.#build();
    this.#listen();
    this.#clipChanged();
  }

  /** What others may read and do. */
  get face() {
    const canvas = this;
    return {
      get stats() {
        return canvas.#screen.stats;
      },
      dispose: () => canvas.#dispose(),
    };
  }

  #makeParts() {
    const failed = (error) => session.notice(error.message, "error");
    this.#palette = new Palette(this.#root);
    this.#frames = new FrameSource(() => this.#screen.request(), failed);
    this.#player = new Player(this.#frames);
    this.#draft = new DraftLayer(api, (frames, what) => this.#draftArrived(frames, what), failed);
    this.#scene = new Scene(session, edits, this.#draft, this.#palette);
    this.#stage = new Stage((emptied) => this.#stageChanged(emptied));
    this.#tools = new Tools({
      session,
      edits,
      scene: this.#scene,
      changed: () => this.#toolsChanged(),
    });
    this.#comparing = new Comparing({
      ...this.#parts,
      keys,
      changed: () => this.#screen?.request(),
      needMaps: () => this.#actions?.wantSoftMaps(),
      goTo: (frameIndex) => this.#actions.goTo(frameIndex),
      failed,
    });
    this.#notices = buildNotices({
      retry: () => this.#actions.retryUnsaved(),
      discard: () => this.#actions.discardUnsaved(),
      show: () => this.#actions.showUnsaved(),
      save: () => edits.recovery.take(),
      forget: () => edits.recovery.drop(),
    });
    this.#screen = new Screen({
      ...this.#parts,
      isAlive: () => this.#isAlive(),
      shown: (frameIndex) => this.#frameShown(frameIndex),
    });
    this.#actions = new Actions({ ...this.#parts, changed: () => this.#display.showState() });
  }

  get #parts() {
    return {
      session,
      api,
      palette: this.#palette,
      frames: this.#frames,
      player: this.#player,
      edits,
      draft: this.#draft,
      layers: this.#comparing?.layers,
      scene: this.#scene,
      stage: this.#stage,
      tools: this.#tools,
      compare: this.#comparing?.compare,
      notices: this.#notices,
      screen: this.#screen,
    };
  }

  #build() {
    const actions = this.#actions;
    const { opacity } = this.#scene;
    const toolbar = buildToolbar({ tools: this.#tools, keys, actions, opacity });
    const transport = buildTransport({ keys, actions });
    const timeline = new Timeline(this.#palette, {
      scrub: (frameIndex) => actions.goTo(frameIndex),
      setRange: (first, last) => actions.setRange(first, last),
      togglePlay: () => actions.togglePlay(),
      takeKeys: () => this.#stage.focus(),
      content: () => this.#display.timelineContent(),
    });
    this.#timeline = timeline;
    this.#display = new Display({
      ...this.#parts,
      figures: this.#comparing.figures,
      actions,
      toolbar,
      transport,
      timeline,
    });
    const view = element(
      "div",
      { class: "rsc-view" },
      this.#stage.root,
      ...this.#comparing.compare.nodes,
      ...this.#notices.nodes,
    );
    const { compare, strip } = this.#comparing;
    const below = [toolbar.root, transport.root, timeline.root, strip.root];
    const frame = element("div", { class: "rsc-frame" }, compare.bar, view, ...below);
    this.#root.replaceChildren(frame);
  }

  // -- listening -------------------------------------------------------------------------------

  #listen() {
    const { signal } = this.#end;
    const hear = (type, listener) =>
      session.addEventListener(
        type,
        (/** @type {CustomEvent} */ { detail }) => this.#isAlive() && listener(detail ?? {}),
        { signal },
      );
    hear("clip", () => this.#clipChanged());
    hear("target", () => this.#targetChanged());
    hear("draft", () => this.#draftChanged());
    hear("draft-frames", ({ draft_id: id, frames }) => {
      if (id === this.#draft.id) this.#draft.delivered(frames);
      this.#comparing.layers.delivered(id, frames);
      this.#comparing.runsChanged();
    });
    hear("threshold", () => this.#thresholdChanged());
    hear("range", () => this.#rangeChanged());
    hear("engine", () => this.#toolsChanged());
    hear("frame", ({ from }) => from !== "canvas" && this.#actions.show(session.frameIndex));
    const see = (type, listener) =>
      edits.addEventListener(
        type,
        (/** @type {CustomEvent} */ { detail }) => this.#isAlive() && listener(detail ?? {}),
        { signal },
      );
    see("frames", ({ targetId, frames }) => this.#masksChanged(targetId, frames));
    see("queue", () => this.#display.showState());

    this.#comparing.listen(() => this.#isAlive(), signal);

    const theme = new MutationObserver(() => this.#themeChanged());
    for (const node of [document.documentElement, document.body]) {
      theme.observe(node, { attributes: true, attributeFilter: ["class", "data-theme"] });
    }
    signal.addEventListener("abort", () => theme.disconnect());

    const { player } = this.#parts;
    this.#takeKeysBack = listenToKeys(keys, this.#actions, {
      ...this.#parts,
      lastFrame: () => player.frameCount - 1,
    });
    this.#pointer = listenToPointer(
      this.#stage,
      this.#tools,
      {
        shownFrame: () => (this.#scene.showsAnnotation ? player.shown : null),
        pressed: () => {
          this.#actions.pause();
          if (!this.#scene.showsAnnotation) session.notice(NOT_SEEN, "info");
          else if (!this.#tools.paints) this.#screen.clicked();
        },
        isSpaceHeld: () => this.#actions.isSpaceHeld,
        spaceDragged: () => this.#actions.spaceDragged(),
      },
      signal,
    );
  }

  /** Gradio gives no sign when it takes an element away: notice it at the next event. */
  #isAlive() {
    if (this.#root.isConnected) return true;
    this.#dispose();
    return false;
  }

  #dispose() {
    this.#end.abort();
    this.#takeKeysBack();
    this.#frames.setClip(null);
    for (const part of [this.#screen, this.#actions, this.#stage, this.#timeline, this.#comparing])
      part.close();
    this.#draft.close();
    delete this.#root.refscribeCanvas;
  }

  // -- what changed ----------------------------------------------------------------------------

  get #clip() {
    return session.clip?.clip ?? null;
  }

  #clipChanged() {
    const clip = this.#clip;
    if (clip?.id !== this.#clipId) this.#openClip(clip);
    if (clip) {
      const targets = session.clip.targets.map((target) => target.id);
      edits.open(clip.id, targets, session.targetId);
    }
    this.#targetChanged();
    if ((session.draft?.query ?? null) !== this.#draft.query) this.#draftChanged();
    else this.#comparing.runsChanged();
  }

  #openClip(clip) {
    this.#clipId = clip?.id ?? null;
    if (this.#tools.busy) this.#tools.release(); // it belongs to the clip it was drawn on
    this.#frames.setClip(clip);
    this.#player.open(clip?.frame_count ?? 0, session.frameIndex);
    if (clip) {
      this.#tools.size = sizeOf(clip);
      this.#scene.setSize(sizeOf(clip));
      this.#stage.setImage(sizeOf(clip));
    }
    this.#display.showClip();
    this.#screen.open();
    this.#timeline.open(clip);
    this.#comparing.openClip(clip);
    this.#rangeChanged();
    this.#draftChanged();
    this.#actions.embed();
  }

  /** Also said when only facts of the clip came anew: a gesture under way goes on then. */
  #targetChanged() {
    if (session.targetId !== this.#targetId) {
      this.#targetId = session.targetId;
      if (this.#tools.busy) this.#tools.release();
      this.#tools.clearPreview();
    }
    this.#overlayChanged(null);
    this.#toolsChanged();
  }

  #draftChanged() {
    const clip = this.#clip;
    this.#draft.setThreshold(session.threshold);
    this.#draft.show(clip ? session.draft : null, clip ? sizeOf(clip) : null);
    this.#comparing.runsChanged();
    this.#actions.wantSoftMaps();
  }

  #thresholdChanged() {
    this.#draft.setThreshold(session.threshold);
    this.#actions.wantSoftMaps();
  }

  #rangeChanged() {
    const [first, last] = session.range;
    this.#player.setRange({ first, last }, performance.now());
    this.#timeline.repaint();
    this.#display.showState();
  }

  #themeChanged() {
    this.#palette.reread();
    this.#comparing.strip.repaint();
    this.#overlayChanged(null);
  }

  #masksChanged(targetId, frames) {
    this.#overlayChanged(frames);
    if (targetId !== session.targetId) return;
    this.#comparing.masksChanged();
    this.#screen.answered(edits.frame(targetId, this.#actions.here).queue.length === 0);
    this.#display.showState();
  }

  /** Soft maps come by the dozen while a clip plays, and change nothing but the picture. */
  #draftArrived(frames, what) {
    if (what !== "map") {
      this.#actions?.wantSoftMaps();
      return this.#overlayChanged(frames);
    }
    this.#scene.forget(frames);
    return this.#screen.request();
  }

  #overlayChanged(frames) {
    this.#scene.forget(frames);
    this.#timeline.repaint();
    this.#comparing.figures.changed();
    this.#screen.request();
  }

  #stageChanged(emptied) {
    this.#scene.setScale(this.#stage.viewport.scale * this.#stage.dpr);
    this.#comparing.compare.place();
    this.#pointer?.refreshCursor();
    if (emptied) this.#screen.repaint();
    this.#screen.request();
  }

  #toolsChanged() {
    if (!this.#tools.paints) this.#actions?.embedSoon();
    this.#display.showTools();
    this.#pointer?.refreshCursor();
    this.#screen.request();
  }

  #frameShown(frameIndex) {
    this.#display.showFrame(frameIndex);
    this.#comparing.strip.showFrame(frameIndex);
    if (!this.#player.playing) return;
    this.#actions.wantSoftMaps();
    session.setFrame(frameIndex, { from: "canvas" });
  }
}

function sizeOf(clip) {
  return { width: clip.width, height: clip.height };
}

/** The style sheet beside this module, once per page. */
function loadStyle() {
  const href = new URL("./canvas.css", import.meta.url).href;
  if (document.querySelector(`link[href="${href}"]`)) return;
  document.head.append(element("link", { rel: "stylesheet", href }));
}
