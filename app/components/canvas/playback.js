/**
 * When which frame is due.  Pure: the clock is an argument.
 *
 * @typedef {{first: number, last: number}} Range  frames, both included
 */

export const SPEEDS = [0.25, 0.5, 1, 2, 2.5, 4]; // 2.5 shows every frame of a 60 Hz display
export const FRAMES_PER_SECOND = 24;
const DISPLAY_RATE = 60; // shown per second at most; beyond it frames are skipped evenly

const HALF_A_REFRESH_MS = 500 / DISPLAY_RATE;

/** Every how many frames one is shown at a speed. */
export function strideAt(speed, fps = FRAMES_PER_SECOND) {
  return Math.max(1, Math.ceil((fps * speed) / DISPLAY_RATE));
}

export class Playback {
  /**
   * @param {number} frameIndex where playing starts
   * @param {Range} range played over and over
   * @param {number} now milliseconds
   */
  constructor(frameIndex, range, now, { speed = 1, fps = FRAMES_PER_SECOND } = {}) {
    this.range = range;
    this.fps = fps;
    this.speed = speed;
    this.shown = 0; // frames the person saw
    this.due = 1; // frames they should have seen by now
    this.startedAt = now;
    this.lastShown = null;
    this.#begin(frameIndex, now);
  }

  #begin(frameIndex, now) {
    const inside = frameIndex >= this.range.first && frameIndex <= this.range.last;
    this.origin = inside ? frameIndex : this.range.first;
    this.originTime = now;
    this.dueBefore = this.due - 1;
    this.aligned = false;
  }

  /**
   * The frame to show at a refresh of the display.
   *
   * The first one starts the clock: frames and refreshes then keep step, wherever between two
   * refreshes the key was pressed.
   */
  refresh(now) {
    if (!this.aligned) this.originTime = now;
    this.aligned = true;
    return this.frameAt(now);
  }

  /** How many pictures of time have passed since the current origin. */
  #stepsAt(now) {
    // Each frame is shown at the refresh nearest to its time: a display's timestamps jitter, and
    // 60 frames a second on 60 refreshes would else be shown twice or not at all.
    const elapsed = Math.max(0, now - this.originTime + HALF_A_REFRESH_MS);
    return Math.floor((elapsed * this.fps * this.speed) / 1000 / this.stride);
  }

  get stride() {
    return strideAt(this.speed, this.fps);
  }

  /** The frame due at `now`; counts what was due for the statistics. */
  frameAt(now) {
    const steps = this.#stepsAt(now);
    this.due = this.dueBefore + steps + 1;
    const length = this.range.last - this.range.first + 1;
    return this.range.first + ((this.origin - this.range.first + steps * this.stride) % length);
  }

  /** Note that `frameIndex` was put before the person's eyes. */
  countShown(frameIndex) {
    if (frameIndex === this.lastShown && this.range.first !== this.range.last) return;
    this.lastShown = frameIndex;
    this.shown = Math.min(this.due, this.shown + 1);
  }

  /** Go on at another speed from the frame due now, without a jump. */
  setSpeed(speed, now) {
    const frameIndex = this.frameAt(now);
    this.#begin(frameIndex, now);
    this.speed = speed;
  }

  /** Frames shown per second so far. */
  rate(now) {
    const seconds = (now - this.startedAt) / 1000;
    return seconds > 0 ? this.shown / seconds : 0;
  }
}

/** The speed before or after `speed`, or `speed` itself at the ends. */
export function nextSpeed(speed, step) {
  const index = SPEEDS.indexOf(speed) + step;
  return SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, index))];
}

/** "057 / 131": the frame, counted from 0 as in the files, and how many there are. */
export function frameLabel(frameIndex, frameCount) {
  const count = String(frameCount).padStart(3, "0");
  return `${String(frameIndex).padStart(count.length, "0")} / ${count}`;
}
