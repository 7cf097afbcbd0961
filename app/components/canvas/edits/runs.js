/**
 * Masks as row-major run lengths, and the binary message they travel in ("RSM1").
 *
 * Runs start with background, so a mask whose first pixel is set begins with a run of 0.
 * A mask in hand is a `Uint8Array` of width * height zeros and ones, row by row.
 * An empty `Uint32Array` of runs means "no mask here", which is not the same as an empty mask.
 */

export const MAGIC = 0x314d5352;
/** @type {("target" | "ignore")[]} */
export const LAYERS = ["target", "ignore"];
export const ORIGINS = [
  "none",
  "draft",
  "propagation",
  "click",
  "stroke",
  "import",
  "clear",
  "verify",
  "repair",
];
const HEADER_WORDS = 4;
const ENTRY_WORDS = 6;
const CLICK_WORDS = 3;

/**
 * @typedef {{x: number, y: number, positive: boolean}} Click  in frame pixels; may be fractional
 * @typedef {{frameIndex: number, layer: "target"|"ignore", version: number, verified: boolean,
 *   origin: string, clicks: Click[], runs: Uint32Array}} FrameMask
 */

/**
 * Read a message of masks.
 *
 * @param {ArrayBuffer} buffer
 * @returns {{width: number, height: number, masks: FrameMask[]}}
 * @throws {RangeError} when the message is cut short, is none of ours, or runs miss the size
 */
export function readMasks(buffer) {
  if (buffer.byteLength < HEADER_WORDS * 4 || buffer.byteLength % 4) {
    throw new RangeError(`a masks message of ${buffer.byteLength} bytes is cut short`);
  }
  const words = new Uint32Array(buffer);
  const floats = new Float32Array(buffer);
  if (words[0] !== MAGIC) throw new RangeError("this is not a masks message");
  const [, height, width, count] = words;
  const masks = [];
  let at = HEADER_WORDS;
  for (let entry = 0; entry < count; entry++) {
    const [frameIndex, layer, version, flags, clickCount, runCount] = words.subarray(
      at,
      at + ENTRY_WORDS,
    );
    const clicksAt = at + ENTRY_WORDS;
    const runsAt = clicksAt + clickCount * CLICK_WORDS;
    at = runsAt + runCount;
    if (!(at <= words.length)) throw new RangeError("a masks message ends inside a mask");
    const clicks = [];
    for (let word = clicksAt; word < runsAt; word += CLICK_WORDS) {
      clicks.push({ x: floats[word], y: floats[word + 1], positive: words[word + 2] === 1 });
    }
    const runs = words.slice(runsAt, at);
    if (runCount && sum(runs) !== width * height) {
      throw new RangeError(`the runs of frame ${frameIndex} do not fill ${width}x${height}`);
    }
    masks.push({
      frameIndex,
      layer: LAYERS[layer],
      version,
      verified: Boolean(flags & 1),
      origin: ORIGINS[(flags >> 8) & 0xff] ?? "none",
      clicks,
      runs,
    });
  }
  return { width, height, masks };
}

/**
 * Write a message of masks; `version` is the version an edit was made on.
 *
 * @param {{width: number, height: number}} size
 * @param {{frameIndex: number, layer: "target" | "ignore", version: number, runs: Uint32Array,
 *   clicks?: Click[]}[]} masks
 * @returns {ArrayBuffer}
 */
export function writeMasks({ width, height }, masks) {
  const wordsOf = (mask) =>
    ENTRY_WORDS + (mask.clicks?.length ?? 0) * CLICK_WORDS + mask.runs.length;
  const total = masks.reduce((words, mask) => words + wordsOf(mask), HEADER_WORDS);
  const words = new Uint32Array(total);
  const floats = new Float32Array(words.buffer);
  words.set([MAGIC, height, width, masks.length]);
  let at = HEADER_WORDS;
  for (const mask of masks) {
    const clicks = mask.clicks ?? [];
    const layer = LAYERS.indexOf(mask.layer);
    words.set([mask.frameIndex, layer, mask.version, 0, clicks.length, mask.runs.length], at);
    at += ENTRY_WORDS;
    for (const click of clicks) {
      floats[at] = click.x;
      floats[at + 1] = click.y;
      words[at + 2] = click.positive ? 1 : 0;
      at += CLICK_WORDS;
    }
    words.set(mask.runs, at);
    at += mask.runs.length;
  }
  return words.buffer;
}

/** Fill `pixels` (width * height) with the mask of `runs`; no runs give an empty mask. */
export function decodeInto(pixels, runs) {
  pixels.fill(0);
  let at = 0;
  for (let run = 0; run < runs.length; run++) {
    const end = at + runs[run];
    if (run & 1) pixels.fill(1, at, end);
    at = end;
  }
  return pixels;
}

/** Run lengths of `pixels` (any non-zero byte is set), background first. */
export function encode(pixels) {
  const runs = [];
  let value = 0;
  let at = 0;
  while (at < pixels.length) {
    const end = value ? pixels.indexOf(0, at) : nextSet(pixels, at);
    const stop = end < 0 ? pixels.length : end;
    runs.push(stop - at);
    at = stop;
    value ^= 1;
  }
  return Uint32Array.from(runs);
}

function nextSet(pixels, from) {
  for (let at = from; at < pixels.length; at++) if (pixels[at]) return at;
  return -1;
}

/**
 * The smallest rectangle that holds every set pixel, or null for an empty mask.
 *
 * @returns {{left: number, top: number, right: number, bottom: number} | null} right and bottom
 *   are one past the last pixel
 */
export function bounds(runs, width) {
  let left = width;
  let right = 0;
  let top = -1;
  let bottom = 0;
  let at = 0;
  for (let run = 0; run < runs.length; run++) {
    const end = at + runs[run];
    if (run & 1 && end > at) {
      const firstRow = Math.floor(at / width);
      const lastRow = Math.floor((end - 1) / width);
      if (top < 0) top = firstRow;
      bottom = lastRow + 1;
      if (firstRow !== lastRow) {
        left = 0;
        right = width;
      } else {
        left = Math.min(left, at - firstRow * width);
        right = Math.max(right, end - firstRow * width);
      }
    }
    at = end;
  }
  return top < 0 ? null : { left, top, right, bottom };
}

function sum(runs) {
  let total = 0;
  for (const run of runs) total += run;
  return total;
}

/** Frame numbers as the server's list reads them: "3,4,9-20". */
export function frameList(frames) {
  const spans = [];
  for (const frameIndex of [...new Set(frames)].sort((a, b) => a - b)) {
    const span = spans.at(-1);
    if (span && frameIndex === span[1] + 1) span[1] = frameIndex;
    else spans.push([frameIndex, frameIndex]);
  }
  return spans.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
}
