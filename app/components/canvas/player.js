/**
 * Which frame is before the person's eyes, and which one should be.
 *
 * The frame shown is always one whose picture is at hand, so that picture and overlay can be
 * painted together; the frame wanted may be on its way.
 */

import { Playback, nextSpeed } from "./playback.js";

const AHEAD_PAUSED = 24;
const AHEAD_PLAYING = 72;
const BEHIND_PAUSED = 8;
const LATE_AT_MOST = 6; // frames; an older picture would mislead

export class Player {
  #frames;
  #playback = null;
  #count = 0;
  #direction = 1;
  #last = { shown: 0, due: 0, rate: 0 };

  /** @param {import("./frames.js").FrameSource} frames */
  constructor(frames) {
    this.#frames = frames;
    this.speed = 1;
    this.wanted = 0;
    this.shown = null; // null until the first picture is there
    this.range = { first: 0, last: 0 };
  }

  /** Another clip of `frameCount` frames, at `frameIndex`. */
  open(frameCount, frameIndex) {
    this.#playback = null;
    this.#count = frameCount;
    this.range = { first: 0, last: Math.max(0, frameCount - 1) };
    this.wanted = frameIndex;
    this.shown = null;
    this.#direction = 1;
    this.#prefetch();
  }

  get playing() {
    return this.#playback !== null;
  }

  get frameCount() {
    return this.#count;
  }

  get direction() {
    return this.#direction;
  }

  /** The frames to keep near: the whole clip, or while playing the range, round and round. */
  get reach() {
    return this.playing
      ? { ...this.range, wraps: true }
      : { first: 0, last: this.#count - 1, wraps: false };
  }

  /** Want a frame; outside the clip the nearest one. @returns {number} the frame wanted now */
  go(frameIndex) {
    const within = Math.min(this.#count - 1, Math.max(0, Math.round(frameIndex)));
    if (within !== this.wanted) this.#direction = within < this.wanted ? -1 : 1;
    this.wanted = within;
    this.#prefetch();
    return within;
  }

  play(now) {
    if (this.playing || this.#count < 2) return;
    this.#direction = 1;
    this.#playback = new Playback(this.wanted, this.range, now, { speed: this.speed });
    this.#prefetch();
  }

  stop() {
    if (!this.playing) return;
    const { shown, due } = this.#playback;
    this.#last = { shown, due, rate: this.#playback.rate(performance.now()) };
    this.#playback = null;
    if (this.shown !== null) this.wanted = this.shown;
    this.#prefetch();
  }

  /** One step faster (1) or slower (-1). */
  changeSpeed(step, now) {
    this.setSpeed(nextSpeed(this.speed, step), now);
  }

  setSpeed(speed, now) {
    this.speed = speed;
    this.#playback?.setSpeed(speed, now);
  }

  setRange(range, now) {
    this.range = range;
    if (!this.playing) return;
    this.stop();
    this.play(now);
  }

  /**
   * The frame to paint at `now`.
   *
   * While playing, a frame whose picture is late is not waited for: the newest one at hand that
   * was due since the last is shown in its place.
   *
   * @returns {number | null} null when no picture of the clip is at hand yet
   */
  tick(now) {
    if (this.#playback) {
      const due = this.#playback.refresh(now);
      if (due !== this.wanted) {
        this.wanted = due;
        this.#prefetch();
      }
    }
    const newest = this.#newestAtHand();
    if (newest !== null) this.shown = newest;
    return this.shown;
  }

  #newestAtHand() {
    const stride = this.#playback?.stride ?? 1;
    const late = this.playing ? LATE_AT_MOST : 0;
    for (let back = 0; back <= late; back++) {
      const candidate = this.wanted - back * stride;
      if (candidate < this.range.first && back) return null;
      if (this.#frames.get(candidate)) return candidate;
      if (candidate === this.shown) return null;
    }
    return null;
  }

  /** The frame that follows while playing. */
  following(frameIndex) {
    const next = frameIndex + (this.#playback?.stride ?? 1);
    return next > this.range.last ? this.range.first : next;
  }

  /** Note that the frame shown has been painted. */
  painted() {
    if (this.shown !== null) this.#playback?.countShown(this.shown);
  }

  /** Frames shown and due since playing began, and shown per second. */
  stats(now) {
    if (!this.#playback) return { playing: false, ...this.#last };
    const { shown, due } = this.#playback;
    return { playing: true, shown, due, rate: this.#playback.rate(now) };
  }

  #prefetch() {
    // While playing nothing is fetched for a frame whose time has passed.
    const ahead = this.playing ? AHEAD_PLAYING : AHEAD_PAUSED;
    const behind = this.playing ? 0 : BEHIND_PAUSED;
    const stride = this.#playback?.stride ?? 1;
    const { first, last, wraps } = this.reach;
    this.#frames.want(
      this.wanted,
      this.#direction,
      { first, last, wraps },
      { ahead, behind, stride, playing: this.playing },
    );
  }
}
