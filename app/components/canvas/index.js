/**
 * The canvas: one clip's frames with their masks, the tools, and the timeline.
 *
 * Listens to the session and the keys, and tells the parts what to do; draw.js paints.
 */

import { api } from "../studio/api.js";
import { keys } from "../studio/keys.js";
import { session } from "../studio/session.js";
import { Agreement, mean } from "./agreement.js";
import { nextFrame, scores } from "./attention.js";
import { Palette } from "./colours.js";
import { Compare } from "./compare.js";
import { element } from "./dom.js";
import { DraftLayer } from "./drafts.js";
import { paintOverlay, paintPicture } from "./draw.js";
import { FrameSource } from "./frames.js";
import { MaskSync } from "./mask_sync.js";
import { buildNotices } from "./notices.js";
import { Player } from "./player.js";
import { listenToPointer } from "./pointer.js";
import { Scene } from "./scene.js";
import { Stage } from "./stage.js";
import { isVerified, shownClicks, stateName } from "./state.js";
import { Timeline } from "./timeline.js";
import { buildToolbar } from "./toolbar.js";
import { Tools } from "./tools.js";
import { buildTransport } from "./transport.js";

const SKELETON_AFTER_MS = 120;
const EMBED_AFTER_MS = 350;
const STATS_EVERY_MS = 250;
const FIGURES_AFTER_MS = 150;

/**
 * Build the canvas inside `root`, once; a second call returns the first one's canvas.
 *
 * @param {HTMLElement} root
 * @returns {{stats: {playing: boolean, shown: number, due: number, rate: number, drawMs: number,
 *   clickMs: number | null, cached: number, frameIndex: number | null}, dispose: () => void}}
 */
export function mountCanvas(root) {
  root.refscribeCanvas ??= new Canvas(root).face;
  return root.refscribeCanvas;
}

class Canvas {
  #root;
  #end = new AbortController();
  #undoKeys = [];
  #palette;
  #frames;
  #sync;
  #draft;
  #scene;
  #stage;
  #player;
  #tools;
  #toolbar;
  #transport;
  #timeline;
  #notices;
  #pointer;
  #compare;
  #agreement = new Agreement();
  #figuresTimer = 0;
  #clipId = null;
  #makingTarget = null;
  #requested = 0;
  #dirty = true;
  #painted = null; // the frame on the canvases
  #wantedSince = 0;
  #spaceHeld = false;
  #spaceDragged = false;
  #drawMs = 0;
  #clickAt = null;
  #clickMs = null; // from a click to the painting of its answer
  #answered = false;
  #statsAt = 0;
  #embedTimer = 0;

  constructor(root) {
    this.#root = root;
    loadStyle();
    root.classList.add("rsc");
    this.#palette = new Palette(root);
    this.#frames = new FrameSource(
      () => this.#request(),
      (error) => session.notice(error.message, "error"),
    );
    this.#sync = new MaskSync(api, session, (targetId, frames) => this.#masksChanged(targetId, frames));
    this.#draft = new DraftLayer(
      api,
      (frames) => this.#overlayChanged(frames),
      (error) => session.notice(error.message, "error"),
    );
    this.#scene = new Scene(session, this.#sync, this.#draft, this.#palette);
    this.#player = new Player(this.#frames);
    this.#stage = new Stage((now) => this.#stageChanged(now));
    this.#tools = new Tools({
      session,
      sync: this.#sync,
      scene: this.#scene,
      needTarget: () => this.#needTarget(),
      changed: () => this.#toolsChanged(),
    });
    this.#build();
    this.#listen();
    this.#clipChanged();
  }

  /** What others may read and do. */
  get face() {
    const canvas = this;
    return {
      get stats() {
        return canvas.#stats();
      },
      dispose: () => canvas.#dispose(),
    };
  }

  // -- building and listening ------------------------------------------------------------------

  #build() {
    const actions = this.#actions();
    this.#notices = buildNotices({
      retry: () => this.#withFailure(({ targetId, frameIndex }) => this.#sync.retry(targetId, frameIndex)),
      discard: () => this.#withFailure(({ targetId, frameIndex }) => this.#sync.discard(targetId, frameIndex)),
      show: () =>
        this.#withFailure(({ targetId, frameIndex }) => {
          session.selectTarget(targetId);
          this.#goTo(frameIndex);
        }),
    });
    const { opacity } = this.#scene;
    this.#toolbar = buildToolbar({ tools: this.#tools, keys, actions, opacity });
    this.#transport = buildTransport({ keys, actions });
    this.#timeline = new Timeline(this.#palette, {
      scrub: (frameIndex) => this.#goTo(frameIndex),
      setRange: (first, last) => session.setRange(first, last),
      content: () => this.#timelineContent(),
    });
    this.#compare = new Compare({
      scene: this.#scene,
      stage: this.#stage,
      keys,
      changed: () => this.#request(),
    });
    this.#root.replaceChildren(
      element(
        "div",
        { class: "rsc-frame" },
        element(
          "div",
          { class: "rsc-view" },
          this.#stage.root,
          this.#compare.line,
          this.#compare.bar,
          ...this.#notices.nodes,
        ),
        this.#toolbar.root,
        this.#transport.root,
        this.#timeline.root,
      ),
    );
    this.#pointer = listenToPointer(
      this.#stage,
      this.#tools,
      {
        shownFrame: () => this.#player.shown,
        pause: () => {
          this.#clickAt = this.#tools.paints ? null : performance.now();
          this.#pause();
        },
        isSpaceHeld: () => this.#spaceHeld,
        spaceDragged: () => {
          this.#spaceDragged = true;
        },
      },
      this.#end.signal,
    );
  }

  #actions() {
    const tools = this.#tools;
    return {
      choose: (tool) => tools.choose(tool),
      setLayer: (layer) => tools.setLayer(layer),
      changeBrush: (steps) => tools.changeBrush(steps),
      setOpacity: (opacity) => {
        this.#scene.opacity = opacity;
        this.#request();
      },
      hide: (down) => {
        this.#scene.hidden = down;
        this.#request();
      },
      undo: () => this.#step("undo"),
      redo: () => this.#step("redo"),
      play: () => this.#togglePlay(),
      setSpeed: (speed) => {
        this.#player.setSpeed(speed, performance.now());
        this.#showTransport();
      },
      markIn: () => session.setRange(this.#here, Math.max(this.#here, session.range[1])),
      markOut: () => session.setRange(Math.min(this.#here, session.range[0]), this.#here),
      clearRange: () => session.setRange(null, null),
      verify: () => this.#verify(false),
      nextToLookAt: () => this.#goToNext(),
    };
  }

  #listen() {
    const { signal } = this.#end;
    const hear = (type, listener) =>
      session.addEventListener(type, ({ detail }) => this.#isAlive() && listener(detail ?? {}), { signal });
    hear("clip", () => this.#clipChanged());
    hear("target", () => this.#targetChanged());
    hear("draft", () => this.#draftChanged());
    hear("draft-frames", ({ draft_id: id }) => id === this.#draft.id && this.#draftChanged());
    hear("threshold", () => this.#thresholdChanged());
    hear("range", () => this.#rangeChanged());
    hear("frame", ({ from }) => from !== "canvas" && this.#show(session.frameIndex));
    hear("masks", ({ target_id: id, frames }) => {
      if (!this.#sync.telling) this.#sync.refresh(id, frames ?? null);
    });
    hear("connection", ({ up }) => up && this.#sync.retryAll());

    const theme = new MutationObserver(() => this.#themeChanged());
    for (const node of [document.documentElement, document.body]) {
      theme.observe(node, { attributes: true, attributeFilter: ["class", "data-theme"] });
    }
    signal.addEventListener("abort", () => theme.disconnect());
    addEventListener(
      "beforeunload",
      (event) => {
        if (this.#sync.hasUnsaved()) event.preventDefault();
      },
      { signal },
    );
    this.#listenToKeys();
  }

  #listenToKeys() {
    const actions = this.#actions();
    const go = (by) => () => this.#goTo(this.#player.wanted + by);
    const held = {
      hide: actions.hide,
      preview: (down) => !down && this.#tools.clearPreview(),
      play: (down, event) => this.#playKey(down, event),
    };
    const pressed = {
      "frame-back": go(-1),
      "frame-forward": go(1),
      "ten-back": go(-10),
      "ten-forward": go(10),
      "first-frame": () => this.#goTo(0),
      "last-frame": () => this.#goTo(this.#player.frameCount - 1),
      "mark-in": actions.markIn,
      "mark-out": actions.markOut,
      "next-to-look-at": actions.nextToLookAt,
      positive: () => this.#tools.choose("positive"),
      negative: () => this.#tools.choose("negative"),
      box: () => this.#boxes && this.#tools.choose("box"),
      brush: () => this.#tools.choose("brush"),
      eraser: () => this.#tools.choose("eraser"),
      lasso: () => this.#tools.choose("lasso"),
      layer: () => this.#tools.toggleLayer(),
      undo: actions.undo,
      redo: actions.redo,
      verify: () => this.#verify(false),
      "verify-empty": () => this.#verify(true),
      "zoom-in": () => this.#stage.zoom(1.25),
      "zoom-out": () => this.#stage.zoom(0.8),
      "zoom-fit": () => this.#stage.zoomFit(),
      compare: () => this.#compare.cycle(),
      flicker: () => this.#compare.toggleFlicker(),
      stats: () => {
        this.#notices.toggleStats();
        this.#request();
      },
    };
    for (const [name, act] of Object.entries(held)) {
      this.#undoKeys.push(keys.on(name, ({ down, event }) => act(down, event)));
    }
    for (const [name, act] of Object.entries(pressed)) {
      this.#undoKeys.push(keys.on(name, () => act()));
    }
  }

  /** Gradio gives no sign when it takes an element away: notice it at the next event. */
  #isAlive() {
    if (this.#root.isConnected) return true;
    this.#dispose();
    return false;
  }

  #dispose() {
    this.#end.abort();
    for (const undo of this.#undoKeys) undo();
    cancelAnimationFrame(this.#requested);
    clearTimeout(this.#embedTimer);
    this.#frames.setClip(null);
    this.#stage.close();
    this.#timeline.close();
    this.#compare.close();
    clearTimeout(this.#figuresTimer);
    this.#sync.close();
    delete this.#root.refscribeCanvas;
  }

  // -- what the session says -------------------------------------------------------------------

  get #clip() {
    return session.clip?.clip ?? null;
  }

  /** The frame an action means: the one the person sees. */
  get #here() {
    return this.#player.shown ?? this.#player.wanted;
  }

  /** Whether the refiner in use takes boxes. */
  get #boxes() {
    return session.refiners.find(({ name }) => name === session.refiner)?.boxes === true;
  }

  #clipChanged() {
    const clip = this.#clip;
    if (clip?.id !== this.#clipId) this.#openClip(clip);
    if (clip) {
      const targets = session.clip.targets.map((target) => target.id);
      this.#sync.open(clip.id, sizeOf(clip), targets, session.targetId);
    }
    this.#targetChanged();
  }

  #openClip(clip) {
    this.#clipId = clip?.id ?? null;
    this.#tools.cancel();
    this.#frames.setClip(clip);
    this.#painted = null;
    this.#player.open(clip?.frame_count ?? 0, session.frameIndex);
    this.#wantedSince = performance.now();
    if (clip) {
      this.#tools.size = sizeOf(clip);
      this.#scene.setSize(sizeOf(clip));
      this.#stage.setImage(sizeOf(clip));
    }
    this.#notices.showEmpty(clip ? "" : "Choose a clip on the left, or add one.");
    this.#timeline.open(clip);
    this.#rangeChanged();
    this.#draftChanged();
  }

  #targetChanged() {
    this.#tools.cancel();
    this.#tools.clearPreview();
    this.#overlayChanged(null);
    this.#toolsChanged();
  }

  #draftChanged() {
    const clip = this.#clip;
    this.#draft.threshold = session.threshold;
    this.#draft.show(clip ? session.draft : null, clip ? sizeOf(clip) : null);
    this.#wantSoftMaps();
  }

  #thresholdChanged() {
    this.#draft.setThreshold(session.threshold);
    this.#wantSoftMaps();
  }

  #rangeChanged() {
    const [first, last] = session.range;
    this.#player.setRange({ first, last }, performance.now());
    this.#timeline.repaint();
    this.#showTransport();
  }

  #themeChanged() {
    this.#palette.reread();
    this.#overlayChanged(null);
  }

  #masksChanged(targetId, frames) {
    this.#overlayChanged(frames);
    if (targetId !== session.targetId) return;
    this.#showUnsaved();
    this.#answered = this.#sync.frame(targetId, this.#here).queue.length === 0;
    if (!frames || frames.includes(this.#here)) this.#showTransport();
  }

  #overlayChanged(frames) {
    this.#scene.forget(frames);
    this.#timeline.repaint();
    this.#figuresSoon();
    this.#request();
  }

  // -- actions ---------------------------------------------------------------------------------

  #withFailure(act) {
    const failure = this.#sync.firstFailure();
    if (failure) act(failure);
    this.#showUnsaved();
  }

  /** The person wants this frame. */
  #goTo(frameIndex) {
    if (!this.#clip) return;
    this.#pause();
    this.#show(frameIndex);
    session.setFrame(this.#player.wanted, { from: "canvas" });
  }

  #show(frameIndex) {
    if (this.#tools.busy) this.#tools.release(); // a stroke belongs to the frame it was drawn on
    this.#tools.clearPreview();
    if (frameIndex !== this.#player.wanted) this.#wantedSince = performance.now();
    this.#player.go(frameIndex);
    this.#wantSoftMaps();
    this.#embedSoon();
    this.#request();
  }

  #playKey(down, event) {
    if (!event) {
      if (down) this.#togglePlay();
      return;
    }
    // Space plays when it is let go, unless it was held to drag the picture about.
    if (down) {
      this.#spaceHeld = true;
      this.#spaceDragged = false;
      this.#stage.root.classList.add("can-pan");
      return;
    }
    this.#spaceHeld = false;
    this.#stage.root.classList.remove("can-pan");
    if (!this.#spaceDragged) this.#togglePlay();
  }

  #togglePlay() {
    if (this.#player.playing) return this.#pause();
    if (this.#tools.busy) this.#tools.release();
    this.#tools.clearPreview();
    this.#player.play(performance.now());
    this.#showTransport();
    return this.#request();
  }

  #pause() {
    if (!this.#player.playing) return;
    this.#player.stop();
    this.#statsAt = 0;
    this.#figuresSoon();
    session.setFrame(this.#player.wanted, { from: "canvas" });
    this.#showTransport();
    this.#embedSoon();
    this.#request();
  }

  async #step(which) {
    if (!this.#clip) return;
    const changed = await this.#sync.step(which);
    const frames = (changed ?? []).map((change) => change.frame_index);
    // An undo nobody sees is a riddle: go to what it changed.
    if (frames.length && !frames.includes(this.#here)) this.#goTo(Math.min(...frames));
  }

  #verify(empty) {
    const { targetId } = session;
    if (!targetId || this.#player.shown === null) {
      session.notice("Make a target first: type an expression, or click what you mean.", "info");
      return;
    }
    const frameIndex = this.#here;
    const verified = empty || !isVerified(this.#sync.frame(targetId, frameIndex));
    this.#sync.verify(targetId, frameIndex, verified, empty);
  }

  #goToNext() {
    const { targetId } = session;
    if (!targetId) return;
    const states = this.#sync.frames(targetId);
    const frames = Array.from({ length: this.#player.frameCount }, (_, frameIndex) => {
      const state = states.get(frameIndex);
      return {
        runs: state?.target.runs ?? [],
        settled: state ? ["edited", "verified"].includes(stateName(state)) : false,
        draft: this.#draft.runs(frameIndex),
      };
    });
    const next = nextFrame(scores(frames), this.#here);
    if (next === null) session.notice("No other frame stands out.", "info");
    else this.#goTo(next);
  }

  /** The target to edit; the first click on a clip makes one. */
  async #needTarget() {
    const clip = this.#clip;
    if (!clip) return null;
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

  /** Have the refiner look at the frame the person rests on, so that the first click is quick. */
  #embedSoon() {
    clearTimeout(this.#embedTimer);
    this.#embedTimer = setTimeout(() => {
      if (!this.#clip || this.#player.playing || this.#tools.paints) return;
      const asked = { clip_id: this.#clip.id, frame_index: this.#here, refiner: session.refiner };
      // Only a wish: without it the click itself takes a little longer.
      api.post("/api/prefetch", asked).catch(() => undefined);
    }, EMBED_AFTER_MS);
  }

  #wantSoftMaps() {
    if (!this.#clip) return;
    this.#draft.want(this.#player.wanted, this.#player.direction, this.#player.reach);
  }

  // -- showing ---------------------------------------------------------------------------------

  #toolsChanged() {
    const enabled = this.#clip !== null;
    this.#toolbar.show({ boxes: this.#boxes, enabled });
    this.#stage.root.dataset.tool = this.#tools.tool;
    this.#stage.root.dataset.layer = this.#tools.layer;
    this.#pointer?.refreshCursor();
    this.#showTransport();
    this.#request();
  }

  #showUnsaved() {
    const failure = this.#sync.firstFailure();
    const here = failure?.frameIndex === this.#here && failure.targetId === session.targetId;
    this.#notices.showUnsaved(failure, here);
  }

  #showTransport() {
    const { targetId } = session;
    const [first, last] = session.range;
    this.#transport.show({
      playing: this.#player.playing,
      speed: this.#player.speed,
      range: { first, last },
      whole: session.first === null && session.last === null,
      frameCount: this.#player.frameCount,
      verified: targetId ? isVerified(this.#sync.frame(targetId, this.#here)) : false,
      editable: Boolean(targetId),
      enabled: this.#clip !== null,
    });
  }

  #timelineContent() {
    const states = session.targetId ? this.#sync.frames(session.targetId) : new Map();
    const [first, last] = session.range;
    const names = Array.from({ length: this.#player.frameCount }, (_, frameIndex) => {
      const state = states.get(frameIndex);
      return state ? stateName(state) : "none";
    });
    const clicks = [...states].filter(([, state]) => shownClicks(state).length).map(([index]) => index);
    return { states: names, clicks, drafts: [...this.#draft.frames], range: { first, last } };
  }

  /** J of mask and draft; the clip's mean is worth waiting for a pause in the work. */
  #figuresSoon() {
    this.#compare.setAvailable(this.#draft.id !== null && session.targetId !== null);
    this.#figuresTimer ||= setTimeout(() => {
      this.#figuresTimer = 0;
      this.#showFigures();
    }, FIGURES_AFTER_MS);
  }

  #showFigures() {
    const { targetId } = session;
    if (!targetId || this.#draft.id === null || this.#player.playing) return;
    const states = this.#sync.frames(targetId);
    const agreed = (frameIndex) => {
      const state = states.get(frameIndex);
      const draft = this.#draft.runs(frameIndex);
      return this.#agreement.frame(frameIndex, state?.target.runs, draft, state?.ignore.runs);
    };
    this.#compare.showFigures(agreed(this.#here), mean([...this.#draft.frames].map(agreed)));
  }

  #stageChanged(now) {
    this.#scene.setScale(this.#stage.viewport.scale * this.#stage.dpr);
    this.#compare?.place();
    this.#pointer?.refreshCursor();
    if (now && this.#painted !== null) this.#paint(this.#painted);
    this.#request();
  }

  /** Paint soon, all changes until then at once. */
  #request() {
    this.#dirty = true;
    this.#requested ||= requestAnimationFrame((now) => this.#tick(now));
  }

  #tick(now) {
    this.#requested = 0;
    if (!this.#isAlive()) return;
    const frameIndex = this.#player.tick(now);
    const moved = frameIndex !== this.#painted;
    if (frameIndex !== null && (moved || this.#dirty)) this.#paint(frameIndex);
    else if (frameIndex === null && this.#dirty) this.#paintNothing();
    this.#dirty = false;
    this.#player.painted();
    if (moved) this.#frameShown(frameIndex);
    this.#showWaiting(now);
    if (this.#notices.statsShown && now - this.#statsAt > STATS_EVERY_MS) {
      this.#statsAt = now;
      this.#notices.showStats(this.#stats());
    }
    if (this.#player.playing) {
      this.#requested ||= requestAnimationFrame((next) => this.#tick(next));
      this.#prepareNext(frameIndex);
    }
  }

  /** Picture and overlay of one frame, in one task: neither is ever seen without the other. */
  #paint(frameIndex) {
    const began = performance.now();
    const { viewport, dpr } = this.#stage;
    const bitmap = this.#frames.get(frameIndex);
    const overlays = this.#scene.overlays(frameIndex);
    if (bitmap) {
      paintPicture(this.#stage.pictureContext, bitmap, viewport, dpr, this.#palette.css("--rs-picture"));
    }
    paintOverlay(
      this.#stage.overlayContext,
      {
        overlays,
        clicks: this.#scene.clicks(frameIndex),
        lasso: this.#tools.lasso,
        box: this.#tools.box,
      },
      viewport,
      dpr,
      {
        target: this.#palette.css("--rs-target"),
        lasso: this.#palette.css(this.#tools.layer === "ignore" ? "--rs-ignore" : "--rs-target"),
      },
    );
    this.#painted = frameIndex;
    if (this.#answered && this.#clickAt !== null) {
      this.#clickMs = performance.now() - this.#clickAt;
      this.#clickAt = null;
    }
    this.#drawMs += 0.1 * (performance.now() - began - this.#drawMs);
  }

  #paintNothing() {
    const { viewport, dpr } = this.#stage;
    const ground = this.#palette.css("--rs-picture");
    paintPicture(this.#stage.pictureContext, null, viewport, dpr, ground);
    paintOverlay(this.#stage.overlayContext, { overlays: [], clicks: [], lasso: null, box: null }, viewport, dpr, {});
  }

  /** The next frame's overlay is made in the time left over, not when it is due. */
  #prepareNext(frameIndex) {
    if (frameIndex === null) return;
    this.#scene.prepare(this.#player.following(frameIndex));
  }

  #frameShown(frameIndex) {
    const { frameCount } = this.#player;
    this.#transport.showFrame(frameIndex ?? 0, this.#clip ? frameCount : 0);
    if (frameIndex === null) return;
    this.#timeline.showFrame(frameIndex);
    this.#showUnsaved();
    if (!this.#player.playing) this.#figuresSoon();
    if (this.#player.playing) session.setFrame(frameIndex, { from: "canvas" });
    this.#showTransport();
  }

  /** A skeleton where the first picture will be; a later one may take its time unnoticed. */
  #showWaiting(now) {
    const waits = this.#clip !== null && this.#player.shown === null;
    const { scale, left, top } = this.#stage.viewport;
    const { width, height } = this.#stage.image;
    const late = waits && now - this.#wantedSince > SKELETON_AFTER_MS;
    this.#notices.showLoading(late, { left, top, width: width * scale, height: height * scale });
    if (waits) setTimeout(() => this.#request(), SKELETON_AFTER_MS);
  }

  #stats() {
    return {
      ...this.#player.stats(performance.now()),
      drawMs: this.#drawMs,
      clickMs: this.#clickMs,
      cached: this.#frames.bitmaps.size,
      frameIndex: this.#painted,
    };
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
