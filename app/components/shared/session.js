/**
 * What this tab is looking at: one clip, one target, one expression, one draft, one frame.
 *
 * Every panel and the canvas stand on the one `session` object: they read its fields, call its
 * methods, and listen to its events.  It draws nothing.  Events (CustomEvent, `detail` in brackets):
 *
 *   clips       the list changed
 *   clip        a clip was opened or its facts changed {reopened: true when it is another clip}
 *   target, expression, draft, frame {frameIndex, from}, threshold {threshold}
 *   range       in and out of the clip {first, last}
 *   masks       masks changed {clip_id, target_id: null for all of the clip, frames: null for all}
 *   draft-frames  a running draft delivered {draft_id, frames}
 *   tab {name} (of the right panel), ready, load-failed {message}, opening {id}, engine (one was chosen, or can run now), theme {dark}
 *   job {job}, upload, worker {state, message}, connection {up}, notice {text, kind, action}
 *   saved {state: "saving" | "saved" | "failed" | "", at, unsaved: edits not in the store}
 */

import { address, api, ApiError, tabId } from "./api.js";
import { keys } from "./keys.js";
import { openLive } from "./live.js";
import { Places } from "./places.js";

const ENDED = ["done", "failed", "cancelled"];

export class Session extends EventTarget {
  ready = false;
  annotator = "";
  workspace = "";
  workspaceId = "";
  version = "";
  segmenters = [];
  refiners = [];
  categories = [];
  media = [];

  /** The list of GET /api/clips, or null until it is here. */
  clips = null;
  /** The reply of GET /api/clips/{id}: {clip, targets, expressions, drafts, revision}, or null. */
  clip = null;
  targetId = null;
  expressionId = null;
  draftId = null;
  frameIndex = 0;
  threshold = 0.5;
  /** In and out as frame indices, both included; null means the clip's own ends. */
  first = null;
  last = null;
  segmenter = "";
  refiner = "";

  jobs = new Map();
  connected = null;
  worker = { state: "up", message: "" };

  #opening = 0;
  #reloads = 0;
  #changes = 0; // under way, other than edits of masks
  #edits = { waiting: 0, kept: 0 };
  #savedAt = null;
  #asked = new Map(); // jobs this tab asked for: id -> how to ask again, or null
  #live = null;
  #loadFailed = false;
  #started = null;
  #places = new Places(globalThis.sessionStorage, globalThis);

  /** Fetch who we are and what there is, then open the live channel. Called by every panel; runs once. */
  start() {
    this.#started ??= this.#start();
    return this.#started;
  }

  async #start() {
    const url = new URL(address("/api/live"));
    url.protocol = url.protocol.replace("http", "ws");
    this.#live = openLive(url.href, {
      hear: (message) => this.hear(message),
      connection: (up, again) => this.#connection(up, again),
    });
    await this.#load();
  }

  async #load() {
    try {
      const facts = await api.get("/api/session");
      Object.assign(this, {
        annotator: facts.annotator,
        workspace: facts.workspace,
        workspaceId: facts.workspace_id,
        version: facts.version,
        segmenters: facts.segmenters,
        refiners: facts.refiners,
        categories: facts.categories,
        media: facts.media ?? [],
      });
      for (const sentence of facts.notices ?? []) this.notice(sentence);
      this.segmenter ||= facts.default_segmenter;
      this.refiner ||= facts.default_refiner;
      await Promise.all([this.reloadClips(), this.#reloadJobs()]);
      const asked = Number(new URLSearchParams(location.hash.slice(1)).get("clip"));
      if (!this.clip && this.clips.some((clip) => clip.id === asked)) await this.openClip(asked);
      this.ready = true;
      this.#loadFailed = false;
      this.#say("ready");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#loadFailed = true;
      this.#say("load-failed", { message: error.message });
    }
  }

  /** Ask the server again after a failure, at once. */
  retry() {
    this.#live?.retry();
    return this.#load();
  }

  // -- what is looked at ---------------------------------------------------------------------

  get frameCount() {
    return this.clip?.clip.frame_count ?? 0;
  }

  get target() {
    return this.clip?.targets.find((target) => target.id === this.targetId) ?? null;
  }

  get expression() {
    return this.clip?.expressions.find((each) => each.id === this.expressionId) ?? null;
  }

  get draft() {
    return this.clip?.drafts.find((draft) => draft.id === this.draftId) ?? null;
  }

  /** The range [first, last] now in force, both included. */
  get range() {
    return [this.first ?? 0, this.last ?? Math.max(0, this.frameCount - 1)];
  }

  /** Open clip `id`. A slower earlier answer never replaces a later one. */
  async openClip(id) {
    const turn = ++this.#opening;
    this.opening = id;
    this.#say("opening", { id });
    try {
      const detail = await api.get(`/api/clips/${id}`);
      if (turn !== this.#opening) return;
      this.opening = null;
      const reopened = this.clip?.clip.id !== id;
      this.clip = detail;
      const last = this.#places.recall(id);
      this.frameIndex = clamp(last.frame ?? 0, 0, detail.clip.frame_count - 1);
      this.first = this.last = null;
      this.draftId = null;
      this.targetId = pick(detail.targets, last.target);
      this.expressionId = this.#expressionOf(this.targetId, last.expression);
      history.replaceState(history.state, "", `#clip=${id}`);
      this.#say("clip", { reopened });
      this.#say("target");
      this.#say("expression");
      this.#say("range", { first: null, last: null });
      this.#say("frame", { frameIndex: this.frameIndex, from: "open" });
      this.#showLatestDraft();
    } catch (error) {
      if (turn !== this.#opening) return;
      this.opening = null;
      this.#say("opening", { id: null });
      this.notice(error.message, "error", { label: "Try again", run: () => this.openClip(id) });
    }
  }

  /** Fetch the open clip's facts again; what is selected stays selected while it exists. */
  async reloadClip() {
    if (!this.clip) return;
    const id = this.clip.clip.id;
    const turn = this.#opening;
    const reload = ++this.#reloads;
    let detail;
    try {
      detail = await api.get(`/api/clips/${id}`);
    } catch (error) {
      if (error.status === 404 && turn === this.#opening) this.closeClip();
      else if (error.code !== "offline") this.notice(error.message, "error");
      return;
    }
    // A slower earlier answer never replaces a later one.
    if (turn !== this.#opening || reload !== this.#reloads || this.clip?.clip.id !== id) return;
    this.clip = detail;
    this.#say("clip", { reopened: false });
    const { targetId, expressionId, draftId } = this;
    this.targetId = pick(detail.targets, targetId);
    if (this.targetId !== targetId) this.#say("target");
    this.expressionId = this.#expressionOf(this.targetId, expressionId);
    if (this.expressionId !== expressionId) this.#say("expression");
    if (draftId !== null && !detail.drafts.some((draft) => draft.id === draftId))
      this.showDraft(null);
  }

  /** Leave the clip: it was removed. */
  closeClip() {
    this.#opening += 1;
    this.clip = this.targetId = this.expressionId = this.draftId = null;
    history.replaceState(history.state, "", location.pathname + location.search);
    this.#say("clip", { reopened: true });
    this.#say("target");
    this.#say("expression");
    this.#say("draft");
  }

  selectTarget(id) {
    if (this.targetId === id) return;
    this.targetId = id;
    this.expressionId = this.#expressionOf(id, this.expressionId);
    this.#remember();
    this.#say("target");
    this.#say("expression");
    this.#showLatestDraft();
  }

  selectExpression(id) {
    const expression = this.clip?.expressions.find((each) => each.id === id);
    if (!expression || this.expressionId === id) return;
    const changed = this.targetId !== expression.target_id;
    this.targetId = expression.target_id;
    this.expressionId = id;
    this.#remember();
    if (changed) this.#say("target");
    this.#say("expression");
    this.#showLatestDraft();
  }

  /** Show a draft's layer on the canvas, or none. */
  showDraft(id) {
    const changed = this.draftId !== id;
    this.draftId = id;
    this.threshold = this.draft?.threshold ?? 0.5;
    if (changed) this.#say("draft", { draftId: id });
    this.#say("threshold", { threshold: this.threshold });
  }

  setFrame(n, { from = "" } = {}) {
    const frameIndex = clamp(Math.round(n), 0, Math.max(0, this.frameCount - 1));
    if (frameIndex === this.frameIndex) return;
    this.frameIndex = frameIndex;
    this.#remember();
    this.#say("frame", { frameIndex, from });
  }

  /** Set in and out (both included); null gives an end back to the clip. Swapped when crossed. */
  setRange(first, last) {
    if (first !== null && last !== null && first > last) [first, last] = [last, first];
    this.first = first;
    this.last = last;
    this.#say("range", { first, last });
  }

  setThreshold(value) {
    this.threshold = clamp(value, 0, 1);
    this.#say("threshold", { threshold: this.threshold });
  }

  /** What is known of the engine called `name`, or undefined. */
  engineNamed(name) {
    return [...this.segmenters, ...this.refiners].find((each) => each.name === name);
  }

  setSegmenter(name) {
    this.segmenter = name;
    this.#say("engine");
  }

  setRefiner(name) {
    this.refiner = name;
    this.#say("engine");
  }

  // -- telling the person --------------------------------------------------------------------

  /** One sentence at the foot of the page; `action` is {label, run}. */
  notice(text, kind = "info", action = null) {
    this.#say("notice", { text, kind, action });
  }

  /**
   * How many edits of masks the store has not acknowledged.
   *
   * @param {{waiting: number, kept: number}} edits `kept`: not before the person or the server does
   *   something about them
   */
  setEdits(edits) {
    this.#edits = edits;
    this.#saySaved();
  }

  /** The store acknowledged something just now. */
  noteSaved() {
    this.#savedAt = new Date();
    this.#saySaved();
  }

  /** Saved is said only when the store has acknowledged everything. */
  #saySaved() {
    const { waiting, kept } = this.#edits;
    const rest = this.#savedAt ? "saved" : "";
    const state = kept ? "failed" : waiting || this.#changes ? "saving" : rest;
    this.#say("saved", { state, at: this.#savedAt, unsaved: waiting + kept });
  }

  /** Run a change under the header's "saving ... saved"; a refusal is shown and answered with null. */
  async change(work) {
    this.#changes += 1;
    this.#saySaved();
    try {
      const result = await this.request(work);
      // A refused change leaves nothing unsaved behind: what was typed is back in its field.
      if (result !== null) this.#savedAt = new Date();
      return result;
    } finally {
      this.#changes -= 1;
      this.#saySaved();
    }
  }

  /** Resolves once no change is under way that a key pressed now may count on. */
  async changed() {
    while (this.#changes) {
      await new Promise((resolve) => this.addEventListener("saved", resolve, { once: true }));
    }
  }

  /** Ask the server for something that is no edit; a refusal is shown and answered with null. */
  async request(work) {
    try {
      return (await work()) ?? true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.notice(error.message, "error");
      return null;
    }
  }

  /** Masks changed by a request of this tab: the live channel's echo is left out, so say it here. */
  changedHere(clipId, targetId, frames) {
    if (!frames.length) return;
    if (clipId === this.clip?.clip.id) {
      this.#say("masks", { clip_id: clipId, target_id: targetId, frames });
    }
    this.reloadClipsSoon();
  }

  runKey(name) {
    return keys.run(name);
  }

  // -- what others do ------------------------------------------------------------------------

  /** Take in one message of the live channel. */
  hear(message) {
    switch (message.type) {
      case "job":
        this.#takeJob(message.job);
        break;
      case "masks":
        if (message.clip_id !== this.clip?.clip.id) break;
        this.clip.revision = message.revision ?? this.clip.revision;
        if (message.tab !== tabId) this.#say("masks", message);
        break;
      case "clips":
        this.reloadClipsSoon();
        break;
      case "clip":
        this.reloadClipsSoon();
        if (message.clip_id === this.clip?.clip.id) this.reloadClipSoon();
        break;
      case "draft":
        this.#takeDraft(message);
        break;
      case "engines":
        this.reloadEnginesSoon();
        break;
      case "worker":
        this.worker = { state: message.state, message: message.message ?? "" };
        this.#say("worker", this.worker);
        if (message.state === "down" && message.message) this.notice(message.message, "error");
        break;
      default: // A newer server may say more than this page knows.
    }
  }

  reloadClipSoon = soon(() => this.reloadClip());
  reloadClipsSoon = soon(() => this.reloadClips().catch((error) => this.#quiet(error)));

  reloadEnginesSoon = soon(() => this.reloadEngines().catch((error) => this.#quiet(error)));

  /** Read again which engines can run: one was fetched. */
  async reloadEngines() {
    const { segmenters, refiners } = await api.get("/api/engines");
    Object.assign(this, { segmenters, refiners });
    this.#say("engine");
  }

  async reloadClips() {
    this.clips = (await api.get("/api/clips")).clips;
    this.#say("clips");
  }

  async #reloadJobs() {
    const { jobs } = await api.get("/api/jobs");
    this.jobs = new Map(jobs.map((job) => [job.id, job]));
    for (const job of jobs) this.#say("job", { job, first: true });
  }

  /** How to ask for a failed job again, or null where only its asker knows. */
  retryOf(job) {
    return this.#asked.get(job.id) ?? null;
  }

  get runningJobs() {
    return [...this.jobs.values()].filter((job) => !ENDED.includes(job.state));
  }

  /** A job this tab has asked the server for; `again()` asks for the same once more. */
  takeJob(job, again = null) {
    if (!job) return;
    this.#asked.set(job.id, again);
    const known = this.jobs.get(job.id);
    if (!known) this.#takeJob(job);
    else if (ENDED.includes(known.state)) this.#showAdded(known); // it ended before its own reply came
  }

  #takeJob(job) {
    const before = this.jobs.get(job.id);
    if (before && ENDED.includes(before.state) && !ENDED.includes(job.state)) return; // out of order
    this.jobs.set(job.id, job);
    const ended = ENDED.includes(job.state) && (!before || !ENDED.includes(before.state));
    this.#say("job", { job, ended });
    // The first sample clip can be looked at while the others are still being made.
    if (job.kind === "samples" && job.state === "running" && job.done > (before?.done ?? 0))
      this.#showAdded(job);
    if (!ended) return;
    if (["ingest", "samples"].includes(job.kind)) this.#showAdded(job);
    if (job.clip_id && job.clip_id === this.clip?.clip.id) this.reloadClipSoon();
  }

  /** Clips were added: open the first one for who asked and has none open, else offer it. */
  async #showAdded(job) {
    const before = new Set((this.clips ?? []).map((clip) => clip.id));
    if (!(await this.request(() => this.reloadClips()))) return;
    if (!["running", "done"].includes(job.state) || !this.#asked.has(job.id)) return;
    const added = this.clips.filter((clip) => !before.has(clip.id)).map((clip) => clip.id);
    const [first] = job.result?.clip_ids ?? added.sort((a, b) => a - b);
    const clip = this.clips.find((each) => each.id === first);
    if (!clip || clip.id === this.clip?.clip.id) return;
    if (!this.clip && !this.opening) await this.openClip(clip.id);
    else if (job.state === "done")
      this.notice(`${clip.name} was added.`, "info", {
        label: "Open",
        run: () => this.openClip(clip.id),
      });
  }

  #takeDraft(message) {
    if (message.clip_id !== this.clip?.clip.id) return;
    const draft = this.clip.drafts.find((each) => each.id === message.draft_id);
    if (draft) draft.frames_done = message.frames_done;
    else this.reloadClipSoon();
    this.#say("draft-frames", message);
  }

  #connection(up, again) {
    this.connected = up;
    this.#say("connection", { up });
    if (up && (again || this.#loadFailed)) this.#catchUp();
  }

  /** After a loss, everything may have changed. */
  async #catchUp() {
    if (!this.ready) return this.#load();
    try {
      await Promise.all([
        this.reloadClips(),
        this.#reloadJobs(),
        this.reloadClip(),
        this.reloadEngines(),
      ]);
      if (this.clip)
        this.#say("masks", { clip_id: this.clip.clip.id, target_id: null, frames: null });
    } catch (error) {
      this.#quiet(error);
    }
    return undefined;
  }

  /** A background fetch failed: the connection bar already says so when the server is gone. */
  #quiet(error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.code !== "offline") this.notice(error.message, "error");
  }

  // -- small things --------------------------------------------------------------------------

  #expressionOf(targetId, wanted) {
    return pick(
      (this.clip?.expressions ?? []).filter((each) => each.target_id === targetId),
      wanted,
    );
  }

  /** An expression's newest draft is what a person wants to see on coming to it. */
  #showLatestDraft() {
    const drafts = (this.clip?.drafts ?? []).filter(
      (draft) => draft.expression_id === this.expressionId,
    );
    this.showDraft(drafts.length ? Math.max(...drafts.map((draft) => draft.id)) : null);
  }

  #remember() {
    if (!this.clip) return;
    const place = { frame: this.frameIndex, target: this.targetId, expression: this.expressionId };
    this.#places.remember(this.clip.clip.id, place);
  }

  #say(type, detail = {}) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** The id `wanted` while it is in `rows`, else the first one's, else null. */
export function pick(rows, wanted) {
  return rows.some((row) => row.id === wanted) ? wanted : (rows[0]?.id ?? null);
}

function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

/** Call `work` once after a burst of calls; a second burst while it runs calls it once more. */
function soon(work) {
  let timer = null;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, 80);
  };
}

export const session = new Session();
